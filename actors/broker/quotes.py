"""What commands make new where a market is quoted: it meets the quote that stands, at once."""

from __future__ import annotations

from collections.abc import Awaitable

from backtest.actors.venue.financing import Financing
from backtest.actors.venue.pair_book import PairBook
from backtest.actors.venue.venue import Venue
from backtest.models import Quote
from backtest.services.fills.walk import Working

from .cross_margin import CrossMargin
from .execution import Execution

__all__ = ["StandingQuotes"]


class StandingQuotes:
    """Carries out commands, and what follows of them between two quotes.

    Whatever a command lets wait for the market (a new order, a modified one, parts at other prices,
    a close, a protection that was moved) is met by the quote that stands, by the same walk as by
    the quotes that come. Whoever awaits the command hears of all of it together.
    """

    def __init__(
        self, venue: Venue, execution: Execution, financing: Financing, cross: CrossMargin
    ) -> None:
        self._venue = venue
        self._execution = execution
        self._financing = financing
        self._cross = cross

    async def carry_out(self, command: Awaitable[None]) -> None:
        """Carry out ``command``, then let what it made new meet the quotes that stand."""
        venue = self._venue
        publisher, before = venue.publisher, venue.sequence
        publisher.held = []
        try:
            await command
            for book in venue.books.values():
                quote = book.standing.at(venue.now)
                if quote is not None and book.waiting:
                    new = _new_since(book, before)
                    if new:
                        await self._meet(book, quote, new)
        finally:
            publisher.release()
            publisher.held = None

    async def _meet(self, book: PairBook, quote: Quote, new: list[Working]) -> None:
        venue = self._venue
        now = venue.now
        charged = book.charges and self._financing.is_due_at(book, now)
        if charged:
            # What fell due since the last event is charged on what stood then.
            venue.move_to(now)
            await self._financing.charge_until(book, now)
            # Whose margin paid may be called by the quote that stands.
            lots = [lot for position in book.positions for lot in position.lots]
            closings = [lot.closing("liquidation") for lot in lots]
            new += [closing for closing in closings if closing is not None]
            new = [working for working in new if working.is_live]
        filled = await self._execution.meet(book, quote, new)
        if venue.cross and (filled or charged):
            await self._cross.test(book)


def _new_since(book: PairBook, sequence: int) -> list[Working]:
    """What waits since place ``sequence`` in the queue was given, in order."""
    new = [working for _, working in book.waiting if working.sequence > sequence]
    return [working for working in new if working.is_live]
