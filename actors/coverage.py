"""Which bars were told already, in finer data of the same pair."""

from __future__ import annotations

from backtest.models import Bar

__all__ = ["Coverage"]


class Coverage:
    """Of a pair with several sources: until when each was given, finest first.

    A bar is covered when something finer lies in it: a tick, or a shorter bar that ends in it.
    """

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}
        """The end of the last event by its length (0: a tick)."""

    def saw(self, length: int, end: int) -> None:
        """An event of ``length`` ended at ``end``."""
        self._ends[length] = end

    def takes(self, bar: Bar) -> bool:
        """Take note of ``bar``; whether finer events have covered it."""
        length = bar.close_ns - bar.open_ns
        ends = self._ends
        ends[length] = bar.close_ns
        return any(finer < length and end > bar.open_ns for finer, end in ends.items())
