"""What came of a market: a finished run, and who was who in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define

from backtest.analysis.result import RunResult
from backtest.markets.scenario import Scenario
from backtest.models import MarketTrade, Quote
from backtest.services.fundamental import Fundamental

__all__ = ["MarketResult"]


@define(kw_only=True, eq=False, repr=False)
class MarketResult(RunResult):
    """What `run_market` gives back: all that a `RunResult` is, and what only markets have."""

    scenario: Scenario
    """What was run: as many agents, with that seed, until then."""
    populations: Mapping[str, str]
    """The population of each agent, by its name; a strategy that joined is its own."""
    trades: Sequence[MarketTrade]
    """The tape: every trade, in order, with both sides by name."""
    quotes: Mapping[str, Sequence[Quote]]
    """Every change of the best prices, by pair."""
    fundamentals: Mapping[str, Fundamental | None]
    """What each pair was worth, by its code."""
    messages: int
    """Messages that were delivered."""
    wall_s: float
    """How long it took, in seconds of real time: the one figure here that no seed repeats."""

    def __repr__(self) -> str:
        return (
            f"<MarketResult {self.scenario.name}: {len(self.strategies)} agents, "
            f"{self.messages} messages, {len(self.trades)} trades>"
        )

    @property
    def messages_per_s(self) -> int:
        """Messages per second of real time."""
        return round(self.messages / self.wall_s) if self.wall_s else 0

    @property
    def agents_by_type(self) -> dict[str, list[str]]:
        """The names of the agents of each population."""
        found: dict[str, list[str]] = {}
        for name, population in self.populations.items():
            found.setdefault(population, []).append(name)
        return found

    def plain(self) -> dict[str, Any]:
        """The figures of the market, as JSON takes them."""
        return {
            "scenario": self.scenario.name,
            "agents": len(self.strategies),
            "messages": self.messages,
            "messages_per_s": self.messages_per_s,
            "wall_s": round(self.wall_s, 3),
            "trades": len(self.trades),
        }
