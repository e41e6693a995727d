"""How the bars of a source follow each other, as it is known before any of them was seen."""

from __future__ import annotations

from collections.abc import Sequence
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
    def of(cls, bars: Sequence[Bar]) -> Cadence:
        """That of ``bars``: all there are, and not none."""
        longest = bars[0].close_ns - bars[0].open_ns
        if any(bar.close_ns - bar.open_ns != longest for bar in bars):
            return cls()
        phase = bars[0].open_ns % longest
        return cls(longest, phase if all(bar.open_ns % longest == phase for bar in bars) else None)

    def settled_ns(self, due: int) -> int | None:
        """By when every bar that opened before ``due`` has ended; None where it cannot be told."""
        if self.longest is None:
            return None
        if self.phase is None:
            return due + self.longest
        return due + (self.phase - due) % self.longest
