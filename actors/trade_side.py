"""One side of a trade between two agents: what it comes to for the one whose order it is."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from backtest.models import TradingOrder
from backtest.money import ZERO, add, sub
from backtest.services.fills import Working
from backtest.services.transaction_manager import (
    CLEARING,
    Leg,
    close_position,
    create_order,
    fill_spot_buy,
    fill_spot_sell,
    fill_trading,
    release,
)

from .affordable import affordable
from .branch import Branch, Closing
from .closing_desk import CloseTerms, ClosingDesk
from .entry_desk import is_bracket
from .market_book import MarketBook
from .venue import Venue

__all__ = ["Segment", "TradeSide"]

Segment = tuple[UUID, Sequence[Leg]]
"""The legs of one order in an entry of several."""


class TradeSide:
    """What a trade of ``wanted`` at ``price`` would be for the owner of ``working``.

    Made before anything is posted, and made again for less where one of the two cannot pay for all
    of it: `volume` is what this side can pay for. `segments` are its legs of the entry.
    """

    __slots__ = (
        "account",
        "book",
        "branch",
        "closes",
        "fee",
        "kept",
        "kept_after_closes",
        "margin",
        "notional",
        "opens",
        "opens_id",
        "order_id",
        "price",
        "segments",
        "taker",
        "volume",
        "working",
    )

    def __init__(
        self,
        venue: Venue,
        desk: ClosingDesk,
        book: MarketBook,
        working: Working,
        wanted: Decimal,
        price: Decimal,
        taker: bool,
    ) -> None:
        self.book = book
        self.working = working
        self.price = price
        self.taker = taker
        self.volume = ZERO
        self.opens = ZERO
        """What of the volume buys, sells or opens a position; the rest closes some."""
        self.closes: list[CloseTerms] = []
        self.segments: list[Segment] = []
        self.kept = self.kept_after_closes = ZERO
        self.margin: Decimal | None = None
        self.fee = self.notional = ZERO
        self.opens_id: UUID | None = None
        """The id under which the opening part of an order fills whose first part closed."""
        key = working.key
        if type(key) is Closing:
            self.branch: Branch = key.holding.branch
            self.account = self.branch.account
            self.order_id = key.holding.order.id
            self._close(venue, desk, key, wanted)
            return
        self.branch = branch = key
        self.account = branch.account
        assert branch.order is not None
        self.order_id = branch.order.id
        if branch.spot:
            self._spot(venue, wanted)
        else:
            self._trading(venue, desk, wanted)

    def _close(self, venue: Venue, desk: ClosingDesk, closing: Closing, wanted: Decimal) -> None:
        """A close of a position, whoever asked for it: it needs no money."""
        book = self.book
        terms = desk.priced(book, closing, self.price, wanted, taker=self.taker)
        free = venue.available(self.account, book.quote)
        self._add_close(desk.covered(terms, free))
        self.volume = wanted

    def _add_close(self, terms: CloseTerms) -> None:
        self.closes.append(terms)
        legs = close_position(
            self.account,
            self.book.quote,
            terms.margin,
            terms.pnl,
            terms.fee,
            add(terms.uncovered, terms.fee_uncovered),
            CLEARING,
        )
        self.segments.append((terms.closing.holding.order.id, legs))

    def _spot(self, venue: Venue, wanted: Decimal) -> None:
        book, branch, pair, price = self.book, self.branch, self.book.pair, self.price
        order = branch.order
        assert order is not None
        fees, maker, first = book.fees_fill, not self.taker, not branch.paid_flat

        def fee_of(volume: Decimal, notional: Decimal) -> Decimal:
            return book.fee(fees, volume=volume, notional=notional, maker=maker, first=first)

        free = venue.spendable(self.account, book.quote)
        volume, leaves = wanted, order.volume
        notional = pair.notional(volume, price)
        fee = fee_of(volume, notional) if fees else ZERO
        if self.working.buy:
            money = add(order.reserved, free)
            kept = venue.reserve(branch, sub(leaves, volume), False) if volume != leaves else ZERO
            if add(add(notional, fee), kept) > money:
                volume, kept, _ = affordable(
                    wanted,
                    money,
                    lambda some: add(worth := pair.notional(some, price), fee_of(some, worth)),
                    lambda some: venue.reserve(branch, sub(leaves, some), False),
                    pair.volume_increment,
                    False,
                )
                notional = pair.notional(volume, price)
                fee = fee_of(volume, notional) if volume else ZERO
            self.kept = kept
        else:
            if sub(fee, notional) > free:
                volume = ZERO
            self.kept = sub(leaves, volume)
        self.volume = self.opens = volume
        if not volume:
            return
        self.notional, self.fee = notional, fee
        base, quote = book.base, book.quote
        if self.working.buy:
            share = sub(order.reserved, self.kept)
            legs = fill_spot_buy(self.account, base, quote, volume, notional, fee, share, None)
            if is_bracket(branch):
                # What was bought is the reserve of the exit, in the same entry.
                legs += create_order(self.account, base, volume)
        else:
            legs = fill_spot_sell(self.account, base, quote, volume, notional, fee, None)
        self.segments.append((order.id, legs))

    def _trading(self, venue: Venue, desk: ClosingDesk, wanted: Decimal) -> None:
        book, branch = self.book, self.branch
        order = branch.order
        assert isinstance(order, TradingOrder)
        money = add(order.reserved, venue.spendable(self.account, book.quote))
        closed, money = self._nets(venue, desk, wanted, money)
        opens = ZERO if branch.reduces else sub(wanted, closed)
        before = branch.offset
        branch.offset = max(ZERO, sub(before, closed))
        try:
            if closed:
                kept = venue.reserve(branch, sub(order.volume, closed), not branch.paid_flat)
                kept = min(kept, order.reserved, max(ZERO, money))
                self.kept_after_closes = self.kept = kept
            if opens:
                self._open(venue, opens, closed, money)
        finally:
            branch.offset = before
        opens = self.opens
        self.volume = add(closed, opens)
        if not closed:
            if opens:
                share = sub(order.reserved, self.kept)
                legs = fill_trading(self.account, book.quote, share, self.margin or ZERO, self.fee)
                self.segments.append((order.id, legs))
            return
        back = sub(order.reserved, self.kept_after_closes)
        self.segments.append((order.id, release(self.account, book.quote, back)))
        if opens:
            self.opens_id = venue.ids.draw()
            share = sub(self.kept_after_closes, self.kept)
            legs = fill_trading(self.account, book.quote, share, self.margin or ZERO, self.fee)
            self.segments.append((self.opens_id, legs))

    def _nets(
        self, venue: Venue, desk: ClosingDesk, wanted: Decimal, money: Decimal
    ) -> tuple[Decimal, Decimal]:
        """Close what is open on the other side, oldest first: how much, and the money then."""
        book, branch = self.book, self.branch
        closed, left = ZERO, wanted
        if not branch.nets:
            return closed, money
        closing = branch.closing
        for holding in book.facing(self.account, self.working.buy):
            volume = min(left, holding.part.volume)
            if volume <= ZERO:
                break
            own = Closing(branch.id, "netting", holding)
            own.working = self.working
            # A flat fee is charged with the first close of a branch.
            own.paid_flat = bool(self.closes) or (closing is not None and closing.paid_flat)
            terms = desk.priced(book, own, self.price, volume, taker=self.taker)
            # What the order has reserved can pay for a close as well as what is available.
            terms = desk.covered(terms, money)
            self._add_close(terms)
            money = add(money, add(add(terms.margin, terms.pnl), terms.uncovered))
            money = add(sub(money, terms.fee), terms.fee_uncovered)
            closed, left = add(closed, volume), sub(left, volume)
        return closed, money

    def _open(self, venue: Venue, wanted: Decimal, closed: Decimal, money: Decimal) -> None:
        """Open a position with what of ``wanted`` can be paid for."""
        book, branch, pair, price = self.book, self.branch, self.book.pair, self.price
        order = branch.order
        assert isinstance(order, TradingOrder)
        maker, first = not self.taker, not branch.paid_flat

        def terms(volume: Decimal, at: Decimal) -> tuple[Decimal, Decimal]:
            margin = book.margin(volume, at, order.leverage)
            if not book.fees_fill:
                return margin, ZERO
            fee = book.fee(
                book.fees_fill,
                volume=volume,
                notional=pair.notional(volume, price),
                margin=margin,
                maker=maker,
                first=first,
            )
            return margin, fee

        def keeps(some: Decimal) -> Decimal:
            return venue.reserve(branch, sub(sub(order.volume, closed), some), False)

        at, step = price, pair.volume_increment
        volume, kept, covered = affordable(
            wanted, money, lambda some: add(*terms(some, at)), keeps, step, False
        )
        if not covered and not self.working.buy and price > branch.worst:
            # A better price that needs more margin (a sell, higher) must not cost the fill.
            at = branch.worst
            volume, kept, _ = affordable(
                wanted, money, lambda some: add(*terms(some, at)), keeps, step, False
            )
        self.opens = volume
        if volume:
            self.kept = kept
            self.margin, self.fee = terms(volume, at)
            self.notional = pair.notional(volume, price)
