"""From when until when a bar is: what the time, or the times, of its row mean.

A bar is seen at its close, and a close that is told too early shows the future.
"""

from __future__ import annotations

from datetime import UTC
from itertools import islice
from operator import sub
from typing import Protocol

from backtest.data._assemble import RowError
from backtest.data._resolution import Resolution
from backtest.data._zones import Zone
from backtest.models.bar_length import BarLength
from backtest.times import DAY, format_ns

__all__ = ["FromBoth", "FromCloses", "FromOpens", "Timing"]

Bounds = tuple[list[int], list[int]]


class Timing(Protocol):
    """Says where the bars of a source begin and end, batch after batch."""

    length: BarLength

    def bounds(self, times: list[int], ends: list[int] | None) -> Bounds:
        """Opens and closes of the bars of the next rows, of the last as if no row followed."""

    def seam(self, following: int) -> int:
        """The close of the last row's bar, now that the time of the next row is known."""

    @property
    def is_unlike(self) -> bool:
        """Whether most bars are not of the length, so that it cannot be theirs."""


class _OneClock:
    """Refuses times of one time of day in UTC where days of a zone are meant that has others.

    The days of such a file are those of UTC: in its zone they would end an hour early, or late,
    when its clocks have changed.
    """

    def __init__(self, length: BarLength, zone: Zone) -> None:
        self._zone = zone
        self._first: tuple[int, int] | None = None
        self._is_open = not length.is_fixed and zone.tzinfo is not UTC
        """Whether there is anything to refuse, as far as is known."""

    def check(self, times: list[int]) -> None:
        """`RowError` for the first of ``times`` that shows it."""
        if not self._is_open:
            return
        for place, time in enumerate(times):
            clocks = time % DAY, self._zone.local(time)[1]
            if self._first is None:
                self._first = clocks
            elif clocks[0] != self._first[0]:
                self._is_open = False
                return
            elif clocks[1] != self._first[1]:
                raise RowError(
                    place,
                    f"{format_ns(time)} has the time of day of the first row in UTC, and another "
                    f"in {self._zone}: these are no days of that zone; leave out tz, or give "
                    "bar='24h'",
                )


class FromOpens:
    """Bars that end a length after they open, or where the next one opens if that is earlier."""

    def __init__(self, length: BarLength, zone: Zone) -> None:
        self.length = length
        self._zone = zone
        self._clock = _OneClock(length, zone)
        self._rows = self._cut = 0
        self._end = 0

    def bounds(self, times: list[int], ends: list[int] | None = None) -> Bounds:
        length = self.length
        self._clock.check(times)
        if length.is_fixed:
            span = length.count
            ends = [time + span for time in times]
            gap = min(map(sub, islice(times, 1, None), times), default=span)
        else:
            ends = [self._zone.shifted(time, length) for time in times]
            span = gap = 0
        if gap < span or not length.is_fixed:
            for place, following in enumerate(islice(times, 1, None)):
                if following < ends[place]:
                    ends[place] = following
                    self._cut += 1
        self._rows += len(times)
        self._end = ends[-1]
        return times, ends

    def seam(self, following: int) -> int:
        if following < self._end:
            self._cut += 1
            return following
        return self._end

    @property
    def is_unlike(self) -> bool:
        return 2 * self._cut > self._rows - 1


class FromCloses:
    """Bars that open a length before they close, or where the one before closes if that is later.

    ``inclusive``: where the times are the last moments of the bars, their resolution; None: where
    they are the closes themselves.
    """

    def __init__(self, length: BarLength, zone: Zone, inclusive: Resolution | None) -> None:
        self.length = length
        self._zone = zone
        self._inclusive = inclusive
        self._clock = _OneClock(length, zone)
        self._rows = self._cut = 0
        self._end: int | None = None

    def bounds(self, times: list[int], ends: list[int] | None = None) -> Bounds:
        closes = times if self._inclusive is None else list(map(self._inclusive.after, times))
        self._clock.check(closes)
        self._rows += len(times)
        before, self._end = self._end, closes[-1]
        if self.length.is_fixed:
            span = self.length.count
            joined = closes if before is None else [before, *closes]
            if min(map(sub, islice(joined, 1, None), joined), default=span) >= span:
                return [close - span for close in closes], closes
        opens = []
        for close in closes:
            start = self._zone.shifted(close, self.length, -1)
            if before is not None and start < before:
                start = before
                self._cut += 1
            opens.append(start)
            before = close
        return opens, closes

    def seam(self, following: int) -> int:
        assert self._end is not None
        return self._end

    @property
    def is_unlike(self) -> bool:
        return 2 * self._cut > self._rows - 1


class FromBoth:
    """Bars whose opens and closes stand in columns of their own.

    A close one unit of its resolution before the open and the ``length``, or before the next open,
    means that moment; where other closes are the next open (``are_exact``), a close before an open
    is just that.
    """

    def __init__(
        self, length: BarLength, zone: Zone, resolution: Resolution, *, are_exact: bool
    ) -> None:
        self.length = length
        self._zone = zone
        self._resolution = resolution
        self._are_exact = are_exact
        self._row: tuple[int, int] = (0, 0)

    def bounds(self, times: list[int], ends: list[int] | None) -> Bounds:
        assert ends is not None
        self._row = times[-1], ends[-1]
        if self.length.is_fixed and self._resolution.unit < DAY:
            span, unit = self.length.count, self._resolution.unit
            natural = [time + span for time in times]
            if ends == natural or [end + unit for end in ends] == natural:
                if min(map(sub, islice(times, 1, None), times), default=span) >= span:
                    return times, natural
        closes = []
        for place, (start, end, following) in enumerate(
            zip(times, ends, [*times[1:], None], strict=True)
        ):
            closes.append(self._close(place, start, end, following))
        return times, closes

    def seam(self, following: int) -> int:
        return self._close(0, *self._row, following)

    def _close(self, place: int, start: int, end: int, following: int | None) -> int:
        natural = self._zone.shifted(start, self.length)
        if end not in (natural, following):
            later = self._resolution.after(end)
            if later == natural or (later == following and not self._are_exact):
                end = later
        if end <= start:
            raise RowError(
                place,
                f"closes at {format_ns(end)}, not after it opens, {format_ns(start)}: if both are "
                "times of close, say so with stamp='close'",
            )
        if following is not None and end > following:
            raise RowError(
                place,
                f"closes at {format_ns(end)}, after the next row opens, {format_ns(following)}",
            )
        return end

    @property
    def is_unlike(self) -> bool:
        return False
