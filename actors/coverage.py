"""Which bars were told already, in finer data of the same pair."""

from __future__ import annotations

from backtest.models import Bar

__all__ = ["Coverage"]


class Coverage:
    """Of a pair with several sources: until when each was given, finest first.

    A bar is covered when something finer lies in it: a tick from its open on and before its close,
    or a shorter bar that ends in it.
    """

    __slots__ = ("_before", "_ends", "_tick")

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}
        """The end of the last bar by its length."""
        self._before = self._tick = -(2**63)
        """The time of the last tick, and of the last one that was earlier."""

    def ticked(self, time: int) -> None:
        """There was a quote or a trade at ``time``."""
        if time != self._tick:
            self._before, self._tick = self._tick, time

    def takes(self, bar: Bar) -> bool:
        """Take note of ``bar``; whether finer events have covered it."""
        opened, closes = bar.open_ns, bar.close_ns
        length = closes - opened
        ends = self._ends
        ends[length] = closes
        tick = self._tick if self._tick < closes else self._before
        return tick >= opened or any(finer < length and end > opened for finer, end in ends.items())

    def settled_ns(self, due: int) -> int:
        """When it is known of every source whether the open of a bar of it that is under way at
        ``due`` counts: at ``due``, or at the end of such a bar that nothing finer has told yet."""
        at = due
        for length, end in self._ends.items():
            past = (due - end) % length
            if due <= end or not past:
                continue
            opened = due - past
            told = self._tick >= opened or any(
                finer < length and other > opened for finer, other in self._ends.items()
            )
            if not told:
                at = max(at, opened + length)
        return at
