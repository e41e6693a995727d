"""What came of a market: a finished run, and who was who in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, overload

from attrs import define

from backtest.actors.exchange.publication import DepthRecord
from backtest.analysis.market.by_type import TypeFigures, by_type
from backtest.analysis.market.facts_of import facts_of_market
from backtest.analysis.market.page import market_page, write_page
from backtest.analysis.market.samples import MarketRecord
from backtest.analysis.market.stylised_facts import StylisedFacts
from backtest.analysis.market.tape import tape_rows
from backtest.analysis.result import RunResult
from backtest.analysis.tables.facts import RunTables
from backtest.analysis.tables.tables import Row
from backtest.errors import ConfigError
from backtest.markets.record import record_of
from backtest.markets.scenario import Scenario
from backtest.models import BarLength, MarketTrade, Quote
from backtest.services.fundamental import Fundamental

__all__ = ["MarketResult"]


@define(kw_only=True, eq=False, repr=False)
class MarketResult(RunResult):
    """What `run_market` gives back: all that a `RunResult` is, and what only markets have."""

    scenario: Scenario
    """What was run: as many agents, with that seed, until then."""
    populations: Mapping[str, str]
    """The population of each agent, by its name; a strategy that joined is its own."""
    trades: Sequence[MarketTrade]  # type: ignore[assignment]
    """The tape: every trade, in order, with both sides by name. (The round trips of the agents are
    ``trades_by("fifo")``.)"""
    quotes: Mapping[str, Sequence[Quote]]
    """Every change of the best prices, by pair."""
    fundamentals: Mapping[str, Fundamental | None]
    """What each pair was worth, by its code."""
    depths: Mapping[str, Sequence[DepthRecord]]
    """The best levels of each book, looked at once an interval."""
    halts: Mapping[str, Sequence[tuple[int, int]]]
    """From when until when trading stood still, by pair: a price would have left its band."""
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

    # -- what people look at -----------------------------------------------------------------------

    @cached_property
    def record(self) -> MarketRecord:
        """All that happened, as tables and pictures of a market take it."""
        return record_of(self)

    def by_type(self) -> dict[str, TypeFigures]:
        """What each population won, paid, traded and holds, by its name: exact, from the ledger."""
        return by_type(self.record)

    def stylised_facts(
        self, pair: str | None = None, *, interval: int | str = "1m"
    ) -> StylisedFacts:
        """How like a real market it was: the stylised facts as numbers, with what real markets show
        beside each. ``pair`` may be left out where there is one; returns are over ``interval``."""
        if pair is None:
            if len(self.pairs) > 1:
                raise ConfigError(f"of which pair? There are {', '.join(self.pairs)}")
            pair = next(iter(self.pairs))
        if pair not in self.pairs:
            raise ConfigError(f"there is no pair {pair!r}; there are: {', '.join(self.pairs)}")
        length = BarLength.span_of(interval, "interval")
        record = self.record
        return facts_of_market(
            record.pairs[pair],
            record.start_ns,
            record.end_ns,
            interval_ns=length,
            sessions=record.sessions,
        )

    def report(self) -> str:
        """The market as text: prices by pair, what came of each population, receipt."""
        from backtest.markets.report import market_report

        return market_report(self)

    @overload
    def page(self, path: None = None, *, force: bool = False) -> str: ...
    @overload
    def page(self, path: str | PathLike[str], *, force: bool = False) -> Path: ...
    def page(self, path: str | PathLike[str] | None = None, *, force: bool = False) -> Path | str:
        """Write one HTML page that stands alone and shows all of it (extra ``plot``); its path, or
        without ``path`` its text.

        A page that was there is replaced, another file only with ``force``.
        """
        if path is None:
            return market_page(self.record)
        return write_page(self.record, path, force=force)

    @cached_property
    def tables(self) -> RunTables:
        """Those of any run, and ``tape``: every trade, with both sides by name and type."""
        return _MarketTables(self)

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


class _MarketTables(RunTables):
    """The tables of a market."""

    def __init__(self, result: MarketResult) -> None:
        super().__init__(result)
        self._market = result

    def rows(self, name: str) -> Iterator[Row]:
        """The rows of a table."""
        if name == "tape":
            return tape_rows(self._market.trades, self._market.populations)
        return super().rows(name)
