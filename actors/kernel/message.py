"""The envelope in which everything travels between actors, and the answers in some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .channel import Channel
    from .signal import Signal

__all__ = [
    "COMMAND",
    "MARKET_TO_STRATEGY",
    "MARKET_TO_VENUE",
    "ORDER_EVENT",
    "TIMER",
    "Answer",
    "Envelope",
]

# Priorities at one time (docs/kernel.md). A command travels with the priority of a market
# event to the venue, so that one with latency that arrives at a bar's close is accepted before it.
MARKET_TO_VENUE = 0
COMMAND = 0
ORDER_EVENT = 1
MARKET_TO_STRATEGY = 2
TIMER = 3


class Envelope(NamedTuple):
    """One message on its way. The first three fields are the key by which delivery is ordered.

    A tuple rather than a frozen class because two are made for every bar: a tenth of the cost.
    """

    time: int
    """When it is delivered, in nanoseconds."""
    priority: int
    """Its class at that time, never lower than that of the event which caused it at that time."""
    id: int
    """The number of its sending, unique in the run."""
    channel: Channel
    """The link it travels on: sender and target."""
    payload: Any
    """What it says; frozen."""
    cause: int
    """The id of the message whose handling sent it; 0 for none."""
    sent: int
    """When it was sent, in nanoseconds."""
    reply: Signal | None
    """Where the answer is awaited, for a request."""


class Answer:
    """What comes back for a request: it resolves the signal on which the asker waits."""

    __slots__ = ("signal", "value")

    def __init__(self, signal: Signal, value: Any) -> None:
        self.signal = signal
        self.value = value

    def __repr__(self) -> str:
        return f"Answer({self.value!r})"
