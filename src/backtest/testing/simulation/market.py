"""Bars made while the run goes on: gaps, jumps, flat bars, holes, and many at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from random import Random

from backtest.models import Bar

from .chance import stream
from .faults import Faults
from .world import MarketPlan, Plan

__all__ = ["Market"]

TAIL = 240
"""How many quiet steps there are at most for everything to resolve."""
D = Decimal


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
        self._plan = plan
        self._faults = faults
        self._is_enough = is_enough
        self._is_resolved = is_resolved
        self._chances = {code: stream(plan.seed, f"bars/{code}") for code in plan.pairs}
        self._last = {code: market.first for code, market in plan.markets.items()}

    def bars(self) -> Iterator[Bar]:
        """The bars of the run. Ends when everything is resolved, or will not be any more."""
        plan, step = self._plan, self._plan.step_ns
        start = 1_700_000_000 * 10**9 // step * step
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
            for code, market in plan.markets.items():
                if self.steps * step % market.length_ns == 0:
                    yield from self._bars_at(code, market, close)

    def _bars_at(self, code: str, market: MarketPlan, close: int) -> Iterator[Bar]:
        chance = self._chances[code]
        quiet = self.phase == "liveness"
        bar = self._bar(code, market, close, chance, quiet)
        if quiet:
            yield bar
            return
        if chance.randrange(1000) < market.holes and self.steps > 20:
            return
        if self._faults.strikes("bar_gap"):
            return
        yield bar
        if self._faults.strikes("bar_duplicate"):
            yield bar

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
        return unit * chance.randrange(1, 200 if kind == "thin" else 10**7)
