"""Delivery in real time, on an ordinary asyncio loop that others use, too."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from .event_queue import is_stale
from .message import MARKET_TO_VENUE, Envelope

if TYPE_CHECKING:
    from .system import System

__all__ = ["GRACE_S", "MOMENT_S", "Live"]

MOMENT_S = 0.01
"""How long, in real seconds, what is started while a run is wound down may take."""
GRACE_S = 1.0
"""How long, in real seconds, a cancelled actor may take to end."""


class Live:
    """Delivers what is due, one thing in each pass of the loop, and sleeps until the next is."""

    __slots__ = ("_kicked", "_next", "_system")

    def __init__(self, system: System) -> None:
        self._system = system
        self._kicked = False
        self._next: int | None = None

    def kick(self) -> None:
        """Something was sent: deliver it in the loop's next pass."""
        if not self._kicked and self._system.loop is not None:
            self._kicked = True
            self._system.loop.call_soon(self._pump)

    def feed(self) -> None:
        """Give the next market event its place in the heap, like everything else."""
        system = self._system
        number = system.sequence = system.sequence + 1
        heappush(system._heap, (system._feed_time, MARKET_TO_VENUE, number, None))
        self.kick()

    def _pump(self) -> None:
        system = self._system
        self._kicked = False
        if system._course.is_over:
            return
        try:
            self._deliver()
        except Exception as error:
            # A callback's error would only be logged.
            system.crash(error)
        heap = system._heap
        if system._wakes or any(system.queues):
            self.kick()
        elif system._ending:
            # The end was asked for, and all that was due is done.
            if not system.is_closing:
                system._course.finish()
        elif heap and (self._next is None or heap[0][0] < self._next):
            self._next = heap[0][0]
            system.loop.call_later(max(0, self._next - system.now) / 1e9, self._wake)

    def _deliver(self) -> None:
        system = self._system
        system.now = max(system.now, system.clock.now())
        self._take_what_is_due()
        if system._wakes:
            fiber, signal, value = system._wakes[0]
            # Others run between two passes here: one of them may have cancelled the fiber.
            if fiber.waiting is signal and fiber.being_cancelled:
                return
            system._wakes.popleft()
            if fiber.waiting is signal:
                fiber.step(value)
            return
        for priority, queue in enumerate(system.queues):
            if queue:
                head = queue[0]
                if type(head) is Envelope and head.channel.target.being_cancelled:
                    return
                system.priority = priority
                try:
                    system._deliver(queue.popleft())
                finally:
                    system.priority = 0
                return

    def _take_what_is_due(self) -> None:
        system = self._system
        heap = system._heap
        while heap and heap[0][0] <= system.now:
            item = heappop(heap)
            if item[3] is None:
                system._emit()
                if not system._ending:
                    self.feed()
            elif not is_stale(item[3]):
                system.queues[item[1]].append(item)

    def _wake(self) -> None:
        self._next = None
        self.kick()
