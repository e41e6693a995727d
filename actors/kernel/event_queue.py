"""What is to be done and when: the queues of this moment, the heap of the future, the time itself.

Everything that happens at one moment is kept in four queues, one for each priority; what lies in
the future is in one heap keyed by integers ``(time, priority, sequence)``. The next market event
has a slot of its own, because there is always exactly one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

from backtest.errors import BacktestError
from backtest.times import from_ns

from .asyncio_internals import unarm
from .clock import Clock, SimulatedClock, moment_ns
from .fiber import OWNER
from .message import MARKET_TO_VENUE, TIMER, Answer, Envelope
from .signal import Signal

if TYPE_CHECKING:
    from .fiber import Fiber

__all__ = ["NEVER", "EventQueue", "is_stale"]

NEVER = 1 << 80
"""Later than any time: what the market feed answers when there is nothing more."""


def is_stale(what: Any) -> bool:
    """Whether a thing in the heap is a timer or a sleep that was cancelled."""
    if isinstance(what, asyncio.TimerHandle):
        return what.cancelled()
    return type(what) is Signal and what.is_set


def _only_for(fiber: Fiber, queue: deque[Any]) -> bool:
    """Whether all in ``queue`` are messages that wait until ``fiber`` is done with what it does."""
    if fiber.arrive is not None or fiber.mail is not None:
        return False
    for item in queue:
        if type(item) is not Envelope or item[3].target is not fiber or type(item[4]) is Answer:
            return False
    return True


class EventQueue:
    """What is due now and what is due later, the time it is, and who is at work.

    What a system consists of holds this, and through it nothing else of the system. Its parts are
    open: a call for each look would be paid for with every message.
    """

    __slots__ = (
        "_moment",
        "asides",
        "base",
        "clock",
        "current",
        "feed",
        "feed_fiber",
        "feed_time",
        "heap",
        "is_ending",
        "kick",
        "loop",
        "loose",
        "now",
        "observer",
        "priority",
        "queues",
        "ready",
        "sequence",
        "simulated",
        "stale_timers",
        "task_class",
        "tracer",
        "wakes",
    )

    def __init__(self, clock: Clock | None) -> None:
        self.clock: Clock = SimulatedClock() if clock is None else clock
        self.simulated = isinstance(self.clock, SimulatedClock)
        self.now = self.clock.now()
        """Simulated (or real) time in nanoseconds."""
        self.priority = 0
        """Priority of the event being handled; what it sends now cannot be more urgent."""
        self.sequence = 0
        """The number of the last thing that was sent or set."""
        self.wakes: deque[tuple[Fiber, Signal, Any]] = deque()
        """Who goes on before any further message, with what signal and what value."""
        self.queues: tuple[deque[Any], deque[Any], deque[Any], deque[Any]] = (
            deque(),
            deque(),
            deque(),
            deque(),
        )
        self.heap: list[Any] = []
        self.stale_timers = 0
        """How many in the heap were cancelled, more or less."""
        self.feed: Any = None
        self.feed_fiber: Any = None
        self.feed_time = NEVER
        self.is_ending = False
        """Whether time moves no further: the data has ended, or `System.stop` was called."""
        self.current: Fiber | None = None
        """The fiber that runs now; None while the loop runs an ordinary task."""
        self.loose = 0
        """Fibers that are not parked: they run, or wait for something of the loop's. In a
        simulation the tasks that they started count, too."""
        self.asides: dict[asyncio.Future[None], tuple[Signal, str]] = {}
        """What tasks that are no fiber wait for, and whose they are."""
        self.loop: Any = None
        """The asyncio loop of the run, while there is one."""
        self.ready: deque[asyncio.Handle] = deque()
        """What the loop of a simulation calls before anything is delivered."""
        self.base = 0
        """The nanosecond at which asyncio's seconds begin."""
        self.task_class: Any = asyncio.Task
        self.kick: Callable[[], None] | None = None
        """Called when something is sent, in real time; None in a simulation, which looks itself."""
        self.tracer: Callable[[Envelope], None] | None = None
        """Called with every message just before it is delivered. Set it before the run."""
        self.observer: Callable[[Envelope], None] | None = None
        """Called with every message after its delivery: where invariants are checked. Likewise."""
        self._moment = (0, from_ns(0))

    # -- time --------------------------------------------------------------------------------------

    @property
    def moment(self) -> datetime:
        """The time as an aware UTC `datetime`, made once for each nanosecond."""
        if self._moment[0] != self.now:
            self._moment = (self.now, from_ns(self.now))
        return self._moment[1]

    def begin_at(self, ns: int) -> None:
        """Let a simulation that has not begun yet begin at ``ns``."""
        self.clock = SimulatedClock(ns)
        self.now = ns

    def look_at_clock(self) -> None:
        """In real time, time has gone on while the loop was at work."""
        self.now = max(self.now, self.clock.now())

    def move_on(self) -> bool:
        """Move simulated time to what comes next, and let all of then be due; False where nothing
        comes."""
        heap, at = self.heap, self.feed_time
        if heap:
            if type(heap[0]) is not Envelope:
                self._drop_stale()
            if heap and heap[0][0] < at:
                at = heap[0][0]
        if at == NEVER:
            return False
        if at < self.now:
            raise BacktestError(f"time cannot go back from {self.now} to {at}")
        self.now = at
        self.priority = 0
        while heap and heap[0][0] == at:
            item = heappop(heap)
            self.queues[item[1]].append(item)
        return True

    def next_time(self) -> int:
        """When the next thing happens: of the market feed, or of the heap, less what is stale."""
        self._drop_stale()
        at: int = self.heap[0][0] if self.heap else NEVER
        return min(at, self.feed_time)

    def _drop_stale(self) -> None:
        heap = self.heap
        while heap and is_stale(heap[0][3]):
            heappop(heap)
            self.stale_timers = max(0, self.stale_timers - 1)

    # -- what is due later -------------------------------------------------------------------------

    def on_their_way(self, fiber: Fiber) -> list[Envelope]:
        """The messages to ``fiber`` that lie in the future, in the order of their delivery."""
        mine = [item for item in self.heap if type(item) is Envelope and item[3].target is fiber]
        return sorted(mine, key=lambda envelope: envelope[:3])

    def schedule_sleep(self, signal: Signal, at: int, priority: int) -> None:
        """Resolve ``signal`` at ``at``; a time in the past is now."""
        number = self.sequence = self.sequence + 1
        at = max(at, self.now)
        if at == self.now and self.simulated:
            self.queues[max(priority, self.priority)].append((at, priority, number, signal))
        else:
            heappush(self.heap, (at, priority, number, signal))
        if self.kick is not None:
            self.kick()

    def schedule_timer(self, timer: asyncio.TimerHandle) -> None:
        """Fire an asyncio timer at its nanosecond."""
        at = moment_ns(timer.when(), self.base)
        if at is None or at >= NEVER:
            # anyio.sleep_forever() is a sleep until infinity.
            unarm(timer)
            return
        at = max(at, self.now)
        number = self.sequence = self.sequence + 1
        if at == self.now and self.simulated:
            self.queues[TIMER].append((at, TIMER, number, timer))
        else:
            heappush(self.heap, (at, TIMER, number, timer))

    def timer_cancelled(self) -> None:
        """Cancelled timers stay in the heap; when they are most of it, they are swept out."""
        self.stale_timers += 1
        if self.stale_timers > 100 and self.stale_timers * 2 > len(self.heap):
            # In place: whoever moves the time has the heap in hand.
            self.heap[:] = [item for item in self.heap if not is_stale(item[3])]
            heapify(self.heap)
            self.stale_timers = 0

    def set_feed(self, emit: Callable[[], int], at: int, fiber: Fiber) -> None:
        """Call ``emit`` at ``at``, before all else at that time, and again at each time it returns.

        There is one feed: the market-data actor, which merges all sources. When ``emit`` returns
        `NEVER` the data has ended: what follows at that time is still done, later timers are not.
        One that has failed is set again when its actor is restarted.
        """
        is_down = self.feed_time == NEVER and self.feed_fiber is fiber and not self.is_ending
        if self.feed is not None and not is_down:
            raise BacktestError("a system has one market feed: give all sources to one MarketData")
        self.feed, self.feed_fiber, self.feed_time = emit, fiber, at
        if not self.simulated and at < NEVER:
            self.queue_feed()

    def queue_feed(self) -> None:
        """In real time: give the next market event its place in the heap, like everything else."""
        number = self.sequence = self.sequence + 1
        heappush(self.heap, (self.feed_time, MARKET_TO_VENUE, number, None))
        if self.kick is not None:
            self.kick()

    # -- what is due now ---------------------------------------------------------------------------

    def wake(self, fiber: Fiber, signal: Signal, value: Any) -> None:
        """Resume ``fiber``, which waits for ``signal``, before any further message."""
        current = self.current
        if current is not None and current is not fiber:
            fiber.cause = current.cause
        self.wakes.append((fiber, signal, value))
        if self.kick is not None:
            self.kick()

    def is_idle(self, priority: int, own: Fiber | None = None) -> bool:
        """Whether a message sent now without latency would be the very next to be delivered.

        With ``own``, the fiber that runs: or the next but for some that only go to its inbox.
        """
        if self.wakes or self.ready:
            return False
        first, second, third, fourth = self.queues
        if first and (own is None or not _only_for(own, first)):
            return False
        # What is no more urgent than what is handled now goes before all that is less so.
        level = priority if priority > self.priority else self.priority
        if level and (second or (level > 1 and (third or (level > 2 and fourth)))):
            return False
        return priority <= self.priority or self.feed_time != self.now

    def outside(self) -> int:
        """The cause of what a task that is no fiber sends: that of the fiber that started it."""
        if not self.simulated:
            self.look_at_clock()
        fiber = OWNER.get(None)
        return 0 if fiber is None or fiber.events is not self else fiber.cause
