"""Faults put into one actor of a system, at messages that the test names.

A wrapper around the actor's `handle`, put there before the run; nothing else is touched. Random
faults by the thousand, on links, too, are the business of `backtest.testing.simulate`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from datetime import timedelta
from inspect import isawaitable
from typing import Any, Literal

from backtest.actors import Actor, Envelope, System
from backtest.actors.kernel.signal import Signal
from backtest.errors import ConfigError
from backtest.models import Bar
from backtest.times import duration_ns

__all__ = ["FAULTS", "Fault", "Injected", "Injection", "Which", "broken_after", "inject"]

Fault = Literal["raise_before", "raise_after", "hang", "drop", "delay"]
FAULTS: tuple[Fault, ...] = ("raise_before", "raise_after", "hang", "drop", "delay")
"""What `inject` can do."""

Which = int | Collection[int] | Callable[[Envelope], bool]


class Injected(Exception):
    """Raised by an actor because a test wanted it so."""


class Injection:
    """A fault in one actor: how many messages it was given, and which of them were hit."""

    def __init__(self, actor: Actor, fault: Fault, which: Which, error: Any, delay_ns: int) -> None:
        self.actor = actor
        self.fault = fault
        self.count = 0
        """Messages that the actor was given so far."""
        self.hit: list[Envelope] = []
        self._which = which
        self._error = error
        self._delay_ns = delay_ns
        self._inner = actor.handle
        # Before the run the actor is nobody's yet: `Actor.run` takes `handle` as it finds it.
        actor.handle = self._handle  # type: ignore[method-assign]

    def _strikes(self, envelope: Envelope) -> bool:
        number, which = self.count, self._which
        self.count += 1
        if callable(which):
            strikes = which(envelope)
        else:
            strikes = number == which if isinstance(which, int) else number in which
        if strikes:
            self.hit.append(envelope)
        return strikes

    def _handle(self, envelope: Envelope) -> Awaitable[None] | None:
        if not self._strikes(envelope):
            return self._inner(envelope)
        if self.fault == "drop":
            return None
        if self.fault == "raise_before":
            raise self._made(envelope)
        if self.fault == "raise_after":
            pending = self._inner(envelope)
            if pending is None:
                raise self._made(envelope)
            return self._fail_after(pending, envelope)
        return self._later(envelope)

    def _made(self, envelope: Envelope) -> BaseException:
        if self._error is not None:
            error: BaseException = self._error() if isinstance(self._error, type) else self._error
            return error
        return Injected(f"{self.fault} at message {envelope.id} of {self.actor.name}")

    async def _fail_after(self, pending: Awaitable[None], envelope: Envelope) -> None:
        await pending
        raise self._made(envelope)

    async def _later(self, envelope: Envelope) -> None:
        system = self.actor.system
        if self.fault == "hang":
            await Signal(system, "something that never comes").wait()
        await system.sleep_until(system.now + self._delay_ns)
        pending = self._inner(envelope)
        if isawaitable(pending):
            await pending


def inject(
    system: System,
    actor: str,
    fault: Fault,
    at: Which,
    *,
    error: BaseException | type[BaseException] | None = None,
    delay: int | str | timedelta = "1s",
) -> Injection:
    """Let ``fault`` befall the actor called ``actor`` at messages ``at``; before the run.

    ``at`` is the number of a message among those that the actor is given to handle (from 0),
    several of them, or a function of the `Envelope`. The faults:

    * ``raise_before`` and ``raise_after`` it has had its effect: ``error``, or `Injected`
    * ``hang``: the actor never comes back from this message
    * ``drop``: the message is taken and ignored (who asked waits in vain)
    * ``delay``: the actor deals with it ``delay`` later, and with nothing else until then
    """
    if fault not in FAULTS:
        raise ConfigError(f"fault must be one of {', '.join(FAULTS)}, not {fault!r}")
    if actor not in system.actors:
        raise ConfigError(f"there is no actor {actor!r}; there are: {', '.join(system.actors)}")
    return Injection(system.actors[actor], fault, at, error, duration_ns(delay, "delay"))


def broken_after(
    bars: Iterable[Bar], count: int, error: BaseException | None = None
) -> Iterator[Bar]:
    """The first ``count`` of ``bars``, and then ``error``: a source that breaks down."""
    for number, one in enumerate(bars):
        if number == count:
            raise Injected(f"the source broke after {count} bars") if error is None else error
        yield one
