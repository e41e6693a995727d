"""What a seed decides before the run: the plan of a world, of its markets and of its agents."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import attrs

from backtest.actors import Latency
from backtest.actors.exchange.market import MarketSpec
from backtest.models import Account, TradingPair, TradingRules

__all__ = ["AgentPlan", "MarketPlan", "Plan"]


@attrs.frozen(kw_only=True)
class MarketPlan:
    """How the bars of one pair come about."""

    length_ns: int
    first: int
    """The first price, in price increments."""
    swing: int
    """How far a bar moves, in hundredths of a percent."""
    gaps: int
    """Of a thousand bars, how many open far from the last close."""
    holes: int
    """Of a thousand bars, how many are missing."""
    flats: int
    """Of a thousand bars, how many do not move at all."""
    volume: str
    """``none``, ``thin``, ``thick``, ``deep`` or ``mixed`` (zero among them)."""
    feed: str
    """``bars``, ``quotes``, ``trades``, or ``both``: bars and the trades that made them; or quotes
    with something between them, ``quotes and trades`` or ``quotes and bars``."""


@attrs.frozen(kw_only=True)
class AgentPlan:
    """One strategy of the world."""

    name: str
    style: str
    accounts: tuple[str, ...]
    latency: Latency | None
    inbox: int
    eager: int
    """How many commands it gives at a bar, about, in tenths."""
    wary: bool
    """Whether it never waits without a timeout."""


@attrs.frozen(kw_only=True)
class Plan:
    """Everything that a seed decides before the run. ``without`` names what was left out of it."""

    seed: int
    without: frozenset[str]
    pairs: Mapping[str, TradingPair]
    rules: Mapping[str, TradingRules]
    markets: Mapping[str, MarketPlan]
    accounts: Mapping[str, Account]
    opening: tuple[tuple[str, str, Decimal], ...]
    insurance: tuple[tuple[str, Decimal], ...]
    agents: tuple[AgentPlan, ...]
    latencies: tuple[tuple[str, str, Latency], ...]
    step_ns: int
    """The least distance of two moments of the market."""
    specs: Mapping[str, MarketSpec] = attrs.field(factory=dict)
    """Where agents trade with each other: the markets, by pair."""
