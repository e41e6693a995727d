"""What the times of a file say before its bars are made: how long they are, and when they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC
from operator import eq, gt, sub
from typing import Any

from attrs import frozen

from backtest.data._columns import Columns
from backtest.data._gaps import Gaps
from backtest.data._resolution import Grid, Resolution
from backtest.data._rows import Rows
from backtest.data._stamps import StampReader
from backtest.data._symbols import no_rows
from backtest.data._timing import FromBoth, FromCloses, FromOpens, Timing
from backtest.data._zones import Zone
from backtest.errors import DataError
from backtest.models.bar_length import BarLength

__all__ = ["Plan", "Survey"]


@frozen(kw_only=True)
class Plan:
    """How the times of a source are read.

    ``days``: whether a midnight is the beginning of its day, however the clocks go.
    """

    length: BarLength
    longest: int
    """Nanoseconds that a bar lasts at most."""
    days: bool
    timing: Callable[[], Timing]
    """Makes the `Timing` of one reading."""


class Survey:
    """Reads the times of a file as often as it takes to know what they mean.

    Args: ``zone`` is that of times that name none (None: UTC), and of the calendar; ``given`` the
    length that was given.
    """

    def __init__(
        self,
        rows: Rows,
        columns: Columns,
        zone: Zone | None,
        calendar: Zone,
        given: BarLength | None,
    ) -> None:
        self._rows = rows
        self._columns = columns
        self._zone = zone
        self._calendar = calendar
        self._given = given

    def plan(self, stamp: str) -> Plan:
        """What ``stamp``, the columns and the times come to. Raises `DataError` for what is not
        certain, and for times out of order."""
        if self._columns.close_time is not None:
            return self._of_both()
        return self._of_closes() if stamp == "close" else self._of_opens()

    def _read(self, feed: Callable[..., Any], *, both: bool = False) -> list[StampReader]:
        """Give the times (and those of close) to ``feed``; the readers that read them."""
        days = self._given is None or not self._given.is_fixed
        columns = self._columns
        stamps = StampReader(self._zone, columns.unit, days=days)
        closes = StampReader(self._zone, columns.close_unit, days=days) if both else None
        empty = True

        def convert(times: list[list[int]], *_: object) -> list[int]:
            feed(*times)
            return []

        for _ in self._rows.read(stamps, convert, closes=closes, times_only=True):
            empty = False
        if empty:
            raise no_rows(self._rows.symbol, self._rows.name)
        return [stamps] if closes is None else [stamps, closes]

    def _gaps(self) -> Gaps:
        return Gaps(self._calendar)

    # -- open times alone --------------------------------------------------------------------------

    def _of_opens(self) -> Plan:
        length, zone = self._given or self._told(), self._calendar
        return Plan(
            length=length,
            longest=self._longest(length),
            days=not length.is_fixed,
            timing=lambda: FromOpens(length, zone),
        )

    def _longest(self, length: BarLength) -> int:
        if length.unit == "day" and self._calendar.tzinfo is UTC:
            return length.ns
        return length.longest_ns

    def _told(self) -> BarLength:
        gaps = self._gaps()
        self._read(gaps.feed)
        return gaps.result(self._rows.name)

    # -- close times alone -------------------------------------------------------------------------

    def _of_closes(self) -> Plan:
        gaps, after, grid = self._gaps(), self._gaps(), Grid(self._calendar)
        day = Resolution.of_days(self._calendar)

        def feed(times: list[int]) -> None:
            gaps.feed(times)
            grid.feed(times)
            if grid.are_midnights:
                after.feed(list(map(day.after, times)))

        (stamps,) = self._read(feed)
        resolution = grid.resolution(stamps.grain)
        inclusive: Resolution | None = None
        if grid.are_midnights:
            if self._ends_with(after):
                gaps, inclusive = after, day
        elif grid.are_last_moments(resolution):
            gaps, inclusive = self._gaps(), resolution
            self._read(lambda times: gaps.feed(list(map(resolution.after, times))))
        length = self._given or gaps.result(self._rows.name)
        zone = self._calendar
        return Plan(
            length=length,
            longest=self._longest(length),
            days=not length.is_fixed,
            timing=lambda: FromCloses(length, zone, inclusive),
        )

    def _ends_with(self, after: Gaps) -> bool:
        """Whether dates are the last days of months, or of weeks, whose next days are ``after``."""
        length = self._given or after.told()
        if length is None or length.is_fixed:
            return False
        if length.unit == "month":
            return after.are_months
        return not length.count % 7 and after.are_mondays

    # -- both --------------------------------------------------------------------------------------

    def _of_both(self) -> Plan:
        gaps, grid = self._gaps(), Grid(self._calendar)

        def feed(times: list[int], ends: list[int]) -> None:
            gaps.feed(times)
            grid.feed(ends)

        _, closes = self._read(feed, both=True)
        resolution = grid.resolution(closes.grain, days=gaps.are_midnights)
        likely = self._given or gaps.told()
        spans = _Spans(likely, self._calendar, resolution)
        self._read(spans.feed, both=True)
        length, zone, are_exact = self._named(likely, spans), self._calendar, spans.exact > 0
        return Plan(
            length=length,
            longest=spans.longest,
            days=gaps.are_midnights,
            timing=lambda: FromBoth(length, zone, resolution, are_exact=are_exact),
        )

    def _named(self, likely: BarLength | None, spans: _Spans) -> BarLength:
        """The length that bars go by: the likely one if most are of it, else the most frequent.

        One that was given names shorter bars, too, such as sessions that are called days; it must
        not be shorter than most bars, nor longer than most gaps.
        """
        if likely is not None and 2 * spans.agreeing >= spans.rows:
            return likely
        frequent = spans.most_frequent()
        if self._given is None:
            return frequent
        if 2 * spans.longer > spans.rows or 2 * spans.crowded > spans.rows - 1:
            raise DataError(
                f"its times of close are not those of bars of {self._given}: most frequent are "
                f"{frequent}; leave out bar (--bar)",
                source=self._rows.name,
            )
        return self._given


class _Spans:
    """How long bars are whose opens and closes are known."""

    def __init__(self, likely: BarLength | None, zone: Zone, resolution: Resolution) -> None:
        self.rows = self.agreeing = self.exact = 0
        """How many bars there are, are of the likely length, and end where the next opens."""
        self.longer = self.crowded = 0
        """How many are longer than that, and open before the one before could have been so long."""
        self.longest = 0
        self._short = 0
        """How many end a unit before the next opens."""
        self._spans: Counter[int] = Counter()
        self._later: Counter[int] = Counter()
        """How often bars last how long, as it is written and with a unit more."""
        self._likely = likely
        self._zone = zone
        self._resolution = resolution
        self._before: tuple[int, ...] | None = None
        """The close of the last row: as written, a unit later, and by the likely length."""

    def feed(self, times: list[int], ends: list[int]) -> None:
        """Takes the next rows."""
        after, zone, likely = self._resolution.after, self._zone, self._likely
        later = list(map(after, ends))
        natural = ends if likely is None else [zone.shifted(start, likely) for start in times]
        self.rows += len(times)
        self.agreeing += sum(map(eq, natural, ends)) + sum(map(eq, natural, later))
        self.longer += sum(map(gt, ends, natural))
        self._spans.update(map(sub, ends, times))
        self._later.update(map(sub, later, times))
        self.longest = max(self.longest, *map(sub, later, times))
        self._compare(times, ends, later, natural)

    def _compare(self, opens: list[int], *closes: list[int]) -> None:
        """Compare the closes of rows with the open of the row behind each."""
        before, self._before = self._before, tuple(column[-1] for column in closes)
        if before is None:
            opens = opens[1:]
        else:
            closes = tuple([one, *column] for one, column in zip(before, closes, strict=True))
        ends, later, natural = closes
        self.exact += sum(map(eq, ends, opens))
        self._short += sum(map(eq, later, opens))
        self.crowded += sum(map(gt, natural, opens))

    def most_frequent(self) -> BarLength:
        """The length that most bars have; of equals the longest."""
        spans = self._later if self._short and not self.exact else self._spans
        span = max(spans, key=lambda one: (spans[one], one))
        return BarLength(max(1, span))
