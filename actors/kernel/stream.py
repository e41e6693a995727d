"""A bounded stream of items that a coroutine takes with ``async for``."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Generic, Never, TypeVar

from backtest.errors import InboxOverflow
from backtest.models import Bar, MarketEvent
from backtest.services.resampling import Resampler

from .copies import ends_in_copies
from .lateness import Lateness
from .signal import Signal

if TYPE_CHECKING:
    from .system import System

__all__ = ["BarStream", "BarTap", "ResampledStream", "Stream"]

T = TypeVar("T")
_HOW = (
    "what comes over time is taken by 'async for', in a coroutine: neither by 'for' nor by "
    "'await': async for bar in self.bars(pair)"
)


class Stream(Generic[T]):
    """Items are kept until they are taken, up to ``bound``; ``conflate`` keeps only the latest.

    One coroutine at a time may iterate. The iteration ends when the stream is closed and empty.
    """

    __reduce_ex__ = ends_in_copies

    __slots__ = (
        "__weakref__",
        "_items",
        "_missed",
        "_name",
        "_signal",
        "_system",
        "bound",
        "closed",
        "conflate",
        "held",
        "late",
    )

    def __init__(self, system: System, name: str, bound: int, conflate: bool = False) -> None:
        self._system = system
        self._name = name
        self._items: deque[T] = deque()
        self._signal: Signal | None = None
        self.bound = bound
        self.conflate = conflate
        self.closed = False
        self._missed = False
        """Whether its end has been told, or came while nobody waited for it."""
        self.late: Lateness | None = None
        """Where it is noted that items are taken late; None: nowhere."""
        self.held: Callable[[], None] | None = None
        """Called where an item comes before the one ahead of it was taken."""

    def __len__(self) -> int:
        return len(self._items)

    def push(self, item: T) -> None:
        """Add an item and let the waiting coroutine go on. Raises `InboxOverflow` at the bound."""
        if self.conflate:
            self._items.clear()
        elif self._items:
            if len(self._items) >= self.bound:
                raise InboxOverflow(self._name, self.bound)
            if self.held is not None:
                self.held()
        self._items.append(item)
        self._notify()

    def close(self) -> None:
        """No more items will come."""
        self.closed = True
        self._missed = self._signal is None
        self._notify()

    def _notify(self) -> None:
        signal = self._signal
        if signal is not None:
            self._signal = None
            signal.resolve()

    def __iter__(self) -> Never:
        raise TypeError(_HOW)

    __await__ = __iter__

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self.closed:
                if self._missed:
                    # Or who asks again and again would never let anybody come by who stops it.
                    await asyncio.sleep(0)
                self._missed = True
                raise StopAsyncIteration
            if self._signal is None:
                self._signal = Signal(self._system)
            await self._signal.wait()
        item = self._items.popleft()
        if self._items and self.late is not None:
            self.late.saw(item, self._items[-1], self._system.now)
        return item


class BarStream(Stream[Bar]):
    """Bars of one pair, of one length or (``length=None``) of all."""

    __slots__ = ("length",)

    def __init__(
        self,
        system: System,
        name: str,
        bound: int,
        conflate: bool = False,
        length: int | None = None,
    ) -> None:
        super().__init__(system, name, bound, conflate)
        self.length = length

    def offer(self, bar: Bar) -> bool:
        """Add ``bar`` if it is of the stream's length; whether it was."""
        if self.length is not None and not bar.lasts(self.length):
            return False
        self.push(bar)
        return True


class BarTap(BarStream):
    """Gives each bar to ``take`` as it comes, before any handler is called; keeps nothing."""

    __slots__ = ("_take",)

    def __init__(
        self, system: System, name: str, length: int | None, take: Callable[[Bar], None]
    ) -> None:
        super().__init__(system, name, 1, True, length)
        self._take = take

    def push(self, item: Bar) -> None:
        self._take(item)


class ResampledStream(BarStream):
    """Bars that are made of the ticks, or of the shorter bars, that are given to it."""

    __slots__ = ("_base", "_resampler")

    def __init__(
        self,
        system: System,
        name: str,
        bound: int,
        conflate: bool,
        length: int,
        resampler: Resampler,
    ) -> None:
        super().__init__(system, name, bound, conflate, length)
        self._resampler = resampler
        self._base: int | None = None
        """The length of the bars that it is made of: that by which the first is known."""

    def offer(self, bar: Bar) -> bool:
        """Take ``bar``, if it is one of those it is made of."""
        if self._base is None and bar.nominal_length <= (self.length or 0):
            self._base = bar.nominal_length
        if self._base is None or not bar.lasts(self._base):
            return False
        self.feed(bar)
        return True

    def feed(self, event: MarketEvent) -> None:
        """Take an event; the bars that it completes are added."""
        for bar in self._resampler.add(event):
            self.push(bar)

    def end(self, undelivered: Iterable[MarketEvent]) -> None:
        """No more events will come. What was still on its way (``undelivered``) is put in, so that
        the last bar is whole; it is given if its close has come, never before."""
        for event in undelivered:
            if type(event) is Bar:
                self.offer(event)
            else:
                self.feed(event)
        for bar in self._resampler.end():
            if bar.close_ns <= self._system.now:
                self.push(bar)
        self.close()
