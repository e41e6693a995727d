"""What the oracle asks of fills against quotes, those that come and those that stand (I15, I16)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import Any, NoReturn
from uuid import UUID

from attrs import define, field

from backtest.actors import EventKind
from backtest.models import Quote

__all__ = ["QuoteAudit"]

_FEED = "market-data"
_FILLS = frozenset((EventKind.FILLED, EventKind.CLOSED, EventKind.LIQUIDATED))
"""Each comes with one fill, in the same order."""
_BEGINS = frozenset(
    (EventKind.ACCEPTED, EventKind.MODIFIED, EventKind.SPLIT, EventKind.CLOSING, EventKind.CHARGED)
)
"""What lets something meet the quote that stands."""


@define
class _Quoted:
    """What is known of a pair that is quoted."""

    quote: Quote
    is_over: bool = False
    """Whether a bar or a trade has opened after the quote."""
    had: dict[bool, Fraction] = field(factory=lambda: {True: Fraction(0), False: Fraction(0)})
    """What was bought of it, and what was sold."""


class QuoteAudit:
    """Follows the quotes of ``broker``'s venue, and what its records say was had of them.

    It counts by the venue's own numbers of market events: what the venue was not given yet is no
    part of anything. ``orders`` gives an order's last state by its id.
    """

    def __init__(
        self,
        broker: Any,
        orders: Callable[[UUID], Any],
        fail: Callable[[str, str], NoReturn],
    ) -> None:
        self._broker = broker
        self._venue = broker.venue
        self._orders = orders
        self._fail = fail
        self._market: list[Any] = []
        """Every market event that was delivered."""
        self._quotes: dict[str, _Quoted] = {}
        self._read = self._told = self._fills = 0
        """How many market events, records of events and fills were looked at."""
        self._begun: dict[UUID, tuple[int, int]] = {}
        """By root: the message by which something was last accepted or changed, and when."""
        self._task: Any = None
        """A venue that has failed and begun anew is looked at no more: nobody knows what of the
        market it never took up."""
        self._forced: set[UUID] = set()
        """Sales of collateral, when an account is called: of whatever size there is."""

    def saw(self, event: Any) -> None:
        """A market event is delivered to the venue."""
        self._market.append(event)

    def check(self) -> None:
        """Look at what is new in the venue's records."""
        records = self._venue.records
        new: list[Any] = []
        task = self._broker.fiber.task
        self._task = self._task or task
        if task is not self._task:
            return
        while self._told < len(records.events):
            event = records.events[self._told]
            self._told += 1
            self._fold(event.market_event)
            order = records.orders[event.order_number - 1] if event.order_number else None
            if order is not None and event.kind in _BEGINS:
                self._begun[order.root_id] = event.message, event.time
                new.append(event)
                if event.facts.condition == "collateral":
                    self._forced.add(order.root_id)
            if event.kind in _FILLS:
                fill = records.fills[self._fills]
                self._fills += 1
                if fill.point in ("bid", "ask"):
                    self._check(fill, order, event)
        handled = self._broker.bars + self._broker.ticks
        self._fold(handled)
        if handled == len(self._market):
            for event in new:
                if event.market_event == handled and event.sender != _FEED:
                    self._check_met(event)

    def _fold(self, number: int) -> None:
        """Take note of the market events up to the one of this number."""
        while self._read < number:
            event = self._market[self._read]
            self._read += 1
            if type(event) is Quote:
                self._quotes[event.pair] = _Quoted(event)
            elif event.pair in self._quotes:
                known = self._quotes[event.pair]
                known.is_over = known.is_over or event.open_ns > known.quote.time_ns

    # -- a fill ------------------------------------------------------------------------------------

    def _check(self, fill: Any, order: Any, event: Any) -> None:
        """It is of the last quote: on its side, at its price, within its size."""
        known, buys = self._quotes.get(fill.pair), fill.direction.sign > 0
        if known is None or known.quote.time_ns != fill.bar_open_ns:
            self._fail("I15", f"{_told(fill)} is of {fill.bar_open_ns}, the last quote is {known}")
        if fill.point != ("ask" if buys else "bid"):
            self._fail("I15", f"{_told(fill)} is at the {fill.point}")
        if fill.root_id in self._forced:
            return
        book = self._venue.books[fill.pair]
        if book.rules.fills is None:
            self._check_price(fill, order, book, known.quote)
        if fill.kind == "liquidation":
            return
        if event.sender != _FEED:
            self._check_standing(fill, event, book, known)
        known.had[buys] += Fraction(fill.volume)
        most = _size(known.quote, buys, book)
        if most is not None and known.had[buys] > most:
            self._fail(
                "I16",
                f"{_told(fill)}: {float(known.had[buys])} of {known.quote} filled, "
                f"{float(most)} was there",
            )

    def _check_standing(self, fill: Any, event: Any, book: Any, known: _Quoted) -> None:
        """It was made between two quotes: by what a command let in, of a quote that stands."""
        root = fill.root_id
        if fill.kind == "netting":
            root = self._orders(fill.closing_order_id).root_id
        message, time = self._begun.get(root, (0, 0))
        if message != event.message:
            self._fail("I15", f"{_told(fill)} between quotes, and nothing was accepted then")
        if fill.maker:
            self._fail("I15", f"{_told(fill)} made liquidity where a quote stands")
        if not _stands(known, time, book):
            self._fail("I15", f"{_told(fill)} at {time}, when {known} did not stand")

    def _check_price(self, fill: Any, order: Any, book: Any, quote: Quote) -> None:
        buys, rules = fill.direction.sign > 0, book.rules
        at, price = Fraction(quote.ask if buys else quote.bid), Fraction(fill.price)
        own = order.limit_price if fill.kind == "entry" else None
        if fill.kind == "take_profit":
            own = order.take_profit if fill.order_kind == "trading" else order.limit_price
        limit = None if own is None else Fraction(own)
        if limit is not None and (price - limit) * fill.direction.sign > 0:
            self._fail("I15", f"{_told(fill)} is worse than its limit {limit}")
        if fill.maker:
            # Whoever came to it met it where it stood.
            if (at > price if buys else at < price) or (limit is not None and price != limit):
                self._fail("I15", f"{_told(fill)} rested at {limit}, and {quote} came to it")
        elif rules.limit_gap == "open" and rules.stop_gap == "open":
            slipped = at if limit is not None else _slipped(at, buys, book)
            if price not in (at, slipped):
                self._fail("I15", f"{_told(fill)}: {quote} gives {float(at)} or {float(slipped)}")

    # -- what did not fill -------------------------------------------------------------------------

    def _check_met(self, event: Any) -> None:
        """What was accepted while a quote stood has met it: nothing waits with size to spare."""
        if event.kind not in (EventKind.ACCEPTED, EventKind.MODIFIED) or event.facts.keeps_place:
            return
        orders = self._venue.records.orders
        first = orders[event.order_number - 1]
        known = self._quotes.get(first.trading_pair_code)
        if known is None:
            return
        book = self._venue.books[first.trading_pair_code]
        if not _stands(known, event.time, book) or book.rules.fills is not None:
            return
        for order in orders[event.order_number - 1 :]:
            if order.root_id == first.root_id and order.status.name == "PENDING":
                buys = order.direction.sign > 0
                size = _size(known.quote, buys, book)
                left = None if size is None else size - known.had[buys]
                spare = left is None or left >= book.pair.volume_increment
                if spare and _is_met(order, buys, known.quote, book):
                    self._fail("I15", f"order {order.id} does not meet {known}, which stands")


def _is_met(order: Any, buys: bool, quote: Quote, book: Any) -> bool:
    """Whether a plain market or limit order meets ``quote``."""
    own, limit = order.instructions, order.limit_price
    if order.stop_price is not None or own.is_trailing or own.post_only:
        return False
    if limit is None:
        return True
    beyond = book.rules.penetration_ticks * Fraction(book.pair.price_increment)
    if buys:
        return bool(Fraction(quote.ask) <= Fraction(limit) - beyond)
    return bool(Fraction(quote.bid) >= Fraction(limit) + beyond)


def _stands(known: _Quoted, time: int, book: Any) -> bool:
    """Whether the last quote stands at ``time``, by the rules of the pair."""
    rules, made = book.rules, known.quote.time_ns
    if known.is_over or rules.quotes != "standing":
        return False
    if rules.quote_max_age is not None and time > made + rules.quote_max_age:
        return False
    if rules.calendar == "always_open":
        return True
    session = book.calendar.session(made)
    return session is not None and session == book.calendar.session(time)


def _size(quote: Quote, buys: bool, book: Any) -> Fraction | None:
    """What of ``quote`` there was for one side; None: no cap."""
    size, share = quote.ask_size if buys else quote.bid_size, book.rules.participation
    if size is None or share is None or book.rules.fills is not None:
        return None
    step = Fraction(book.pair.volume_increment)
    return floor(Fraction(size) * Fraction(share) / step) * step


def _slipped(at: Fraction, buys: bool, book: Any) -> Fraction:
    rules, step = book.rules, Fraction(book.pair.price_increment)
    slip = Fraction(rules.slippage) + at * Fraction(rules.slippage_rate)
    if not slip:
        return at
    if buys:
        return ceil((at + slip) / step) * step
    return max(floor((at - slip) / step) * step, step)


def _told(fill: Any) -> str:
    return f"fill of {fill.volume} {fill.pair} at {fill.price} ({fill.kind}, {fill.order_id})"
