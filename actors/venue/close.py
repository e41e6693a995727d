"""Orders that close positions because their owner asked: accepted, modified, cancelled in part."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from backtest.actors.protocol import Amend, EventKind, Facts
from backtest.errors import (
    FieldError,
    RejectReason,
)
from backtest.models import Instructions
from backtest.money import ZERO, add, plain, sub
from backtest.services.fills.walk import Terms, Working, WorkingKind
from backtest.services.orders.expiry import terms_of
from backtest.services.settlement.amounts import Tally

from .branch import Branch, Closing
from .checks import check_grid, refuse, refuse_more, trail_from
from .pair_book import PairBook
from .pending_closes import closes_of, pending_closes
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
    """Accepts closes of a branch's positions; raises `OrderRejected` with nothing changed."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def accept(self, branch: Branch, action: Amend) -> list[Closing]:
        """Accept orders that close ``volume`` of the branch's positions, oldest first."""
        book = branch.book
        if not branch.holdings:
            word = "done" if branch.order is None else "not filled yet: cancel it instead"
            refuse(RejectReason.ALREADY_DONE, f"there is no open position, this order is {word}")
        check_grid(book.pair, action.volume, action.limit_price, action.stop_price, action.trail)
        total = _open(branch)
        left = total if action.volume is None else action.volume
        if left > total:
            refuse(
                RejectReason.STALE, f"{plain(left)} is more than the {plain(total)} that is open"
            )
        terms = _closing_terms(book, not branch.holdings[0].part.long, action)
        _check_room(branch)
        accepted = self._put(branch, left, terms, action.command, Tally(), ())
        self._tell(branch, accepted, left, terms, action.command)
        return accepted

    def modify(self, branch: Branch, action: Amend) -> list[Closing]:
        """Give the close that command ``action.close`` asked for other prices, or another total
        volume, what it has closed included: it is accepted anew, and keeps its ids."""
        venue, book = self._venue, branch.book
        pending = pending_closes(branch, action.close)
        if not pending:
            refuse(RejectReason.ALREADY_DONE, "nothing of this close is pending any more")
        if action.stop_loss is not None or action.take_profit is not None or action.clear:
            refuse(RejectReason.INVALID_ACTION, "a close has no stop_loss and no take_profit")
        if action.expires_at is not None:
            refuse(RejectReason.INVALID_ACTION, "a close lives until it is cancelled")
        check_grid(book.pair, action.volume, action.limit_price, action.stop_price, action.trail)
        first = pending[0]
        terms = _other_terms(book, first, action)
        tally, command = first.tally, first.command
        (standing,) = (one for one in closes_of(branch) if one.command == command)
        left = standing.volume
        if action.volume is not None:
            left = sub(action.volume, tally.closed)
            if left <= ZERO:
                self._cancel(branch, pending, RejectReason.MODIFIED_AWAY, "", action.command)
                return []
        elif terms == _terms_now(first):
            refuse(RejectReason.NOTHING_TO_CHANGE, "the modify names nothing to change")
        total = _open(branch)
        if left > total:
            refuse(
                RejectReason.STALE, f"{plain(left)} is more than the {plain(total)} that is open"
            )
        ids = [closing.id for closing in pending]
        for closing in pending:
            closing.holding.take(closing)
        accepted = self._put(branch, left, terms, command, tally, ids)
        # Told when the new ones stand: whoever hears of it sees them pending all along.
        order = branch.holdings[0].order
        venue.publisher.tell(
            EventKind.CLOSE_CANCELLED,
            branch,
            order,
            reason=RejectReason.REQUESTED,
            detail="modified",
            close=command,
            facts=Facts(closing_orders=tuple(ids)),
        )
        self._tell(branch, accepted, left, terms, action.command)
        return accepted

    def cancel(self, branch: Branch, volume: Decimal, action: Amend) -> list[Closing]:
        """Cancel ``volume`` of what is pending of the close that ``action.close`` asked for."""
        for one in closes_of(branch):
            if one.command == action.close:
                if volume > one.volume:
                    refuse(
                        RejectReason.STALE,
                        f"{plain(volume)} is more than the {plain(one.volume)} left to cancel",
                    )
                check_grid(branch.book.pair, volume)
                if volume == one.volume:
                    pending = pending_closes(branch, action.close)
                    self._cancel(
                        branch,
                        pending,
                        RejectReason.REQUESTED,
                        branch.client.request,
                        action.command,
                    )
                    return []
                closed = pending_closes(branch, action.close)[0].tally.closed
                left = add(closed, sub(one.volume, volume))
                return self.modify(branch, action._replace(volume=left))
        refuse(RejectReason.ALREADY_DONE, "nothing of this close is pending any more")

    def _cancel(
        self,
        branch: Branch,
        pending: Sequence[Closing],
        reason: RejectReason,
        detail: str,
        command: int,
    ) -> None:
        for closing in pending:
            closing.holding.take(closing)
        self._venue.publisher.tell(
            EventKind.CLOSE_CANCELLED,
            branch,
            pending[-1].holding.order,
            reason=reason,
            detail=detail or "a modify left nothing of it",
            command=command,
            close=pending[0].command,
            facts=Facts(closing_orders=tuple(closing.id for closing in pending)),
        )

    def _put(
        self,
        branch: Branch,
        left: Decimal,
        terms: Asked,
        command: int,
        tally: Tally,
        ids: Sequence[UUID],
    ) -> list[Closing]:
        """Let orders that close ``left`` of the positions act, oldest first; they have ``ids``,
        as far as there are any."""
        venue, book = self._venue, branch.book
        kind, price, more = terms
        accepted: list[Closing] = []
        for holding in branch.holdings:
            volume = min(left, holding.part.volume)
            if volume <= ZERO:
                break
            left = sub(left, volume)
            place = len(accepted)
            closing_id = ids[place] if place < len(ids) else venue.ids.draw()
            closing = Closing(closing_id, "close", holding)
            closing.command, closing.tally = command, tally
            working = Working(
                closing,
                kind,
                not holding.part.long,
                price,
                volume,
                sequence=venue.next_sequence(),
                fresh=True,
                terms=more,
            )
            holding.put(closing, working)
            book.waiting.append((venue.now, working))
            accepted.append(closing)
        return accepted

    def _tell(
        self,
        branch: Branch,
        accepted: Sequence[Closing],
        volume: Decimal,
        terms: Asked,
        command: int,
    ) -> None:
        kind, price, more = terms
        level = price if kind == "trailing_stop" else None
        facts = Facts(
            closing_orders=tuple(closing.id for closing in accepted),
            condition=kind,
            price=price,
            limit_price=more.limit if kind == "stop_limit" and more is not None else None,
            level=level,
            quantity=volume,
        )
        self._venue.publisher.tell(
            EventKind.CLOSING,
            branch,
            branch.holdings[0].order,
            command=command,
            level=level,
            close=accepted[0].command,
            facts=facts,
        )


def _open(branch: Branch) -> Decimal:
    total = ZERO
    for holding in branch.holdings:
        total = add(total, holding.part.volume)
    return total


def _check_room(branch: Branch) -> None:
    """Refuse one close more than the account may have pending. They are counted apart from other
    orders: who has too many of those can get out all the same."""
    book, account = branch.book, branch.account
    most, own = book.rules.max_open_orders, book.own_holdings.get(account)
    if most is None or own is None:
        return
    there = {
        (holding.branch.number, closing.command)
        for side in own
        for holding in side
        for closing in holding.closings
        if closing.kind == "close"
    }
    if len(there) >= most:
        refuse_more(book, account, len(there), "to close positions pending")


def _terms_now(closing: Closing) -> Asked:
    """Those of a close as it stands; of one whose stop was reached, as what it is since."""
    working = closing.working
    if working.triggered:
        return "market", None, None
    if working.kind == "limit":
        return "limit", working.price, None
    return working.kind, working.price, working.terms


def _other_terms(book: PairBook, closing: Closing, action: Amend) -> Asked:
    """The terms of a close, as ``action`` changes them; refuses what it does not have."""
    kind, price, terms = _terms_now(closing)
    for name, kinds in _HAVE.items():
        if getattr(action, name) is not None and kind not in kinds:
            refuse(RejectReason.INVALID_ACTION, f"this close has no {name} to change")
    if kind == "limit":
        return kind, price if action.limit_price is None else action.limit_price, None
    if kind == "trailing_stop" and (action.trail or action.trail_percent):
        return _closing_terms(book, closing.working.buy, action)
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
