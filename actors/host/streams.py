"""The iterators of one strategy over market data, and what must be asked for on their account."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from backtest.actors.kernel.lateness import Lateness
from backtest.actors.kernel.stream import BarStream, BarTap, ResampledStream, Stream
from backtest.actors.protocol import Kind
from backtest.models import Bar, BarLength, Depth, DepthUpdate, MarketEvent, Quote, Tick, Trade
from backtest.services.calendars import Calendar
from backtest.services.resampling import Resampler

from .depth import DepthFeed, DepthStream
from .subscriptions import Subscriptions

if TYPE_CHECKING:
    from backtest.actors.kernel.system import System

__all__ = ["MarketStreams"]

S = TypeVar("S", bound="Stream[Any]")


class MarketStreams:
    """Gives each market event to the iterators over it; one that was left is forgotten.

    They are held weakly: nobody will ever read the stream of a loop that was left, so it must not
    fill up. ``published`` is what was asked for of a venue that publishes; None: everything comes.
    """

    __slots__ = (
        "_bound",
        "_depths",
        "_held",
        "_name",
        "_system",
        "bars",
        "closed",
        "followed",
        "late",
        "published",
        "ticks",
    )

    def __init__(
        self, system: System, name: str, bound: int, held: Callable[[Lateness], None]
    ) -> None:
        self._held = held
        self.late = Lateness()
        """Of what is taken from iterators over bars, quotes and trades."""
        self.followed: dict[tuple[Kind, str], None] = {}
        """What iterators were asked for: the kind of market data, and the pair."""
        self._system = system
        self._name = name
        self._bound = bound
        self.bars: dict[str, list[ref[BarStream]]] = {}
        """By pair."""
        self.ticks: dict[tuple[type[Tick], str], list[ref[Stream[Any]]]] = {}
        """By kind and pair. What is no plain stream is fed, and makes of it what it gives."""
        self._depths: dict[str, DepthFeed] = {}
        self.published: Subscriptions | None = None
        self.closed = False

    # -- new ones ----------------------------------------------------------------------------------

    def bar_stream(self, pair: str, conflate: bool, length: int | None) -> BarStream:
        """A new stream of the bars of ``pair`` that are of ``length``; None: of all."""
        stream = BarStream(self._system, self._name, self._bound, conflate, length)
        self.bars.setdefault(pair, []).append(ref(stream))
        return self._follow(stream, pair, "bars")

    def tap(
        self, pair: str, length: int | None, take: Callable[[Bar], None], asked: bool = True
    ) -> BarTap:
        """Have ``take`` called with each bar of ``pair`` that comes, as long as what this gives is
        kept. Unless ``asked``, it is for what comes anyway."""
        tap = BarTap(self._system, self._name, length, take)
        self.bars.setdefault(pair, []).append(ref(tap))
        return self._follow(tap, pair, "bars") if asked else tap

    def tick_stream(self, kind: type[Tick], pair: str, conflate: bool) -> Stream[Any]:
        """A new stream of the quotes or trades of ``pair``."""
        stream: Stream[Any] = Stream(self._system, self._name, self._bound, conflate)
        self.ticks.setdefault((kind, pair), []).append(ref(stream))
        return self._follow(stream, pair, "quotes" if kind is Quote else "trades")

    def resampled(
        self, pair: str, conflate: bool, length: BarLength, of: Kind, calendar: Calendar
    ) -> ResampledStream:
        """A new stream of bars of ``length`` that are made of the pair's ``of``."""
        resampler = Resampler(pair, length, calendar)
        stream = ResampledStream(
            self._system, self._name, self._bound, conflate, length.ns, resampler
        )
        if of == "bars":
            self.bars.setdefault(pair, []).append(ref(stream))
        else:
            kind: type[Tick] = Quote if of == "quotes" else Trade
            self.ticks.setdefault((kind, pair), []).append(ref(stream))
        return self._follow(stream, pair, of)

    def depth_stream(
        self, pair: str, conflate: bool, levels: int, increment: Decimal
    ) -> DepthStream:
        """A new stream of the depth of ``pair``; of a venue that has no book, of its quotes."""
        stream = DepthStream(self._system, self._name, self._bound, conflate, levels, increment)
        if self.published is None:
            self.ticks.setdefault((Quote, pair), []).append(ref(stream))
        elif not self.closed:
            self._depths.setdefault(pair, DepthFeed()).join(stream)
            self.published.follow_depth(pair, levels)
        if self.closed:
            stream.close()
        return stream

    def _follow(self, stream: S, pair: str, kind: Kind) -> S:
        self.followed[kind, pair] = None
        if not stream.conflate:
            stream.late, stream.held = self.late, partial(self._held, self.late)
        if self.closed:
            stream.close()
        elif self.published is not None:
            self.published.follow(pair, kind)
        return stream

    # -- what comes --------------------------------------------------------------------------------

    def has(self, kind: type[Any], pair: str) -> bool:
        """Whether there is an iterator over such events, for all that is known."""
        if kind is Bar:
            return any(type(one()) is not BarTap for one in self.bars.get(pair, ()))
        if kind is Quote or kind is Trade:
            return bool(self.ticks.get((kind, pair)))
        return pair in self._depths

    def push_bar(self, bar: Bar) -> bool:
        """Give ``bar`` to the iterators over its pair; whether there is any."""
        references = self.bars.get(bar.pair)
        if not references:
            return False
        streams = _living(references)
        if len(streams) < len(references):
            self.bars[bar.pair] = [ref(stream) for stream in streams]
            self._left(streams, bar.pair, "bars")
        pushed = False
        for stream in streams:
            pushed = stream.offer(bar) or pushed
        return pushed

    def push_tick(self, kind: type[Tick], tick: Tick) -> bool:
        """Give ``tick`` to the iterators over its kind and pair; whether there is any."""
        references = self.ticks.get((kind, tick.pair))
        if not references:
            return False
        streams = _living(references)
        if len(streams) < len(references):
            self.ticks[kind, tick.pair] = [ref(stream) for stream in streams]
            self._left(streams, tick.pair, "quotes" if kind is Quote else "trades")
        for stream in streams:
            if type(stream) is Stream:
                stream.push(tick)
            else:
                stream.feed(tick)  # type: ignore[attr-defined]  # Resampled- or DepthStream
        return bool(streams)

    def push_depth(self, news: Depth | DepthUpdate) -> None:
        """Give ``news`` to the iterators over the depth of its pair."""
        feed = self._depths.get(news.pair)
        if feed is not None and not feed.take(news):
            del self._depths[news.pair]
            self._left((), news.pair, "depth")

    def _left(self, streams: Iterable[Any], pair: str, kind: Kind) -> None:
        """Loops were left: when all were, what nobody reads need not come."""
        if not streams and self.published is not None:
            self.published.leave(pair, kind)

    # -- the end -----------------------------------------------------------------------------------

    def close(self, undelivered: Callable[[], list[MarketEvent]]) -> None:
        """Nothing more will come: every iteration ends. ``undelivered`` tells which market events
        were sent and were not given any more."""
        self.closed = True
        kept: dict[tuple[type[Any], str], list[ref[Any]]] = {**self.ticks}
        kept.update({(Bar, pair): streams for pair, streams in self.bars.items()})
        for (kind, pair), references in kept.items():
            for stream in _living(references):
                if isinstance(stream, ResampledStream):
                    left = [one for one in undelivered() if type(one) is kind and one.pair == pair]
                    stream.end(left)
                else:
                    stream.close()
        for feed in self._depths.values():
            for following in feed.streams():
                following.close()

    def unread(self) -> int:
        """How many market events wait in iterators; of those that conflate, none counts."""
        kept: list[list[ref[Any]]] = [*self.bars.values(), *self.ticks.values()]
        streams = [one for references in kept for one in _living(references)]
        return sum(len(one) for one in streams if not one.conflate)

    def clear(self) -> None:
        """Whoever read them is gone."""
        self.bars.clear()
        self.ticks.clear()
        self._depths.clear()


def _living(references: Iterable[ref[S]]) -> list[S]:
    return [stream for reference in references if (stream := reference()) is not None]
