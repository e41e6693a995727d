"""What falls due at a moment: orders expire, nights are charged."""

from __future__ import annotations

from heapq import heappop

from backtest.errors import RejectReason
from backtest.models import Bar
from backtest.services.fills.walk import CLOSE_ONLY, NOT_ON_THIS_BAR, OPEN_ONLY
from backtest.services.orders.expiry import lives_through
from backtest.times import format_ns

from .cancel import Cancellation
from .financing import Financing
from .pair_book import PairBook
from .venue import Venue

__all__ = ["Expiry", "hold_back", "shorten"]


def shorten(book: PairBook, bar: Bar) -> None:
    """Let what expires inside ``bar`` take part at its open only, or in all of it if it is for the
    day, and that is what the bar is of."""
    waiting = {working: accepted for accepted, working in book.waiting}
    for due, _, branch in book.expiring:
        order = branch.order
        if due >= bar.close_ns or order is None or branch.expires != due:
            continue
        branch.blocked = False
        # What waits no longer has seen an open, and so was accepted by this one.
        accepted = waiting.get(branch, bar.open_ns)
        if not lives_through(branch.instructions.time_in_force, accepted, bar):
            branch.end = OPEN_ONLY
            if branch.start == CLOSE_ONLY:
                branch.start = NOT_ON_THIS_BAR


def hold_back(book: PairBook, now: int) -> None:
    """Let a tick at ``now`` pass by what has expired, and waits to hear of the open of a bar."""
    for due, _, branch in book.expiring:
        if due <= now and branch.order is not None and branch.expires == due:
            branch.blocked = True


class Expiry:
    """Settles what has fallen due: before a bar, after it, or when the clock says so.

    Whether an order has expired the clock alone cannot tell while a bar may be under way, for its
    open still counts: `PairBook.settled_ns` says when it can. Until then the order stays as it is,
    and its money reserved; whoever asks learns nothing of a bar that has not closed.
    """

    def __init__(self, venue: Venue, cancellation: Cancellation, financing: Financing) -> None:
        self._venue = venue
        self._cancellation = cancellation
        self._financing = financing

    async def settle(
        self, book: PairBook, end: int, *, at_tick: bool = False, inside: Bar | None = None
    ) -> None:
        """All that falls due at or before ``end``, in order; ``inside`` a bar, after its matching.

        What expires at the very time of a charge is not charged. ``at_tick``: a quote or a trade is
        at hand, and a bar that closes now comes after it.
        """
        now = self._venue.now
        heard = now - 1 if at_tick and book.cadences else now
        while book.due is not None and book.due <= end:
            settled = book.settled_ns(book.due)
            if settled is None or settled > heard:
                break
            await self._financing.charge_until(book, book.due - 1, inside)
            await self._expire(book, book.due)
        await self._financing.charge_until(book, end, inside)

    def look_ahead(self, book: PairBook) -> None:
        """Make sure that the clock wakes the venue for what expires next."""
        if book.due is not None:
            self._venue.set_alarm(book, max(book.due, self._venue.now))

    async def _expire(self, book: PairBook, end: int) -> None:
        """Cancel what expires at or before ``end``."""
        expiring = book.expiring
        while expiring and expiring[0][0] <= end:
            due, _, branch = heappop(expiring)
            book.due = expiring[0][0] if expiring else None
            if branch.order is not None and branch.expires == due:
                await self._cancellation.cancel(
                    branch, None, RejectReason.EXPIRED, f"it was good till {format_ns(due)}"
                )

    async def ring(self, book: PairBook) -> None:
        """An alarm has gone off: cancel what has expired, if no bar can matter to it any more."""
        now = self._venue.now
        if book.alarm is not None and book.alarm <= now:
            book.alarm = None
        expiring = book.expiring
        while expiring:
            due = expiring[0][0]
            at = due if due > now else book.settled_ns(due)
            if at is None:
                return  # the next bar of the pair decides, and rings again
            if at > now:
                self._venue.set_alarm(book, at)
                return
            # What is charged at that very time is booked with the next bar, as it always is.
            await self.settle(book, due - 1)
            await self._expire(book, due)
