"""What time it is: simulated, moved by the kernel alone, or real.

A clock only knows the time; who is woken when is the kernel's affair.
"""

from __future__ import annotations

import time
from typing import Protocol

from backtest.errors import BacktestError

__all__ = ["Clock", "RealClock", "SimulatedClock"]


class Clock(Protocol):
    """Tells the time in nanoseconds since 1970-01-01 UTC."""

    def now(self) -> int: ...


class SimulatedClock:
    """Stands still until the kernel advances it; never goes back."""

    __slots__ = ("ns",)

    def __init__(self, start_ns: int = 0) -> None:
        self.ns = start_ns

    def now(self) -> int:
        return self.ns

    def advance(self, ns: int) -> None:
        """Move to ``ns``. Raises when that lies in the past: time never goes back."""
        if ns < self.ns:
            raise BacktestError(f"time cannot go back from {self.ns} to {ns}")
        self.ns = ns


class RealClock:
    """The wall clock, for paper and live trading with the same actors."""

    __slots__ = ()

    def now(self) -> int:
        return time.time_ns()
