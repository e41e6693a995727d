"""How long a message takes on a link, charged to simulated time."""

from __future__ import annotations

from random import Random
from typing import NamedTuple, Protocol, runtime_checkable

from backtest.errors import FieldError, FieldTypeError

__all__ = ["FixedLatency", "Latency", "LinkLatencies", "UniformLatency"]


@runtime_checkable
class Latency(Protocol):
    """Draws the time a message takes, in nanoseconds, from the link's own random stream."""

    def draw(self, random: Random) -> int: ...


class LinkLatencies(NamedTuple):
    """The latencies between a strategy and the venue; None: none."""

    orders: Latency | None = None
    """Of commands, from the strategy to the venue."""
    market_data: Latency | None = None
    """Of bars, quotes and trades, from the venue to the strategy."""
    order_events: Latency | None = None
    """Of what happened to orders, from the venue to the strategy."""


class FixedLatency:
    """Every message takes ``ns`` nanoseconds."""

    __slots__ = ("ns",)

    def __init__(self, ns: int) -> None:
        _whole(ns)
        if ns < 0:
            raise FieldError("latency", f"must be non-negative, not {ns} ns")
        self.ns = ns

    def __repr__(self) -> str:
        return f"FixedLatency({self.ns})"

    def draw(self, random: Random) -> int:
        return self.ns


class UniformLatency:
    """Each message takes between ``low`` and ``high`` nanoseconds, both included."""

    __slots__ = ("high", "low")

    def __init__(self, low: int, high: int) -> None:
        _whole(low, high)
        if not 0 <= low <= high:
            raise FieldError("latency", f"must be 0 <= low <= high, not {low} and {high} ns")
        self.low = low
        self.high = high

    def __repr__(self) -> str:
        return f"UniformLatency({self.low}, {self.high})"

    def draw(self, random: Random) -> int:
        return random.randint(self.low, self.high)


def _whole(*values: int) -> None:
    for value in values:
        if type(value) is not int:
            raise FieldTypeError("latency", f"must be a whole number of nanoseconds, not {value!r}")
