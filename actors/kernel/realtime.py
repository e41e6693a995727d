"""Delivery in real time, on an ordinary asyncio loop that others use, too."""

from __future__ import annotations

from heapq import heappop

from .delivery import Delivery
from .event_queue import is_stale
from .message import Envelope

__all__ = ["GRACE_S", "MOMENT_S", "Live"]

MOMENT_S = 0.01
"""How long, in real seconds, what is started while a run is wound down may take."""
GRACE_S = 1.0
"""How long, in real seconds, a cancelled actor may take to end."""


class Live:
    """Delivers what is due, one thing in each pass of the loop, and sleeps until the next is."""

    __slots__ = ("_delivery", "_events", "_kicked", "_next")

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._events = delivery.events
        self._kicked = False
        self._next: int | None = None

    def kick(self) -> None:
        """Something was sent: deliver it in the loop's next pass."""
        if not self._kicked:
            self._kicked = True
            self._events.loop.call_soon(self._pump)

    def _pump(self) -> None:
        events, course = self._events, self._delivery.course
        self._kicked = False
        if course.is_over:
            return
        try:
            self._deliver()
        except Exception as error:
            # A callback's error would only be logged.
            course.crash(error)
        heap = events.heap
        if events.wakes or any(events.queues):
            self.kick()
        elif events.is_ending:
            # The end was asked for, and all that was due is done.
            if not course.is_closing:
                course.finish()
        elif heap and (self._next is None or heap[0][0] < self._next):
            self._next = heap[0][0]
            events.loop.call_later(max(0, self._next - events.now) / 1e9, self._wake)

    def _deliver(self) -> None:
        events = self._events
        events.look_at_clock()
        self._take_what_is_due()
        if events.wakes:
            fiber, signal, value = events.wakes[0]
            # Others run between two passes here: one of them may have cancelled the fiber.
            if fiber.waiting is signal and fiber.being_cancelled:
                return
            events.wakes.popleft()
            if fiber.waiting is signal:
                fiber.step(value)
            return
        for priority, queue in enumerate(events.queues):
            if queue:
                head = queue[0]
                if type(head) is Envelope and head.channel.target.being_cancelled:
                    return
                events.priority = priority
                try:
                    self._delivery.deliver(queue.popleft())
                finally:
                    events.priority = 0
                return

    def _take_what_is_due(self) -> None:
        events = self._events
        heap = events.heap
        while heap and heap[0][0] <= events.now:
            item = heappop(heap)
            if item[3] is None:
                self._delivery.emit()
                if not events.is_ending:
                    events.queue_feed()
            elif not is_stale(item[3]):
                events.queues[item[1]].append(item)

    def _wake(self) -> None:
        self._next = None
        self.kick()
