"""Depth for a strategy: streams of what a book looks like, from its messages or from quotes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from weakref import ref

from backtest.actors.kernel.stream import Stream
from backtest.models import Depth, DepthUpdate, Quote, trusted_depth, trusted_level
from backtest.services.book.depth_view import DepthView
from backtest.services.book.quoted_depth import depth_of_quote
from backtest.services.fills.tick_prices import mark_of

if TYPE_CHECKING:
    from backtest.actors.kernel.system import System

__all__ = ["DepthFeed", "DepthStream", "with_depth"]

Handler = Callable[..., Any]


class DepthStream(Stream[Depth]):
    """The best ``levels`` of one pair's book (0: all), anew with each change."""

    __slots__ = ("_increment", "levels")

    def __init__(
        self,
        system: System,
        name: str,
        bound: int,
        conflate: bool,
        levels: int,
        increment: Decimal,
    ) -> None:
        super().__init__(system, name, bound, conflate)
        self.levels = levels
        self._increment = increment

    def feed(self, quote: Quote) -> None:
        """Take a quote of a venue that has no book: all that is known of one."""
        self.push(_of(quote, self._increment))


class DepthFeed:
    """One pair's book as a venue publishes it, and the streams that follow it."""

    __slots__ = ("_last", "_streams", "_view")

    def __init__(self) -> None:
        self._view: DepthView[Any] | None = None
        self._last: Decimal | None = None
        self._streams: list[ref[DepthStream]] = []

    def streams(self) -> list[DepthStream]:
        """Those that somebody may still read."""
        found = [stream for reference in self._streams if (stream := reference()) is not None]
        if len(found) < len(self._streams):
            self._streams = [ref(stream) for stream in found]
        return found

    def join(self, stream: DepthStream) -> None:
        """Let ``stream`` follow, from the next snapshot or update on."""
        self._streams.append(ref(stream))

    def take(self, news: Depth | DepthUpdate) -> bool:
        """Fold ``news`` in and show every stream its levels; whether there is any.

        Raises `DepthGap` when an update is missing.
        """
        streams = self.streams()
        if streams and self._fold(news):
            for stream in streams:
                stream.push(self._depth(news, stream.levels))
        return bool(streams)

    def _fold(self, news: Depth | DepthUpdate) -> bool:
        """Whether it says anything that was not known."""
        if isinstance(news, Depth):
            sides = (
                [(one.price, one.volume, one.orders) for one in side]
                for side in (news.bids, news.asks)
            )
            self._view = DepthView(news.sequence, *sides)
            self._last = news.last
            return True
        if self._view is None or not self._view.apply(news.sequence, news.changes):
            return False  # nothing to apply it to yet, or the snapshot had it already
        if news.last is not None:
            self._last = news.last
        return True

    def _depth(self, news: Depth | DepthUpdate, levels: int) -> Depth:
        assert self._view is not None, "there was a snapshot: news was folded in"
        bids, asks = self._view.depth(levels)
        return trusted_depth(
            news.pair,
            news.time_ns,
            news.sequence,
            tuple(trusted_level(*one) for one in bids),
            tuple(trusted_level(*one) for one in asks),
            self._last,
        )


def with_depth(
    on_quote: Handler | None, on_depth: Handler, increments: Mapping[str, Decimal]
) -> Handler:
    """A handler of quotes that gives each to ``on_quote``, and to ``on_depth`` what it says of the
    book: for a venue that has none."""

    def both(quote: Quote) -> Any:
        pending = None if on_quote is None else on_quote(quote)
        if isinstance(pending, Awaitable):
            return _then(pending, on_depth, _of(quote, increments[quote.pair]))
        return on_depth(_of(quote, increments[quote.pair]))

    return both


async def _then(pending: Awaitable[Any], on_depth: Handler, depth: Depth) -> None:
    await pending
    after = on_depth(depth)
    if after is not None:
        await after


def _of(quote: Quote, increment: Decimal) -> Depth:
    return depth_of_quote(quote.pair, quote.time_ns, quote, mark_of(quote, increment))
