"""An independent model of the bar path: the price moves tick by tick and everything looks at it.

It shares no code with `backtest.services`: prices are integers, one tick is 1, volume has no cap,
and the rules are applied at each tick in the words of semantics, section 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

AT_ONE_PRICE = {
    "market": 0,
    "stop": 0,
    "trailing_stop": 0,
    "stop_loss": 2,
    "liquidation": 3,
    "limit": 4,
    "take_profit": 4,
}


@dataclass
class Condition:
    """One order or exit: ``start`` 0 (open), 3 (close) or 4 (never)."""

    name: str
    kind: str
    buy: bool
    price: int
    volume: int
    start: int = 0
    sequence: int = 0
    seen_at: int | None = None
    """The price at which it first looked at the market."""
    limit: int = 0
    """Of a stop-limit: where it is a limit order once its stop, ``price``, was reached."""
    trail: int = 0
    """Of a trailing stop: how far its level, ``price``, stays behind."""
    once: bool = False
    """Only its first look at the market counts; of a stop-limit, the one that reaches its stop."""


@dataclass
class Position:
    name: str
    long: bool
    volume: int
    entry_price: int
    exits: list[Condition]
    stopped: bool = False


@dataclass
class Problem:
    """A group: maybe an entry with its protections, and positions."""

    entry: Condition | None
    stop_loss: int | None
    take_profit: int | None
    liquidation: int | None
    """Distance of the liquidation from the fill price; None: cannot be liquidated."""
    positions: list[Position]


@dataclass
class Result:
    fills: list[tuple[str, str, int, int, int]] = field(default_factory=list)
    """(name, kind, rank, price, volume)"""
    value: int = 0
    level: int | None = None
    """Where the entry stands if it is a trailing stop that was not reached."""


def ticks(points: tuple[int, int, int, int]) -> Iterator[tuple[int, int]]:
    """(rank, price) of each moment; the close is always a moment of its own."""
    yield 0, points[0]
    for rank in (1, 2, 3):
        here, there = points[rank - 1], points[rank]
        step = 1 if there > here else -1
        for price in range(here + step, there + step, step) if here != there else ():
            yield rank, price
    if points[2] == points[3]:
        yield 3, points[3]


def execution(one: Condition, price: int, slippage: int, penetration: int) -> int | None:
    """What ``one`` executes at, seeing the market at ``price``; None when it does not act."""
    first_look = one.seen_at is None
    if one.seen_at is None:
        one.seen_at = price
    sign = 1 if one.buy else -1
    if one.kind == "stop_limit":
        if (price - one.price) * sign < 0:
            return None
        one.kind, one.price, one.seen_at, first_look = "limit", one.limit, price, True
    elif one.once and not first_look:
        return None
    if one.kind == "market":
        return price + sign * slippage
    if one.kind in ("limit", "take_profit"):
        if (one.price - price) * sign < penetration:
            return None
        return min(one.price, one.seen_at) if one.buy else max(one.price, one.seen_at)
    if (price - one.price) * sign < 0:
        return None
    return (price if first_look else one.price) + sign * slippage


class Market:
    """Runs one problem along one path."""

    def __init__(
        self, problem: Problem, points: tuple[int, int, int, int], slippage: int, penetration: int
    ) -> None:
        self.problem = problem
        self.points = points
        self.low, self.high = min(points), max(points)
        self.slippage = slippage
        self.penetration = penetration
        self.positions = list(problem.positions)
        self.result = Result()
        self.over: set[str] = set()

    def run(self) -> Result:
        moments = list(ticks(self.points))
        for number, (rank, price) in enumerate(moments):
            last = number == len(moments) - 1
            self.moment(rank, price, last)
            if last or moments[number + 1][0] != rank:
                self.segment_ends(price, last)
        entry = self.problem.entry
        if entry is not None and entry.name not in self.over:
            self.result.level = entry.price
        for position in self.positions:
            sign = 1 if position.long else -1
            self.result.value += sign * (self.points[3] - position.entry_price) * position.volume
        return self.result

    def price_of(self, one: Condition, price: int, last: bool) -> int | None:
        if one.name in self.over or one.start == 4 or (one.start == 3 and not last):
            return None
        got = execution(one, price, self.slippage, self.penetration)
        return None if got is None else max(self.low, min(self.high, got))

    def segment_ends(self, price: int, last: bool) -> None:
        """Trailing stops follow the price."""
        waiting = [] if self.problem.entry is None else [self.problem.entry]
        for position in self.positions:
            waiting += position.exits
        for one in waiting:
            counts = one.start == 0 or (one.start == 3 and last)
            if one.kind == "trailing_stop" and one.name not in self.over and counts:
                if one.buy:
                    one.price = min(one.price, price + one.trail)
                else:
                    one.price = max(one.price, price - one.trail)

    def moment(self, rank: int, price: int, last: bool) -> None:
        entry = self.problem.entry
        if entry is not None:
            got = self.price_of(entry, price, last)
            if got is not None:
                self.over.add(entry.name)
                self.enter(entry, rank, got)
        for position in self.positions:
            met = []
            for one in position.exits:
                got = self.price_of(one, price, last)
                if got is not None:
                    better = one.price if not one.buy else -one.price
                    if one.kind not in ("limit", "take_profit"):
                        better = 0
                    order = AT_ONE_PRICE[one.kind]
                    met.append(((order, better, one.sequence), one, got))
            for _, one, got in sorted(met, key=lambda item: item[0]):
                self.leave(position, one, rank, got)

    def enter(self, entry: Condition, rank: int, price: int) -> None:
        problem = self.problem
        sign = 1 if entry.buy else -1
        exits = []
        for kind, at in (("stop_loss", problem.stop_loss), ("take_profit", problem.take_profit)):
            if at is not None:
                beyond = (at - price) * sign
                if beyond >= 0 if kind == "stop_loss" else beyond <= 0:
                    return
                exits.append(Condition(f"new {kind}", kind, not entry.buy, at, entry.volume))
        if problem.liquidation is not None:
            at = price - sign * problem.liquidation
            exits.append(Condition("new liquidation", "liquidation", not entry.buy, at, 0))
        self.result.fills.append((entry.name, entry.kind, rank, price, entry.volume))
        self.positions.append(Position("new", entry.buy, entry.volume, price, exits))

    def leave(self, position: Position, one: Condition, rank: int, price: int) -> None:
        if one.name in self.over or position.volume == 0:
            return
        if position.stopped and one.kind not in ("stop_loss", "liquidation"):
            return
        self.over.add(one.name)
        volume = position.volume
        if one.kind != "liquidation":
            volume = min(volume, one.volume)
        position.stopped = position.stopped or one.kind == "stop_loss"
        position.volume -= volume
        sign = 1 if position.long else -1
        self.result.value += sign * (price - position.entry_price) * volume
        self.result.fills.append((one.name, one.kind, rank, price, volume))
