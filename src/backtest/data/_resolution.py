"""How finely a column of times is written, and whether its times are the last moments of bars.

Some write a close as the last moment of the bar: 00:00:59.999, 23:59, or the date of the last day.
"""

from __future__ import annotations

from math import gcd

from attrs import frozen

from backtest.data._zones import Zone
from backtest.times import DAY, MINUTE, SECOND

__all__ = ["Grid", "Resolution"]

_UNITS = (SECOND, 1_000_000, 1_000, 1)


@frozen
class Resolution:
    """One unit in the last place of a column of times: a day of ``zone``, or so many ns."""

    unit: int
    zone: Zone

    @classmethod
    def of_days(cls, zone: Zone) -> Resolution:
        """That of dates."""
        return cls(DAY, zone)

    def after(self, ns: int) -> int:
        """One unit later."""
        if self.unit == DAY:
            return self.zone.at(self.zone.local(ns)[0] + 1)
        return ns + self.unit


class Grid:
    """Finds what all times of a column have in common."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._first: int | None = None
        self._step = 0
        """The greatest common divisor of the differences."""
        self.are_midnights = True
        """Whether each is the beginning of a day."""

    def feed(self, times: list[int]) -> None:
        """Takes the next times (some)."""
        first = self._first = times[0] if self._first is None else self._first
        self._step = gcd(self._step, *[time - first for time in times])
        if self.are_midnights:
            self.are_midnights = all(not self._zone.local(time)[1] for time in times)

    def resolution(self, grain: int, *, days: bool = True) -> Resolution:
        """That of the times, which are written to the ``grain``: a day, a minute, or finer.

        With ``days``, midnights are dates however they are written.
        """
        if days and self.are_midnights:
            return Resolution.of_days(self._zone)
        if grain >= MINUTE:
            return Resolution(MINUTE, self._zone)
        whole = gcd(self._first or 0, self._step)
        return Resolution(next(one for one in _UNITS if not whole % one), self._zone)

    def are_last_moments(self, resolution: Resolution) -> bool:
        """Whether each time is one unit before a round one: before a minute, as 59.999 is, or, of
        times written to the minute, before a quarter of an hour or what their steps allow."""
        unit = resolution.unit
        if unit == DAY:
            return False  # no date is rounder than another, but for those that begin a month
        round_ = gcd(self._step, MINUTE if unit < MINUTE else 15 * MINUTE)
        return unit < round_ and not ((self._first or 0) + unit) % round_
