"""A command on its way to the venue: sent already, awaited if one likes."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from backtest.actors import Signal
from backtest.errors import OrderRejected

if TYPE_CHECKING:
    from .client import OrderClient

__all__ = ["Command"]

T = TypeVar("T")


class Command(Generic[T]):
    """The outcome of a command. Await it for its value, or for the `OrderRejected` that it raises.

    The command was sent when this object was made, so a plain handler that cannot await may simply
    drop it. A refusal that nobody awaited comes to ``on_order`` and is logged; it never vanishes.
    """

    # Most commands never need most of these: the class holds what they begin with.
    _signal: Signal | None = None
    error: OrderRejected | None = None
    """Why the venue refused; None if it did not, or has not answered."""
    is_answered = False
    awaited = False

    def __init__(self, client: OrderClient, value: T) -> None:
        self._client = client
        self.value = value

    def answer(self, error: OrderRejected | None = None) -> None:
        """The venue has answered."""
        self.is_answered = True
        if error is not None:
            self.error = error
        if self._signal is not None:
            self._signal.resolve()

    def __await__(self) -> Generator[Any, Any, T]:
        self.awaited = True
        if not self.is_answered:
            yield from self._answered()
        if self.error is not None:
            raise self.error
        return self.value

    async def answered(self) -> None:
        """Wait for the answer, whatever it is; a refusal stays one that nobody awaited."""
        if not self.is_answered:
            await _Waiting(self._answered())

    def _answered(self) -> Generator[Any, Any, None]:
        self._client.system.run_ahead(self)
        if not self.is_answered:
            if self._signal is None:
                self._signal = Signal(self._client.system, "broker")
            yield from self._signal.wait()


class _Waiting:
    """What can be awaited, of a wait that is a generator."""

    def __init__(self, wait: Generator[Any, Any, None]) -> None:
        self._wait = wait

    def __await__(self) -> Generator[Any, Any, None]:
        return self._wait
