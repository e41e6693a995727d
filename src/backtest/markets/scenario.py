"""Scenarios: a market made of agents, described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from os import PathLike
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from backtest.actors import LinkLatencies
from backtest.actors.kernel.latency import Network
from backtest.errors import ConfigError
from backtest.markets.hours import time_of_day
from backtest.markets.instrument import Instrument
from backtest.markets.latencies import latencies_of, latency_text
from backtest.markets.population import Population
from backtest.markets.scaling import scaled
from backtest.models.account import MARGIN_MODES
from backtest.money import plain
from backtest.runs.config import cash_of
from backtest.times import DAY, duration_ns, format_ns, to_ns

if TYPE_CHECKING:
    from backtest.markets.result import MarketResult

__all__ = ["Scenario"]

_START = datetime(2024, 1, 2, 9, 30, tzinfo=UTC)


def _start(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ConfigError(
                f"start must be a time such as '2024-01-02T09:30:00Z', not {value!r}"
            ) from None
    if not isinstance(value, datetime):
        raise ConfigError(f"start must be an aware datetime, not {value!r}")
    if value.tzinfo is None:
        raise ConfigError(f"start must know its zone: write {value.isoformat()}Z for UTC")
    return value.astimezone(UTC)


def _several(value: Any, kind: type[Any], name: str) -> tuple[Any, ...]:
    several = (value,) if isinstance(value, kind) else tuple(value)
    for one in several:
        if not isinstance(one, kind):
            raise ConfigError(f"{name} must be {kind.__name__} values, not {one!r}")
    return several


def _pairs(value: Any) -> tuple[Instrument, ...]:
    return _several(value, Instrument, "pairs")


def _populations(value: Any) -> tuple[Population, ...]:
    return _several(value, Population, "populations")


def _cash(value: Any) -> dict[str, Decimal] | None:
    return None if value is None else cash_of(value)["main"]


def _fund(value: Any) -> dict[str, Decimal]:
    return {} if not value else cash_of(value)["main"]


@frozen(kw_only=True)
class Scenario:
    """Who trades what in a market, on what terms, from when to when.

    Args:
        pairs: what is traded: an `Instrument` or several.
        populations: who trades: `Population` values.
        start: when the market begins, an aware `datetime` or ISO 8601 text with a zone.
        until: when it ends: a `datetime`, or a time of day (``"16:00"``, UTC) on the day it starts,
            or the next one if that has passed.
        duration: how long it lasts (``"6h"``), in place of ``until``.
        seed: the root of every id and random stream.
        cash: what each agent starts with, where its population does not say.
        latency: between agents and the exchange; see `latencies_of`.
        computation: how long each agent thinks before its commands leave, likewise.
        insurance_fund: what the insurance account starts with.
        netting: whether a fill first closes what an agent holds on the other side.
        margin_mode: what stands behind a position: ``"isolated"`` or ``"cross"``.
        name, description: for people.

    It is frozen and holds nothing of any run: run it as often as you like. To change something,
    use `attrs.evolve`.
    """

    pairs: Sequence[Instrument] = field(converter=_pairs)
    populations: Sequence[Population] = field(default=(), converter=_populations)
    start: datetime = field(default=_START, converter=_start)
    until: datetime | time | str | None = None
    duration: str | timedelta | None = None
    seed: int = 0
    cash: Mapping[str, Decimal] | None = field(default=None, converter=_cash)
    latency: LinkLatencies | Network | None = field(default=None, converter=latencies_of)
    computation: str | timedelta | None = None
    insurance_fund: Mapping[str, Decimal] = field(default=None, converter=_fund)
    netting: bool = True
    margin_mode: str = "isolated"
    name: str = "market"
    description: str = ""

    def __attrs_post_init__(self) -> None:
        if not self.pairs:
            raise ConfigError("a scenario needs at least one pair")
        _each_once([one.code for one in self.pairs], "pair")
        _each_once([one.name for one in self.populations], "population")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ConfigError(f"seed must be a whole number, not {self.seed!r}")
        if not isinstance(self.netting, bool):
            raise ConfigError(f"netting must be true or false, not {self.netting!r}")
        if self.margin_mode not in MARGIN_MODES:
            raise ConfigError(f"margin_mode must be isolated or cross, not {self.margin_mode!r}")
        if (self.until is None) == (self.duration is None):
            raise ConfigError("a scenario needs until or duration, and not both")
        for one in self.populations:
            if one.cash is None and self.cash is None:
                raise ConfigError(
                    f"population {one.name!r} has no cash: give it some, or the scenario"
                )
        if self.computation is not None:
            duration_ns(self.computation, "computation")
        self.ends(None)

    @property
    def start_ns(self) -> int:
        """When it begins, in nanoseconds."""
        return to_ns(self.start)

    @property
    def until_ns(self) -> int:
        """When it ends, in nanoseconds."""
        return self.ends(None)

    @property
    def agents(self) -> int:
        """How many agents there are."""
        return sum(one.count for one in self.populations)

    def ends(self, until: datetime | time | str | None) -> int:
        """When it ends, in nanoseconds, if ``until`` were said in place of what it says itself.

        Raises `ConfigError` for what is no time, and for a time that is not after the start.
        """
        start = self.start_ns
        asked = self.until if until is None else until
        if asked is None:
            end = start + duration_ns(self.duration or 0, "duration")
        elif isinstance(asked, datetime):
            if asked.tzinfo is None:
                raise ConfigError(f"until must know its zone: write {asked.isoformat()}Z for UTC")
            end = to_ns(asked)
        else:
            end = self._clock(asked)
        if end <= start:
            raise ConfigError(
                f"a scenario must end after it begins, at {format_ns(start)}; "
                f"it ends at {format_ns(end)}"
            )
        return end

    def _clock(self, asked: time | str) -> int:
        if isinstance(asked, str) and "-" in asked:
            try:
                return self.ends(datetime.fromisoformat(asked))
            except ValueError as error:
                if isinstance(error, ConfigError):
                    raise
                raise ConfigError(
                    f"until must be a time such as '16:00' or '2024-01-02T16:00:00Z', not {asked!r}"
                ) from None
        start = self.start_ns
        end = start - start % DAY + time_of_day(asked, "until")
        return end if end > start else end + DAY

    def scaled(self, agents: int) -> Scenario:
        """The same with ``agents`` agents in all, its populations in proportion.

        Populations that are ``fixed`` keep their number, and none of the others goes below one.
        Raises `ConfigError` where that cannot be.
        """
        return evolve(self, populations=scaled(self.populations, agents))

    def run(self, *strategies: Any, **settings: Any) -> MarketResult:
        """Run it; ``settings`` are those of `backtest.markets.run_market`."""
        from backtest.markets.runner import run_market

        return run_market(self, *strategies, **settings)

    async def run_async(self, *strategies: Any, **settings: Any) -> MarketResult:
        """`run` for use inside a running event loop."""
        from backtest.markets.runner import run_market_async

        return await run_market_async(self, *strategies, **settings)

    @classmethod
    def load(cls, source: str | PathLike[str]) -> Scenario:
        """The scenario called ``source``: a shipped one by name, a TOML file, or ``file.py:name``.

        Raises `ConfigError` that names the file, the key, and what was probably meant.
        """
        from backtest.markets.shipped import load

        return load(source)

    def text(self) -> dict[str, Any]:
        """The same as plain data, for the manifest of a run."""
        return {
            "name": self.name,
            "start": format_ns(self.start_ns),
            "until": format_ns(self.until_ns),
            "pairs": {one.code: one.text() for one in self.pairs},
            "populations": {one.name: one.text() for one in self.populations},
            "latency": latency_text(self.latency),
            "insurance_fund": {asset: plain(sum_) for asset, sum_ in self.insurance_fund.items()},
        }


def _each_once(names: Sequence[str], what: str) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ConfigError(f"{what} {name!r} is there twice: each needs a name of its own")
