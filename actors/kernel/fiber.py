"""A coroutine that is an ordinary task to asyncio and can be stepped directly by the kernel.

An asyncio wake-up costs about 3 µs: a future, a callback, a pass of the loop. Most waits in a
simulation are for a message, and then nothing of that is needed. So a fiber wraps the coroutine of
a real `asyncio.Task`. While the coroutine is *parked* (it waits for the kernel: a message, a reply,
a signal) the task sees one future that stays pending, and the kernel resumes the coroutine itself,
entering and leaving the task as asyncio's own eager tasks do, which takes a third of a
microsecond. When the coroutine awaits something else (a timer, a thread, an anyio event) the fiber
hands that over to the task, and the loop does its usual work. Cancellation always comes through
the task, so anyio's cancel scopes and timeouts are exactly themselves.
"""

from __future__ import annotations

import asyncio
import contextvars
import decimal
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from .asyncio_internals import awaited, enter_task, leave_task
from .copies import ends_in_copies
from .garbage import never_end

if TYPE_CHECKING:
    from .event_queue import EventQueue
    from .message import Envelope

__all__ = ["ARITHMETIC", "EAGER", "HANDLE", "OWNER", "PARK", "RECEIVE", "Fiber"]

ARITHMETIC: Final = decimal.Context(
    prec=28,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=-999_999,
    Emax=999_999,
    capitals=1,
    clamp=0,
    flags=[],
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)
"""How an actor reckons unless it sets another decimal context: as Python does by default, whatever
the program that runs the system has set, or its thread."""


class _Park:
    """What a parked coroutine yields."""

    def __repr__(self) -> str:
        return "<PARK>"


PARK: Final = _Park()
RECEIVE: Final = "a message"
"""The value of `Fiber.waiting` while a coroutine is parked on its own inbox."""
HANDLE: Final = "a message to handle"
"""The same for an actor with a handler: the kernel calls that first, and only if it returns an
awaitable is the coroutine stepped, to await it."""

EAGER: Final = sys.version_info >= (3, 12)
"""Whether a task can begin inside the step of another, which is a fiber's, perhaps."""
OWNER: contextvars.ContextVar[Fiber] = contextvars.ContextVar("backtest_owner")
"""The fiber in whose context this runs: known to the tasks that it starts, too."""

_NOTHING: Final = object()


def _instance(error: tuple[Any, ...]) -> Any:
    """The exception in the arguments of a ``throw``: alone, or second behind its type."""
    return error[1] if len(error) > 1 and error[1] is not None else error[0]


class _Begun:
    """A coroutine that has run to its first wait, for somebody else to await the rest of it."""

    __slots__ = ("_first", "coroutine")

    def __init__(self, coroutine: Any, first: Any) -> None:
        self.coroutine = coroutine
        self._first = first

    def __await__(self) -> Iterator[Any]:
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        first = self._first
        if first is not _NOTHING:
            self._first = _NOTHING
            return first
        return self.coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        self._first = _NOTHING
        return self.coroutine.throw(_instance(error))

    def close(self) -> None:
        self.coroutine.close()


class Fiber:
    """One line of execution of an actor: its inbox, its task, and what it waits for now."""

    __reduce_ex__ = ends_in_copies

    __slots__ = (
        "_future",
        "_handoff",
        "_killed",
        "_outcome",
        "_run",
        "_send",
        "_tell_ended",
        "again",
        "arrive",
        "bound",
        "cause",
        "context",
        "coroutine",
        "enters",
        "events",
        "handle",
        "handling",
        "inbox",
        "load",
        "look",
        "mail",
        "name",
        "open",
        "respond",
        "room",
        "stopped",
        "task",
        "waiting",
    )

    def __init__(
        self, events: EventQueue, name: str, bound: int, ended: Callable[[Fiber, Any], None]
    ) -> None:
        self.events = events
        self._tell_ended = ended
        self.name = name
        self.bound = bound
        """How many messages may be on their way to it or wait in its inbox."""
        self.inbox: deque[Envelope] = deque()
        self.load = 0
        """Messages sent to it and not yet taken."""
        self.cause = 0
        """Id of the message it took last: the cause of what it sends."""
        self.handling: Envelope | None = None
        self.open = True
        """Whether messages may be sent to it; see `shut`."""
        self.stopped = False
        """Whether a supervision rule has ended its actor."""
        self.room: Any = None
        """A signal for senders that wait for room in the inbox."""
        self.mail: Any = None
        """A signal for tasks of the actor's own that wait for a message; see `Actor.receive`."""
        self.arrive: Callable[[Envelope], bool] | None = None
        """Called with each message as it arrives; true when nothing is left for the inbox."""
        self.enters = True
        """Whether its handler runs inside the task and its context; one that does not may be called
        in place, while an asker's task runs."""
        self.respond: Callable[[Any, int], Any] | None = None
        """`Actor.respond`, where the actor has one."""
        self.look: Callable[[Any], Any] | None = None
        """`Actor.look`, likewise."""
        self.handle: Any = None
        """What the kernel calls with a message while the fiber is parked on HANDLE."""
        self.waiting: Any = None
        """What it is parked on: RECEIVE, a signal, or None while it runs or waits in the loop."""
        self.task: Any = None
        """Its `asyncio.Task`, once it was started."""
        self.again = False
        """Whether the actor is to begin anew when this line, now being cancelled, has ended."""
        self.context = contextvars.copy_context()
        self._run = self.context.run
        self._run(OWNER.set, self)
        # One decimal context for each, for they are mutable: or the precision that one actor sets
        # would be that of all, and the caller's that of the run.
        self._run(decimal.setcontext, ARITHMETIC.copy())
        self.coroutine: Any = None
        self._send: Any = None
        self._future: Any = None
        self._handoff: Any = _NOTHING
        self._outcome: Any = _NOTHING
        self._killed = False

    # -- life ---------------------------------------------------------------------------------

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Make the task that runs ``coroutine`` as this fiber."""
        self.coroutine = coroutine
        self._send = coroutine.send
        self._outcome = self._handoff = _NOTHING
        self.waiting = self.handling = None
        self.events.loose += 1
        loop = asyncio.get_running_loop()
        make = self.events.task_class
        task: asyncio.Task[Any]
        self.task = task = make(_drive(self), loop=loop, name=self.name, context=self.context)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if self.waiting is None:
            self.events.loose -= 1
        self.waiting = None
        if not self._killed:
            self._run(self.coroutine.close)  # it may have been cancelled unbegun
        self._tell_ended(self, task)

    def kill(self) -> None:
        """End the task whatever its coroutine says: for one that refuses to be cancelled."""
        self._killed = True
        never_end(self.coroutine)
        self._handoff = _NOTHING
        self._outcome = asyncio.CancelledError("refused to be cancelled")
        if self.task is not None:
            self.task.cancel()

    @property
    def alive(self) -> bool:
        return self.task is not None and not self.task.done()

    def shut(self) -> None:
        """Take no more messages: every sender meets a bound that is always reached."""
        self.open = False
        self.bound = -1

    @property
    def has_room(self) -> bool:
        """Whether a message may be sent to it now. With a bound of 0 that is while it waits for one
        and none is on its way: sender and receiver meet."""
        if self.bound:
            return self.load < self.bound
        return not self.load and (
            self.waiting is HANDLE or self.waiting is RECEIVE or self.mail is not None
        )

    def make_room(self) -> None:
        """Let those go on who wait for room."""
        if self.room is not None:
            room, self.room = self.room, None
            room.resolve()

    @property
    def being_cancelled(self) -> bool:
        """Whether a cancellation is on its way to it, so that it must not be stepped."""
        return self.waiting is not None and self._future is not None and self._future.done()

    def is_elsewhere(self) -> bool:
        """Whether a task that is no fiber's runs now, begun eagerly inside this one's step."""
        task = asyncio.current_task()
        if task is None or task is self.task:
            return False
        return getattr(task.get_coro(), "cr_code", None) is not _drive.__code__

    def take(self, envelope: Envelope) -> None:
        """Note that ``envelope`` was taken from the inbox."""
        self.load -= 1
        self.cause = envelope.id
        self.handling = envelope
        if self.room is not None:
            self.make_room()

    # -- driven by the kernel -----------------------------------------------------------------

    def step(self, value: Any, guest: bool = False) -> None:
        """Resume the parked coroutine with ``value`` here and now."""
        events = self.events
        loop, task = events.loop, self.task
        self.waiting = None
        outer, events.current = events.current, self
        # Stepped while somebody else is at work in a task, that steps aside meanwhile.
        aside = asyncio.current_task(loop) if guest or outer is not None else None
        if aside is not None:
            leave_task(loop, aside)
        enter_task(loop, task)
        try:
            out = self._run(self._send, value)
        except BaseException as error:
            self.end(error)
        else:
            if out is not PARK:
                self._handoff = out
                self._wake_task()
        finally:
            leave_task(loop, task)
            if aside is not None:
                enter_task(loop, aside)
            events.current = outer

    def end(self, error: BaseException) -> None:
        """End the parked coroutine with ``error`` (a `StopIteration` when it returned)."""
        # The task must be the one to end: it is woken and meets the outcome in `send`.
        self.waiting = None
        self._outcome = error
        self._wake_task()

    def fail(self, error: BaseException, guest: bool = False) -> None:
        """Raise ``error`` where the parked coroutine waits, here and now."""
        # A handler's error belongs to the coroutine that would have called it: its ``finally``
        # clauses and task groups must see it, and a StopIteration must not look like a return.
        send, self._send = self._send, self.coroutine.throw
        try:
            self.step(error, guest)
        finally:
            self._send = send

    def _wake_task(self) -> None:
        self.events.loose += 1
        if not self._future.done():
            # It is done when the coroutine has cancelled its own task while it was stepped.
            self._future.set_result(None)

    def deliver(self, envelope: Envelope, guest: bool = False) -> None:
        """Handle a message while parked on HANDLE, here and now; then what has come meanwhile.

        Coroutines of handlers are run to their first wait, as if the fiber's own task did it: most
        never wait, and only one that does is handed to the task. As a ``guest``, while an asker's
        task and context are entered, it handles in its own context: or it would reckon with the
        decimal precision of whoever asks.
        """
        events, task, handle = self.events, self.task, self.handle
        outer, events.current = events.current, self
        enters = self.enters
        run = self._run if enters or guest else None
        if enters:
            enter_task(events.loop, task)
        first = None
        try:
            while True:
                self.load -= 1
                self.cause = envelope[2]
                self.handling = envelope
                self.waiting = None
                pending = handle(envelope) if run is None else run(handle, envelope)
                if pending is not None:
                    if type(pending) is not CoroutineType:
                        break
                    try:
                        first = pending.send(None) if run is None else run(pending.send, None)
                    except StopIteration:
                        pass
                    else:
                        pending = _Begun(pending, first)
                        break
                if not self.inbox:
                    self.waiting = HANDLE
                    return
                # It ran ahead, and some of what arrived is for its handler.
                envelope = self.inbox.popleft()
                if self.room is not None:
                    self.make_room()
        except BaseException as error:
            self.fail(error, guest)
            return
        finally:
            if enters:
                leave_task(events.loop, task)
            events.current = outer
        waiting = self.waiting
        self.step(pending, guest)
        if first is PARK:
            self.waiting = waiting

    # -- driven by its task (the iterator protocol that `await` speaks) -----------------------

    def __await__(self) -> Iterator[Any]:
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        out = self._handoff
        if out is not _NOTHING:
            self._handoff = _NOTHING
            return out
        if self._outcome is not _NOTHING:
            raise self._outcome
        return self._advance(self._send, None)

    def throw(self, *error: Any) -> Any:
        if self._outcome is not _NOTHING:
            raise self._outcome
        if self.waiting is not None:
            self.waiting = None
            self.events.loose += 1
        exception = _instance(error)
        handoff, self._handoff = self._handoff, _NOTHING
        if (
            isinstance(exception, asyncio.CancelledError)
            and asyncio.isfuture(handoff)
            and handoff.cancel(*exception.args)
        ):
            # Cancelled before the task could see what the coroutine awaits. As in asyncio, that is
            # cancelled first (a child task, say), and its end brings the error.
            return handoff
        return self._advance(self.coroutine.throw, exception)

    def close(self) -> None:
        if self.coroutine is not None:
            self.coroutine.close()

    def _advance(self, method: Callable[[Any], Any], value: Any) -> Any:
        events = self.events
        if events.kick is not None:
            events.look_at_clock()
        events.current = self
        try:
            out = method(value)
        finally:
            events.current = None
        if out is PARK:
            events.loose -= 1
            future = self._future = events.loop.create_future()
            return awaited(future)
        return out


async def _drive(fiber: Fiber) -> Any:
    # A real coroutine around the fiber: tools (anyio among them) inspect a task's coroutine.
    return await fiber  # type: ignore[misc]  # an iterator, which a generator need not be
