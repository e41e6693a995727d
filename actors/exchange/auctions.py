"""Auctions: orders are collected whatever they would meet, and dealt at one price."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import NamedTuple

from backtest.actors.kernel.message import ORDER_EVENT
from backtest.actors.venue.position import branch_of
from backtest.actors.venue.venue import Venue
from backtest.errors import RejectReason
from backtest.money import plain
from backtest.services.book.auction import book_equilibrium
from backtest.services.book.book import OrderBook, Resting
from backtest.services.book.matching import gives_way, later_of_crossed
from backtest.services.fills.walk import Working

from .market import MarketBook
from .pending import leaves_of, must_end, passes_protection
from .placement import Placement
from .trades import Dealt, Trades

__all__ = ["Auctions", "HaltEnds"]

End = Callable[[Working, RejectReason, str], Awaitable[None]]
After = Callable[[MarketBook, Dealt, Decimal], Awaitable[None]]


class HaltEnds(NamedTuple):
    """The exchange to itself: a halt is over, unless the session has called another phase."""

    pair: str


class Auctions:
    """Begins auctions, collects what comes, and ends them by uncrossing the book.

    ``end`` cancels an order for a reason; ``after`` does what follows of every trade.
    """

    def __init__(
        self, venue: Venue, placement: Placement, trades: Trades, end: End, after: After
    ) -> None:
        self._venue = venue
        self._placement = placement
        self._trades = trades
        self._end = end
        self._after = after

    def halt(self, book: MarketBook) -> None:
        """A match would be outside the band: collect orders for a while, then uncross."""
        self.begin(book)
        actor, now = self._venue.actor, self._venue.now
        until = now + book.spec.halt_ns
        book.halted.append((now, until))
        book.is_halted = True
        actor.link(actor.name).post_at(until, HaltEnds(book.code), ORDER_EVENT)

    def begin(self, book: MarketBook) -> None:
        """From now on orders are collected, those that found nobody so far among them."""
        book.phase = "auction"
        book.orders.begin_auction()
        unmet, book.unmet = book.unmet, {}
        for working in unmet:
            self.collect(book, working)

    def collect(self, book: MarketBook, working: Working) -> None:
        """Let an order wait in the book, whatever it would meet."""
        owner = self._placement.owner_of(branch_of(working).account)
        lots = book.lots(leaves_of(working))
        if working.is_limit:
            assert working.price is not None
            resting = Resting(working, owner, working.buy, book.ticks(working.price), lots)
        else:
            resting = Resting.market(working, owner, working.buy, lots)
        working.place = resting
        book.orders.add(resting)

    async def uncross(self, book: MarketBook) -> None:
        """Deal all that can be dealt at one price; from then on the market trades continuously.

        Neither side took, so both pay what makers pay. What is left at the market is cancelled;
        what still crosses, as somebody could not pay, comes in anew, one after the other, and then
        what the auction's price has reached.
        """
        orders, last, coming = book.orders, book.last, self._placement.coming
        assert last is not None
        price = book_equilibrium(orders, book.ticks(last)).price
        if price is not None:
            at = book.price_of(price)
            while True:
                # Whoever drops out, the next in line takes the place: nobody is passed over.
                buyer, seller = _first(orders, True), _first(orders, False)
                if buyer is None or seller is None or not seller.price <= price <= buyer.price:
                    break
                await self._deal(book, buyer, seller, at)
            book.set_reference(at)
        book.phase = "continuous"
        reached = list(coming)
        coming.clear()
        for buy in (True, False):
            for resting in [one for one in orders.orders(buy) if one.is_market]:
                working = resting.key
                orders.remove(resting)
                working.place = None
                if must_end(working):
                    coming.append(working)
                else:
                    detail = "the auction left it unmatched"
                    await self._end(working, RejectReason.NO_LIQUIDITY, detail)
        self._take_out_crossed(book)
        orders.resume()
        coming.extend(reached)

    async def _deal(
        self, book: MarketBook, buyer: Resting, seller: Resting, price: Decimal
    ) -> None:
        """One fill of the auction, unless one of the two is gone or must not have it."""
        for resting in (buyer, seller):
            if resting.level is not None and passes_protection(resting.key, price):
                await self._end(
                    resting.key,
                    RejectReason.PROTECTION_PASSED,
                    f"a fill at {plain(price)} would be at or beyond its own "
                    "stop-loss or take-profit",
                )
                self._placement.catch_up()
        if buyer.level is None or seller.level is None:
            return
        if buyer.owner == seller.owner:
            out, comes_anew = gives_way(buyer, seller, lambda one: must_end(one.key))
            if comes_anew:  # both must: one after the other
                book.orders.remove(out)
                out.key.place = None
                self._placement.coming.append(out.key)
                return
            detail = "in the auction it would have traded with an order of its owner"
            await self._end(out.key, RejectReason.SELF_TRADE, detail)
            self._placement.catch_up()
            return
        lots = min(buyer.volume, seller.volume)
        dealt = await self._trades.trade(
            book, buyer.key, seller.key, book.volume_of(lots), price, in_auction=True
        )
        if dealt.volume:
            traded = book.lots(dealt.volume)
            book.orders.take(buyer, traded)
            book.orders.take(seller, traded)
        await self._after(book, dealt, price)

    def _take_out_crossed(self, book: MarketBook) -> None:
        orders = book.orders
        while (later := later_of_crossed(orders)) is not None:
            orders.remove(later)
            later.key.place = None
            self._placement.coming.append(later.key)


def _first(orders: OrderBook, buy: bool) -> Resting | None:
    """Who of that side is met first: at the market, then at the best price."""
    return next(orders.orders(buy), None)
