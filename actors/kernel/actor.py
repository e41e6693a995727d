"""The base of everything that acts: it owns its state and is reached by messages only."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Generator
from enum import Enum
from random import Random
from typing import TYPE_CHECKING, Any

from backtest.errors import BacktestError

from .channel import Channel
from .copies import ends_in_copies
from .fiber import EAGER, HANDLE, PARK, RECEIVE, Fiber
from .message import COMMAND, Envelope
from .signal import Signal
from .supervision import Supervision

if TYPE_CHECKING:
    from .event_queue import EventQueue
    from .system import System

__all__ = ["Actor", "Life", "agent_name"]


class Life(Enum):
    """Where an actor is in its life."""

    NEW = "new"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"


LIFECYCLE: dict[tuple[Life, str], Life] = {
    (Life.NEW, "start"): Life.RUNNING,
    (Life.RUNNING, "stop"): Life.STOPPED,
    (Life.RUNNING, "fail"): Life.FAILED,
    (Life.FAILED, "start"): Life.RUNNING,
}
"""Every way there is; anything else is an error."""


def agent_name(actor: str) -> str:
    """By what name others know the agent that lives in the actor called ``actor``."""
    return actor.removeprefix("strategy/")


class Actor:
    """Override `handle` (plain or ``async``); send through the channels that `link` gives.

    An actor never holds another actor's object, only a `Channel` to it.
    """

    __reduce_ex__ = ends_in_copies

    inbox_bound = 100_000
    """How many messages may wait for it; 0: a sender waits until the actor waits for a message."""
    supervision = Supervision()
    handles_inside = True
    """Whether `handle` runs inside the actor's task and context. One that never asks asyncio who it
    is, and leaves context variables alone, may say False: then it is called where it is asked."""

    is_agent = False
    """Whether others may speak to it: by name, or on topics."""

    respond: Callable[[Any, int], Any] | None = None
    """For an actor that only answers: from the payload of a request and the id of the message that
    caused it, the answer (an error to be raised at the asker included). It sends nothing and raises
    only before it has changed anything. `handle` must answer with the same."""

    look: Callable[[Any], Any] | None = None
    """For an actor that some requests only look at: from the payload of one its answer (an error
    included), from that of any other `UNSET`. It changes nothing, sends nothing and asks neither
    for a context nor for who asks. `handle` must answer with the same."""

    system: System
    events: EventQueue
    """Of its system: what time it is, above all."""
    fiber: Fiber

    def __init__(self, name: str) -> None:
        if not name:
            raise BacktestError("an actor needs a name: Actor('broker')")
        self.name = name
        self.life = Life.NEW
        self._links: dict[str, Channel] = {}

    # -- for the actor's own use -----------------------------------------------------------------

    def link(self, target: str) -> Channel:
        """The channel to the actor called ``target``; always the same object."""
        channel = self._links.get(target)
        if channel is None:
            channel = self._links[target] = self.system.channel(self.name, target)
        return channel

    @types.coroutine
    def receive(self) -> Generator[Any, Any, Envelope]:
        """The next message; waits, in simulated time, until there is one.

        Tasks and lines that the actor started may receive, too; whoever comes first gets it. A
        wait that is cancelled takes no message away.
        """
        fiber = self.fiber
        while not fiber.inbox:
            if fiber.room is not None:
                fiber.make_room()
            if self.events.current is fiber and not (EAGER and fiber.is_elsewhere()):
                fiber.waiting = RECEIVE
                envelope: Envelope = yield PARK
                return envelope
            if fiber.mail is None:
                fiber.mail = Signal(self.system)
            yield from fiber.mail.wait()
        envelope = fiber.inbox.popleft()
        fiber.take(envelope)
        return envelope

    def answer(self, request: Envelope, value: Any, priority: int = COMMAND) -> None:
        """Answer a request; give an exception to raise it at the asker."""
        back = self.link(request.channel.sender)
        reply = request.reply
        events = self.events
        if (
            reply is not None
            and reply.inline
            and not reply.is_set
            and priority <= events.priority
            # Not past what was sent in between: that is delivered first.
            and (events.sequence == request.id or events.is_idle(priority))
        ):
            back.answer_now(reply, value, priority)
        else:
            back.answer(request, value, priority)

    @property
    def random(self) -> Random:
        """The actor's own stream of random numbers, split from the run's seed by its name."""
        return self.system.random_for(self.name)

    # -- to override -----------------------------------------------------------------------------

    def attach(self) -> None:
        """Called once when the actor joins a system, before anything runs."""

    async def started(self) -> None:
        """Called in the actor's own task before its first message, and again after a restart."""

    def handle(self, envelope: Envelope) -> Awaitable[None] | None:
        """Deal with one message."""
        raise BacktestError(f"{self.name} has no handler for {envelope.payload!r}")

    async def run(self) -> None:
        """The actor's life: handle messages one at a time, for ever."""
        await self.started()
        fiber, handle = self.fiber, self.handle
        fiber.enters = self.handles_inside
        fiber.respond = self.respond if self._has("respond") else None
        fiber.look = self.look if self._has("look") else None
        fiber.handle = handle
        while True:
            while fiber.inbox:
                envelope = fiber.inbox.popleft()
                fiber.take(envelope)
                pending = handle(envelope)
                if pending is not None:
                    await pending
            await (await self._pending())

    def _has(self, name: str) -> bool:
        """Whether it has such a short cut, and nobody further down has another `handle`: that has
        the last word."""
        # Not `self.__dict__`: looking at it costs every attribute of the actor its fast way (3.11).
        if getattr(self.handle, "__func__", None) is not type(self).handle:
            return False
        for kind in type(self).__mro__:
            if kind.__dict__.get(name) is not None:
                return True
            if "handle" in kind.__dict__:
                return False
        return False

    @types.coroutine
    def _pending(self) -> Generator[Any, Any, Awaitable[None]]:
        """Park; the kernel calls `handle` itself and comes back only with what is to be awaited."""
        fiber = self.fiber
        if fiber.room is not None:
            fiber.make_room()
        fiber.waiting = HANDLE
        pending: Awaitable[None] = yield PARK
        return pending

    # -- for the system --------------------------------------------------------------------------

    def change(self, event: str) -> None:
        """Take one step of the life-cycle; a way that is not in the table is an error."""
        try:
            self.life = LIFECYCLE[self.life, event]
        except KeyError:
            raise BacktestError(f"{self.name} is {self.life.value} and cannot {event}") from None

    def restart(self, failed: Fiber) -> None:
        """Begin again after ``failed``, one of the actor's lines of execution, has raised.

        The others are cancelled: `run` starts those that it needs.
        """
        for line in self.system.lines(self):
            if line is not failed and line.task is not None and not line.task.done():
                line.again = line is self.fiber
                line.task.cancel()
        if failed is self.fiber:
            failed.start(self.run())

    def lost(self, envelope: Envelope, error: BaseException) -> None:
        """Called before a restart: ``envelope`` broke the actor and will not be handled again.

        A request among them has failed at its asker already. Override it to tell whoever else
        waits for what the message would have led to.
        """

    def closing(self, stage: int) -> None:
        """The run is over; called for stage 0, 1, 2, with all that follows done in between."""
