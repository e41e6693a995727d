"""Placement: what is pending stands where it belongs, in an order book or among the triggers."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors.venue.branch import Branch
from backtest.actors.venue.cross_accounts import Call
from backtest.actors.venue.position import Closing
from backtest.actors.venue.stops import tell_trailed, tell_triggered
from backtest.actors.venue.venue import Venue
from backtest.services.book.book import Resting
from backtest.services.fills.walk import Working, trailed

from .calls import Calls
from .market import MarketBook
from .pending import leaves_of, market_of, workings_of
from .triggers import Trigger

__all__ = ["Placement"]


class Placement:
    """Keeps the order books in line with what is pending.

    What is pending is known to the venue's branches and positions. After whatever changed them
    `catch_up` looks at those that were told of: it withdraws and resizes what stands, lets wait
    what waits for a price, and puts what is to meet somebody into `coming`.
    """

    def __init__(self, venue: Venue, owners: dict[str, int], calls: Calls) -> None:
        self._venue = venue
        self._calls = calls
        self._owners = owners
        """Whose an account is: orders of one owner do not trade with each other."""
        self.coming = calls.coming
        self.touched: dict[MarketBook, None] = {}
        """The markets in which anything has changed."""
        self._placed: dict[Branch, dict[Working, int]] = {}
        """What of each branch has a place, in the book or waiting for a price, and what its place
        in the queue was then."""

    def owner_of(self, account: str) -> int:
        """Whose ``account`` is."""
        return self._owners[account]

    def catch_up(self) -> None:
        """Look at the branches that were told of."""
        publisher, venue = self._venue.publisher, self._venue
        told, publisher.told = publisher.told, []
        seen: dict[Branch, None] = {}
        for branch, children in told or ():
            seen[branch] = None
            for _, order in children:
                child = venue.branch_of.get(order.id.int)
                if child is not None:
                    self._take_over(branch, child)
                    seen[child] = None
        for branch in seen:
            book = market_of(branch)
            self.touched[book] = None
            self._place(book, branch)
            if venue.cross:
                self._calls.touch(branch.account)

    def recover(self) -> None:
        """The venue begins again after a failure: what it was about when it failed comes again."""
        self.coming.clear()
        self._calls.recover()
        branches: dict[Branch, None] = {}
        for book in self._venue.books.values():
            branches.update(dict.fromkeys(book.branches.values()))
            lots = [lot for position in book.positions for lot in position.lots]
            branches.update((lot.branch, None) for lot in lots)
        for branch in branches:
            book = market_of(branch)
            placed = self._placed.get(branch, {})
            for working in [one for one in placed if one.place is None and one not in book.unmet]:
                del placed[working]
            self._place(book, branch)

    def _take_over(self, parent: Branch, child: Branch) -> None:
        """Parts of a split that are as the whole was stand in the book where it stands."""
        book = market_of(parent)
        there = {
            one.sequence: one.place
            for one in self._placed.get(parent, ())
            if type(one.place) is Resting and one.place.level is not None
        }
        for working in workings_of(child):
            anchor = there.get(working.sequence)
            if anchor is not None and anchor.key.price == working.price:
                lots = book.lots(leaves_of(working))
                resting = Resting(working, anchor.owner, anchor.buy, anchor.price, lots)
                book.orders.add_before(resting, anchor)
                working.place = resting
                self._placed.setdefault(child, {})[working] = working.sequence

    def _place(self, book: MarketBook, branch: Branch) -> None:
        """Withdraw what is pending no more, resize what is less, let in what is new."""
        placed = self._placed.get(branch)
        if placed:
            for working, sequence in list(placed.items()):
                # What was accepted anew has lost its place.
                if not working.is_live or working.sequence != sequence:
                    self._withdraw(book, working)
                    del placed[working]
        wanted = workings_of(branch)
        if not wanted:
            self._placed.pop(branch, None)
            return
        if placed is None:
            placed = self._placed[branch] = {}
        for working in wanted:
            if working not in placed:
                placed[working] = working.sequence
                self._enter(book, working)
            else:
                self._adjust(book, working)

    def _adjust(self, book: MarketBook, working: Working) -> None:
        """What has a place may be less by now, or wait for another price."""
        place = working.place
        if type(place) is Resting:
            lots = book.lots(leaves_of(working))
            if lots < place.volume:
                book.orders.reduce(place, lots)
            elif lots > place.volume and type(working) is Closing:
                # What it protects has grown: it comes anew, behind those that are there.
                book.orders.remove(place)
                working.place = None
                self.coming.append(working)
        elif type(place) is Trigger and place.price != working.price:
            # A margin that had to pay brings the liquidation nearer: it may be here already.
            book.triggers.withdraw(working)
            book.triggers.wait(working)
            if book.last is not None and book.phase == "continuous":
                self.fire(book, book.last)

    def _enter(self, book: MarketBook, working: Working) -> None:
        """Something new: it waits for its price, or comes to the book."""
        if working.triggered or working.kind in ("market", "limit"):
            self.coming.append(working)
            return
        book.triggers.wait(working)
        if working.kind == "trailing_stop":
            book.trailing[working] = None
        last = book.last
        if last is not None and book.phase == "continuous":
            self.fire(book, last)

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

    def mark(self, book: MarketBook, price: Decimal) -> None:
        """A trade was made at ``price``: it is the mark, and what waits for it comes."""
        book.last = self._venue.valuation.prices[book.code] = price
        for working in list(book.trailing):
            self._trail(book, working, price)
        self.fire(book, price)
        if self._calls.near:
            self._calls.moved(book)

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

    def fire(self, book: MarketBook, price: Decimal) -> None:
        """What the price has reached waits no more."""
        for working in book.triggers.fire(price):
            if type(working) is Call:
                self.coming.append(working)
                continue
            if not working.is_live:
                continue
            book.trailing.pop(working, None)
            if working.kind == "stop_limit":
                working.to_limit()
            else:
                working.triggered = True
            tell_triggered(self._venue, working)
            self.coming.append(working)
