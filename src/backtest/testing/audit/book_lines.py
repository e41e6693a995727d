"""One market as the oracle sees it: its own lines of orders, beside the exchange's book."""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction
from typing import Any

from backtest.actors.venue.branch import Leg
from backtest.actors.venue.position import Closing, branch_of
from backtest.analysis.explain.queues import Place, Queues
from backtest.services.fills.walk import Working

__all__ = ["MARKET_BUY", "MARKET_SELL", "Lines"]

MARKET_BUY, MARKET_SELL = 1 << 62, 0
"""The prices of orders without a limit, which rest in auctions."""


class Lines:
    """One market: its own queues beside the exchange's book."""

    def __init__(self, code: str, book: Any) -> None:
        self.code = code
        self.book = book
        self.queues = Queues()
        self.was_auction = book.phase != "continuous"
        """Whether orders were collected when the last message had been dealt with."""
        self._tick = Fraction(book.pair.price_increment)
        self.lot = Fraction(book.pair.volume_increment)
        self.stops: set[Hashable] = set()
        """Orders whose stop was not reached yet."""
        self.coming: dict[Hashable, list[Any]] = {}
        """Those whose stop was reached now, with the lots that are left of them."""
        self.has_split = False
        """Whether anything was split since the last message had been dealt with."""
        self.moved: set[Hashable] = set()
        """Who went to the end of a line since the last message had been dealt with."""
        self.is_mixed = False
        """Whether in an auction not everybody may get what the uncrossing meant for him."""
        self._gone: set[Hashable] = set()
        self._before: dict[bool, set[Hashable]] = {True: set(), False: set()}
        """Who stood in line when the last message had been dealt with."""

    def ticks(self, price: Any) -> int:
        return int(Fraction(price) / self._tick)

    def lots(self, volume: Any) -> int:
        return int(Fraction(volume) / self.lot)

    def told(self, ticks: int) -> str:
        if ticks in (MARKET_BUY, MARKET_SELL):
            return "the market"
        return format(float(ticks * self._tick), ".12g")

    def look(self) -> None:
        """Note which of the orders to close have left the book by now."""
        there = {_key(resting) for buy in (True, False) for resting in self.book.orders.orders(buy)}
        self._gone = {
            place.key
            for buy in (True, False)
            for place in self.queues.line(buy)
            if type(place.key) is tuple and place.key not in there
        }

    def first(self, met: Place) -> Place:
        """The first in line on the side of who was met, orders to close that have left by now
        passed over: when they did is not on record."""
        for place in self.queues.line(met.buy):
            if place is met or place.key not in self._gone:
                return place
        return met

    def better(self, buy: bool, price: int) -> Place | None:
        """Who stands on a side at a better price than ``price``."""
        for place in self.queues.line(buy):
            if place.price == price or (place.price < price) is buy:
                return None
            if place.key not in self._gone:
                return place
        return None

    def find(self, order: Any, buy: bool, rested: bool, price: int) -> Place | None:
        """The place of the order on that side: its own, or, if it ``rested``, that of an order to
        close its position at the price of the trade: there may be several."""
        if order.branch_id in self.queues:
            place = self.queues.place(order.branch_id)
            if place.buy is buy:
                return place
        if not rested:
            return None  # an order to close that comes in: there may be others of that position
        for place in self.queues.line(buy):
            if (
                type(place.key) is tuple
                and place.key[1] == order.branch_id
                and place.price == price
            ):
                return place
        return None

    def depth(self, buy: bool) -> list[tuple[int, int, int]]:
        """Levels at a price, best first."""
        return [one for one in self.queues.depth(buy) if one[0] not in (MARKET_BUY, MARKET_SELL)]

    def adopt(self, buy: bool) -> str:
        """Compare a side with the book's, and take over what only the book knows; what is wrong."""
        there = list(self.book.orders.orders(buy))
        found = {_key(resting): resting for resting in there}
        own = []
        for place in list(self.queues.line(buy)):
            resting = found.get(place.key)
            if type(place.key) is tuple and resting and resting.volume > place.volume:
                self.queues.leave(place.key)  # what it protects has grown: it came anew
            else:
                own.append(place)
        known = {place.key for place in own}
        wrong = self._misplaced(own, found) or self._out_of_line(own, known, found, buy)
        if wrong:
            return wrong
        for place in own:
            self.queues.leave(place.key)
        for key, resting in found.items():
            self.queues.rest(key, None, buy, resting.price, resting.volume)
        self._before[buy] = set(found)
        return ""

    def _misplaced(self, own: list[Any], found: dict[Hashable, Any]) -> str:
        """Which of our own stands in the book with another price or volume, or not at all."""
        for place in own:
            resting = found.get(place.key)
            if resting is None:
                if type(place.key) is not tuple:
                    return f"order {place.key} should stand at {self.told(place.price)}"
            elif type(place.key) is not tuple and resting.volume != place.volume:
                return f"order {place.key} has {resting.volume} lots there, should {place.volume}"
            elif resting.price != place.price or resting.volume > place.volume:
                return f"order {place.key} is not where it was: {resting!r}"
        return ""

    def _out_of_line(
        self, own: list[Any], known: set[Hashable], found: dict[Hashable, Any], buy: bool
    ) -> str:
        """Who is there that should not be, or stands before one who came first."""
        for key in found:
            if key not in known and type(key) is not tuple:
                return f"order {key} stands there, and is not on record"
        mine = [place.key for place in own if place.key in found]
        theirs = [key for key in found if key in known]
        if mine != theirs:
            return f"the line is {theirs}, should be {mine}"
        jumped: dict[int, Hashable] = {}
        for key, resting in found.items():
            if key not in known:
                if not self.has_split:  # what closes part of a position stands where the whole did
                    jumped.setdefault(resting.price, key)
            elif resting.price in jumped and key in self._before[buy] and key not in self.moved:
                return f"order {jumped[resting.price]} stands before {key}, which was there first"
        return ""


def _key(resting: Any) -> Hashable:
    """An order's branch; of what has no line in the table while it waits, a pair with it."""
    working: Working = resting.key
    if isinstance(working, Closing):
        return ("close", working.branch.id, working.id)
    if isinstance(working, Leg):
        return ("exit", working.branch.id, working.kind)
    return branch_of(working).id
