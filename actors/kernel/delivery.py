"""Delivery in simulated time: one thing after another, in one order, moving the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .deadlock import STRIDE, StallWatch
from .event_queue import NEVER, EventQueue
from .fiber import HANDLE, RECEIVE, Fiber
from .message import Answer, Envelope
from .signal import Signal

if TYPE_CHECKING:
    from .lifecycle import Lifecycle
    from .supervision import Supervisor

__all__ = ["Awaited", "Delivery"]

_STRIDE = (None,) * STRIDE


class Awaited(Protocol):
    """Something that is waited for and knows whether it has come."""

    is_answered: bool


class Delivery:
    """Hands what is due to whom it is for."""

    __slots__ = ("course", "events", "stalls", "supervisor")

    def __init__(
        self, events: EventQueue, course: Lifecycle, supervisor: Supervisor, stalls: StallWatch
    ) -> None:
        self.events = events
        self.course = course
        self.supervisor = supervisor
        self.stalls = stalls

    def pump(self) -> None:  # noqa: C901  # every call would be paid for with each message
        """Deliver what is due until the loop has work of its own, moving time when all wait."""
        events = self.events
        ready, wakes, heap = events.ready, events.wakes, events.heap
        first, second, third, fourth = events.queues
        deliver, emit, move_on = self.deliver, self.emit, events.move_on
        watched = events.tracer is not None or events.observer is not None
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
                elif events.feed_time == events.now:
                    emit()
                    continue
                elif second:
                    events.priority = 1
                    envelope = second.popleft()
                elif third:
                    events.priority = 2
                    envelope = third.popleft()
                elif fourth:
                    events.priority = 3
                    envelope = fourth.popleft()
                elif events.loose or events.is_ending:
                    if not self._go_on():
                        return
                    continue
                elif events.now < events.feed_time < (heap[0][0] if heap else NEVER):
                    # The common case of `move_on`: nothing but a market event comes next.
                    events.now = events.feed_time
                    events.priority = 0
                    emit()
                    continue
                elif move_on():
                    continue
                else:
                    self.course.quiescent()
                    return
                # The common case of `deliver`, here because a call of it is a tenth of it all.
                if not watched and type(envelope) is Envelope and type(envelope[4]) is not Answer:
                    fiber = envelope[3].target
                    if fiber.waiting is HANDLE and fiber.room is None:
                        fiber.deliver(envelope)
                        continue
                deliver(envelope)
            self.stalls.note(STRIDE)

    def run_ahead(self, awaited: Awaited) -> None:
        """Deliver what is due now, as `pump` would, for a fiber that is about to wait.

        Stops as soon as ``awaited`` is answered, or when the next thing is more than handing a
        message to an idle actor or to the fiber itself; then the fiber parks, and `pump` goes on.
        It spares a strategy that awaits a command most of the cost of being parked and resumed.
        """
        events = self.events
        own = events.current
        if own is None or not events.simulated:
            return
        if events.tracer is not None or events.observer is not None:
            return
        level = events.priority
        first, second, third, _ = queues = events.queues
        # What is sent meanwhile is no more urgent than the event at hand, so one look is enough.
        if level and (
            first
            or events.feed_time == events.now
            or (level > 1 and second)
            or (level > 2 and third)
        ):
            return
        queue, wakes, ready = queues[level], events.wakes, events.ready
        while queue and not (awaited.is_answered or wakes or ready):
            envelope = queue[0]
            if type(envelope) is not Envelope or type(envelope[4]) is Answer:
                return
            fiber = envelope[3].target
            if fiber is own:
                if own.arrive is None:
                    return
                del queue[0]
                self._put_into_inbox(own, envelope)
            elif fiber.waiting is HANDLE and not fiber.enters and fiber.room is None:
                del queue[0]
                fiber.deliver(envelope, True)
            else:
                return

    def emit(self) -> None:
        """Let the market feed send the event that is due."""
        events = self.events
        fiber = events.feed_fiber
        fiber.cause = 0
        events.current = fiber
        try:
            events.feed_time = at = events.feed()
        except BaseException as error:
            events.feed_time = NEVER
            if fiber.waiting is None:
                self.supervisor.explain(error, fiber)
                self.course.fail(error)
            else:
                fiber.fail(error)
        else:
            if at == NEVER:
                events.is_ending = True
        finally:
            events.current = None

    def deliver(self, envelope: Any) -> None:
        """Hand over what was taken from a queue: a message, an answer, or a timer."""
        if type(envelope) is not Envelope:
            self._fire(envelope[3])
            return
        events = self.events
        if events.tracer is not None:
            events.tracer(envelope)
        fiber = envelope[3].target
        if fiber.waiting is HANDLE:
            if type(envelope[4]) is Answer:
                envelope[4].signal.resolve(envelope[4].value)
            else:
                fiber.deliver(envelope)
        elif type(envelope[4]) is Answer:
            envelope[4].signal.resolve(envelope[4].value)
        else:
            self._put_into_inbox(fiber, envelope)
        if fiber.room is not None and fiber.has_room:
            fiber.make_room()
        if events.observer is not None:
            events.observer(envelope)

    def _put_into_inbox(self, fiber: Fiber, envelope: Envelope) -> None:
        """Hand a message to a fiber that is at work, or that has ended."""
        if fiber.arrive is not None:
            try:
                is_done = fiber.arrive(envelope)
            except BaseException as error:
                self.supervisor.explain(error, fiber)
                self.course.fail(error)
                is_done = True
            if is_done:
                fiber.load -= 1
                return
        if fiber.waiting is RECEIVE:
            fiber.take(envelope)
            fiber.step(envelope)
        elif fiber.open:
            fiber.inbox.append(envelope)
            if fiber.mail is not None:
                mail, fiber.mail = fiber.mail, None
                mail.resolve()
        else:
            fiber.load -= 1
            self.supervisor.bury(envelope, f"{fiber.name} has ended")

    def _fire(self, what: Any) -> None:
        if type(what) is Signal:
            what.resolve()
        elif not what.cancelled():
            self.events.loop.fire(what)

    def _go_on(self) -> bool:
        """Move to the next time at which something happens; False when the loop must go on."""
        events = self.events
        if events.loose and events.loop.outside_work():
            # Somebody waits for a thread or a socket: simulated time stands still.
            events.loop.poll()
            return False
        if events.is_ending or not events.move_on():
            self.course.quiescent()
            return False
        return True
