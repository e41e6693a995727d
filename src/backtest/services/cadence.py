"""How the bars of a source follow each other, as it is known before any of them was seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from backtest.models.bar import Bar

__all__ = ["Cadence"]


class Cadence(NamedTuple):
    """How long the bars of one source are at most, and the grid that all of them open on."""

    longest: int | None = None
    """Nanoseconds from open to close; None where bars may be of any length."""
    phase: int | None = None
    """What every open leaves when it is divided by that; None where there is no such grid, or
    nobody has looked."""

    @classmethod
    def of(cls, bars: Iterable[Bar]) -> Cadence:
        """That of ``bars``, all there are."""
        bars = list(bars)
        lengths = {bar.close_ns - bar.open_ns for bar in bars}
        if len(lengths) != 1:
            return cls()
        longest = lengths.pop()
        phases = {bar.open_ns % longest for bar in bars}
        return cls(longest, phases.pop() if len(phases) == 1 else None)

    def settled_ns(self, due: int) -> int | None:
        """By when every bar that opened before ``due`` has ended; None where it cannot be told."""
        if self.longest is None:
            return None
        if self.phase is None:
            return due + self.longest
        return due + (self.phase - due) % self.longest
