"""Cancels: of what is pending of an order, and of the orders that close positions."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors.protocol import NO_FACTS, Balances, EventKind, Facts
from backtest.errors import RejectReason
from backtest.money import ZERO, add, plain, sub
from backtest.services.ledger.entries import release
from backtest.services.orders.revision import Revision

from .branch import Branch
from .checks import check_grid, refuse
from .fill_plans import owed, rest_is_dust
from .oco import OcoGroup
from .pending_closes import pending_closes
from .venue import Venue

__all__ = ["Cancellation"]


class Cancellation:
    """Cancels what is pending of a branch; raises `OrderRejected` with nothing changed."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def cancel(
        self,
        branch: Branch,
        volume: Decimal | None,
        reason: RejectReason,
        detail: str = "",
        command: int = 0,
        facts: Facts = NO_FACTS,
    ) -> None:
        """Cancel ``volume`` of what is pending (None: all of it), or the pending closes."""
        venue, book = self._venue, branch.book
        order = branch.order
        if order is None:
            self._cancel_closes(branch, reason, detail, command, facts)
            return
        left = kept = ZERO
        if volume is None or volume == order.volume:
            volume = order.volume
        else:
            left, kept = self._keeps(branch, order, volume)
        back = sub(order.reserved, kept)
        due = ZERO if left or branch.tally is None else owed(branch)
        fee = self._fee(branch, volume, due)
        quote = book.quote
        uncovered = self._uncovered(branch, fee, back) if fee else ZERO
        balances: Balances = {}
        legs = release(branch.account, branch.asset, back, fee, quote, uncovered)
        if legs:
            # Not `value`, a property: it costs as much as the rest of the line.
            why = f"order cancelled, {reason._value_.lower()}"
            balances = await venue.post(legs, branch.id, why)
        if due and branch.tally is not None:
            branch.tally.pay(due)
        cancelled = order.cancelled(venue.now, volume, fee, reason, book.step)
        venue.records.orders.keep(cancelled)
        branch.resize(left)
        if left:
            leaves_id, number = venue.ids.draw(), venue.next_number()
            venue.live_on(branch, order.left(leaves_id, number, volume, kept, book.step))
        else:
            venue.unlist(branch)
        dust = bool(left) and rest_is_dust(branch)
        venue.publisher.tell(
            EventKind.CANCELLED,
            branch,
            cancelled,
            reason=reason,
            detail=detail,
            command=0 if dust else command,
            balances=balances,
            facts=facts,
        )
        venue.publisher.tell_uncovered(branch, cancelled, uncovered, quote, "a cancel fee")
        if dust:
            # The command is answered by the last of the events that tell of it.
            await self.cancel_dust(branch, command)

    def _keeps(self, branch: Branch, order: Revision, volume: Decimal) -> tuple[Decimal, Decimal]:
        """What is left of an order less ``volume``, and what that reserves."""
        check_grid(branch.book.pair, volume)
        if volume > order.volume:
            refuse(
                RejectReason.STALE,
                f"{plain(volume)} is more than the {plain(order.volume)} left to cancel",
            )
        left = sub(order.volume, volume)
        return left, min(self._venue.reserve(branch, left), order.reserved)

    def _uncovered(self, branch: Branch, fee: Decimal, back: Decimal) -> Decimal:
        """What the account lacks to pay ``fee``: a cancel is never refused for that, the insurance
        pays it."""
        quote = branch.book.quote
        free = self._venue.available(branch.account, quote)
        free = add(free, back) if branch.asset == quote else free
        return max(ZERO, sub(fee, free))

    def _fee(self, branch: Branch, volume: Decimal, due: Decimal) -> Decimal:
        """What it costs to cancel ``volume``, with what is ``due`` of the fees of fills."""
        book = branch.book
        if not book.fees_cancel or branch.is_of_bracket:
            return due
        margin = self._venue.order_margin(branch, volume)
        return add(due, book.fee(book.fees_cancel, volume, branch.reservation_price, margin))

    async def cancel_dust(self, branch: Branch, command: int = 0) -> None:
        """Cancel what is left of a spot sell and brings nothing any more."""
        order, book = branch.order, branch.book
        assert order is not None
        await self.cancel(
            branch,
            None,
            RejectReason.MIN_NOTIONAL,
            f"{plain(order.volume)} more would bring less than {plain(book.step)} {book.quote}",
            command,
        )

    async def cancel_partners(self, branch: Branch, group: OcoGroup) -> None:
        """Something of ``branch`` filled: its one-cancels-other partners are cancelled at once."""
        group.has_filled = True
        for other in group.partners(branch):
            await self.cancel(
                other,
                None,
                RejectReason.ONE_CANCELS_OTHER,
                f"order {branch.id} of the group {group.label!r} filled",
            )

    async def modify_away(self, branch: Branch, volume: Decimal, command: int) -> None:
        """Cancel an order whose total ``volume`` is to be no more than what has filled of it."""
        await self.cancel(
            branch,
            None,
            RejectReason.MODIFIED_AWAY,
            f"total volume {plain(volume)}, {plain(branch.total_filled)} filled",
            command,
        )

    def _cancel_closes(
        self,
        branch: Branch,
        reason: RejectReason,
        detail: str,
        command: int,
        facts: Facts = NO_FACTS,
    ) -> None:
        """Cancel the pending closes of a branch of which no order is pending."""
        pending, lot = pending_closes(branch), branch.lot
        if lot is None or not pending:
            refuse(RejectReason.ALREADY_DONE, "nothing of this order is pending any more")
        for closing in pending:
            lot.exits.remove(closing)
        self._venue.publisher.tell(
            EventKind.CLOSE_CANCELLED,
            branch,
            lot.order,
            reason=reason,
            detail=detail,
            command=command,
            facts=facts._replace(closing_orders=tuple(closing.id for closing in pending)),
        )
