"""Modifies: other prices, volumes and instructions, of pending orders and of positions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import evolve

from backtest.actors.protocol import Amend, Balances, EventKind, Facts
from backtest.errors import (
    FieldError,
    FieldTypeError,
    InsufficientFunds,
    OrderRejected,
    RejectReason,
)
from backtest.models import TimeInForce
from backtest.money import ZERO, add, sub
from backtest.services.fills.walk import WorkingKind
from backtest.services.ledger.entries import change_reserve
from backtest.services.orders.expiry import IMMEDIATE, expiry_of, terms_of
from backtest.services.orders.revision import Revision
from backtest.times import to_ns

from .branch import Branch
from .cancel import Cancellation
from .checks import (
    check_cross,
    check_dust,
    check_grid,
    check_least,
    check_post_only,
    check_protection,
    check_sale,
    check_tier,
    has_expired,
    refuse,
    refuse_expired,
    refuse_protection,
    sold_at,
    takes,
    trail_from,
)
from .close_plans import reversal_reserve
from .position import Lot
from .positions import protect
from .venue import Venue

__all__ = ["Modification"]


_PROTECTIONS: tuple[WorkingKind, ...] = ("stop_loss", "take_profit")
_PROTECTION = frozenset(_PROTECTIONS)
_CLEARABLE = _PROTECTION | {"limit_price", "stop_price"}


class Modification:
    """Carries out modifies of a branch; raises `OrderRejected` with nothing changed."""

    def __init__(self, venue: Venue, cancellation: Cancellation) -> None:
        self._venue = venue
        self._cancellation = cancellation

    async def modify(self, branch: Branch, action: Amend) -> None:
        """Change prices and total volume of a pending order, stop-loss and take-profit of both."""
        changes = self._changes(branch, action)
        self._instruct(branch, action, changes)
        touches_order = action.volume is not None or not changes.keys() <= _PROTECTION
        if branch.order is None:
            if touches_order:
                refuse(RejectReason.ALREADY_DONE, "nothing of this order is pending any more")
            if branch.lot is None:
                refuse(RejectReason.ALREADY_DONE, "this order is done")
        over = branch.order is not None and has_expired(branch, self._venue.now)
        if over and (touches_order or branch.lot is None):
            refuse_expired(branch)
        if not changes and action.volume is None:
            refuse(RejectReason.NOTHING_TO_CHANGE, "the modify names nothing to change")
        leaves = ZERO
        if branch.order is not None and not over:
            leaves = branch.order.volume
            if action.volume is not None:
                leaves = sub(action.volume, branch.total_filled)
        self._check_protections(branch, changes, leaves > ZERO)
        command: int = action.command
        protection: dict[str, Any] = {}
        if branch.lot is not None:
            protection = {name: what for name, what in changes.items() if name in _PROTECTIONS}
        # The command is answered by the last of the events that tell of it.
        first = 0 if protection else command
        if leaves > ZERO:
            await self._modify_order(branch, leaves, changes, first)
        elif action.volume is not None:
            await self._cancellation.modify_away(branch, action.volume, first)
        if protection and branch.lot is not None:
            self._modify_lot(branch.lot, protection, command)

    def _changes(self, branch: Branch, action: Amend) -> dict[str, Any]:
        pair = branch.book.pair
        check_grid(
            pair,
            action.volume,
            action.limit_price,
            action.stop_price,
            action.stop_loss,
            action.take_profit,
        )
        changes: dict[str, Any] = {}
        for name, value in (
            ("limit_price", action.limit_price),
            ("stop_price", action.stop_price),
            ("stop_loss", action.stop_loss),
            ("take_profit", action.take_profit),
        ):
            if value is not None:
                changes[name] = value
        for name in sorted(action.clear):
            if name not in changes and name not in _CLEARABLE:
                refuse(RejectReason.INVALID_ACTION, f"there is no {name!r} to clear")
            changes[name] = None
        order = branch.order
        if order is not None:
            for name in ("limit_price", "stop_price"):
                if name in changes and getattr(branch, name) is None:
                    refuse(RejectReason.INVALID_ACTION, f"this order has no {name} to change")
            if "stop_price" in changes and _has_turned(branch):
                refuse(RejectReason.INVALID_ACTION, "its stop was reached: it has no stop any more")
        if branch.spot and not branch.buy and changes.keys() & _PROTECTION:
            refuse(RejectReason.NOT_SUPPORTED, "a spot sell has no stop_loss or take_profit")
        if branch.reduces and changes.keys() & _PROTECTION:
            refuse_protection()
        return changes

    def _instruct(self, branch: Branch, action: Amend, changes: dict[str, Any]) -> None:
        """Add changes of instructions: how far the order trails, when it expires."""
        if action.trail is None and action.trail_percent is None and action.expires_at is None:
            return
        order, book = branch.order, branch.book
        if order is None:
            refuse(RejectReason.ALREADY_DONE, "nothing of this order is pending any more")
        own = branch.instructions
        try:
            if action.trail is not None or action.trail_percent is not None:
                check_grid(book.pair, None, action.trail)
                if not own.is_trailing or _has_turned(branch):
                    refuse(RejectReason.INVALID_ACTION, "this order trails nothing (any more)")
                own = evolve(own, trail=action.trail, trail_percent=action.trail_percent)
                buy = branch.buy
                changes["stop_price"] = trail_from(book, buy, action.stop_price, own)
            if action.expires_at is not None:
                if own.time_in_force in IMMEDIATE:
                    force = own.time_in_force.value
                    refuse(RejectReason.INVALID_ACTION, f"an {force} order lives for no time")
                own = evolve(own, time_in_force=TimeInForce.GTD, expires_at=action.expires_at)
                expiry_of(own, self._venue.now, book.day_end)
        except (FieldError, FieldTypeError) as wrong:
            refuse(RejectReason.INVALID_ACTION, str(wrong))
        changes["instructions"] = own

    def _check_protections(self, branch: Branch, changes: dict[str, Any], stays: bool) -> None:
        """Refuse a protection on the wrong side; ``stays``: of what goes on pending, too."""
        book = branch.book
        order = branch.order
        if order is not None and stays:
            limit = changes.get("limit_price", branch.limit_price)
            stop = changes.get("stop_price", branch.stop_price)
            price = limit or stop or book.last
            if price is not None:
                stop_loss = changes.get("stop_loss", branch.stop_loss)
                take_profit = changes.get("take_profit", branch.take_profit)
                check_protection(branch.buy, price, stop_loss, take_profit)
        lot = branch.lot
        if lot is not None and book.last is not None and changes.keys() & _PROTECTION:
            check_protection(
                lot.long, book.last, changes.get("stop_loss"), changes.get("take_profit")
            )

    async def _modify_order(
        self, branch: Branch, leaves: Decimal, changes: dict[str, Any], command: int
    ) -> None:
        venue, book = self._venue, branch.book
        order = branch.order
        assert order is not None
        # Only a decrease keeps the place in the queue; all else is as if it were accepted now.
        keeps_place = not changes and leaves <= order.volume
        before = branch.reservation_price, branch.taker, branch.offset, branch.is_underfunded
        balances: Balances = {}
        try:
            self._reprice(branch, order, leaves, changes, keeps_place)
            is_same = (branch.reservation_price, branch.taker) == before[
                :2
            ] and leaves == order.volume
            reserve, fee = self._reserve(branch, order, leaves, changes, is_same)
            legs = change_reserve(
                branch.account, branch.asset, order.reserved, reserve, fee, book.quote
            )
            if legs:
                balances = await venue.post(legs, branch.id, "order modified")
        except (InsufficientFunds, OrderRejected) as no:
            branch.reservation_price, branch.taker, branch.offset, branch.is_underfunded = before
            if not isinstance(no, InsufficientFunds):
                raise
            refuse(
                RejectReason.INSUFFICIENT_FUNDS,
                f"the change needs {no.needed:f} {no.asset}, {no.available:f} available",
            )
        venue.records.orders.keep(order.replaced(venue.now))
        new_id, number = venue.ids.draw(), venue.next_number()
        venue.live_on(branch, order.modified(new_id, number, leaves, changes, reserve, fee))
        for name, value in changes.items():
            setattr(branch, name, value)
        if keeps_place:
            branch.volume = leaves
        else:
            if branch.terms is not None or "instructions" in changes:
                self._renew_terms(branch)
            self._requeue(branch)
        trails = branch.kind == "trailing_stop" and not branch.triggered
        facts = Facts(keeps_place, level=branch.price if trails else None)
        venue.publisher.tell(
            EventKind.MODIFIED,
            branch,
            branch.order,
            command=command,
            balances=balances,
            facts=facts,
        )

    def _reprice(
        self,
        branch: Branch,
        order: Revision,
        leaves: Decimal,
        changes: dict[str, Any],
        keeps_place: bool,
    ) -> None:
        """Work out what a changed order would meet, which price it reserves for, and what it is to
        close of the other side."""
        venue, book = self._venue, branch.book
        limit = changes.get("limit_price", branch.limit_price)
        stop = changes.get("stop_price", branch.stop_price)
        moves = _moves(changes)
        increases = leaves > order.volume
        if moves or leaves != order.volume:
            price = limit or stop or book.last
            check_least(book, leaves, price)
            if not branch.spot and price is not None:
                check_tier(book, leaves, price, branch.leverage)
        kind, buy = branch.kind, branch.buy
        if not keeps_place:
            now = book.meets(buy)
            if branch.instructions.post_only:
                check_post_only(kind, buy, limit, stop, now, branch.instructions)
            if moves or increases:
                branch.reservation_price = book.worst_price(buy, limit, stop, now)
            branch.taker = takes(buy, limit, stop if kind == "stop_limit" else now)
        if branch.nets:
            if increases:
                branch.offset = venue.offset(branch, leaves, branch.oco)
            else:
                branch.offset = min(branch.offset, leaves)

    def _reserve(
        self,
        branch: Branch,
        order: Revision,
        leaves: Decimal,
        changes: dict[str, Any],
        is_same: bool,
    ) -> tuple[Decimal, Decimal]:
        """What a changed order reserves, and the fee for what it is larger; ``is_same``: it
        reserves what it did."""
        venue, book, buy = self._venue, branch.book, branch.buy
        reserve = order.reserved if is_same else venue.reserve(branch, leaves)
        fee = ZERO
        if leaves > order.volume and book.fees_more:
            increase = sub(leaves, order.volume)
            margin = venue.order_margin(branch, increase)
            fee = book.fee(book.fees_more, increase, branch.reservation_price, margin)
        if branch.offset and reserve > order.reserved:
            reserve = reversal_reserve(venue, branch, reserve, fee, order.reserved)
        if branch.spot and (_moves(changes) or leaves != order.volume):
            limit = changes.get("limit_price", branch.limit_price)
            stop = changes.get("stop_price", branch.stop_price)
            price = (
                branch.reservation_price
                if buy
                else sold_at(book, limit or stop, branch.reservation_price)
            )
            check_dust(book, buy, branch.sums, leaves, price)
            if not buy and book.fees.may_exceed:
                check_sale(venue, branch, leaves, price, fee)
        if venue.cross and reserve > order.reserved:
            check_cross(venue, branch, add(sub(reserve, order.reserved), fee))
        return reserve, fee

    def _renew_terms(self, branch: Branch) -> None:
        """Prices or instructions changed, and with them what the walk needs to know."""
        venue, own = self._venue, branch.instructions
        stands = branch.terms is not None and branch.terms.limit is not None
        branch.terms = terms_of(branch.limit_price if stands else None, own)
        if own.expires_at is not None:
            due = to_ns(own.expires_at, "expires_at")
            if due != branch.expires:
                branch.expires = due
                venue.watch(branch, due)

    def _requeue(self, branch: Branch) -> None:
        """The order loses its place: it is as if it had been accepted now."""
        venue, book = self._venue, branch.book
        kind, price, triggered = branch.kind, branch.price, branch.triggered
        book.waiting = [item for item in book.waiting if item[1] is not branch]
        venue.enter(branch, "market" if triggered else kind)
        if triggered:
            branch.kind, branch.price, branch.triggered = kind, price, True
        # The order of acceptance is the order of the table: out, and in again at its end.
        book.unlist_order(branch)
        book.list_order(branch)
        book.waiting.append((venue.now, branch))

    def _modify_lot(self, lot: Lot, changes: dict[str, Any], command: int) -> None:
        venue, branch = self._venue, lot.branch
        for kind in _PROTECTIONS:
            if kind in changes:
                self._protect(lot, kind, changes[kind])
        last = len(lot.opened) - 1
        for place, (old, *_) in enumerate(list(lot.opened)):
            venue.records.orders.keep(old.replaced(venue.now))
            new_id, number = venue.ids.draw(), venue.next_number()
            child = old.modified(new_id, number, old.volume, changes)
            venue.take_on(child, branch)
            lot.renew(place, child)
            venue.publisher.tell(
                EventKind.MODIFIED,
                branch,
                child,
                positions=((old.id, None), (child.id, child)),
                command=command if place == last else 0,
                facts=Facts(changed=tuple(sorted(changes))),
            )
        branch.book.groups = None

    def _protect(self, lot: Lot, kind: WorkingKind, price: Decimal | None) -> None:
        """Give a lot a stop-loss or take-profit accepted now, in the place of the old one."""
        old = lot.closing(kind)
        if old is not None:
            lot.exits.remove(old)
        if price is not None:
            closing = protect(self._venue, lot, kind, price)
            closing.fresh = True
            lot.branch.book.waiting.append((self._venue.now, closing))


def _moves(changes: dict[str, Any]) -> bool:
    """Whether an order's own prices are among the changes."""
    return "limit_price" in changes or "stop_price" in changes


def _has_turned(branch: Branch) -> bool:
    """Whether it is an order whose stop was reached: a limit order now, or one at the market."""
    terms = branch.terms
    if branch.kind == "limit":
        return terms is not None and terms.limit is not None
    return branch.triggered
