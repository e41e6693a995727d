"""Orders that close positions because their owner asked: accepted, modified, cancelled in part."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors.protocol import Amend, EventKind, Facts
from backtest.errors import (
    FieldError,
    RejectReason,
)
from backtest.models import Instructions
from backtest.money import ZERO, add, plain, sub
from backtest.services.fills.walk import Terms, WorkingKind
from backtest.services.orders.expiry import terms_of
from backtest.services.settlement.amounts import Tally

from .branch import Branch
from .checks import check_grid, refuse, refuse_more, trail_from
from .pair_book import PairBook
from .pending_closes import left_of, pending_closes
from .position import Closing, Lot
from .venue import Venue

__all__ = ["CloseOrders"]

Asked = tuple[WorkingKind, Decimal | None, Terms | None]
"""The kind of a close, its price, what else it asks."""
_HAVE: dict[str, tuple[WorkingKind, ...]] = {
    "limit_price": ("limit", "stop_limit"),
    "stop_price": ("stop", "stop_limit", "trailing_stop"),
    "trail": ("trailing_stop",),
    "trail_percent": ("trailing_stop",),
}
"""What kinds of closes have of what a modify may change."""


class CloseOrders:
    """Accepts closes of what a branch has open; raises `OrderRejected` with nothing changed."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def accept(self, branch: Branch, action: Amend) -> Closing:
        """Accept an order that closes ``volume`` of what the branch has open, oldest first."""
        book, lot = branch.book, branch.lot
        if lot is None:
            word = "done" if branch.order is None else "not filled yet: cancel it instead"
            refuse(RejectReason.ALREADY_DONE, f"there is no open position, this order is {word}")
        check_grid(book.pair, action.volume, action.limit_price, action.stop_price, action.trail)
        volume = lot.volume if action.volume is None else action.volume
        _check_volume(lot, volume)
        terms = _closing_terms(book, not lot.long, action)
        _check_room(branch)
        closing = Closing(
            self._venue.ids.draw(), "close", lot, terms[0], command=action.command, tally=Tally()
        )
        self._put(closing, volume, terms)
        self._tell(closing, volume, terms, action.command)
        return closing

    def modify(self, branch: Branch, action: Amend) -> None:
        """Give the close that command ``action.close`` asked for other prices, or another total
        volume, what it has closed included. It keeps its id; and its place in the queue if all that
        changes is that it is for less."""
        venue, book = self._venue, branch.book
        closing = _pending(branch, action)
        if action.stop_loss is not None or action.take_profit is not None or action.clear:
            refuse(RejectReason.INVALID_ACTION, "a close has no stop_loss and no take_profit")
        if action.expires_at is not None:
            refuse(RejectReason.INVALID_ACTION, "a close lives until it is cancelled")
        check_grid(book.pair, action.volume, action.limit_price, action.stop_price, action.trail)
        terms = _other_terms(book, closing, action)
        there = left_of(closing)
        left = there
        stays = terms == _terms_now(closing)
        if action.volume is not None:
            left = sub(action.volume, closing.tally.closed)
            if left <= ZERO:
                self._cancel(
                    closing, RejectReason.MODIFIED_AWAY, "a modify left nothing of it", action
                )
                return
        elif stays:
            refuse(RejectReason.NOTHING_TO_CHANGE, "the modify names nothing to change")
        _check_volume(closing.lot, left)
        stays = stays and left <= there
        if stays:
            closing.volume = left
        else:
            closing.lot.exits.remove(closing)
            self._put(closing, left, terms)
        # Told when it stands: whoever hears of it sees it pending all along.
        venue.publisher.tell(
            EventKind.CLOSE_CANCELLED,
            branch,
            closing.lot.order,
            reason=RejectReason.REQUESTED,
            detail="modified",
            close=closing.command,
            facts=Facts(closing_orders=(closing.id,)),
        )
        self._tell(closing, left, terms, action.command, stays)

    def cancel(self, branch: Branch, action: Amend) -> None:
        """Cancel what is pending of the close that ``action.close`` asked for, or ``action.volume``
        of that."""
        closing, volume = _pending(branch, action), action.volume
        there = left_of(closing)
        if volume is not None:
            if volume > there:
                refuse(
                    RejectReason.STALE,
                    f"{plain(volume)} is more than the {plain(there)} left to cancel",
                )
            check_grid(branch.book.pair, volume)
            if volume < there:
                left = add(closing.tally.closed, sub(there, volume))
                self.modify(branch, action._replace(volume=left))
                return
        self._cancel(closing, RejectReason.REQUESTED, branch.client.request, action)

    def _cancel(self, closing: Closing, reason: RejectReason, detail: str, action: Amend) -> None:
        lot = closing.lot
        lot.exits.remove(closing)
        self._venue.publisher.tell(
            EventKind.CLOSE_CANCELLED,
            lot.branch,
            lot.order,
            reason=reason,
            detail=detail,
            command=action.command,
            close=closing.command,
            facts=Facts(closing_orders=(closing.id,)),
        )

    def _put(self, closing: Closing, volume: Decimal, terms: Asked) -> None:
        """Let a close act, last in the queue."""
        venue, lot = self._venue, closing.lot
        kind, price, closing.terms = terms
        closing.line_up(kind, price, volume, venue.next_sequence())
        lot.put(closing)
        book = lot.branch.book
        book.waiting = [item for item in book.waiting if item[1] is not closing]
        book.waiting.append((venue.now, closing))

    def _tell(
        self,
        closing: Closing,
        volume: Decimal,
        terms: Asked,
        command: int,
        keeps_place: bool | None = None,
    ) -> None:
        kind, price, more = terms
        level = price if kind == "trailing_stop" else None
        facts = Facts(
            keeps_place=keeps_place,
            closing_orders=(closing.id,),
            condition=kind,
            price=price,
            limit_price=more.limit if kind == "stop_limit" and more is not None else None,
            level=level,
            quantity=volume,
        )
        self._venue.publisher.tell(
            EventKind.CLOSING,
            closing.lot.branch,
            closing.lot.order,
            command=command,
            level=level,
            close=closing.command,
            facts=facts,
        )


def _pending(branch: Branch, action: Amend) -> Closing:
    """The close that ``action.close`` asked for."""
    for closing in pending_closes(branch, action.close):
        return closing
    refuse(RejectReason.ALREADY_DONE, "nothing of this close is pending any more")


def _check_volume(lot: Lot, volume: Decimal) -> None:
    """Refuse to close more than is open."""
    total = lot.volume
    if volume > total:
        refuse(RejectReason.STALE, f"{plain(volume)} is more than the {plain(total)} that is open")


def _check_room(branch: Branch) -> None:
    """Refuse one close more than the account may have pending. They are counted apart from other
    orders: who has too many of those can get out all the same."""
    book, account = branch.book, branch.account
    most, own = book.rules.max_open_orders, book.own_positions.get(account)
    if most is None or own is None:
        return
    there = sum(
        closing.role == "close"
        for side in own
        for position in side
        for lot in position.lots
        for closing in lot.exits
    )
    if there >= most:
        refuse_more(book, account, there, "to close positions pending")


def _terms_now(closing: Closing) -> Asked:
    """Those of a close as it stands; of one whose stop was reached, as what it is since."""
    if closing.triggered:
        return "market", None, None
    if closing.kind == "limit":
        return "limit", closing.price, None
    return closing.kind, closing.price, closing.terms


def _other_terms(book: PairBook, closing: Closing, action: Amend) -> Asked:
    """The terms of a close, as ``action`` changes them; refuses what it does not have."""
    kind, price, terms = _terms_now(closing)
    for name, kinds in _HAVE.items():
        if getattr(action, name) is not None and kind not in kinds:
            refuse(RejectReason.INVALID_ACTION, f"this close has no {name} to change")
    if kind == "limit":
        return kind, price if action.limit_price is None else action.limit_price, None
    if kind == "trailing_stop" and (action.trail or action.trail_percent):
        return _closing_terms(book, closing.buy, action)
    if action.stop_price is not None:
        price = action.stop_price
    if kind == "stop_limit" and action.limit_price is not None:
        terms = Terms(action.limit_price)
    return kind, price, terms


def _closing_terms(book: PairBook, buy: bool, action: Amend) -> Asked:
    """The kind of the closing order that the command's prices make, its price, what else it asks.

    Refuses prices that make no order.
    """
    limit, stop = action.limit_price, action.stop_price
    if action.trail is not None or action.trail_percent is not None:
        if limit is not None:
            refuse(RejectReason.INVALID_ACTION, "a trailing stop has no limit price")
        try:
            own = Instructions(trail=action.trail, trail_percent=action.trail_percent)
        except FieldError as wrong:
            refuse(RejectReason.INVALID_ACTION, str(wrong))
        return "trailing_stop", trail_from(book, buy, stop, own), terms_of(None, own)
    if stop is None:
        return ("market" if limit is None else "limit"), limit, None
    if limit is None:
        return "stop", stop, None
    return "stop_limit", stop, Terms(limit)
