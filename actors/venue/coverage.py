"""What the sources of a pair have told, and which of its bars are news to nobody."""

from __future__ import annotations

from backtest.models import Bar

__all__ = ["Coverage"]


class Coverage:
    """Of the sources of a pair: until when each was given, finest first.

    A bar is covered when something finer lies in it: a tick from its open on and before its close,
    or a shorter bar that ends in it.
    """

    __slots__ = ("_before", "_ends", "_tick")

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}
        """The end of the last bar by the length by which it is known."""
        self._before = self._tick = -(2**63)
        """The time of the last tick, and of the last one that was earlier."""

    def ticked(self, time: int) -> None:
        """There was a quote or a trade at ``time``."""
        if time != self._tick:
            self._before, self._tick = self._tick, time

    def takes(self, bar: Bar) -> bool:
        """Take note of ``bar``; whether finer events have covered it."""
        opened, closes = bar.open_ns, bar.close_ns
        length = bar.nominal_length
        ends = self._ends
        ends[length] = closes
        tick = self._tick if self._tick < closes else self._before
        return tick >= opened or any(finer < length and end > opened for finer, end in ends.items())

    def told_since(self, due: int) -> int | None:
        """The length of the shortest bar that ended at ``due`` or later, 0 of a tick; None: there
        was nothing. It covers all longer bars that opened before ``due`` and have not ended."""
        if self._tick >= due:
            return 0
        return min((length for length, end in self._ends.items() if end >= due), default=None)
