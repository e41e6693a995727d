"""Matching: what comes into an order book meets what is there, or rests."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from backtest.errors import RejectReason
from backtest.models import Instructions
from backtest.money import ZERO
from backtest.services.auction import uncross
from backtest.services.fills import Working, protection_passed, trailed
from backtest.services.order_book import Resting, SelfTrade
from backtest.services.time_in_force import ended_because

from .branch import Branch, Closing
from .cancellation import Cancellation
from .holdings import drop_closing
from .market_book import MarketBook, is_live
from .message import ORDER_EVENT
from .publication import Publication
from .session import Phase, PhaseName
from .stops import tell_trailed, tell_triggered
from .trade_desk import Dealt, TradeDesk
from .triggers import Trigger
from .venue import Venue

__all__ = ["Matching"]


class Matching:
    """Brings the order book of a market in line with what is pending, and lets orders meet.

    What is pending is known to the venue's branches and positions; after whatever changed them
    `settle` looks at those that were told of, withdraws and resizes what is in the book, and takes
    in what is new, in the order of acceptance, until nothing moves any more.
    """

    def __init__(
        self,
        venue: Venue,
        cancellation: Cancellation,
        trades: TradeDesk,
        publication: Publication,
        owners: dict[str, int],
    ) -> None:
        self._venue = venue
        self._cancellation = cancellation
        self._trades = trades
        self._publication = publication
        self._owners = owners
        """Whose an account is: orders of one owner do not trade with each other."""
        self._coming: deque[Working] = deque()
        self._placed: dict[Branch, dict[Working, None]] = {}
        """What of each branch has a place: in the book, or waiting for a price."""
        self._touched: dict[MarketBook, None] = {}

    # -- keeping up --------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Everything that was told of has its consequences in the books, until nothing follows."""
        herald, coming, touched = self._venue.herald, self._coming, self._touched
        while herald.told or coming:
            if herald.told:
                self._catch_up()
                continue
            working = coming.popleft()
            if is_live(working):
                await self._take_in(_book(working), working)
        for book in touched:
            book.waiting.clear()
            self._publication.flush(book)
        touched.clear()
        herald.release()

    def _catch_up(self) -> None:
        """Look at the branches that were told of."""
        herald, venue = self._venue.herald, self._venue
        told, herald.told = herald.told, []
        seen: dict[Branch, None] = {}
        for branch, children in told or ():
            seen[branch] = None
            for _, order in children:
                child = venue.branch_of.get(order.id.int)
                if child is not None:
                    self._take_over(branch, child)
                    seen[child] = None
        for branch in seen:
            book = _book_of(branch)
            self._touched[book] = None
            self._place(book, branch)

    def _take_over(self, parent: Branch, child: Branch) -> None:
        """Parts of a split that are as the whole was stand in the book where it stands."""
        book = _book_of(parent)
        there = {
            one.sequence: one.place
            for one in self._placed.get(parent, ())
            if type(one.place) is Resting and one.place.level is not None
        }
        for working in _workings(child):
            anchor = there.get(working.sequence)
            if anchor is not None and anchor.key.price == working.price:
                lots = book.lots(_leaves(working))
                resting = Resting(working, anchor.owner, anchor.buy, anchor.price, lots)
                book.orders.add_before(resting, anchor)
                working.place = resting
                self._placed.setdefault(child, {})[working] = None

    def _place(self, book: MarketBook, branch: Branch) -> None:
        """Withdraw what is pending no more, resize what is less, let in what is new."""
        placed = self._placed.get(branch)
        if placed:
            for working in [one for one in placed if not is_live(one)]:
                self._withdraw(book, working)
                del placed[working]
        wanted = _workings(branch)
        if not wanted:
            self._placed.pop(branch, None)
            return
        if placed is None:
            placed = self._placed[branch] = {}
        for working in wanted:
            if working not in placed:
                placed[working] = None
                self._enter(book, working)
                continue
            place = working.place
            if type(place) is Resting:
                lots = book.lots(_leaves(working))
                if lots < place.volume:
                    book.orders.reduce(place, lots)
            elif type(place) is Trigger and place.price != working.price:
                # A margin that had to pay brings the liquidation nearer: it may be here already.
                book.triggers.withdraw(working)
                book.triggers.wait(working)
                if book.last is not None and book.phase == "continuous":
                    self._fire(book, book.last)

    def _enter(self, book: MarketBook, working: Working) -> None:
        """Something new: it waits for its price, or comes to the book."""
        if working.triggered or working.kind in ("market", "limit"):
            self._coming.append(working)
            return
        book.triggers.wait(working)
        if working.kind == "trailing_stop":
            book.trailing[working] = None
        last = book.last
        if last is not None and book.phase == "continuous":
            self._fire(book, last)

    def _withdraw(self, book: MarketBook, working: Working) -> None:
        place = working.place
        if type(place) is Resting:
            if place.level is not None:
                book.orders.remove(place)
            working.place = None
        elif type(place) is Trigger:
            book.triggers.withdraw(working)
        book.unmet.pop(working, None)
        book.trailing.pop(working, None)

    # -- coming in ---------------------------------------------------------------------------------

    async def _take_in(self, book: MarketBook, working: Working) -> None:
        """Match what comes in; what is left of it rests, waits or is cancelled."""
        if book.phase != "continuous":
            if working.terms is not None and working.terms.immediate:
                await self._end(working, *ended_because(_instructions(working), ZERO))
            else:
                self._collect(book, working)
            return
        limit = None
        if _is_limit(working):
            assert working.price is not None
            limit = book.ticks(working.price)
        if working.terms is not None and working.terms.whole:
            lots = book.lots(_leaves(working))
            there = self._there(book, working, limit, lots)
            if there < lots:
                working.lacked = book.volume_of(there)
                await self._end(working, *ended_because(_instructions(working), working.lacked))
                return
        if not await self._meet(book, working, limit):
            return
        if not is_live(working) or book.phase != "continuous":
            if is_live(working):
                self._collect(book, working)
            return
        if working.terms is not None and working.terms.immediate:
            await self._end(working, *ended_because(_instructions(working)))
        elif limit is not None:
            resting = Resting(
                working, self._owner(working), working.buy, limit, book.lots(_leaves(working))
            )
            working.place = resting
            working.fresh = False
            book.orders.add(resting)
            if book.unmet:
                self._call(book, not working.buy)
        elif _waits(working):
            working.place = None
            book.unmet[working] = None
        else:
            await self._end(
                working, RejectReason.NO_LIQUIDITY, "there is nothing more in the book to meet"
            )

    def _call(self, book: MarketBook, buy: bool) -> None:
        """There is somebody to meet: those on that side that found nobody come again."""
        for working in [one for one in book.unmet if one.buy is buy]:
            del book.unmet[working]
            self._coming.append(working)

    def _there(self, book: MarketBook, working: Working, limit: int | None, cap: int) -> int:
        """How much the order could take, its owner's own orders left out."""
        owner, there = self._owner(working), 0
        for level in book.orders.levels(not working.buy):
            if limit is not None and (level.price > limit if working.buy else level.price < limit):
                break
            for resting in level:
                if resting.owner != owner:
                    there += resting.volume
            if there >= cap:
                return cap
        return there

    async def _meet(self, book: MarketBook, working: Working, limit: int | None) -> bool:
        """Let it meet the other side, best price first, first come first; False when that ended
        it."""
        buy, orders = working.buy, book.orders
        owner = self._owner(working)
        while is_live(working):
            front = orders.front(not buy)
            if front is None:
                return True
            ticks = front.price
            if limit is not None and (ticks > limit if buy else ticks < limit):
                return True
            maker: Working = front.key
            price = maker.price
            assert price is not None
            if book.band is not None and not book.band[0] <= price <= book.band[1]:
                self._halt(book)
                return True
            if front.owner == owner:
                if not await self._prevent(book, working, front):
                    return False
                continue
            if _passes_protection(working, price):
                await self._end(
                    working,
                    RejectReason.PROTECTION_PASSED,
                    f"a fill at {price} would be at or beyond its own stop-loss or take-profit",
                )
                return False
            lots = min(book.lots(_leaves(working)), front.volume)
            dealt = await self._trades.trade(book, working, maker, book.volume_of(lots), price)
            if dealt.volume:
                traded = lots if dealt.volume == lots else book.lots(dealt.volume)
                orders.take(front, traded)
            await self._after(book, working, dealt, price)
        return False

    async def _after(self, book: MarketBook, taker: Working, dealt: Dealt, price: Decimal) -> None:
        """What follows of a trade: who could not pay is out, the price is news, stops fire."""
        for working in dealt.short:
            if is_live(working):
                await self._end(
                    working,
                    RejectReason.INSUFFICIENT_FUNDS,
                    f"{_branch(working).account} cannot pay for more at {price}",
                )
        if dealt.trade is not None:
            self._publication.trade(book, dealt.trade)
            self._mark(book, price)
        # The one that is matching goes on; the rest of what was told of is caught up with now, so
        # that no order is met that is gone.
        self._catch_up()

    def _mark(self, book: MarketBook, price: Decimal) -> None:
        """A trade was made at ``price``: it is the mark, and what waits for it comes."""
        book.last = self._venue.valuation.prices[book.code] = price
        for working in list(book.trailing):
            self._trail(book, working, price)
        self._fire(book, price)

    def _trail(self, book: MarketBook, working: Working, price: Decimal) -> None:
        """A trailing stop follows the price, and never goes back."""
        terms, before = working.terms, working.price
        assert terms is not None
        assert before is not None
        level = trailed(working.buy, price, terms, book.pair.price_increment)
        if level >= before if working.buy else level <= before:
            return
        working.price = level
        book.triggers.withdraw(working)
        book.triggers.wait(working)
        tell_trailed(self._venue, working)

    def _fire(self, book: MarketBook, price: Decimal) -> None:
        """What the price has reached waits no more."""
        for working in book.triggers.fire(price):
            if not is_live(working):
                continue
            book.trailing.pop(working, None)
            if working.kind == "stop_limit":
                working.to_limit()
            else:
                working.triggered = True
            tell_triggered(self._venue, working)
            self._coming.append(working)

    # -- what is not to be -------------------------------------------------------------------------

    async def _prevent(self, book: MarketBook, working: Working, front: Resting) -> bool:
        """The two are one owner's: cancel one or both; False when the incoming one is gone."""
        mode = SelfTrade.CANCEL_OLDEST if _waits(working) else book.self_trade
        if mode is not SelfTrade.CANCEL_NEWEST:
            await self._end(
                front.key, RejectReason.SELF_TRADE, "it would have traded with a newer order"
            )
            self._catch_up()
        if mode is not SelfTrade.CANCEL_OLDEST:
            await self._end(
                working, RejectReason.SELF_TRADE, "it would have traded with an order of its owner"
            )
            return False
        return True

    async def _end(self, working: Working, reason: RejectReason, detail: str) -> None:
        """Nothing more comes of it: cancel an order, drop a close."""
        key = working.key
        if type(key) is Closing:
            drop_closing(self._venue, key, reason, detail)
            return
        await self._cancellation.cancel(key, None, reason, detail)

    # -- auctions and halts ------------------------------------------------------------------------

    def _halt(self, book: MarketBook) -> None:
        """A match would be outside the band: collect orders for a while, then uncross."""
        self.begin_auction(book)
        actor, now = self._venue.actor, self._venue.now
        until = now + book.spec.halt_ns
        book.halted.append((now, until))
        actor.link(actor.name).post_at(until, Phase(book.code, "continuous"), ORDER_EVENT)

    async def change_phase(self, book: MarketBook, phase: PhaseName) -> None:
        """From now on ``book`` trades like this; an auction that ends is uncrossed first."""
        self._touched[book] = None
        if phase == "auction":
            self.begin_auction(book)
        elif book.phase == "auction":
            await self.uncross(book, closes=phase == "closed")
        else:
            book.phase = phase

    def begin_auction(self, book: MarketBook) -> None:
        """From now on orders are collected."""
        book.phase = "auction"
        book.orders.begin_auction()

    def _collect(self, book: MarketBook, working: Working) -> None:
        """In an auction an order waits in the book, whatever it would meet."""
        owner, lots = self._owner(working), book.lots(_leaves(working))
        if _is_limit(working):
            assert working.price is not None
            resting = Resting(working, owner, working.buy, book.ticks(working.price), lots)
        else:
            resting = Resting.market(working, owner, working.buy, lots)
        working.place = resting
        book.orders.add(resting)

    async def uncross(self, book: MarketBook, *, closes: bool) -> None:
        """End an auction: all that can be dealt is dealt at one price; then trade on, or close."""
        orders = book.orders
        last = book.last
        assert last is not None
        price, _, fills = uncross(orders.orders(True), orders.orders(False), book.ticks(last))
        if price is not None:
            at = book.price_of(price)
            for buyer, seller, lots in fills:
                if buyer.level is None or seller.level is None:
                    continue  # one of them could not pay
                dealt = await self._trades.trade(
                    book, buyer.key, seller.key, book.volume_of(lots), at
                )
                if dealt.volume:
                    traded = book.lots(dealt.volume)
                    orders.take(buyer, traded)
                    orders.take(seller, traded)
                await self._after(book, buyer.key, dealt, at)
            book.set_reference(at)
        book.phase = "closed" if closes else "continuous"
        # What is left at the market found nobody, and what could not pay may leave a cross behind.
        for buy in (True, False):
            for resting in list(orders.orders(buy)):
                if resting.is_market:
                    working = resting.key
                    orders.remove(resting)
                    working.place = None
                    if _waits(working):
                        book.unmet[working] = None
                    else:
                        await self._end(
                            working, RejectReason.NO_LIQUIDITY, "the auction left it unmatched"
                        )
        self._uncross_leftovers(book)
        orders.resume()
        for working in list(book.unmet):
            self._call(book, working.buy)

    def _uncross_leftovers(self, book: MarketBook) -> None:
        """Orders that still cross (as somebody could not pay) come in anew, one after the other."""
        orders = book.orders
        while True:
            bid, ask = orders.front(True), orders.front(False)
            if bid is None or ask is None or bid.price < ask.price:
                return
            later = bid if bid.sequence > ask.sequence else ask
            orders.remove(later)
            later.key.place = None
            self._coming.append(later.key)

    # -- whose -------------------------------------------------------------------------------------

    def _owner(self, working: Working) -> int:
        return self._owners[_branch(working).account]


def _book(working: Working) -> MarketBook:
    return _book_of(_branch(working))


def _book_of(branch: Branch) -> MarketBook:
    book = branch.book
    assert isinstance(book, MarketBook)
    return book


def _branch(working: Working) -> Branch:
    key = working.key
    return key.holding.branch if type(key) is Closing else key


def _leaves(working: Working) -> Decimal:
    """What is left of it: a close is never for more than the position holds."""
    key = working.key
    if type(key) is Closing:
        part = key.holding.part
        return part.volume if working.kind == "liquidation" else min(working.volume, part.volume)
    return working.volume


def _workings(branch: Branch) -> list[Working]:
    """All that is pending of a branch: its order, the legs of its exit, closes of its positions."""
    found: list[Working] = []
    if branch.order is not None:
        found += [branch.working] if branch.part is None else branch.part.exits
    for holding in branch.holdings:
        found += [closing.working for closing in holding.closings]
    return found


def _is_limit(working: Working) -> bool:
    """Whether it has a limit now: a stop that was reached has none."""
    return working.is_limit


def _waits(working: Working) -> bool:
    """Whether it must not end for want of somebody to meet."""
    return working.kind in ("liquidation", "stop_loss")


def _instructions(working: Working) -> Instructions:
    order = _branch(working).order
    assert order is not None
    return order.instructions


def _passes_protection(working: Working, price: Decimal) -> bool:
    """Whether an entry would fill at or beyond its own stop-loss or take-profit."""
    key = working.key
    if type(key) is Closing or key.part is not None:
        return False
    order = key.order
    if order.stop_loss is None and order.take_profit is None:
        return False
    if key.spot and not working.buy:
        return False
    return protection_passed(working.buy, price, order.stop_loss, order.take_profit)
