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
from asyncio.tasks import _enter_task, _leave_task  # type: ignore[attr-defined]
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .message import Envelope
    from .system import System

__all__ = ["HANDLE", "PARK", "RECEIVE", "Fiber"]


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

_NOTHING: Final = object()


class _Begun:
    """A coroutine that has run to its first wait, for somebody else to await the rest of it."""

    __slots__ = ("_coroutine", "_first")

    def __init__(self, coroutine: Any, first: Any) -> None:
        self._coroutine = coroutine
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
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        self._first = _NOTHING
        return self._coroutine.throw(error[1] if len(error) > 1 and error[1] is not None else error[0])

    def close(self) -> None:
        self._coroutine.close()


class Fiber:
    """One line of execution of an actor: its inbox, its task, and what it waits for now."""

    __slots__ = (
        "_coroutine",
        "_future",
        "_handoff",
        "_outcome",
        "_run",
        "_send",
        "arrive",
        "bound",
        "cause",
        "context",
        "draining",
        "enters",
        "handle",
        "handled",
        "handling",
        "inbox",
        "load",
        "name",
        "open",
        "room",
        "system",
        "task",
        "waiting",
    )

    def __init__(self, system: System, name: str, bound: int) -> None:
        self.system = system
        self.name = name
        self.bound = bound
        """How many messages may be on their way to it or wait in its inbox."""
        self.inbox: deque[Envelope] = deque()
        self.load = 0
        """Messages sent to it and not yet taken."""
        self.handled = 0
        self.cause = 0
        """Id of the message it took last: the cause of what it sends."""
        self.handling: Envelope | None = None
        self.open = True
        """Whether messages may be sent to it."""
        self.room: Any = None
        """A signal for senders that wait for room in the inbox."""
        self.arrive: Callable[[Envelope], bool] | None = None
        """Called with each message as it arrives; true when nothing is left for the inbox."""
        self.draining = False
        """Whether its own task is handling what waited in the inbox."""
        self.enters = True
        """Whether coroutines of handlers run inside the task and its context."""
        self.handle: Callable[[Envelope], Any] | None = None
        """What the kernel calls with a message while the fiber is parked on HANDLE."""
        self.waiting: Any = None
        """What it is parked on: RECEIVE, a signal, or None while it runs or waits in the loop."""
        self.task: asyncio.Task[Any] | None = None
        self.context = contextvars.copy_context()
        self._run = self.context.run
        self._coroutine: Coroutine[Any, Any, Any] | None = None
        self._send: Any = None
        self._future: asyncio.Future[None] | None = None
        self._handoff: Any = _NOTHING
        self._outcome: Any = _NOTHING

    # -- life ---------------------------------------------------------------------------------

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Make the task that runs ``coroutine`` as this fiber."""
        self._coroutine = coroutine
        self._send = coroutine.send
        self._outcome = self._handoff = _NOTHING
        self.waiting = None
        self.system.loose += 1
        loop = asyncio.get_running_loop()
        self.task = asyncio.Task(_drive(self), loop=loop, name=self.name, context=self.context)
        self.task.add_done_callback(self._ended)
        return self.task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if self.waiting is None:
            self.system.loose -= 1
        self.waiting = None
        self.system.fiber_ended(self, task)

    @property
    def alive(self) -> bool:
        return self.task is not None and not self.task.done()

    @property
    def being_cancelled(self) -> bool:
        """Whether a cancellation is on its way to it, so that it must not be stepped."""
        return self.waiting is not None and self._future is not None and self._future.done()

    def take(self, envelope: Envelope) -> None:
        """Note that ``envelope`` was taken from the inbox."""
        self.load -= 1
        self.handled += 1
        self.cause = envelope.id
        self.handling = envelope
        if self.room is not None:
            room, self.room = self.room, None
            room.resolve()

    # -- driven by the kernel -----------------------------------------------------------------

    def step(self, value: Any) -> None:
        """Resume the parked coroutine with ``value`` here and now."""
        system = self.system
        loop, task = system.loop, self.task
        self.waiting = None
        outer, system.current = system.current, self
        _enter_task(loop, task)  # type: ignore[arg-type]
        try:
            out = self._run(self._send, value)
        except BaseException as error:
            self.end(error)
        else:
            if out is not PARK:
                self._handoff = out
                system.loose += 1
                self._future.set_result(None)  # type: ignore[union-attr]
        finally:
            _leave_task(loop, task)  # type: ignore[arg-type]
            system.current = outer

    def end(self, error: BaseException) -> None:
        """End the parked coroutine with ``error`` (a `StopIteration` when it returned)."""
        # The task must be the one to end: it is woken and meets the outcome in `send`.
        self.waiting = None
        self._outcome = error
        self.system.loose += 1
        self._future.set_result(None)  # type: ignore[union-attr]

    def deliver(self, envelope: Envelope) -> None:
        """Handle a message while parked on HANDLE, here and now."""
        self.load -= 1
        self.handled += 1
        self.cause = envelope[2]
        self.handling = envelope
        self.waiting = None
        system = self.system
        outer, system.current = system.current, self
        try:
            pending = self.handle(envelope)  # type: ignore[misc]
        except BaseException as error:
            self.end(error)
            return
        finally:
            system.current = outer
        if pending is None:
            self.waiting = HANDLE
        else:
            self._begin(pending)

    def _begin(self, pending: Any) -> None:
        """Run what a handler returned to its first wait, as if the fiber's own task did it.

        Most coroutines never wait; only one that does is handed to the task.
        """
        if type(pending) is not CoroutineType:
            self.step(pending)
            return
        system = self.system
        enters = self.enters
        outer, system.current = system.current, self
        if enters:
            loop, task = system.loop, self.task
            _enter_task(loop, task)  # type: ignore[arg-type]
        try:
            out = self._run(pending.send, None) if enters else pending.send(None)
        except StopIteration:
            self.waiting = HANDLE
            return
        except BaseException as error:
            self.end(error)
            return
        finally:
            if enters:
                _leave_task(loop, task)  # type: ignore[arg-type]
            system.current = outer
        waiting = self.waiting
        self.step(_Begun(pending, out))
        self.waiting = waiting

    def inside(self, function: Callable[..., Any], argument: Any) -> Any:
        """Call ``function`` as if the fiber's own task called it: in its context, as its task."""
        if self.draining:
            return function(argument)
        loop, task = self.system.loop, self.task
        _enter_task(loop, task)  # type: ignore[arg-type]
        try:
            return self._run(function, argument)
        finally:
            _leave_task(loop, task)  # type: ignore[arg-type]

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
            self.system.loose += 1
        self._handoff = _NOTHING
        exception = error[1] if len(error) > 1 and error[1] is not None else error[0]
        return self._advance(self._coroutine.throw, exception)  # type: ignore[union-attr]

    def close(self) -> None:
        if self._coroutine is not None:
            self._coroutine.close()

    def _advance(self, method: Callable[[Any], Any], value: Any) -> Any:
        system = self.system
        system.current = self
        try:
            out = method(value)
        finally:
            system.current = None
        if out is PARK:
            system.loose -= 1
            future = self._future = system.loop.create_future()
            future._asyncio_future_blocking = True
            return future
        return out


async def _drive(fiber: Fiber) -> Any:
    # A real coroutine around the fiber, because tools (anyio among them) inspect a task's coroutine.
    return await fiber
