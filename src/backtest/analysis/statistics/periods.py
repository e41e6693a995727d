"""Equity at the ends of periods, the returns between them, and what makes a year of them.

A period's end belongs to it. Days are those of a calendar: of UTC where the market never closes,
else sessions. A period in which nothing changed returned 0.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

from attrs import frozen

from backtest.analysis.statistics.arithmetic import STATISTICS
from backtest.errors import ConfigError
from backtest.services.calendars import AlwaysOpen, Calendar
from backtest.times import DAY, HOUR, WEEK, format_span, from_ns, to_ns

__all__ = [
    "LEAST_RETURNS",
    "LEAST_SPAN",
    "PERIODS",
    "Annual",
    "annual_of",
    "at_ends",
    "ends_of",
    "returns_of",
]

Sample = tuple[int, Decimal]
"""A moment in nanoseconds since 1970 UTC, and the equity then."""

PERIODS = ("hour", "day", "week", "month")
"""The periods that samples of equity at the ends of hours can be cut into."""
LEAST_SPAN = 30 * DAY
"""A run that is shorter is not annualised."""
LEAST_RETURNS = 20
"""With fewer daily returns nothing is annualised either."""
_THURSDAY = 4 * DAY
"""1970 began on a Thursday: weeks end four days later, when Sunday does."""


@frozen
class Annual:
    """How daily returns are brought to a year; or, where they are too few, why they are not."""

    per_year: int
    """Days of a year: 365 where the market never closes, 252 where it has sessions."""
    basis: str
    """What it was taken from: ``daily``, or ``too short``."""
    why_not: str = ""
    """In words why nothing is annualised; empty where it is."""


def annual_of(first_ns: int, last_ns: int, returns: int, calendar: Calendar) -> Annual:
    """Whether ``returns`` many daily returns from ``first_ns`` to ``last_ns`` are enough to tell
    of a year, and how many days a year of ``calendar`` has."""
    per_year = 365 if isinstance(calendar, AlwaysOpen) else 252
    span = last_ns - first_ns
    if span < LEAST_SPAN:
        why = f"the run spans {format_span(max(span, 0))}, less than {LEAST_SPAN // DAY} days"
        return Annual(per_year, "too short", why)
    if returns < LEAST_RETURNS:
        why = f"there are {returns} daily returns, fewer than {LEAST_RETURNS}"
        return Annual(per_year, "too short", why)
    return Annual(per_year, "daily")


def ends_of(period: str, first_ns: int, last_ns: int, calendar: Calendar) -> list[int]:
    """The ends of the periods that ``first_ns`` to ``last_ns`` goes through, the last whole.

    ``period`` is ``hour``, ``day`` (of ``calendar``), ``week`` (they end with Sunday) or ``month``,
    those in UTC. Raises `ConfigError` for another.
    """
    following: dict[str, Callable[[int], int]] = {
        "hour": lambda ns: (ns // HOUR + 1) * HOUR,
        "day": calendar.day_end,
        "week": lambda ns: ((ns - _THURSDAY) // WEEK + 1) * WEEK + _THURSDAY,
        "month": _month_end,
    }
    if period not in following:
        raise ConfigError(f"the period must be one of {', '.join(PERIODS)}, not {period!r}")
    ends, now = [], first_ns
    while now < last_ns:
        now = following[period](now)
        ends.append(now)
    return ends


def _month_end(ns: int) -> int:
    now = from_ns(ns)
    return to_ns(datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC))


def at_ends(samples: Sequence[Sample], start: Decimal, ends: Sequence[int]) -> list[Decimal]:
    """The equity ``start``, and that at each of ``ends``: of the last sample until then.

    ``samples`` are in the order of time.
    """
    times = [time for time, _ in samples]
    found = [start]
    for end in ends:
        place = bisect_right(times, end)
        found.append(samples[place - 1][1] if place else start)
    return found


def returns_of(equities: Sequence[Decimal]) -> list[Decimal] | None:
    """The return from each equity to the next, as a share; None where one is not above zero, as
    from there on nothing can be gained or lost in shares."""
    if not equities or min(equities) <= 0:
        return None
    divide, subtract, one = STATISTICS.divide, STATISTICS.subtract, Decimal(1)
    return [subtract(divide(after, before), one) for before, after in pairwise(equities)]
