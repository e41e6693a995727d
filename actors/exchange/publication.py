"""What an exchange makes public: quotes, trades, depth and bars, to those who asked for them."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from backtest.actors.host.subscriptions import KINDS
from backtest.actors.kernel.channel import Channel
from backtest.actors.kernel.message import MARKET_TO_STRATEGY
from backtest.actors.protocol import Kind, Subscribe
from backtest.models import Depth, Trade, trusted_bar
from backtest.models.depth import (
    DepthChange,
    DepthLevel,
    trusted_depth,
    trusted_level,
    trusted_update,
)
from backtest.models.quote import Quote, trusted_quote
from backtest.money import ZERO, add
from backtest.services.book.levels import DepthTuple

from .market import MarketBook

__all__ = ["DepthRecord", "Publication"]


_LEVELS = 50
"""Of each side, the levels that are kept for the record."""


class DepthRecord(NamedTuple):
    """How a book stood at one time: per level, best first, price in ticks, volume in lots, and
    number of orders."""

    time_ns: int
    bids: DepthTuple
    asks: DepthTuple


_REMEMBERED = 64
"""How many sides of a book are remembered."""


class _Audience:
    """Who reads what of one market, and what they were told last."""

    __slots__ = (
        "bar",
        "bar_due",
        "bar_start",
        "bars",
        "depth",
        "due",
        "levels",
        "price",
        "quote",
        "quotes",
        "sequence",
        "trades",
    )

    def __init__(self) -> None:
        self.bars: dict[str, Channel] = {}
        self.quotes: dict[str, Channel] = {}
        self.trades: dict[str, Channel] = {}
        self.depth: dict[str, Channel] = {}
        self.quote: tuple[int, int, int, int] | None = None
        """Best bid, its volume, best ask, its volume, in ticks and lots: as told last."""
        self.price: Decimal | None = None
        """The mark as the readers of the depth know it."""
        self.sequence = 0
        self.bar: tuple[Decimal, Decimal, Decimal, Decimal, Decimal] | None = None
        """Open, high, low, close and volume of the last bar in which there were trades."""
        self.bar_start = 0
        """When that bar began."""
        self.bar_due = 0
        """When the bar begins that is sent next."""
        self.levels: dict[DepthTuple, tuple[DepthLevel, ...]] = {}
        """What sides of the book, in ticks and lots, are in prices and volumes."""
        self.due = 0
        """From when on the book is looked at again for the record."""

    def of(self, kind: Kind) -> dict[str, Channel]:
        """Who reads ``kind``, by name."""
        return getattr(self, kind)  # type: ignore[no-any-return]


class Publication:
    """Sends each kind of market data to its subscribers, in the order in which they came.

    Each copy takes the latency of its own link. A quote is sent when the best prices or their
    volumes changed and both sides have one; of the depth, which levels changed, numbered.
    """

    def __init__(self, books: dict[str, MarketBook]) -> None:
        self._books = books
        self._audiences = {code: _Audience() for code in books}
        self.quotes: dict[str, list[Quote]] = {code: [] for code in books}
        """Every change of the best prices, for the record."""
        self.depth_every = 0
        """Each time so many nanoseconds begin, the next change of a book is recorded; 0: none."""
        self.depths: dict[str, list[DepthRecord]] = {code: [] for code in books}
        """The books as they stood then, for the record."""

    # -- who reads ---------------------------------------------------------------------------------

    def welcome(self, name: str, channel: Channel, wants: frozenset[Kind]) -> None:
        """A strategy joins, or begins anew: it reads ``wants`` of every market, and no more."""
        self.forget(name)
        for code in self._books:
            for kind in KINDS:
                if kind in wants:
                    self.subscribe(name, channel, Subscribe(code, kind, True))

    def forget(self, name: str) -> None:
        """It reads nothing any more."""
        for audience in self._audiences.values():
            for kind in KINDS:
                audience.of(kind).pop(name, None)

    def subscribe(self, name: str, channel: Channel, ask: Subscribe) -> None:
        """Begin or end to send one kind of data of one market."""
        audience = self._audiences[ask.pair]
        if not ask.on:
            audience.of(ask.kind).pop(name, None)
            return
        book = self._books[ask.pair]
        if ask.kind == "depth":
            self._flush_depth(book, audience)  # what others get next continues what it gets now
            channel.post(self.depth(book, 0), MARKET_TO_STRATEGY)
        audience.of(ask.kind)[name] = channel

    def has_bars(self, code: str) -> bool:
        """Whether anybody reads bars of a market."""
        return bool(self._audiences[code].bars)

    # -- what is sent ------------------------------------------------------------------------------

    def depth(self, book: MarketBook, levels: int) -> Depth:
        """The book as it stands: the best ``levels`` of each side, all for 0."""
        bids, asks = book.orders.depth(levels)
        return trusted_depth(
            book.code,
            book.now,
            self._audiences[book.code].sequence,
            self._levels(book, bids),
            self._levels(book, asks),
            book.last,
        )

    def _levels(self, book: MarketBook, side: DepthTuple) -> tuple[DepthLevel, ...]:
        # Between two changes of the best prices many ask for them.
        known = self._audiences[book.code].levels
        found = known.get(side)
        if found is None:
            if len(known) >= _REMEMBERED:
                known.clear()
            found = known[side] = tuple(
                trusted_level(book.price_of(price), book.volume_of(volume), orders)
                for price, volume, orders in side
            )
        return found

    def trade(self, book: MarketBook, trade: Trade) -> None:
        """A trade was made."""
        audience = self._audiences[book.code]
        for channel in tuple(audience.trades.values()):
            channel.post(trade, MARKET_TO_STRATEGY)
        price, volume = trade.price, trade.volume
        assert volume is not None
        length = book.spec.bar_ns
        start = book.now // length * length
        bar = audience.bar
        if bar is None or audience.bar_start != start:
            # At the boundary of two bars a trade belongs to the later one: the other is over.
            if audience.bars and audience.bar_due + length == start:
                self.end_bar(book, audience.bar_due, start)
                audience.bar_due = start
            audience.bar, audience.bar_start = (price, price, price, price, volume), start
        else:
            opened, high, low, _, total = bar
            audience.bar = opened, max(high, price), min(low, price), price, add(total, volume)

    def flush(self, book: MarketBook) -> None:
        """Whatever happened is over: tell how the book stands now, if it changed."""
        audience = self._audiences[book.code]
        if self.depth_every and book.now >= audience.due:
            self._record(book, audience)
        bid, ask = book.orders.best(True), book.orders.best(False)
        if bid is not None and ask is not None:
            now = (bid.price, bid.volume, ask.price, ask.volume)
            if now != audience.quote and bid.price < ask.price:
                audience.quote = now
                quote = trusted_quote(
                    book.code,
                    book.now,
                    book.price_of(bid.price),
                    book.price_of(ask.price),
                    book.volume_of(bid.volume),
                    book.volume_of(ask.volume),
                )
                self.quotes[book.code].append(quote)
                for channel in tuple(audience.quotes.values()):
                    channel.post(quote, MARKET_TO_STRATEGY)
        if audience.depth:
            self._flush_depth(book, audience)

    def _record(self, book: MarketBook, audience: _Audience) -> None:
        """Keep how the book stands; the next time is when the next interval begins."""
        every = self.depth_every
        audience.due = (book.now // every + 1) * every
        self.depths[book.code].append(DepthRecord(book.now, *book.orders.depth(_LEVELS)))

    def _flush_depth(self, book: MarketBook, audience: _Audience) -> None:
        """Tell which levels changed since the last time; nobody listens to the first change."""
        update = book.orders.changes()
        if update is None:
            return
        audience.sequence = update.sequence
        if not audience.depth:
            return
        changes = tuple(
            DepthChange(buy, book.price_of(price), book.volume_of(volume), orders)
            for buy, price, volume, orders in update.changes
        )
        last = None if book.last == audience.price else book.last
        audience.price = book.last
        news = trusted_update(book.code, book.now, update.sequence, changes, last)
        for channel in tuple(audience.depth.values()):
            channel.post(news, MARKET_TO_STRATEGY)

    def begin_bar(self, code: str, start: int) -> None:
        """The bar that is sent next is the one that begins at ``start``."""
        self._audiences[code].bar_due = start

    def end_bar(self, book: MarketBook, start: int, end: int) -> None:
        """A bar's time is over: send what it was; flat, without volume, where nobody traded."""
        audience = self._audiences[book.code]
        if audience.bar_due > start:
            return  # the first trade of the next bar has sent it
        bar, last = audience.bar, book.last
        assert last is not None
        if bar is None or audience.bar_start != start:
            bar = (last, last, last, last, ZERO)
        made = trusted_bar(book.code, start, end, *bar)
        for channel in tuple(audience.bars.values()):
            channel.post(made, MARKET_TO_STRATEGY)
