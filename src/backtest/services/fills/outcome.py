"""What a group alone would come to on a path.

The evaluation knows no volume cap: it is how the pessimistic path is chosen and how a fill is found
ambiguous. `backtest.services.fills.walk.BarWalk` walks the same events with the pools applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from backtest.models.bar import Bar
from backtest.money import ONE, ZERO, add, div, mul, sub
from backtest.services.fills.events import (
    Event,
    Points,
    acting_exits,
    event_of,
    lane_events,
    price_of,
    reachable,
)
from backtest.services.fills.path import Group, OpenPart, Working, protection_passed
from backtest.services.fills.rules import PathRules

__all__ = ["Fills", "Points", "joint_outcome", "opened", "outcome"]

Fills = dict[object, tuple[Decimal, Decimal]]
"""What happens on a path: price and volume, by working order, or by kind for the exits of a part
that the path itself opens."""


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
            value = add(value, _play(part, events, fills, bar, rules, own=False))
    entry = group.entry
    if entry is None or not reachable(entry, bar, rules):
        return value, fills
    event = event_of(entry, entry.start, points[entry.start], points, bar, rules)
    if event is not None and event.is_trigger:
        event = event.then
    if event is None or (
        rules.guards
        and protection_passed(entry.buy, event.price, group.stop_loss, group.take_profit)
    ):
        return value, fills
    if event.taker and entry.terms is not None and entry.terms.maker_only:
        return value, fills
    return add(value, _enter(group, entry, event, fills, points, bar, rules)), fills


def joint_outcome(
    groups: Sequence[Group], points: Points, bar: Bar, rules: PathRules
) -> tuple[Decimal, dict[Group, Fills]]:
    """What one-cancels-other orders come to on the path ``points``: the first that can fill does.

    The value is as `outcome` gives it; the fills are those of the one group that has any.
    """
    of_entry = {group.entry: group for group in groups if group.entry is not None}
    for event in lane_events(list(of_entry), points, bar, rules):
        entry = event.working
        group = of_entry[entry]
        if (
            event.is_trigger
            or (event.taker and entry.terms is not None and entry.terms.maker_only)
            or (
                rules.guards
                and protection_passed(entry.buy, event.price, group.stop_loss, group.take_profit)
            )
        ):
            continue
        fills: Fills = {}
        return _enter(group, entry, event, fills, points, bar, rules), {group: fills}
    return ZERO, {}


def _enter(
    group: Group,
    entry: Working,
    event: Event,
    fills: Fills,
    points: Points,
    bar: Bar,
    rules: PathRules,
) -> Decimal:
    """Let ``entry`` fill and what it opens be closed on the rest of the path; the value."""
    fills[entry] = (event.price, entry.volume)
    part = opened(group, entry, event.price)
    exits = acting_exits(group, entry, part.exits, bar, rules)
    events = lane_events(exits, points, bar, rules, (event.rank, event.reached))
    return _play(part, events, fills, bar, rules, own=True)


def opened(group: Group, entry: Working, price: Decimal) -> OpenPart:
    """The part that ``entry`` would open at ``price``; a negative margin stands for no bound."""
    volume = entry.volume
    exits: list[Working] = []
    if group.stop_loss is not None:
        exits.append(Working("stop_loss", not entry.buy, group.stop_loss, volume))
    if group.take_profit is not None:
        exits.append(Working("take_profit", not entry.buy, group.take_profit, volume))
    liquidation = group.liquidation(price, volume) if group.liquidation is not None else None
    if liquidation is not None:
        exits.append(Working("liquidation", not entry.buy, liquidation, volume))
    margin = group.margin(price, volume) if group.margin is not None else ONE.copy_negate()
    return OpenPart(entry.buy, volume, price, margin, exits)


def _play(
    part: OpenPart,
    events: Sequence[Event],
    fills: Fills,
    bar: Bar,
    rules: PathRules,
    *,
    own: bool,
) -> Decimal:
    """Let ``events`` happen to ``part`` (which stays as it is); returns its value at the close."""
    left = part.volume
    value = ZERO
    stopped = part.is_stopped
    for event in events:
        if event.is_trigger:
            continue
        working = event.working
        kind = working.kind
        if stopped and kind != "liquidation" and kind != "stop_loss":
            continue
        volume = left if kind == "liquidation" or working.volume > left else working.volume
        price = price_of(event, volume, bar, rules)
        gain = _gain(part.long, part.entry_price, price, volume, rules.contract_size)
        if kind == "liquidation" and part.margin >= ZERO:
            worst = div(mul(part.margin, volume), part.volume).copy_negate()
            gain = worst if gain < worst else gain
        stopped = stopped or kind == "stop_loss"
        value = add(value, gain)
        fills[kind if own else working] = (price, volume)
        left = sub(left, volume)
        if left <= ZERO:
            return value
    return add(value, _gain(part.long, part.entry_price, bar.close, left, rules.contract_size))


def _gain(long: bool, entry: Decimal, price: Decimal, volume: Decimal, size: Decimal) -> Decimal:
    moved = sub(price, entry) if long else sub(entry, price)
    return mul(mul(moved, volume), size)
