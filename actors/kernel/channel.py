"""A link from one actor to another: bounded, in order, with a latency of its own."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappush
from random import Random
from typing import TYPE_CHECKING, Any

from backtest.errors import BacktestError, FieldError, InboxOverflow, Undeliverable

from .copies import ends_in_copies
from .fiber import HANDLE, Fiber
from .latency import FixedLatency, Latency
from .message import COMMAND, Answer, Envelope
from .signal import UNSET, Failure, Signal
from .statistics import ChannelStatistics

if TYPE_CHECKING:
    from .system import System

__all__ = ["Channel"]

_new = tuple.__new__


class Channel:
    """The address of ``target`` in the hands of ``sender``.

    `post` never waits, `send` waits for room, `request` waits for the answer. Messages of one
    priority arrive in the order in which they were sent, also when their latencies differ.
    """

    __reduce_ex__ = ends_in_copies

    __slots__ = (
        "_back",
        "_by_priority",
        "_last",
        "_random",
        "events",
        "forgives",
        "is_prompt",
        "is_slow",
        "latency",
        "sender",
        "sent",
        "system",
        "target",
    )

    def __init__(self, system: System, sender: str, target: Fiber, latency: Latency | None) -> None:
        self.system = system
        self.events = system.events
        self.sender = sender
        self.target = target
        self.latency = latency
        self.sent = 0
        self.is_slow = latency is not None or not system.simulated
        self.forgives: Callable[[Channel], None] | None = None
        """Where set, a message to a target that its supervision rule has stopped is no error but
        a dead letter; this is called with the channel then."""
        self.is_prompt = False
        """Whether messages and their answers take no time; the system keeps it true."""
        self._random: Random | None = None
        """The link's own random stream; made when it first draws, for it takes 2.5 kB."""
        self._last = 0
        self._by_priority: dict[int, tuple[Latency | None, int]] | None = None
        """Latencies of their own, and when the last message with each arrives, by priority."""
        self._back: Channel | None = None

    def __repr__(self) -> str:
        return f"<Channel {self.sender} -> {self.target.name}>"

    def set_latency(self, latency: Latency | None) -> None:
        """Charge ``latency`` from now on; what is on its way is not overtaken."""
        if latency is None and self._last > self.events.now:
            latency = FixedLatency(0)
        self.latency = latency
        self.is_slow = (
            latency is not None or self._by_priority is not None or not self.system.simulated
        )

    def set_latency_of(self, priority: int, latency: Latency | None) -> None:
        """Charge ``latency`` to the messages of one priority, which had none, from now on."""
        kept = {} if self._by_priority is None else self._by_priority
        kept[priority] = (latency, kept[priority][1] if priority in kept else self._last)
        self._by_priority = kept
        self.is_slow = True

    def _arrival(self, priority: int, now: int) -> int:
        """When a message that is sent now arrives; 0: at once."""
        kept = self._by_priority
        own = None if kept is None else kept.get(priority)
        latency = self.latency if own is None else own[0]
        if latency is None:
            return 0
        if type(latency) is FixedLatency:
            delay = latency.ns
        else:
            random = self._random
            if random is None:
                name = f"latency/{self.sender}/{self.target.name}"
                random = self._random = self.system.random_for(name)
            delay = latency.draw(random)
        if type(delay) is not int or delay < 0:
            raise FieldError(
                "latency", f"of {self!r} must be a whole number of ns >= 0, not {delay!r}"
            )
        at: int = now + delay
        if own is None or kept is None:
            if at < self._last:
                at = self._last
            self._last = at
        else:
            if at < own[1]:
                at = own[1]
            kept[priority] = (latency, at)
        return at

    def statistics(self) -> ChannelStatistics:
        """A snapshot of the counters."""
        return ChannelStatistics(
            sender=self.sender,
            target=self.target.name,
            sent=self.sent,
            waiting=self.target.load,
            bound=self.target.bound,
        )

    def post(self, payload: Any, priority: int = COMMAND, reply: Signal | None = None) -> int:
        """Send without waiting; the message's id.

        Raises `InboxOverflow` when the target's bound is reached, `Undeliverable` when it ended.
        """
        target = self.target
        if target.load >= target.bound:
            self._refuse(payload)
        if self.is_slow:
            number = self._put(payload, priority, reply)
            target.load += 1
            return number
        target.load += 1
        # The rest stands again in `_put`; it is here because a call would be a tenth of a hop.
        self.sent += 1
        events = self.events
        number = events.sequence = events.sequence + 1
        sender = events.current
        cause = sender.cause if sender is not None else events.outside()
        now = events.now
        if priority < events.priority:
            priority = events.priority
        events.queues[priority].append(
            _new(Envelope, (now, priority, number, self, payload, cause, now, reply))
        )
        return number

    def _refuse(self, payload: Any) -> None:
        """The bound is reached: raise, unless the message may be sent all the same."""
        target = self.target
        if target.open and target.has_room:
            return
        if target.stopped and self.forgives is not None:
            self.forgives(self)
            return
        if not target.open:
            raise Undeliverable(
                f"{self.sender} sent to {target.name}, which has ended: {payload!r}"
            )
        raise InboxOverflow(target.name, target.bound)

    def post_from(self, leaves: int, payload: Any, priority: int = COMMAND) -> int:
        """`post`, of what leaves its sender at ``leaves`` (nanoseconds) and not before."""
        if leaves <= self.events.now:
            return self.post(payload, priority)
        target = self.target
        if target.load >= target.bound:
            self._refuse(payload)
        at = max(self._arrival(priority, leaves), leaves)
        number = self._put(payload, priority, None, at, leaves)
        target.load += 1
        return number

    def _put(
        self, payload: Any, priority: int, reply: Signal | None, at: int = 0, leaves: int = 0
    ) -> int:
        """Send, to be delivered at ``at`` where given; room and life of the target are known."""
        events = self.events
        sender = events.current
        cause = sender.cause if sender is not None else events.outside()
        now = events.now
        if self.is_slow and not at:
            at = self._arrival(priority, now)
        self.sent += 1
        number = events.sequence = events.sequence + 1
        if at > now:
            sent = leaves or now
            envelope = _new(Envelope, (at, priority, number, self, payload, cause, sent, reply))
            heappush(events.heap, envelope)
        else:
            # It happens now, so it is never more urgent than what is being handled now.
            if priority < events.priority:
                priority = events.priority
            events.queues[priority].append(
                _new(Envelope, (now, priority, number, self, payload, cause, now, reply))
            )
        if events.kick is not None:
            events.kick()
        return number

    def post_at(self, at: int, payload: Any, priority: int) -> int:
        """Send, to be delivered at ``at`` (nanoseconds): how an actor sets itself a timer."""
        target = self.target
        if target.load >= target.bound:
            self._refuse(payload)
        target.load += 1
        return self._put(payload, priority, None, max(at, self.events.now, 1))

    async def send(self, payload: Any, priority: int = COMMAND) -> int:
        """Send, waiting until the target has room; the message's id."""
        target = self.target
        while target.open and not target.has_room:
            if target.room is None:
                target.room = Signal(self.system, target.name)
            await target.room.wait()
        return self.post(payload, priority)

    def ask(self, payload: Any) -> Any:
        """`request` without waiting, of a target that answers by `Actor.respond`: the answer.

        `UNSET`, and nothing has happened, when the question cannot be answered here and now as the
        very next message, or when somebody watches: then it is for `request`. Ids and counters
        are those of a request. Raises what the target answers with when it refuses.
        """
        events = self.events
        target = self.target
        if (
            target.waiting is not HANDLE
            or target.respond is None
            or not self.is_prompt
            or target.room is not None
            or target.load >= target.bound
            or events.tracer is not None
            or events.observer is not None
        ):
            return UNSET
        sender = events.current
        if sender is None or sender.enters:
            return UNSET
        first, second, third, fourth = events.queues
        is_anything_due = first or second or third or fourth or events.wakes or events.ready
        if is_anything_due and not events.is_idle(COMMAND, sender):
            return UNSET
        back = self._back
        if back is None:
            back = self._back = self.system.channel(target.name, self.sender)
        # A question and an answer: two messages, with their numbers.
        number = events.sequence + 1
        try:
            value = target.respond(payload, sender.cause)
        except BaseException:
            # It refuses nothing, it breaks: let that happen the long way, again, where it belongs.
            return UNSET
        target.cause = number
        events.sequence = number + 1
        self.sent += 1
        back.sent += 1
        if isinstance(value, BaseException):
            raise value
        return value

    def look(self, payload: Any) -> Any:
        """`request` without waiting, of a target that may be looked at (`Actor.look`): the answer.

        `UNSET`, and nothing has happened, when it cannot be answered here and now as the very next
        message, or when somebody watches: then it is for `request`. Ids and counters are those of
        a request. Raises what the target answers with when it refuses.
        """
        events = self.events
        target = self.target
        if (
            target.look is None
            or not self.is_prompt
            or target.waiting is not HANDLE
            or target.room is not None
            or target.load >= target.bound
            or events.tracer is not None
            or events.observer is not None
            or not events.is_idle(COMMAND)
        ):
            return UNSET
        value = target.look(payload)
        if value is UNSET:
            return UNSET
        back = self._back
        if back is None:
            back = self._back = self.system.channel(target.name, self.sender)
        target.cause = number = events.sequence + 1
        events.sequence = number + 1
        self.sent += 1
        back.sent += 1
        if isinstance(value, BaseException):
            raise value
        return value

    async def request(self, payload: Any, priority: int = COMMAND) -> Any:
        """Send and wait for the answer; raises what the target answers with when it refuses."""
        events = self.events
        target = self.target
        reply = Signal(self.system, target.name)
        if (
            target.waiting is HANDLE
            and self.is_prompt
            and not target.enters
            and target.room is None
            and events.is_idle(priority)
        ):
            # It would be the next message delivered anyway: deliver it here. The asker is spared
            # being parked and resumed; order, ids and what observers see stay the same.
            number = events.sequence = events.sequence + 1
            if priority < events.priority:
                priority = events.priority
            else:
                events.priority = priority
            sender = events.current
            cause = sender.cause if sender is not None else events.outside()
            now = events.now
            envelope = _new(Envelope, (now, priority, number, self, payload, cause, now, reply))
            self.sent += 1
            target.load += 1
            if events.tracer is not None:
                events.tracer(envelope)
            reply.inline = True
            target.deliver(envelope, guest=sender is None or sender.enters)
            reply.inline = False
            if events.observer is not None:
                events.observer(envelope)
            value = reply.value
            if value is not UNSET:
                if type(value) is Failure:
                    raise value.error
                return value
        else:
            self.post(payload, priority, reply)
        return await reply.wait()

    def answer(self, request: Envelope, value: Any, priority: int = COMMAND) -> None:
        """Answer a ``request`` that came the other way; an exception is raised at the asker.

        An answer needs no room in the inbox: the asker waits for it.
        """
        reply = request.reply
        if reply is None or reply.answered or reply.value is not UNSET:
            problem = "asks for no answer" if reply is None else "was answered already"
            raise BacktestError(f"{request.payload!r} from {request.channel.sender} {problem}")
        if isinstance(value, BaseException):
            value = Failure(value)
        self._put(Answer(reply, value), priority, None)
        reply.answered = True

    def answer_now(self, reply: Signal, value: Any, priority: int = COMMAND) -> None:
        """Hand the answer to an asker who has not begun to wait; numbered like any message."""
        events = self.events
        self.sent += 1
        number = events.sequence = events.sequence + 1
        if isinstance(value, BaseException):
            value = Failure(value)
        reply.value = value
        if events.tracer is not None or events.observer is not None:
            now, sender = events.now, events.current
            cause = sender.cause if sender is not None else events.outside()
            priority = max(priority, events.priority)
            answer = Answer(reply, value)
            envelope = Envelope(now, priority, number, self, answer, cause, now, None)
            if events.tracer is not None:
                events.tracer(envelope)
            if events.observer is not None:
                events.observer(envelope)
