"""What time it is: simulated, moved by the kernel alone, or real.

A clock only knows the time; who is woken when is the kernel's affair.
"""

from __future__ import annotations

import math
import time
from typing import Any, Protocol

__all__ = ["Clock", "Instant", "RealClock", "SimulatedClock", "moment_ns", "seconds_ns"]

_LONG = 1e6
"""Seconds from which a float is too coarse for nanoseconds and is read to the microsecond."""


_NUMBER: Any = (int, float)
"""What may be added to an instant; `Any`, for a type checker believes that all else cannot come."""


class Clock(Protocol):
    """Tells the time in nanoseconds since 1970-01-01 UTC."""

    def now(self) -> int: ...


class SimulatedClock:
    """Says when a simulation begins; from there on the kernel knows the time (`System.now`)."""

    __slots__ = ("ns",)

    def __init__(self, start_ns: int = 0) -> None:
        self.ns = start_ns

    def now(self) -> int:
        return self.ns


class RealClock:
    """The wall clock, for paper and live trading with the same actors."""

    __slots__ = ()

    def now(self) -> int:
        return time.time_ns()


class Instant(float):
    """A moment on asyncio's clock that still knows its nanosecond.

    asyncio and anyio reckon deadlines as ``loop.time() + delay``, in floats. Ten years from the
    start a float is 60 ns coarse, and a moment between two microseconds cannot be told from its
    neighbours. So the simulated loop's `time` is a float that carries the integer along: adding a
    delay gives the exact deadline, and two instants compare by their integers.
    """

    __slots__ = ("base", "ns")

    ns: int
    base: int

    def __new__(cls, ns: int, base: int, floor: float = -math.inf) -> Instant:
        self = super().__new__(cls, max(floor, (ns - base) / 1e9))
        self.ns = ns
        self.base = base
        return self

    def __add__(self, other: float) -> float:
        if isinstance(other, _NUMBER) and not isinstance(other, Instant) and math.isfinite(other):
            return Instant(self.ns + seconds_ns(other), self.base)
        return float.__add__(self, other)

    __radd__ = __add__

    def __sub__(self, other: float) -> float:
        if isinstance(other, Instant):
            return (self.ns - other.ns) / 1e9
        if isinstance(other, _NUMBER) and math.isfinite(other):
            return Instant(self.ns - seconds_ns(other), self.base)
        return float.__sub__(self, other)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Instant):
            return self.ns == other.ns
        return float.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = float.__hash__

    def __lt__(self, other: float) -> bool:
        return self.ns < other.ns if isinstance(other, Instant) else float.__lt__(self, other)

    def __le__(self, other: float) -> bool:
        return self.ns <= other.ns if isinstance(other, Instant) else float.__le__(self, other)

    def __gt__(self, other: float) -> bool:
        return self.ns > other.ns if isinstance(other, Instant) else float.__gt__(self, other)

    def __ge__(self, other: float) -> bool:
        return self.ns >= other.ns if isinstance(other, Instant) else float.__ge__(self, other)


def seconds_ns(seconds: float) -> int:
    """Nanoseconds of a finite number of ``seconds``: as exact as the number itself is."""
    if isinstance(seconds, int):
        return seconds * 1_000_000_000
    whole = math.floor(seconds)
    rest = seconds - whole
    if abs(seconds) < _LONG:
        return whole * 1_000_000_000 + round(rest * 1e9)
    return whole * 1_000_000_000 + round(rest * 1e6) * 1_000


def moment_ns(when: float, base: int) -> int | None:
    """The nanosecond at which a timer for ``when`` (asyncio's seconds since ``base``) fires.

    Exact for an `Instant`. A bare float means the microsecond that it is nearest to within its
    own rounding, else the next nanosecond: never early. None when that is never.
    """
    if isinstance(when, Instant):
        return when.ns
    if math.isnan(when):
        raise ValueError("a timer needs a time, not NaN")
    if math.isinf(when):
        return None if when > 0 else base
    nearest = round(when * 1e6) * 1_000
    if nearest >= when * 1e9 - 4e9 * math.ulp(when):
        return base + nearest
    return base + math.ceil(when * 1e9)
