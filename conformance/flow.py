"""Random order flow, the same for every engine: entries of every kind, closes, changes, cancels.

At each bar's close a driver tells what waits and what is held, by the number of the order, and does
what `Flow.decide` gives back. All that is random is drawn before anything is looked at, the same
count of numbers at each bar: how an engine fills changes which order an action meets, and nothing
else. Prices in cents, volumes in units. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

NAME = "random"
"""What the flow is called beside the strategies of `decisions`."""

ACTIONS = 3
"""How many a bar may have."""
FAR = 2_500
"""Cents that no bar reaches from its open."""
MOST_HELD, MOST_WAITING = 25, 15
"""From there on what would enter closes or cancels."""


class Can(NamedTuple):
    """What an engine knows, and what the flow keeps away from it."""

    kinds: tuple[str, ...] = ("market", "limit", "stop", "stop_limit")
    """Of entries."""
    one_kind: bool = False
    """Protected entries that wait are of one kind at a time, and stops one at a time: after certain
    entries backtesting.py goes through its queue again, and they would meet one bar twice."""
    far: bool = False
    """The limit of a stop-limit lies farther behind its stop than a bar reaches: NautilusTrader
    looks at the four prices of a bar only, and a tick beyond both fills nothing."""
    stop_profits: bool = True
    """Stop entries may carry a take-profit: in NautilusTrader one that the tick of the entry is
    beyond fills at that tick's price, the bar's extreme."""


_PLAIN = ("market", "limit", "stop")
CAN = {
    "backtrader": Can(),
    "backtesting.py": Can(_PLAIN, one_kind=True),
    "backtesting.py-on-close": Can(one_kind=True, far=True),
    "nautilus-bar": Can(far=True, stop_profits=False),
    "nautilus-bar-adaptive": Can(far=True, stop_profits=False),
}
"""By profile."""


class Do(NamedTuple):
    """One thing to do; ``number`` is the order's."""

    verb: str
    """``enter``; ``cancel`` or ``modify`` what waits; ``close`` or ``protect`` what is held."""
    number: int
    buy: bool
    """The side of the entry."""
    kind: str
    """``market``, ``limit``, ``stop`` or ``stop_limit``, of the entry."""
    volume: int
    """Of the entry, as it is to be after a modify; of a close, what is closed."""
    price: int | None
    """Of a stop-limit, its stop."""
    limit: int | None
    """Of a stop-limit: behind its stop, so it fills where that is reached, or waits as a limit."""
    stop_loss: int | None
    """This and the next: of what is held, None for what stays as it is."""
    take_profit: int | None


class Flow:
    """Decides from the second bar on, until ``last``, the number of the last bar but one."""

    def __init__(self, profile: str, last: int) -> None:
        self.can = CAN[profile]
        self.last = last
        self.seen = 0
        self.orders: dict[int, Do] = {}

    def decide(self, close: int, waiting: Sequence[int], held: Mapping[int, int]) -> list[Do]:
        """What to do at this close. ``waiting``: entries that have not filled; ``held``: how much
        of an order's volume is open."""
        if not self.seen:
            self.random = Random(f"flow {close}")
        drawn = [[self.random.random() for _ in range(9)] for _ in range(ACTIONS)]
        self.seen += 1
        if not 1 < self.seen < self.last:
            return []
        self.close = close
        self.waiting = sorted(waiting)
        self.held = dict(sorted(held.items()))
        self.orders = {one: self.orders[one] for one in {*self.waiting, *self.held}}
        told = []
        for place, numbers in enumerate(drawn):
            do = self._one(self.seen * ACTIONS + place, *numbers)
            if do is not None:
                told.append(do)
        return told

    def _one(self, number: int, verb: float, which: float, *more: float) -> Do | None:
        if verb < 0.2:
            return None
        if verb < 0.55 and len(self.held) < MOST_HELD and len(self.waiting) < MOST_WAITING:
            return self._enter(number, which, *more)
        if verb < 0.85 or len(self.held) >= MOST_HELD:
            return self._leave(which, *more)
        return self._wait(which, *more)

    def _enter(
        self, number: int, side: float, kind: float, volume: float, off: float,
        loss: float, profit: float, guard: float,
        behind: float,
    ) -> Do:  # fmt: skip
        buy = side < 0.5
        name = self.can.kinds[int(kind * len(self.can.kinds))]
        price = limit = None
        if name != "market":
            under = buy == (name == "limit")
            price = self.close - _distance(off) if under else self.close + _distance(off)
        at, sign = price or self.close, 1 if buy else -1
        if name == "stop_limit":
            limit = at + sign * (_distance(behind) + (FAR if self.can.far else 0))
        stop_loss = at - sign * _distance(loss) if guard < 0.6 else None
        take_profit = (limit or at) + sign * _distance(profit) if 0.2 < guard < 0.8 else None
        if name in ("stop", "stop_limit") and not self.can.stop_profits:
            take_profit = None
        if self.can.one_kind and not self._alone(name):
            stop_loss = take_profit = None
        units = 1 + int(volume * 5)
        do = Do("enter", number, buy, name, units, price, limit, stop_loss, take_profit)
        self.orders[number] = do
        return do

    def _alone(self, kind: str) -> bool:
        """Whether protections of an entry of ``kind`` have no others beside them that would act
        otherwise; kinds take turns."""
        if ("market", "limit", "stop", "stop")[self.seen // 40 % 4] != kind:
            return False
        new = [one for one in self.orders if one not in self.held]
        guarded = [
            self.orders[one].kind
            for one in new
            if self.orders[one].stop_loss or self.orders[one].take_profit
        ]
        return not guarded if kind == "stop" else all(one == kind for one in guarded)

    def _leave(self, which: float, how: float, part: float, loss: float, *more: float) -> Do | None:
        """Close what is held, the protected more often, or protect it; each once at a bar."""
        if not self.held:
            return None
        number = list(self.held)[int(which * len(self.held))]
        volume = self.held.pop(number)
        do = self.orders[number]
        bare = do.stop_loss is None and do.take_profit is None
        if how < (0.3 if bare else 0.6):
            if part < 0.5:
                volume = 1 + int(part * 2 * volume)
            return do._replace(verb="close", volume=volume)
        sign = 1 if do.buy else -1
        stop_loss = self.close - sign * _distance(loss) if how < 0.9 else None
        take_profit = self.close + sign * _distance(more[0]) if how > 0.7 else None
        self.orders[number] = do._replace(
            stop_loss=stop_loss or do.stop_loss, take_profit=take_profit or do.take_profit
        )
        return do._replace(verb="protect", stop_loss=stop_loss, take_profit=take_profit)

    def _wait(self, which: float, how: float, off: float, *more: float) -> Do | None:
        """Cancel or change what waits; each once at a bar. A stop-limit may have met its stop, so
        it is cancelled only."""
        if not self.waiting:
            return None
        number = self.waiting.pop(int(which * len(self.waiting)))
        do = self.orders[number]
        if how < 0.4 or do.limit is not None:
            del self.orders[number]
            return do._replace(verb="cancel")
        assert do.price is not None
        under = do.buy == (do.kind == "limit")
        price = self.close - _distance(off) if under else self.close + _distance(off)
        moved = price - do.price
        do = do._replace(
            verb="modify",
            price=price,
            volume=1 + int(more[0] * 5),
            stop_loss=None if do.stop_loss is None else do.stop_loss + moved,
            take_profit=None if do.take_profit is None else do.take_profit + moved,
        )
        self.orders[number] = do
        return do


def _distance(drawn: float) -> int:
    """From a few cents to a few hundred, the near ones more often."""
    return 3 + int(300 * drawn * drawn)
