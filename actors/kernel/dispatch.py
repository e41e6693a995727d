"""Delivery in simulated time: one thing after another, in one order, moving the clock."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Protocol

from backtest.errors import BacktestError

from .channel import Answer
from .clock import Clock
from .event_queue import NEVER, EventQueue, is_stale
from .fiber import HANDLE, RECEIVE, Fiber
from .message import Envelope
from .signal import Signal
from .supervision import Supervisor

__all__ = ["Awaited", "Delivery"]

STRIDE = 4096
"""Steps between two looks at whether time moves."""
_STRIDE = (None,) * STRIDE


def _only_for(fiber: Fiber, queue: deque[Any]) -> bool:
    """Whether all in ``queue`` are messages that wait until ``fiber`` is done with what it does."""
    if fiber.arrive is not None or fiber.mail is not None:
        return False
    for item in queue:
        if type(item) is not Envelope or item[3].target is not fiber or type(item[4]) is Answer:
            return False
    return True


class Awaited(Protocol):
    """Something that is waited for and knows whether it has come."""

    is_answered: bool


class Delivery(EventQueue):
    """The middle part of a `System`: it hands what is due to whom it is for.

    A base and not a part of its own, for this is the hot path: each look at another object here
    would be paid for with every message.
    """

    __slots__ = ("_wakes", "current", "loose", "observer", "task_class", "tracer")

    _supervisor: Supervisor

    def __init__(self, clock: Clock | None) -> None:
        super().__init__(clock)
        self.current: Fiber | None = None
        """The fiber that runs now; None while the loop runs an ordinary task."""
        self.loose = 0
        """Fibers that are not parked: they run, or wait for something of the loop's. In a
        simulation the tasks that they started count, too."""
        self.task_class: Any = asyncio.Task
        self.tracer: Callable[[Envelope], None] | None = None
        """Called with every message just before it is delivered. Set it before the run."""
        self.observer: Callable[[Envelope], None] | None = None
        """Called with every message after its delivery: where invariants are checked. Likewise."""
        self._wakes: deque[tuple[Fiber, Signal, Any]] = deque()

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """End the run with ``error``, unless another one was first."""

    @abstractmethod
    def note_steps(self, steps: int) -> None:
        """So many steps were made since the last call. Raises `Livelock` when time stands still."""

    @abstractmethod
    def _quiescent(self) -> None:
        """Nothing can happen any more."""

    def wake(self, fiber: Fiber, signal: Signal, value: Any) -> None:
        """Resume ``fiber``, which waits for ``signal``, before any further message."""
        current = self.current
        if current is not None and current is not fiber:
            fiber.cause = current.cause
        self._wakes.append((fiber, signal, value))
        if self.kick is not None:
            self.kick()

    def pump(self) -> None:
        """Deliver what is due until the loop has work of its own, moving time when all wait."""
        ready = self.loop._ready
        wakes = self._wakes
        first, second, third, fourth = self.queues
        deliver, emit, advance = self._deliver, self._emit, self._advance
        watched = self.tracer is not None or self.observer is not None
        while True:
            for _ in _STRIDE:
                if ready:
                    return
                if wakes:
                    fiber, signal, value = wakes.popleft()
                    if fiber.waiting is signal:
                        fiber.step(value)
                    continue
                if first:
                    envelope = first.popleft()
                elif self._feed_time == self.now:
                    emit()
                    continue
                elif second:
                    self.priority = 1
                    envelope = second.popleft()
                elif third:
                    self.priority = 2
                    envelope = third.popleft()
                elif fourth:
                    self.priority = 3
                    envelope = fourth.popleft()
                elif self.now < self._feed_time < NEVER and not (
                    self._heap or self.loose or self._ending
                ):
                    # The common case of `_advance`: all wait, nothing but the next bar is to come.
                    self.now = self.clock.ns = self._feed_time  # type: ignore[attr-defined]
                    self.priority = 0
                    emit()
                    continue
                else:
                    # So does a message with latency, alone at its time: a market of agents.
                    envelope = self._next_alone()
                    if envelope is None:
                        if advance():
                            continue
                        return
                # The common case of `_deliver`, here because a call of it is a tenth of it all.
                if not watched and type(envelope) is Envelope and type(envelope[4]) is not Answer:
                    fiber = envelope[3].target
                    if fiber.waiting is HANDLE and fiber.room is None:
                        fiber.deliver(envelope)
                        continue
                deliver(envelope)
            self.note_steps(STRIDE)

    def is_idle(self, priority: int, own: Fiber | None = None) -> bool:
        """Whether a message sent now without latency would be the very next to be delivered.

        With ``own``, the fiber that runs: or the next but for some that only go to its inbox.
        """
        if self._wakes or self.loop._ready:
            return False
        first, second, third, fourth = self.queues
        if first and (own is None or not _only_for(own, first)):
            return False
        # What is no more urgent than what is handled now goes before all that is less so.
        level = priority if priority > self.priority else self.priority
        if level and (second or (level > 1 and (third or (level > 2 and fourth)))):
            return False
        return priority <= self.priority or self._feed_time != self.now

    def run_ahead(self, awaited: Awaited) -> None:
        """Deliver what is due now, as `pump` would, for a fiber that is about to wait.

        Stops as soon as ``awaited`` is answered, or when the next thing is more than handing a
        message to an idle actor or to the fiber itself; then the fiber parks, and `pump` goes on.
        It spares a strategy that awaits a command most of the cost of being parked and resumed.
        """
        own = self.current
        wakes, ready = self._wakes, self.loop._ready
        if own is None or not self.simulated:
            return
        if self.tracer is not None or self.observer is not None:
            return
        level = self.priority
        # What is sent meanwhile is no more urgent than the event at hand, so one look is enough.
        if level and self._urgent(level):
            return
        queue = self.queues[level]
        while queue and not (awaited.is_answered or wakes or ready):
            envelope = queue[0]
            if type(envelope) is not Envelope or type(envelope[4]) is Answer:
                return
            fiber = envelope[3].target
            if fiber is own:
                if own.arrive is None:
                    return
                del queue[0]
                if self._arrives(own, envelope):
                    own.load -= 1
                else:
                    own.inbox.append(envelope)
            elif fiber.waiting is HANDLE and fiber.hosts and fiber.room is None:
                del queue[0]
                fiber.deliver_as_guest(envelope)
            else:
                return

    def _urgent(self, level: int) -> bool:
        """Whether something more urgent than an event of priority ``level`` is due now."""
        first, second, third, _ = self.queues
        return bool(
            first or self._feed_time == self.now or (level > 1 and second) or (level > 2 and third)
        )

    def _emit(self) -> None:
        """Let the market feed send the event that is due."""
        fiber = self._feed_fiber
        fiber.cause = 0
        self.current = fiber
        try:
            self._feed_time = at = self._feed()
        except BaseException as error:
            self._feed_time = NEVER
            if fiber.waiting is None:
                self._supervisor.explain(error, fiber)
                self.fail(error)
            else:
                fiber.fail(error)
        else:
            if at == NEVER:
                self._ending = True
        finally:
            self.current = None

    def _deliver(self, envelope: Any) -> None:
        if type(envelope) is not Envelope:
            self._fire(envelope[3])
            return
        if self.tracer is not None:
            self.tracer(envelope)
        fiber = envelope[3].target
        if fiber.waiting is HANDLE:
            if type(envelope[4]) is Answer:
                envelope[4].signal.resolve(envelope[4].value)
            else:
                fiber.deliver(envelope)
        elif type(envelope[4]) is Answer:
            envelope[4].signal.resolve(envelope[4].value)
        elif fiber.arrive is not None and self._arrives(fiber, envelope):
            fiber.load -= 1
        elif fiber.waiting is RECEIVE:
            fiber.take(envelope)
            fiber.step(envelope)
        elif fiber.open:
            fiber.inbox.append(envelope)
            if fiber.mail is not None:
                mail, fiber.mail = fiber.mail, None
                mail.resolve()
        else:
            fiber.load -= 1
            self._supervisor.bury(envelope, f"{fiber.name} has ended")
        if fiber.room is not None and fiber.has_room:
            fiber.make_room()
        if self.observer is not None:
            self.observer(envelope)

    def _arrives(self, fiber: Fiber, envelope: Envelope) -> bool:
        try:
            return fiber.arrive(envelope)  # type: ignore[misc]
        except BaseException as error:
            self._supervisor.explain(error, fiber)
            self.fail(error)
            return True

    def _fire(self, what: Any) -> None:
        if type(what) is Signal:
            what.resolve()
        elif not what.cancelled():
            # Float and integer time may differ by rounding; asyncio must never see a timer early.
            self.loop.floor = max(self.loop.floor, float(what.when()))
            what._scheduled = False
            self.loop._ready.append(what)

    def _next_alone(self) -> Envelope | None:
        """The message that comes next, taken, and time moved to it; None when `_advance` must
        look: it is not the only thing at its time, or no message, or time may not move."""
        heap = self._heap
        if not heap or self.loose or self._ending:
            return None
        item = heap[0]
        at: int = item[0]
        if type(item) is not Envelope or at >= self._feed_time or at < self.now:
            return None
        heappop(heap)
        if heap and heap[0][0] == at:
            heappush(heap, item)
            return None
        self.now = self.clock.ns = at  # type: ignore[attr-defined]
        self.priority = item[1]
        return item

    def _advance(self) -> bool:
        """Move to the next time at which something happens; False when the loop must go on."""
        if self.loose and self.loop.outside_work():
            # Somebody waits for a thread or a socket: simulated time stands still.
            self.loop.poll()
            return False
        heap = self._heap
        at = self._feed_time
        if heap:
            while heap and is_stale(heap[0][3]):
                heappop(heap)
                self._stale_timers = max(0, self._stale_timers - 1)
            if heap and heap[0][0] < at:
                at = heap[0][0]
        if at == NEVER or self._ending:
            self._quiescent()
            return False
        if at < self.now:
            raise BacktestError(f"time cannot go back from {self.now} to {at}")
        self.now = self.clock.ns = at  # type: ignore[attr-defined]
        self.priority = 0
        while heap and heap[0][0] == at:
            item = heappop(heap)
            self.queues[item[1]].append(item)
        return True
