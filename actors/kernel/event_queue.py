"""What is to be done and when: the queues of this moment, the heap of the future, the time itself.

Everything that happens at one moment is kept in four queues, one for each priority; what lies in
the future is in one heap keyed by integers ``(time, priority, sequence)``. The next market event
has a slot of its own, because there is always exactly one.
"""

from __future__ import annotations

import asyncio
from abc import ABC
from collections import deque
from collections.abc import Callable
from datetime import datetime
from heapq import heapify, heappush
from typing import TYPE_CHECKING, Any

from backtest.errors import BacktestError
from backtest.times import from_ns

from .clock import Clock, SimulatedClock, moment_ns
from .message import TIMER, Envelope
from .signal import Signal

if TYPE_CHECKING:
    from .fiber import Fiber
    from .realtime import Live

__all__ = ["NEVER", "EventQueue", "is_stale"]

NEVER = 1 << 80
"""Later than any time: what the market feed answers when there is nothing more."""


def is_stale(what: Any) -> bool:
    """Whether a thing in the heap is a timer or a sleep that was cancelled."""
    if isinstance(what, asyncio.TimerHandle):
        return what.cancelled()
    return type(what) is Signal and what.is_set


class EventQueue(ABC):
    """The lowest part of a `System`: what is due now, what is due later, and the time it is."""

    __slots__ = (
        "_base",
        "_ending",
        "_feed",
        "_feed_fiber",
        "_feed_time",
        "_heap",
        "_live",
        "_moment",
        "_stale_timers",
        "clock",
        "kick",
        "loop",
        "now",
        "priority",
        "queues",
        "sequence",
        "simulated",
    )

    _live: Live

    def __init__(self, clock: Clock | None) -> None:
        self.clock: Clock = SimulatedClock() if clock is None else clock
        self.simulated = isinstance(self.clock, SimulatedClock)
        self.loop: Any = None
        self.now = self.clock.now()
        """Simulated (or real) time in nanoseconds."""
        self.priority = 0
        """Priority of the event being handled; what it sends now cannot be more urgent."""
        self.sequence = 0
        self.queues: tuple[deque[Any], deque[Any], deque[Any], deque[Any]] = (
            deque(),
            deque(),
            deque(),
            deque(),
        )
        self.kick: Callable[[], None] | None = None
        self._heap: list[Any] = []
        self._feed_time = NEVER
        self._feed: Any = None
        self._feed_fiber: Any = None
        self._ending = False
        """Whether time moves no further: the data has ended, or `System.stop` was called."""
        self._base = 0
        self._stale_timers = 0
        self._moment = (0, from_ns(0))

    @property
    def moment(self) -> datetime:
        """The time as an aware UTC `datetime`, made once for each nanosecond."""
        if self._moment[0] != self.now:
            self._moment = (self.now, from_ns(self.now))
        return self._moment[1]

    def schedule(self, envelope: Envelope) -> None:
        """Deliver ``envelope`` at its time."""
        heappush(self._heap, envelope)
        if self.kick is not None:
            self.kick()

    def on_their_way(self, fiber: Fiber) -> list[Envelope]:
        """The messages to ``fiber`` that lie in the future, in the order of their delivery."""
        mine = [item for item in self._heap if type(item) is Envelope and item[3].target is fiber]
        return sorted(mine, key=lambda envelope: envelope[:3])

    def schedule_timer(self, timer: asyncio.TimerHandle) -> None:
        """Fire an asyncio timer at its nanosecond."""
        at = moment_ns(timer.when(), self._base)
        if at is None or at >= NEVER:
            # anyio.sleep_forever() is a sleep until infinity.
            timer._scheduled = False  # type: ignore[attr-defined]
            return
        at = max(at, self.now)
        number = self.sequence = self.sequence + 1
        if at == self.now and self.simulated:
            self.queues[TIMER].append((at, TIMER, number, timer))
        else:
            heappush(self._heap, (at, TIMER, number, timer))

    def timer_cancelled(self) -> None:
        """Cancelled timers stay in the heap; when they are most of it, they are swept out."""
        self._stale_timers += 1
        if self._stale_timers > 100 and self._stale_timers * 2 > len(self._heap):
            # In place: whoever moves the time has the heap in hand.
            self._heap[:] = [item for item in self._heap if not is_stale(item[3])]
            heapify(self._heap)
            self._stale_timers = 0

    def set_feed(self, emit: Callable[[], int], at: int, fiber: Fiber) -> None:
        """Call ``emit`` at ``at``, before all else at that time, and again at each time it returns.

        There is one feed: the market-data actor, which merges all sources. When ``emit`` returns
        `NEVER` the data has ended: what follows at that time is still done, later timers are not.
        One that has failed is set again when its actor is restarted.
        """
        is_down = self._feed_time == NEVER and self._feed_fiber is fiber and not self._ending
        if self._feed is not None and not is_down:
            raise BacktestError("a system has one market feed: give all sources to one MarketData")
        self._feed, self._feed_fiber, self._feed_time = emit, fiber, at
        if not self.simulated and at < NEVER:
            self._live.feed()
