"""What the differences between the times of a source tell of the length of its bars.

A length is told only where nothing is guessed. The smallest difference alone is a guess: one bar
that is cut short, or stamped a second early, would shorten all, and a bar that is taken for shorter
than it is shows the future.
"""

from __future__ import annotations

from collections import Counter
from itertools import count, islice
from operator import sub

from backtest.data._assemble import check_order
from backtest.data._zones import Zone, date_of
from backtest.errors import DataError
from backtest.models.bar_length import BarLength, is_nominally
from backtest.times import DAY, HOUR, format_ns, format_span

__all__ = ["Gaps"]

_SHOWN = 6


class Gaps:
    """Counts the differences between the times of a source, which must strictly increase.

    ``zone`` is the one whose days and months count.
    """

    def __init__(self, zone: Zone) -> None:
        self.count = 0
        """Times so far."""
        self.last: int | None = None
        self._zone = zone
        self._gaps: Counter[int] = Counter()
        self._first: dict[int, tuple[int, int]] = {}
        """Of each difference the first example: the number of the later row, and its time."""
        self._is_daily = self._is_monthly = True
        """Whether all have one local time of day, and are of a month's first."""
        self._days: Counter[int] = Counter()
        self._months: Counter[int] = Counter()
        self._day: int | None = None
        self._month = self._clock = 0
        """Those of the last one, as long as it matters."""

    def feed(self, times: list[int]) -> None:
        """Takes the next times (some); `RowError` for one that is not after the one before it."""
        check_order(times, self.last)
        joined = times if self.last is None else [self.last, *times]
        gaps = list(map(sub, islice(joined, 1, None), joined))
        self._gaps.update(gaps)
        if len(self._gaps) > len(self._first):
            rows = count(self.count + 1 if self.last is not None else 2)
            for gap, row, time in zip(gaps, rows, islice(joined, 1, None), strict=False):
                self._first.setdefault(gap, (row, time))
        if self._is_daily:
            self._feed_days(times)
        self.last = times[-1]
        self.count += len(times)

    def _feed_days(self, times: list[int]) -> None:
        for time in times:
            day, clock = self._zone.local(time)
            if self._day is not None:
                if clock != self._clock or day == self._day:
                    self._is_daily = False
                    return
                self._days[day - self._day] += 1
            here = date_of(day)
            month = here.year * 12 + here.month
            self._is_monthly = self._is_monthly and here.day == 1
            if self._is_monthly and self._day is not None:
                self._months[month - self._month] += 1
            self._day, self._month, self._clock = day, month, clock

    @property
    def are_midnights(self) -> bool:
        """Whether each time is the beginning of a day."""
        return self._is_daily and self._clock == 0

    @property
    def are_months(self) -> bool:
        """Whether each time is the beginning of a month."""
        return self.are_midnights and self._is_monthly

    @property
    def are_mondays(self) -> bool:
        """Whether each time is the beginning of a Monday."""
        return (
            self.are_midnights
            and self._day is not None
            and not date_of(self._day).weekday()
            and not any(gap % 7 for gap in self._days)
        )

    # -- what they tell ----------------------------------------------------------------------------

    def told(self) -> BarLength | None:
        """The length that the differences tell; None when it would be a guess."""
        if self._is_daily:
            if self._is_monthly and (months := _step(self._months)) is not None:
                return BarLength(months, "month")
            if (days := _step(self._days)) is not None:
                return BarLength(days, "day")
        span = _step(self._gaps)
        return None if span is None else BarLength(span)

    def result(self, source: str) -> BarLength:
        """The same; a `DataError` that lists the differences where they do not tell it."""
        if not self._gaps:
            raise DataError(
                "has a single row, from which a bar's length cannot be told: give it, bar='1m' "
                "(--bar 1m), say",
                source=source,
            )
        length = self.told()
        if length is None:
            raise DataError(
                f"a bar's length cannot be told from the gaps between the rows: {self.listed()}; "
                f"give it, bar='{self._example()}' (--bar {self._example()}), say: a bar then ends "
                f"where the next one opens, if that is earlier{self._hint()}",
                source=source,
            )
        return length

    def _most_common(self) -> list[tuple[int, int]]:
        return sorted(self._gaps.items(), key=lambda item: (-item[1], item[0]))

    def listed(self) -> str:
        """The differences, most frequent first, with how often each is there and an example."""
        shown = []
        for gap, number in self._most_common()[:_SHOWN]:
            row, time = self._first[gap]
            often = "once" if number == 1 else f"{number} times"
            shown.append(f"{format_span(gap)} {often} (to {format_ns(time)}, row {row})")
        more = len(self._gaps) - _SHOWN
        if more > 0:
            shown.append(f"and {more} other{'s' if more > 1 else ''}")
        return ", ".join(shown)

    def _example(self) -> str:
        """A length that could be meant, as one would write it."""
        span = self._most_common()[0][0]
        for name in ("1M", "1q", "1y"):
            if is_nominally(span, BarLength.of(name).ns):
                return name
        return str(BarLength(span) if span % DAY else BarLength(span // DAY, "day"))

    def _hint(self) -> str:
        """That they look like days of a zone, if they do."""
        off = [abs(gap - (gap + DAY // 2) // DAY * DAY) for gap in self._gaps]
        if min(self._gaps) >= DAY - HOUR and 0 < max(off) <= HOUR:
            return "; if these are days of a zone where the clocks change, name it, tz= (--tz)"
        return ""


def _step(gaps: Counter[int]) -> int | None:
    """The smallest of ``gaps`` if all are multiples of it and none is more frequent, else None."""
    if not gaps:
        return None
    smallest = min(gaps)
    if gaps[smallest] < max(gaps.values()) or any(gap % smallest for gap in gaps):
        return None
    return smallest
