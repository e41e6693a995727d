"""A one-shot event that any coroutine of the system can wait for, in simulated and in real time."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

from .copies import ends_in_copies
from .fiber import EAGER, OWNER, PARK, Fiber

if TYPE_CHECKING:
    from .event_queue import EventQueue

__all__ = ["UNSET", "Failure", "Signal"]

UNSET = object()


class Home(Protocol):
    """Where a signal may be waited for: a system, above all."""

    @property
    def events(self) -> EventQueue: ...


class Failure:
    """A value that raises where it is awaited."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Signal:
    """Resolved at most once; everyone who waits, before or after, gets the value (or the error).

    A fiber that waits is parked and resumed by the kernel itself. A task that the kernel does not
    know (a child in a strategy's own task group) waits on an ordinary future.
    """

    __reduce_ex__ = ends_in_copies

    __slots__ = ("_events", "_fibers", "_futures", "about", "answered", "inline", "value")

    def __init__(self, system: Home, about: str = "") -> None:
        self._events = system.events
        self.about = about
        """For whom or what is waited here; a deadlock names it."""
        self.value: Any = UNSET
        self.answered = False
        """Whether its value is on its way in a message."""
        self.inline = False
        """Whether the asker has not begun to wait yet: the answer need not travel."""
        self._fibers: list[Fiber] | None = None
        self._futures: list[asyncio.Future[None]] | None = None

    @property
    def is_set(self) -> bool:
        return self.value is not UNSET

    def waiters(self) -> list[str]:
        """The names of the fibers that wait for it."""
        return [fiber.name for fiber in self._fibers or ()]

    def resolve(self, value: Any = None) -> None:
        """Give the value and let the waiters go on, in the order in which they came."""
        if self.value is not UNSET:
            return
        self.value = value
        if self._fibers is not None:
            for fiber in self._fibers:
                self._events.wake(fiber, self, value)
            self._fibers = None
        if self._futures is not None:
            for future in self._futures:
                if not future.done():
                    future.set_result(None)
            self._futures = None

    def fail(self, error: BaseException) -> None:
        """Let every waiter raise ``error``."""
        self.resolve(Failure(error))

    @types.coroutine
    def wait(self) -> Generator[Any, Any, Any]:
        """The value, as soon as there is one. Cancelling a wait leaves the signal as it is."""
        value = self.value
        if value is UNSET:
            fiber = self._events.current
            if fiber is None or (EAGER and fiber.is_elsewhere()):
                yield from self._wait_aside()
                value = self.value
            else:
                if self._fibers is None:
                    self._fibers = [fiber]
                else:
                    self._fibers.append(fiber)
                fiber.waiting = self
                try:
                    value = yield PARK
                except BaseException:
                    # Or a signal that outlives many waits would remember them all.
                    if self._fibers is not None:
                        self._fibers.remove(fiber)
                    raise
        if type(value) is Failure:
            raise value.error
        return value

    def _wait_aside(self) -> Generator[Any, Any, None]:
        """Wait in a task that is no fiber."""
        future = asyncio.get_running_loop().create_future()
        if self._futures is None:
            self._futures = []
        self._futures.append(future)
        owner = OWNER.get(None)
        asides = self._events.asides
        asides[future] = (self, "a task" if owner is None else f"a task of {owner.name}")
        try:
            yield from future
        finally:
            del asides[future]
            if self._futures is not None:
                self._futures.remove(future)
