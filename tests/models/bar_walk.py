"""A bar walked by the model: who takes part, and what the price reaches in which order. See
docs/fills.md."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tests.models.bar_desk import level
from tests.models.bar_fill import Fills, Hit, Market
from tests.models.bar_state import Order, State
from tests.models.common import Unclear
from tests.models.money import ZERO
from tests.models.play import BAR

__all__ = ["at_this_close", "walk"]

TAKERS = ("market", "stop", "called")


def walk(state: State, row: list[Any]) -> None:
    """Walk one bar; then cancel what had its one chance."""
    market = state.market = Market(state, row)
    fills = Fills(state, market)
    state.now = row[0] + BAR
    state.shared = {one.account for one in state.orders.values() if one.reduce_only}
    for order in waiting(state):
        begin(state, market, order)
    for rank in range(4):
        before, after = market.points[max(rank - 1, 0)][0], market.points[rank][0]
        while (hit := next_hit(state, rank, before, after)) is not None:
            fills.execute(hit, rank)
        if any(state.reached(position, after) for position in state.positions):
            raise Unclear("a price between a level and the level as it is rounded")
        for order in waiting(state):
            trail(state, order, rank, after)
    for order in list(state.orders.values()):
        end_if_once(state, order)
    for order in waiting(state):
        order.fresh = order.fresh and order.start is None
        if order.of_entry:
            order.group = order.label


def at_this_close(state: State) -> None:
    """Market orders that were sent on a close are matched there, in an event of their own."""
    market = state.market
    if market is None or state.now != market.opened + BAR:
        return
    price = market.points[3][0]
    for order in waiting(state):
        if order.kind == "market" and order.since == state.now and not order.had_chance:
            Fills(state, market).execute(Hit(order, "market", ZERO, 0, price, False, price), 3)
            end_if_once(state, order)


def end_if_once(state: State, order: Order) -> None:
    """Cancel the rest of what had its one chance."""
    if order.had_chance and order.leaves and order.tif in ("IOC", "FOK"):
        state.end(order, "IMMEDIATE_OR_CANCEL" if order.tif == "IOC" else "FILL_OR_KILL")


def waiting(state: State) -> list[Order]:
    """Everything that waits: orders, protections and closes."""
    found = list(state.orders.values())
    if state.cross and state.positions:
        found += state.calls
    for position in state.positions:
        if not state.cross:
            found.append(position.call)
        for lot in position.lots():
            found += [lot.protection, *lot.closes]
    return found


def at_market(order: Order) -> bool:
    """Whether it takes what the open has to offer."""
    return order.kind == "market" or (order.triggered and order.kind != "stop_limit")


def begin(state: State, market: Market, order: Order) -> None:
    """From where on the bar counts for ``order``."""
    closes, fill_on = market.opened + BAR, state.rules.get("fill_on")
    order.tried.clear()
    order.late = {kind for kind, second in order.moved.items() if second > market.opened}
    order.had_chance = order.open_only = False
    order.start = (0, market.points[0][0])
    if order.since > market.opened:
        inside = order.since < closes and not at_market(order)
        order.start = (3, market.points[3][0]) if inside else None
    if order.kind == "market" and fill_on == "next_close":
        order.start = (3, market.points[3][0]) if order.since < closes else None
    if order.expires is not None and market.opened < order.expires < closes:
        order.open_only = True
        if order.since > market.opened:
            order.start = None
    if order.kind in ("market", "limit") or order.triggered:
        order.had_chance = order.start is not None


def trail(state: State, order: Order, rank: int, price: Decimal) -> None:
    """A trailing stop follows at the end of each segment."""
    if order.kind != "trailing" or order.triggered or order.start is None:
        return
    if rank < order.start[0] or (order.open_only and rank):
        return
    assert order.stop is not None
    nearer = min if order.side > 0 else max
    order.stop = nearer(order.stop, level(state, order, price))


def conditions(state: State, order: Order) -> Iterator[tuple[str, Decimal, int]]:
    """What ``order`` waits for: the kind, the price, and what goes first at one place."""
    late = (
        3
        if order.kind == "exit" or (order.lot is not None and not state.netting and not state.cross)
        else 0
    )
    if order.kind == "call":
        price = state.call_price(order)
        if price is not None:
            yield "called", price, 2
        return
    if order.lot is not None and order is not order.lot.protection:
        if order.lot.protection.triggered:
            return
    if order.kind == "exit":
        if order.triggered:
            yield "market", ZERO, 0
            return
        if order.stop_loss is not None:
            yield "stop", order.stop_loss, 1
        if order.take_profit is not None:
            yield "limit", order.take_profit, late
    elif at_market(order):
        yield "market", ZERO, 0
    elif order.kind == "limit" or order.triggered:
        assert order.limit is not None
        yield "limit", order.limit, late
    else:
        assert order.stop is not None
        yield "stop", order.stop, 0


def next_hit(state: State, rank: int, before: Decimal, after: Decimal) -> Hit | None:
    """What happens next on a segment: of each group what the price reaches first; of those takers
    by their place in the queue, then limits by better price, the buys before the sells."""
    heads: dict[str, Hit] = {}
    for hit in hits(state, rank, before, after):
        group = group_of(state, hit.order)
        if group not in heads or in_path(hit) < in_path(heads[group]):
            heads[group] = hit
    return min(heads.values(), key=rank_of, default=None)


def in_path(hit: Hit) -> tuple[Any, ...]:
    """The order within a group: as the price reaches them, at one place by what they are."""
    return hit.distance, hit.role, *rank_of(hit)


def rank_of(hit: Hit) -> tuple[Any, ...]:
    """The order at one place: takers by acceptance; then limits by better price, then acceptance,
    the buys before the sells."""
    side, queue = hit.order.side, hit.order.places.get(hit.kind, hit.order.queue)
    if hit.kind in TAKERS:
        return 0, queue
    return 1, -side, -side * limit_of(hit), queue


def limit_of(hit: Hit) -> Decimal:
    """The price that a limit order offers."""
    price = hit.order.take_profit if hit.order.kind == "exit" else hit.order.limit
    assert price is not None
    return price


def group_of(state: State, order: Order) -> str:
    """Who shares a path: with an order that reduces, and on a netting account, all that trades on
    the account."""
    if state.netting or state.cross:
        return f"account {order.account}"
    shared = order.account in state.shared and not order.spot
    return f"account {order.account}" if shared else order.group


def hits(state: State, rank: int, before: Decimal, after: Decimal) -> Iterator[Hit]:
    """All conditions that are reached on a segment."""
    for order in waiting(state):
        if order.start is None or rank < order.start[0] or (order.open_only and rank):
            continue
        for kind, price, role in conditions(state, order):
            if kind in order.tried or (kind in order.late and rank < 3):
                continue
            begins = order.start[1] if rank == order.start[0] else before
            if kind in order.late:
                begins = after
            if kind == "limit":
                hit = reach_limit(state, order, price, role, rank, (before, begins, after))
            else:
                hit = reach_stop(order, kind, price, role, rank, (before, begins, after))
            if hit is not None:
                yield hit


def reach_stop(
    order: Order,
    kind: str,
    price: Decimal,
    role: int,
    rank: int,
    segment: tuple[Decimal, Decimal, Decimal],
) -> Hit | None:
    """A stop (or the market) whose price is there already, or comes there on this segment."""
    before, begins, after = segment
    if kind == "market":
        if order.start is None or rank != order.start[0]:
            return None
        return Hit(order, kind, abs(begins - before), role, begins, False, begins)
    if (begins - price) * order.side >= 0:
        return Hit(order, kind, abs(begins - before), role, begins, False, begins)
    if (after - price) * order.side >= 0:
        return Hit(order, kind, abs(price - before), role, price, False, price)
    return None


def reach_limit(
    state: State,
    order: Order,
    price: Decimal,
    role: int,
    rank: int,
    segment: tuple[Decimal, Decimal, Decimal],
) -> Hit | None:
    """A limit whose price is there already, or comes there, and far enough beyond it."""
    before, begins, after = segment
    assert order.start is not None
    first, side = order.start[1] if "limit" not in order.late else after, order.side
    passed = (price - first) * side >= 0
    if order.post_only and order.fresh and passed:
        return Hit(order, "refuse", abs(begins - before), role, begins, False, begins)
    base, maker = first if passed else price, not (order.fresh and passed)
    once = order.tif in ("IOC", "FOK")
    if once and rank != order.start[0]:
        return None
    needed = price - side * state.rules.get("penetration_ticks", 0) * state.tick
    if (needed - begins) * side >= 0:
        return Hit(order, "limit", abs(begins - before), role, base, maker, begins)
    if once or (needed - after) * side < 0:
        return None
    return Hit(order, "limit", abs(needed - before), role, base, maker, needed)
