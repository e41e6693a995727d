"""What the oracle asks of order books (I23, I24, I25), by a book of its own.

It writes up who stands in line from the record of order events and the tape of trades alone
(`backtest.analysis.explain.queues`), and compares that with the exchange's book after each message.

* I23 who is met was first in line: better price, then earlier; nobody meets his own order; a trade
  is at the price of the one who rested, and at nobody's worse than his limit
* I24 the book is what the record says: the same orders in the same places, levels that are the sum
  of their orders; never crossed while trading goes on
* I25 the updates of the depth, applied to the snapshot, are the book as it was then

Orders to close a position, and the exits of brackets, have no line in the table of orders while
they wait: of these it takes the exchange's word for what rests, and holds it to their places.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from decimal import Decimal
from typing import Any, NoReturn
from uuid import UUID

from backtest.actors.kernel.message import Envelope
from backtest.analysis.explain.queues import OutOfLine, Place
from backtest.models import Depth, DepthUpdate

from .book_lines import MARKET_BUY, MARKET_SELL, Lines

__all__ = ["BookAudit"]

_GONE = frozenset(("SELF_TRADE", "INSUFFICIENT_FUNDS", "PROTECTION_PASSED"))
"""Why an order may drop out of an auction's trades, which are settled on before."""
_STOPS = frozenset({"limit", "stop", "trailing_stop"})
"""What was reached of an order, or is in force from then on; of a position it is a stop-loss."""

Side = list[tuple[int, int, int]]


class BookAudit:
    """Follows the books of ``exchange``; ``fail`` is called with an invariant and a problem."""

    def __init__(self, exchange: Any, fail: Callable[[str, str], NoReturn]) -> None:
        self.trades = 0
        """How many trades were looked at."""
        self._exchange = exchange
        self._records = exchange.venue.records
        self._fail = fail
        self._books = {code: Lines(code, book) for code, book in exchange.venue.books.items()}
        self._owners: dict[UUID, Hashable] = _owners(exchange)
        self._events = 0
        self._whole: set[Hashable] = set()
        """Orders that fill whole or not at all, and have begun to."""
        self._dealt_with = 0
        """The message of which the last event told."""
        self._places: dict[UUID, int] = {}
        """Where each order stands in the table of orders."""
        self._told: dict[tuple[str, str], tuple[int, dict[bool, dict[int, tuple[int, int]]]]] = {}
        """By reader and pair: the depth as its updates build it."""
        self._depths: dict[str, dict[int, tuple[Side, Side]]] = {code: {} for code in self._books}
        """By pair, the depth as it was at each update."""

    # -- what is told of the depth -----------------------------------------------------------------

    def saw(self, message: Envelope) -> None:
        """A message is delivered: perhaps it tells a reader of the depth."""
        news = message.payload
        if type(news) is Depth:
            if message.reply is None:
                self._snapshot(message.channel.target.name, news)
        elif type(news) is DepthUpdate:
            self._update(message.channel.target.name, news)

    def _snapshot(self, reader: str, depth: Depth) -> None:
        lines = self._books[depth.pair]
        sides: dict[bool, dict[int, tuple[int, int]]] = {}
        for buy, levels in ((True, depth.bids), (False, depth.asks)):
            sides[buy] = {
                lines.ticks(one.price): (lines.lots(one.volume), one.orders) for one in levels
            }
        self._told[reader, depth.pair] = depth.sequence, sides
        self._compare(reader, depth.pair)

    def _update(self, reader: str, update: DepthUpdate) -> None:
        lines = self._books[update.pair]
        known = self._told.get((reader, update.pair))
        if known is None:
            return
        sequence, sides = known
        if update.sequence <= sequence:
            return
        if update.sequence != sequence + 1:
            self._fail("I25", f"{reader} is told update {update.sequence} after {sequence}")
        for buy, price, volume, orders in update.changes:
            if volume:
                sides[buy][lines.ticks(price)] = lines.lots(volume), orders
            else:
                sides[buy].pop(lines.ticks(price), None)
        self._told[reader, update.pair] = update.sequence, sides
        self._compare(reader, update.pair)

    def _compare(self, reader: str, code: str) -> None:
        sequence, sides = self._told[reader, code]
        there = self._depths[code].get(sequence)
        if there is None:
            return
        built = tuple(
            [(price, *sides[buy][price]) for price in sorted(sides[buy], reverse=buy)]
            for buy in (True, False)
        )
        if built != there:
            self._fail("I25", f"{reader} has built {built} of {code}, at {sequence} it was {there}")

    # -- what is on record -------------------------------------------------------------------------

    def check(self, whole: bool = True) -> None:
        """Follow what was recorded since, and compare the books with what that makes of them.

        Not ``whole``: where nothing was recorded nothing is looked at, and of the others only the
        books that it concerns.
        """
        events = self._records.events
        new = events[self._events :]
        if not (whole or new or self.trades < len(self._exchange.trades_log)):
            return
        concerned = self._books
        if not whole:
            orders = self._records.orders
            codes = {
                orders[one.order_number - 1].trading_pair_code for one in new if one.order_number
            }
            concerned = {code: lines for code, lines in self._books.items() if code in codes}
        try:
            self._follow()
        except OutOfLine as problem:
            self._fail("I23", str(problem))
        for code, lines in concerned.items():
            self._check_book(lines)
            if self._exchange._matching.has_failed:
                continue  # it puts its books in order with the next message
            sequence = self._exchange.publication.depth(lines.book, 1).sequence
            self._depths[code][sequence] = (list(lines.depth(True)), list(lines.depth(False)))

    def _follow(self) -> None:
        events, tape = self._records.events, self._exchange.trades_log
        orders = self._records.orders
        for place in range(len(self._places), len(orders)):
            self._places[orders[place].id] = place
        for lines in self._books.values():
            lines.look()
        for event in events[self._events :]:
            if event.order_number and event.reason is not None and event.reason.name in _GONE:
                code = orders[event.order_number - 1].trading_pair_code
                self._books[code].is_mixed = True
        while self._events < len(events):
            event = events[self._events]
            self._events += 1
            if event.message != self._dealt_with:
                self._dealt_with = event.message
                for lines in self._books.values():
                    self._come(lines, None)
            if event.entry:
                self._trades_to(event.entry)
            if event.order_number:
                self._happened(event, orders[event.order_number - 1])
        if self.trades < len(tape):
            self._trades_to(tape[-1].entry)
        for lines in self._books.values():
            self._come(lines, None)

    def _happened(self, event: Any, order: Any) -> None:
        lines = self._books[order.trading_pair_code]
        if getattr(order, "entry_order_id", None) is not None:
            return
        key, kind = order.branch_id, event.kind.name
        if kind == "ACCEPTED":
            if order.stop_price is None and not order.instructions.is_trailing:
                self._rest(lines, order, event.volume)
            else:
                lines.stops.add(key)
        elif kind == "TRIGGERED":
            if key in lines.stops and event.facts.condition in _STOPS:
                lines.stops.remove(key)
                # It comes in once what made that price is done; so far it may have traded, though.
                lines.coming[key] = [order, lines.lots(event.volume)]
        elif kind in ("FILLED", "NETTED"):
            if order.instructions.time_in_force.name == "FOK":
                self._whole.add(key)
        elif kind == "CANCELLED":
            self._cancelled(lines, key, event.volume)
        elif kind == "MODIFIED":
            self._modified(lines, order, event.volume, event.facts.keeps_place)
        elif kind == "SPLIT":
            lines.has_split = True
            if order.fill_price is None:
                self._split(lines, order, event.facts.parts)

    def _cancelled(self, lines: Lines, key: Any, volume: Any) -> None:
        """What is left of order ``key`` stands there no more."""
        if key in self._whole:
            self._fail("I23", f"order {key} is fill-or-kill, and filled in part")
        if key in lines.coming:
            lines.coming[key][1] -= lines.lots(volume)
        elif key in lines.queues:
            lines.queues.reduce(key, lines.lots(volume))

    def _split(self, lines: Lines, order: Any, volumes: Sequence[Decimal]) -> None:
        """Parts of a pending order have its place, those with other prices go to the end."""
        key = order.branch_id
        parts = [
            one for one in self._records.orders[order.order_number :] if one.parent_id == order.id
        ]
        if key in lines.stops:
            lines.stops.update(one.branch_id for one in parts)
        if key not in lines.queues:
            return
        price = lines.queues.place(key).price
        stay: dict[Hashable, int] = {}
        moved = []
        for part, volume in zip(parts, volumes, strict=True):
            if part.limit_price is None or lines.ticks(part.limit_price) == price:
                stay[part.branch_id] = lines.lots(volume)
                lines.moved.add(part.branch_id)
            else:
                moved.append((part, volume))
        lines.queues.divide(key, stay)
        for part, volume in moved:
            self._rest(lines, part, volume)

    def _modified(self, lines: Lines, order: Any, volume: Any, keeps_place: bool | None) -> None:
        """A decrease keeps its place, anything else goes to the end of the line."""
        key = order.branch_id
        parent = self._records.orders[self._places[order.parent_id]]
        if key not in lines.queues or parent.fill_price is not None:
            return  # it waits for its stop; or it is a position, beside what is left of its order
        lots = lines.lots(volume)
        place = lines.queues.place(key)
        if not keeps_place:
            lines.queues.leave(key)
            self._rest(lines, order, volume)
            return
        for name in ("limit_price", "stop_price", "stop_loss", "take_profit", "instructions"):
            if getattr(order, name, None) != getattr(parent, name, None):
                self._fail("I23", f"order {order.id} keeps its place with another {name}")
        if lots > place.volume:
            self._fail("I23", f"order {order.id} keeps its place and grows to {volume}")
        if lots < place.volume:
            lines.queues.reduce(key, place.volume - lots)

    def _come(self, lines: Lines, last: Hashable) -> None:
        """Stops that were reached rest with what is left; up to ``last``, if any."""
        while lines.coming and (last is None or last in lines.coming):
            key = next(iter(lines.coming))
            order, lots = lines.coming.pop(key)
            if lots > 0:
                self._rest(lines, order, lots * lines.lot)

    def _rest(self, lines: Lines, order: Any, volume: Any) -> None:
        buy = order.direction.sign > 0
        price = MARKET_BUY if buy else MARKET_SELL
        if order.limit_price is not None:
            price = lines.ticks(order.limit_price)
        lines.moved.add(order.branch_id)
        lines.queues.rest(order.branch_id, None, buy, price, lines.lots(volume))

    # -- trades ------------------------------------------------------------------------------------

    def _trades_to(self, entry: int) -> None:
        tape = self._exchange.trades_log
        while self.trades < len(tape) and tape[self.trades].entry <= entry:
            trade = tape[self.trades]
            self.trades += 1
            self._traded(self._books[trade.pair], trade)

    def _traded(self, lines: Lines, trade: Any) -> None:
        price, lots = lines.ticks(trade.price), lines.lots(trade.volume)
        buyer, seller = self._owner(trade.buyer_order), self._owner(trade.seller_order)
        if buyer == seller and not lines.was_auction:
            self._fail("I23", f"{trade.buyer} trades with itself at {trade.price}")
        for buy, order_id, aggressor in (
            (True, trade.buyer_order, "buy"),
            (False, trade.seller_order, "sell"),
        ):
            order = self._records.orders[self._places[order_id]]
            rested = lines.was_auction or trade.aggressor not in (None, aggressor)
            if order.branch_id in lines.coming:
                if rested:
                    self._come(lines, order.branch_id)
                else:
                    lines.coming[order.branch_id][1] -= lots
            place = lines.find(order, buy, rested, price)
            if place is not None:
                beyond = price > place.price if buy else price < place.price
                if beyond:
                    self._fail(
                        "I23",
                        f"order {order_id} has the limit {lines.told(place.price)} and traded at "
                        f"{trade.price}",
                    )
            if rested:
                self._met(lines, trade, order, buy, place)
            if place is not None:
                lines.queues.reduce(place.key, min(lots, place.volume))

    def _met(self, lines: Lines, trade: Any, order: Any, buy: bool, place: Place | None) -> None:
        """The one who was met was first in line, at the price of the trade."""
        if place is None:
            is_exit = getattr(order, "entry_order_id", None) is not None
            if buy is (order.direction.sign > 0) and not is_exit:
                self._fail("I23", f"order {order.id} was met, and did not stand in line")
            if lines.was_auction:
                return  # an order to close, dealt at another price than its own
            # An order to close that came to rest while this message was dealt with.
            better = lines.better(buy, lines.ticks(trade.price))
            if better is not None:
                self._fail(
                    "I23", f"order {order.id} was met at {trade.price}, {better.key} was better"
                )
            return
        first = lines.first(place)
        if first is not place:
            if lines.was_auction and lines.is_mixed:
                return  # whom it should have met was gone, or had less to close than it waited for
            self._fail(
                "I23",
                f"order {order.id} at {lines.told(place.price)} was met at {trade.price}, and "
                f"{first.key} at {lines.told(first.price)} stood before it",
            )
        if not lines.was_auction and place.price != lines.ticks(trade.price):
            self._fail(
                "I23", f"order {order.id} rests at {lines.told(place.price)}, met at {trade.price}"
            )

    def _owner(self, order_id: UUID) -> Hashable:
        order = self._records.orders[self._places[order_id]]
        return self._owners[order.account_id]

    # -- the book ----------------------------------------------------------------------------------

    def _check_book(self, lines: Lines) -> None:
        book, code = lines.book, lines.code
        orders = book.orders
        if book.phase == "continuous":
            bid, ask = orders.best_bid, orders.best_ask
            if bid is not None and ask is not None and bid >= ask:
                self._fail("I24", f"{code} is crossed: bid {bid}, ask {ask}")
        lines.was_auction = book.phase != "continuous"
        for buy in (True, False):
            for level in orders.levels(buy):
                volume = sum(one.volume for one in level)
                if level.volume != volume or level.count != len(level.orders):
                    self._fail(
                        "I24",
                        f"{code}: level {level.price} has {level.volume} in {level.count}, its "
                        f"orders {volume} in {len(level.orders)}",
                    )
            failed = self._exchange._matching.has_failed
            problem = "" if failed else lines.adopt(buy)
            if problem:
                self._fail("I24", f"{code}: {problem}")
        lines.moved.clear()
        lines.has_split = False


def _owners(exchange: Any) -> dict[UUID, Hashable]:
    """Whose an account is: those of agents that share one are one's."""
    owners: dict[UUID, Hashable] = {}
    for name, (_, accounts) in exchange._agents.items():
        ids = [account.account_id for account in accounts]
        merged = {owners[one] for one in ids if one in owners}
        for one in ids:
            owners[one] = name
        for one, owner in owners.items():
            if owner in merged:
                owners[one] = name
    return owners
