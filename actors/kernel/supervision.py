"""What happens when an actor fails, in Erlang's words."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING

import attrs

from backtest.errors import BacktestError, Undeliverable
from backtest.log import get_logger
from backtest.times import format_ns

from .deadlock import waits

if TYPE_CHECKING:
    from .actor import Actor
    from .event_queue import EventQueue
    from .fiber import Fiber
    from .lifecycle import Lifecycle
    from .message import Envelope
    from .population import Population

__all__ = ["DeadLetter", "Directive", "Supervision", "Supervisor"]


class Directive(Enum):
    """What to do with an actor that raised."""

    ESCALATE = "escalate"
    """End the run with its exception (the default: a broken simulation has no result)."""
    STOP = "stop"
    """End this actor; the others go on, and what is sent to it later is an error."""
    RESTART = "restart"
    """Run it again with its inbox as it is; the message that broke it is lost, with a reason."""


@attrs.frozen(kw_only=True)
class Supervision:
    """The rule for one actor: a restart that would come too often escalates instead."""

    directive: Directive = Directive.ESCALATE
    max_restarts: int = 3
    """How many restarts there may be within ``within_ns``."""
    within_ns: int = 60_000_000_000
    """The window, in simulated nanoseconds."""


class DeadLetter:
    """A message that could not be handled, and why."""

    __slots__ = ("envelope", "reason")

    def __init__(self, envelope: Envelope, reason: str) -> None:
        self.envelope = envelope
        self.reason = reason


class Supervisor:
    """Decides what the end of a line of execution means, by the rule of its actor."""

    def __init__(self, events: EventQueue, population: Population, course: Lifecycle) -> None:
        self._events = events
        self._population = population
        self._course = course
        self.log = get_logger("backtest.kernel")
        self.dead_letters: list[DeadLetter] = []
        self._restarts: dict[str, list[int]] = {}

    def ended(self, fiber: Fiber, owner: Actor | None, task: asyncio.Task[object]) -> None:
        """The task of ``fiber`` has ended: returned, raised, or was cancelled."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(fiber, owner, error)
        elif owner is None or fiber is not owner.fiber:
            return
        elif fiber.again:
            fiber.again = False
            if not self._course.is_closing:
                fiber.start(owner.run())
        elif not (task.cancelled() and self._course.is_closing):
            # Cancelled while the run is wound down, it is still told what happens.
            if owner.life.value == "running":
                owner.change("stop")
            self._close(owner, f"{owner.name} has ended")

    def bury(self, envelope: Envelope, reason: str, error: BaseException | None = None) -> None:
        """Keep a message that cannot be handled; a request among them fails at the asker."""
        self.dead_letters.append(DeadLetter(envelope, reason))
        target = envelope.channel.target.name
        self.log.warning("message.dead", message=envelope.id, to=target, reason=reason)
        reply = envelope.reply
        if reply is not None and not reply.answered:
            reply.fail(error if error is not None else Undeliverable(reason))

    def explain(self, error: BaseException, fiber: Fiber) -> None:
        """Say on the exception where it happened: actor, simulated time, chain of causes."""
        lines = [f"in {fiber.name} at {format_ns(self._events.now)}"]
        last = [one.handling for one in self._population.fibers if one.handling is not None]
        recent = {envelope.id: envelope for envelope in last}
        envelope = fiber.handling
        word = "handling"
        while envelope is not None and len(lines) < 12:
            said = repr(envelope.payload)
            said = said if len(said) <= 160 else said[:157] + "..."
            lines.append(f"  {word} message {envelope.id} from {envelope.channel.sender}: {said}")
            envelope, word = recent.get(envelope.cause), "caused by"
        error.add_note("\n".join(lines))

    def _failed(self, fiber: Fiber, owner: Actor | None, error: BaseException) -> None:
        self.explain(error, fiber)
        if owner is None:
            self._course.fail(error)
            return
        if owner.life.value == "running":
            owner.change("fail")
        lost, fiber.handling = fiber.handling, None
        if lost is not None:
            failure = BacktestError(
                f"{owner.name} failed while it handled {lost.payload!r}: {error!r}"
            )
            failure.__cause__ = error
            self.bury(lost, f"{owner.name} failed: {error!r}", failure)
        directive = owner.supervision.directive
        if not isinstance(error, Exception) or owner.life.value != "failed":
            directive = Directive.ESCALATE
        if directive is Directive.RESTART and self._may_restart(owner):
            self.log.warning("actor.restart", actor=owner.name, error=repr(error))
            if not self._course.is_closing:
                owner.change("start")
                if lost is not None:
                    fiber.handling = lost
                    owner.lost(lost, error)
                    fiber.handling = None
                owner.restart(fiber)
        elif directive is Directive.STOP:
            self.log.warning("actor.stop", actor=owner.name, error=repr(error))
            owner.fiber.stopped = True
            self._close(owner, f"{owner.name} was stopped after it failed")
            for line in self._population.lines_of(owner):
                if line.task is not None and not line.task.done():
                    line.task.cancel()
        else:
            self._course.fail(error)

    def _may_restart(self, actor: Actor) -> bool:
        rule, now = actor.supervision, self._events.now
        past = [at for at in self._restarts.get(actor.name, []) if now - at < rule.within_ns]
        self._restarts[actor.name] = [*past, now]
        return len(past) < rule.max_restarts

    def _close(self, actor: Actor, reason: str) -> None:
        """Nothing reaches ``actor`` any more, and nobody waits for it any longer."""
        fiber = actor.fiber
        fiber.shut()
        while fiber.inbox:
            fiber.load -= 1
            self.bury(fiber.inbox.popleft(), reason)
        if fiber.room is not None:
            room, fiber.room = fiber.room, None
            room.resolve()
        if self._course.is_closing:
            return
        for _, signal in waits(self._events, self._population):
            # A request that it took and will never answer, or that is still on its way.
            if signal.about == actor.name and not signal.answered:
                signal.fail(Undeliverable(reason))
