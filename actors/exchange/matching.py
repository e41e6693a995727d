"""Matching: what comes into an order book meets what is there, or rests."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors.protocol import NO_FACTS, Facts
from backtest.actors.venue.cancel import Cancellation
from backtest.actors.venue.cross_accounts import Call
from backtest.actors.venue.fill_plans import rest_is_dust
from backtest.actors.venue.position import Closing, branch_of
from backtest.actors.venue.positions import drop_closing
from backtest.actors.venue.venue import Venue
from backtest.errors import RejectReason
from backtest.money import ZERO, plain
from backtest.services.book.book import Resting
from backtest.services.book.matching import Meeting, Rest, meeting, prevention, rest
from backtest.services.fills.walk import Working
from backtest.services.orders.expiry import ended_because

from .auctions import Auctions
from .calls import Calls
from .fillable import fillable
from .market import MarketBook
from .pending import book_of, instructions_of, leaves_of, must_end, passes_protection
from .placement import Placement
from .publication import Publication
from .session import PhaseName
from .trades import Dealt, Trades

__all__ = ["Matching"]


class Matching:
    """Lets orders meet: best price first, then first come, first served.

    After whatever has changed what is pending, `settle` brings the books in line and matches what
    comes in, in the order in which it came, until nothing follows any more.
    """

    def __init__(
        self,
        venue: Venue,
        cancellation: Cancellation,
        trades: Trades,
        publication: Publication,
        owners: dict[str, int],
        calls: Calls,
    ) -> None:
        self._venue = venue
        self._cancellation = cancellation
        self._trades = trades
        self._publication = publication
        self._calls = calls
        self._placement = Placement(venue, owners, calls)
        self._coming = self._placement.coming
        self.has_failed = False
        """Whether the venue begins again: then nothing that is pending may be without a place."""
        self._auctions = Auctions(venue, self._placement, trades, self._end, self._after)

    async def settle(self) -> None:
        """Everything that was told of has its consequences in the books, until nothing follows."""
        if self.has_failed:
            self.has_failed = False
            self._placement.recover()
        await self._follow()
        touched = self._placement.touched
        for book in touched:
            book.waiting.clear()
            self._publication.flush(book)
        touched.clear()
        self._venue.publisher.release()

    async def _follow(self) -> None:
        publisher, coming, calls = self._venue.publisher, self._coming, self._calls
        while publisher.told or calls.touched or coming:
            if publisher.told:
                self._placement.catch_up()
                continue
            if calls.touched:
                calls.look()
                continue
            working = coming.popleft()
            if isinstance(working, Call):
                await calls.carry_out(working)
            elif working.is_live:
                await self._take_in(book_of(working), working)
                if self._venue.cross and must_end(working):
                    calls.touch(branch_of(working).account, False)

    async def change_phase(self, book: MarketBook, phase: PhaseName) -> None:
        """From now on ``book`` trades like this; an auction that ends is uncrossed first, and what
        that leaves may halt the market anew."""
        self._placement.touched[book] = None
        book.is_halted = False
        if phase == "auction":
            self._auctions.begin(book)
            return
        if book.orders.in_auction:
            await self._auctions.uncross(book)
            await self._follow()
            if phase == "continuous":
                self._wake(book)
                return
            book.is_halted = False
        book.phase = phase
        self._wake(book)

    def _wake(self, book: MarketBook) -> None:
        """Trading goes on: what came to wait for a price meanwhile may have reached it already."""
        if book.phase == "continuous" and book.last is not None:
            self._placement.fire(book, book.last)
            self._calls.wake(book)

    async def end_halt(self, book: MarketBook) -> None:
        """A halt is over: trade on, unless the session has called another phase meanwhile, or the
        market was halted anew since."""
        if book.is_halted and book.halted[-1][1] <= self._venue.now:
            await self.change_phase(book, "continuous")

    async def _take_in(self, book: MarketBook, working: Working) -> None:
        """Match what comes in; what is left of it rests, waits or is cancelled."""
        if book.phase != "continuous":
            if working.terms is not None and working.terms.immediate:
                await self._end_at_once(working, ZERO)
            else:
                self._auctions.collect(book, working)
            return
        limit = None
        if working.is_limit:
            assert working.price is not None
            limit = book.ticks(working.price)
        if working.terms is not None and working.terms.whole:
            lots = book.lots(leaves_of(working))
            owner = self._placement.owner_of(branch_of(working).account)
            there = fillable(book, working, owner, limit, lots, self._trades)
            if there < lots:
                working.lacked = book.volume_of(there)
                await self._end_at_once(working, working.lacked)
                return
        if await self._meet(book, working, limit) and working.is_live:
            await self._leave(book, working, limit)

    async def _leave(self, book: MarketBook, working: Working, limit: int | None) -> None:
        """What is left of an order that has met all it could: it rests, waits or ends."""
        branch = branch_of(working)
        what = rest(
            immediate=working.terms is not None and working.terms.immediate,
            # Its own match may have been beyond the band.
            continuous=book.phase == "continuous",
            is_dust=rest_is_dust(branch),
            is_limit=limit is not None,
            must_end=must_end(working),
        )
        if what is Rest.ENDS:
            await self._end_at_once(working, None)
        elif what is Rest.COLLECTED:
            self._auctions.collect(book, working)
        elif what is Rest.DUST:
            await self._cancellation.cancel_dust(branch)
        elif what is Rest.RESTS:
            assert limit is not None
            owner = self._placement.owner_of(branch.account)
            lots = book.lots(leaves_of(working))
            resting = working.place = Resting(working, owner, working.buy, limit, lots)
            working.fresh = False
            book.orders.add(resting)
            if book.unmet:
                self._call(book, not working.buy)
        elif what is Rest.WAITS:
            working.place = None
            book.unmet[working] = None
        else:
            await self._end(
                working, RejectReason.NO_LIQUIDITY, "there is nothing more in the book to meet"
            )

    def _call(self, book: MarketBook, buy: bool) -> None:
        """There is somebody to meet: those on that side that found nobody come again, before all
        that came later than they."""
        called = [one for one in book.unmet if one.buy is buy]
        for working in called:
            del book.unmet[working]
        self._coming.extendleft(reversed(called))

    async def _meet(self, book: MarketBook, working: Working, limit: int | None) -> bool:
        """Let it meet the other side, best price first, first come first; False when that ended
        it."""
        buy, orders = working.buy, book.orders
        owner = self._placement.owner_of(branch_of(working).account)

        def allows(ticks: int) -> bool:
            return book.allows(book.price_of(ticks))

        def passes(ticks: int) -> bool:
            return passes_protection(working, book.price_of(ticks))

        while working.is_live:
            front = orders.front(not buy)
            what = meeting(front, buy, limit, owner, allows, passes)
            if front is None or what is Meeting.NOBODY:
                return True
            if what is Meeting.BAND:
                self._auctions.halt(book)
                return True
            if what is Meeting.OWN:
                if not await self._prevent(book, working, front):
                    return False
                continue
            maker: Working = front.key
            price = maker.price
            assert price is not None
            if what is Meeting.PASSED:
                await self._end(
                    working,
                    RejectReason.PROTECTION_PASSED,
                    f"a fill at {plain(price)} would be at or beyond its own "
                    "stop-loss or take-profit",
                )
                return False
            lots = min(book.lots(leaves_of(working)), front.volume)
            dealt = await self._trades.trade(book, working, maker, book.volume_of(lots), price)
            if dealt.volume:
                traded = lots if dealt.volume == lots else book.lots(dealt.volume)
                orders.take(front, traded)
                self._calls.paid(working)
            await self._after(book, dealt, price)
            if working in book.unmet:
                return False
        return False

    async def _after(self, book: MarketBook, dealt: Dealt, price: Decimal) -> None:
        """What follows of a trade: who could not pay is out, the price is news, stops fire."""
        for working in dealt.short:
            if not working.is_live:
                continue
            if must_end(working):
                self._calls.hold(working)
            else:
                await self._end(working, *_short_of(working, price))
        if dealt.trade is not None:
            self._publication.trade(book, dealt.trade)
            self._placement.mark(book, price)
        # The one that is matching goes on; the rest of what was told of is caught up with now, so
        # that no order is met that is gone.
        self._placement.catch_up()

    async def _prevent(self, book: MarketBook, working: Working, front: Resting) -> bool:
        """The two are one owner's: cancel one or both; False when the incoming one is gone."""
        oldest, newest = prevention(book.self_trade, must_end(working))
        if oldest:
            await self._end(
                front.key, RejectReason.SELF_TRADE, "it would have traded with a newer order"
            )
            self._placement.catch_up()
        if newest:
            await self._end(
                working, RejectReason.SELF_TRADE, "it would have traded with an order of its owner"
            )
            return False
        return True

    async def _end_at_once(self, working: Working, lacked: Decimal | None) -> None:
        """Its first opportunity was its last: of a fill-or-kill order, ``lacked`` was there."""
        reason = ended_because(instructions_of(working))
        told = lacked is not None and reason is RejectReason.FILL_OR_KILL
        await self._end(working, reason, facts=Facts(quantity=lacked) if told else NO_FACTS)

    async def _end(
        self, working: Working, reason: RejectReason, detail: str = "", facts: Facts = NO_FACTS
    ) -> None:
        """Nothing more comes of it: cancel an order, drop a close."""
        if type(working) is Closing:
            drop_closing(self._venue, working, reason, detail, facts)
            return
        await self._cancellation.cancel(branch_of(working), None, reason, detail, facts=facts)


def _short_of(working: Working, price: Decimal) -> tuple[RejectReason, str]:
    """What an order lacked that could not have all of a trade at ``price``."""
    branch = branch_of(working)
    if branch.reduces and type(working) is not Closing:
        return RejectReason.REDUCE_ONLY, "there is no more than that to close"
    return (
        RejectReason.INSUFFICIENT_FUNDS,
        f"{branch.account} cannot pay for more at {plain(price)}",
    )
