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
            self._client.system.run_ahead(self)
        if not self.is_answered:
            yield from self._answer_to_come().wait()
        if self.error is not None:
            raise self.error
        return self.value

    async def answered(self) -> None:
        """Wait for the answer, whatever it is; a refusal stays one that nobody awaited."""
        if not self.is_answered:
            self._client.system.run_ahead(self)
        if not self.is_answered:
            await self._answer_to_come().wait()

    def _answer_to_come(self) -> Signal:
        if self._signal is None:
            self._signal = Signal(self._client.system, "broker")
        return self._signal
