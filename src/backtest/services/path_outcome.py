"""Where on a path a condition is met, and what a group alone would come to on that path.

The evaluation knows no volume cap: it is how the pessimistic path is chosen and how a fill is found
ambiguous. `backtest.services.fills.BarWalk` walks the same events with the pools applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from attrs import define

from backtest.models.bar import Bar
from backtest.money import ONE, ZERO, add, div, mul, sub
from backtest.services.bar_path import (
    NOT_ON_THIS_BAR,
    Group,
    OpenPart,
    PathRules,
    Working,
    protection_passed,
    slipped,
)

__all__ = ["Event", "Fills", "Points", "event_of", "lane_events", "outcome", "reachable"]

Points = tuple[Decimal, Decimal, Decimal, Decimal]
Fills = dict[object, tuple[Decimal, Decimal]]
"""What happens on a path: price and volume, by working order, or by kind for the exits of a part
that the path itself opens."""

_AT_ONE_PRICE = {
    "market": 0,
    "stop": 1,
    "stop_loss": 2,
    "liquidation": 3,
    "limit": 4,
    "take_profit": 4,
}


@define(eq=False)
class Event:
    """A condition met: on which rank, at which price of the path, and what it executes at."""

    working: Working
    rank: int
    reached: Decimal
    price: Decimal
    taker: bool
    ambiguous: bool = False


def reachable(working: Working, bar: Bar, rules: PathRules) -> bool:
    """Whether ``working`` can act on ``bar`` at all, in whichever order the extremes come."""
    if working.blocked or working.start >= NOT_ON_THIS_BAR or working.volume <= ZERO:
        return False
    price = working.price
    if price is None or working.triggered:
        return True
    if working.is_limit and rules.penetration:
        price = (sub if working.buy else add)(price, rules.penetration)
    if working.rises:
        return (bar.close if working.start else bar.high) >= price
    return (bar.close if working.start else bar.low) <= price


def event_of(
    working: Working, rank: int, at: Decimal, points: Points, bar: Bar, rules: PathRules
) -> Event | None:
    """When and at what price ``working`` acts if it becomes active at price ``at`` of ``rank``.

    A condition already met there acts there, at that price; else it acts where the price reaches
    it, at its own. None when the rest of the path does not reach it.
    """
    price = working.price
    if price is None or working.triggered:
        return Event(working, rank, at, slipped(at, working.buy, bar, rules), True)
    buy = working.buy
    rises = working.rises
    if working.is_limit:
        trigger = price
        if rules.penetration:
            trigger = sub(price, rules.penetration) if buy else add(price, rules.penetration)
        marketable = at <= price if buy else at >= price
        fill = at if marketable else price
        taker = working.fresh and marketable
    else:
        trigger = price
        met = at >= price if rises else at <= price
        fill = slipped(at if met else price, buy, bar, rules)
        taker = True
    if (at >= trigger) if rises else (at <= trigger):
        return Event(working, rank, at, fill, taker)
    for later in range(rank or 1, 4):
        if (points[later] >= trigger) if rises else (points[later] <= trigger):
            return Event(working, later, trigger, fill, taker)
    return None


def lane_events(
    exits: Sequence[Working],
    points: Points,
    bar: Bar,
    rules: PathRules,
    since: tuple[int, Decimal] | None = None,
) -> list[Event]:
    """The events of one part's exits in the order of the path; equal prices by rank of their kind.

    ``since`` is the rank and price at which the part was opened on this bar; None: before the bar.
    """
    events = []
    for working in exits:
        if working.blocked or working.start >= NOT_ON_THIS_BAR or working.volume <= ZERO:
            continue
        rank, at = (working.start, points[working.start]) if since is None else since
        event = event_of(working, rank, at, points, bar, rules)
        if event is not None:
            events.append(event)
    if len(events) > 1:
        events.sort(key=lambda event: _path_key(event, points))
    return events


def _path_key(event: Event, points: Points) -> tuple[int, Decimal, int, Decimal, int]:
    rank = event.rank
    working = event.working
    falls = rank > 0 and points[rank] < points[rank - 1]
    limit = ZERO
    if working.is_limit and working.price is not None:
        limit = working.price.copy_negate() if working.buy else working.price
    along = event.reached.copy_negate() if falls else event.reached
    return rank, along, _AT_ONE_PRICE[working.kind], limit, working.sequence


def outcome(group: Group, points: Points, bar: Bar, rules: PathRules) -> tuple[Decimal, Fills]:
    """What ``group`` alone comes to on the path ``points``, with no cap on volume.

    Returns its value (cash + marked position at the close, before fees, relative to holding
    nothing) and what fills.
    """
    fills: Fills = {}
    value = ZERO
    for part in group.parts:
        if part.volume > ZERO:
            events = lane_events(part.exits, points, bar, rules)
            value = add(value, _play(part, events, fills, bar.close, rules, own=False))
    entry = group.entry
    if entry is None or not reachable(entry, bar, rules):
        return value, fills
    event = event_of(entry, entry.start, points[entry.start], points, bar, rules)
    if event is None or protection_passed(
        entry.buy, event.price, group.stop_loss, group.take_profit
    ):
        return value, fills
    fills[entry] = (event.price, entry.volume)
    part = _opened(group, entry, event.price)
    events = lane_events(part.exits, points, bar, rules, (event.rank, event.reached))
    return add(value, _play(part, events, fills, bar.close, rules, own=True)), fills


def _opened(group: Group, entry: Working, price: Decimal) -> OpenPart:
    """The part that ``entry`` would open at ``price``; a negative margin stands for no bound."""
    volume = entry.volume
    exits: list[Working] = []
    if group.stop_loss is not None:
        exits.append(Working(None, "stop_loss", not entry.buy, group.stop_loss, volume))
    if group.take_profit is not None:
        exits.append(Working(None, "take_profit", not entry.buy, group.take_profit, volume))
    liquidation = group.liquidation(price, volume) if group.liquidation is not None else None
    if liquidation is not None:
        exits.append(Working(None, "liquidation", not entry.buy, liquidation, volume))
    margin = group.margin(price, volume) if group.margin is not None else ONE.copy_negate()
    return OpenPart(None, entry.buy, volume, price, margin, exits)


def _play(
    part: OpenPart,
    events: Sequence[Event],
    fills: Fills,
    close: Decimal,
    rules: PathRules,
    *,
    own: bool,
) -> Decimal:
    """Let ``events`` happen to ``part`` (which stays as it is); returns its value at the close."""
    left = part.volume
    value = ZERO
    stopped = part.is_stopped
    for event in events:
        working = event.working
        kind = working.kind
        if stopped and kind != "liquidation" and kind != "stop_loss":
            continue
        volume = left if kind == "liquidation" or working.volume > left else working.volume
        gain = _gain(part.long, part.entry_price, event.price, volume, rules.contract_size)
        if kind == "liquidation" and part.margin >= ZERO:
            worst = div(mul(part.margin, volume), part.volume).copy_negate()
            gain = worst if gain < worst else gain
        stopped = stopped or kind == "stop_loss"
        value = add(value, gain)
        fills[kind if own else working] = (event.price, volume)
        left = sub(left, volume)
        if left <= ZERO:
            return value
    return add(value, _gain(part.long, part.entry_price, close, left, rules.contract_size))


def _gain(long: bool, entry: Decimal, price: Decimal, volume: Decimal, size: Decimal) -> Decimal:
    moved = sub(price, entry) if long else sub(entry, price)
    return mul(mul(moved, volume), size)
