"""Bars made while the run goes on: gaps, jumps, flat bars, holes, and many at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from operator import attrgetter
from random import Random
from typing import Literal

from backtest.models import Bar, MarketEvent, Quote, Trade

from .chance import stream
from .faults import Faults
from .plan import MarketPlan, Plan

__all__ = ["Market"]

TAIL = 240
"""How many quiet steps there are at most for everything to resolve."""
START_NS = 1_700_000_000 * 10**9
D = Decimal
_TIME = attrgetter("close_ns")
_SIDES: tuple[Literal["buy", "sell"] | None, ...] = ("buy", "sell", None)


class Market:
    """The bars of a world in the order of their close; `phase` says what the agents are to do.

    ``is_enough`` is asked once a step whether the safety phase is over; ``is_resolved`` then, once
    a step, whether anything is still to be resolved.
    """

    def __init__(
        self,
        plan: Plan,
        faults: Faults,
        is_enough: Callable[[], bool],
        is_resolved: Callable[[], bool],
    ) -> None:
        self.phase = "safety"
        self.steps = 0
        self.tail = 0
        self.begin_ns = START_NS // plan.step_ns * plan.step_ns - 4 * plan.step_ns
        """Before everything that a market event tells of."""
        self._plan = plan
        self._faults = faults
        self._is_enough = is_enough
        self._is_resolved = is_resolved
        self._chances = {code: stream(plan.seed, f"bars/{code}") for code in plan.pairs}
        self._last = {code: market.first for code, market in plan.markets.items()}

    def events(self) -> Iterator[MarketEvent]:
        """The market events of the run, until everything is resolved, or will not be any more."""
        plan, step = self._plan, self._plan.step_ns
        start = START_NS // step * step
        while True:
            if self.phase == "safety" and self.steps and self._is_enough():
                self.phase = "liveness"
                self._faults.cease()
            if self.phase == "liveness":
                self.tail += 1
                if self.tail > 4 and (self.tail > TAIL or self._is_resolved()):
                    return
            self.steps += 1
            close = start + self.steps * step
            found: list[MarketEvent] = []
            for code, market in plan.markets.items():
                if self.steps * step % market.length_ns == 0:
                    found += self._events_at(code, market, close)
            found.sort(key=_TIME)  # stable: at one time in the order of registration
            yield from found

    def _events_at(self, code: str, market: MarketPlan, close: int) -> list[MarketEvent]:
        chance = self._chances[code]
        quiet = self.phase == "liveness"
        bar = self._bar(code, market, close, chance, quiet)
        made: list[MarketEvent] = [bar]
        if market.feed == "quotes and bars" and chance.random() < 0.5:
            pass  # nothing is quoted in it
        elif market.feed != "bars":
            made = self._ticks(bar, market, chance)
        if quiet:
            return made
        if chance.randrange(1000) < market.holes and self.steps > 20:
            return []
        if self._faults.strikes("bar_gap"):
            return []
        if self._faults.strikes("bar_duplicate"):
            made = [one for one in made for _ in range(2)]
        return made

    def _ticks(self, bar: Bar, market: MarketPlan, chance: Random) -> list[MarketEvent]:
        """Quotes or trades along ``bar``; with ``both`` the bar as well, last."""
        tick, length = self._plan.pairs[bar.pair].price_increment, bar.close_ns - bar.open_ns
        prices = [bar.open, bar.high, bar.low, bar.close]
        if chance.random() < 0.5 and market.feed != "both":
            prices = prices[3:]
        volume = bar.volume / 4 if bar.volume else None
        made: list[MarketEvent] = []
        for place, price in enumerate(prices, 1):
            # Now and then all at the last moment, one behind the other.
            at = bar.open_ns + length * place // len(prices)
            if market.feed.startswith("quotes") and not self._is_trade(market, chance):
                spread = tick * chance.choice([1, 1, 2, 20])
                made.append(Quote(bar.pair, at, price, price + spread, volume, volume))
            else:
                side = chance.choice(_SIDES)
                made.append(Trade(bar.pair, at, price, volume, side))
        return [*made, bar] if market.feed in ("both", "quotes and bars") else made

    def _is_trade(self, market: MarketPlan, chance: Random) -> bool:
        """Whether a trade comes where a quote could."""
        return market.feed == "quotes and trades" and chance.random() < 0.3

    def _bar(self, code: str, market: MarketPlan, close: int, chance: Random, quiet: bool) -> Bar:
        tick = self._plan.pairs[code].price_increment
        last = self._last[code]

        def moved(price: int, most: int) -> int:
            size = max(1, price * most // 10_000)
            return max(1, price + chance.randint(-size, size))

        swing = 5 if quiet else market.swing
        open_ = last
        if chance.randrange(1000) < (0 if quiet else market.gaps):
            open_ = moved(last, market.swing * 20)
        if chance.randrange(1000) < market.flats:
            high = low = end = open_
        else:
            end = moved(open_, swing)
            high, low = max(open_, end), min(open_, end)
            high = max(high, moved(high, swing // 2))
            low = min(low, moved(low, swing // 2))
        # Markets that ran away come back, or every seed would end at one tick or in the clouds.
        if end > market.first * 50 or end * 50 < market.first:
            end = market.first
            high, low = max(high, end), min(low, end)
        self._last[code] = end
        volume = None if quiet else self._volume(code, market, chance)
        return Bar(
            code,
            close - market.length_ns,
            close,
            tick * open_,
            tick * high,
            tick * low,
            tick * end,
            volume,
        )

    def _volume(self, code: str, market: MarketPlan, chance: Random) -> Decimal | None:
        unit = self._plan.pairs[code].volume_increment
        kind = market.volume
        if kind == "mixed":
            kind = chance.choice(["none", "zero", "thin", "thick", "odd"])
        if kind == "none":
            return None
        if kind == "zero":
            return D(0)
        if kind == "odd":
            return unit * chance.randrange(1, 100) / 7
        if kind == "deep":
            return unit * chance.randrange(10**6, 10**10)
        return unit * chance.randrange(1, 200 if kind == "thin" else 10**7)
