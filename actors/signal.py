"""A one-shot event that any coroutine of the system can wait for, in simulated and in real time."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from .fiber import PARK, Fiber

if TYPE_CHECKING:
    from .system import System

__all__ = ["UNSET", "Failure", "Signal"]

UNSET = object()


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

    __slots__ = ("_fibers", "_futures", "_system", "about", "inline", "value")

    def __init__(self, system: System, about: str = "") -> None:
        self._system = system
        self.about = about
        """For whom or what is waited here; a deadlock names it."""
        self.value: Any = UNSET
        self.inline = False
        """Whether the asker has not begun to wait yet: the answer need not travel."""
        self._fibers: list[Fiber] | None = None
        self._futures: list[asyncio.Future[None]] | None = None

    @property
    def is_set(self) -> bool:
        return self.value is not UNSET

    def resolve(self, value: Any = None) -> None:
        """Give the value and let the waiters go on, in the order in which they came."""
        if self.value is not UNSET:
            return
        self.value = value
        if self._fibers is not None:
            for fiber in self._fibers:
                self._system.wake(fiber, self, value)
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
            fiber = self._system.current
            if fiber is not None:
                if self._fibers is None:
                    self._fibers = [fiber]
                else:
                    self._fibers.append(fiber)
                fiber.waiting = self
                value = yield PARK
            else:
                future = asyncio.get_running_loop().create_future()
                if self._futures is None:
                    self._futures = []
                self._futures.append(future)
                yield from future
                value = self.value
        if type(value) is Failure:
            raise value.error
        return value
