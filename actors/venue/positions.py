"""Positions at the venue: how they come to be, change and go, with the exits that they have."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from backtest.actors.protocol import NO_FACTS, Changes, EventKind, Facts
from backtest.errors import RejectReason
from backtest.money import ZERO, add, sub
from backtest.services.fills.walk import Hit, Walk, WorkingKind
from backtest.services.orders.operations import apportion
from backtest.services.orders.revision import Revision

from .branch import Branch
from .position import Closing, Lot, Opened, Position
from .venue import Venue

__all__ = [
    "drop_closing",
    "drop_lot",
    "new_lot",
    "open_lot",
    "restate",
    "revalue",
    "set_margin",
    "tell_walk",
]


def open_lot(venue: Venue, branch: Branch, opened: Opened) -> Lot:
    """Something of ``branch`` has filled and is open: what it has open with it."""
    book, lot, long = branch.book, branch.lot, branch.buy
    volume = opened.order.volume
    is_new = lot is None
    if lot is None:
        nets = branch.account in venue.netting
        known = book.position_of(branch.account, long) if nets else None
        lot = new_lot(branch, known or Position(book, branch.account, long))
    position = lot.position
    position.fills += 1
    lot.opened.append(opened._replace(age=position.fills))
    size = book.pair.contract_size
    position.pool = position.pool.filled(volume, opened.price, opened.margin, size)
    lot.volume = add(lot.volume, volume)
    if is_new:
        if branch.stop_loss is not None:
            protect(venue, lot, "stop_loss", branch.stop_loss)
        revalue(venue, position)
        if branch.take_profit is not None:
            protect(venue, lot, "take_profit", branch.take_profit)
        if len(position.lots) == 1:
            book.list_position(position)
        else:
            # Its lots take one path, in the order in which the price reaches what closes them.
            book.is_watched, book.groups = True, None
        return lot
    for closing in lot.exits:
        if closing.role != "close":
            closing.volume = lot.volume
    revalue(venue, position)
    return lot


def new_lot(branch: Branch, position: Position) -> Lot:
    """A lot of ``branch``, the youngest of ``position``, with nothing in it."""
    lot = branch.lot = Lot(branch, position)
    position.lots.append(lot)
    position.group.parts.append(lot)
    return lot


def protect(venue: Venue, lot: Lot, kind: WorkingKind, price: Decimal) -> Closing:
    """Give a lot a stop-loss, take-profit or liquidation at ``price``."""
    closing = Closing(venue.ids.draw(), kind, lot, kind, price, venue.next_sequence())
    lot.put(closing)
    return closing


def revalue(venue: Venue, position: Position) -> None:
    """The position is another than it was, and with it the price at which it is liquidated."""
    book, pool = position.book, position.pool
    price = None
    if position.account not in venue.cross:
        price = book.liquidation(position.long, pool)
    position.liquidation = price
    average = pool.average(book.pair.contract_size)
    alone = len(position.lots) == 1
    for lot in position.lots:
        lot.entry_price = average
        lot.margin = pool.margin
        if not alone:
            lot.margin, _ = apportion(pool.margin, lot.volume, pool.volume, None)
        closing = lot.closing("liquidation")
        if closing is None:
            if price is not None and lot.volume:
                protect(venue, lot, "liquidation", price)
                venue.publisher.look_at(lot.branch)
        elif closing.triggered:
            pass  # it is on its way through the book, whatever comes back meanwhile
        elif price is None:
            lot.exits.remove(closing)
            venue.publisher.look_at(lot.branch)
        else:
            closing.volume = lot.volume
            if closing.price != price:
                closing.price = price
                venue.publisher.look_at(lot.branch)


def restate(venue: Venue, position: Position) -> Changes:
    """Let each open order of a position say what it has of it, now that something was taken: of the
    margin, and where its fills had several prices the average; those that changed."""
    book, pool = position.book, position.pool
    average = None if pool.price is not None else pool.average(book.pair.contract_size)
    margin, volume = pool.margin, pool.volume
    changed: list[tuple[UUID, Revision | None]] = []
    for lot in position.lots:
        for place, one in enumerate(lot.opened):
            order = one.order
            own, margin = apportion(margin, order.volume, volume, book.step)
            volume = sub(volume, order.volume)
            price = one.price if average is None else average
            if own != one.margin or price != one.price:
                order = order.changed(margin_reserved=own, fill_price=price)
                lot.opened[place] = one._replace(order=order, margin=own, price=price)
                venue.records.orders.keep(order)
                changed.append((order.id, order))
    return tuple(changed)


def set_margin(venue: Venue, position: Position, margin: Decimal) -> Changes:
    """A position's margin changed: the open orders that say so."""
    position.pool = position.pool._replace(margin=margin)
    revalue(venue, position)
    return restate(venue, position)


def tell_walk(walk: Walk, hit: Hit, position: Position) -> None:
    """What has happened to a position by ``hit`` may have moved its liquidation price: the rest of
    the walk is with that."""
    group = position.book.walks_in(position)
    for lot in position.lots:
        walk.renew(lot, group, hit)


def drop_closing(
    venue: Venue,
    closing: Closing,
    reason: RejectReason,
    detail: str = "",
    facts: Facts = NO_FACTS,
) -> None:
    """An order to close a lot acts no more: the lot stays as it is."""
    lot = closing.lot
    lot.exits.remove(closing)
    venue.publisher.tell(
        EventKind.CLOSE_CANCELLED,
        lot.branch,
        lot.order,
        reason=reason,
        detail=detail,
        close=closing.command,
        facts=facts._replace(closing_orders=(closing.id,)),
    )


def drop_lot(venue: Venue, lot: Lot) -> None:
    """Nothing of the lot is open any more (or it has been replaced)."""
    position, branch = lot.position, lot.branch
    lot.exits.clear()
    position.lots.remove(lot)
    position.group.parts.remove(lot)
    branch.lot = None
    if branch.tally is not None:
        # What it opens from now on is a position of its own, with a margin of its own.
        branch.tally.sums = branch.tally.sums._replace(worth=ZERO, posted=ZERO)
    if position.lots:
        position.book.groups = None
    else:
        position.book.unlist_position(position)
    if branch.order is None:
        venue.branch_of[branch.id.int] = None
