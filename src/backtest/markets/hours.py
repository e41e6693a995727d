"""The hours of a pair: when it is called, trades, and is closed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import time
from itertools import pairwise
from typing import Any

from attrs import frozen

from backtest.actors.exchange.session import Phase, PhaseName
from backtest.errors import ConfigError
from backtest.markets.strict import known_keys
from backtest.times import DAY, HOUR, MINUTE, SECOND

__all__ = ["Hours", "hours_of", "phases", "time_of_day"]

_CLOCK = re.compile(r"\s*(\d{1,2}):(\d{2})(?::(\d{2}))?\s*")
_NAMES = ("opening_auction", "opens", "closing_auction", "closes")


def time_of_day(value: Any, field: str) -> int:
    """Nanoseconds since midnight UTC of ``"09:30"``, ``"09:30:15"`` or a `datetime.time`.

    Raises `ConfigError` for what is no time of day.
    """
    if isinstance(value, time):
        if value.tzinfo is not None:
            raise ConfigError(f"{field} is in UTC: give it without a zone, not {value}")
        whole = value.hour * HOUR + value.minute * MINUTE + value.second * SECOND
        return whole + value.microsecond * 1_000
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
        if hour < 24 and minute < 60 and second < 60:
            return hour * HOUR + minute * MINUTE + second * SECOND
    raise ConfigError(f"{field} must be a time of day such as '09:30', not {value!r}")


@frozen(kw_only=True)
class Hours:
    """Of each day, in nanoseconds since midnight UTC; a pair without hours trades all the time.

    From ``opening_auction`` on orders are collected, at ``opens`` they meet at one price and
    continuous trading begins; from ``closing_auction`` on they are collected again, and at
    ``closes`` they meet for the last time. An auction that is left out does not happen.

    >>> Hours(opens=9 * HOUR, closes=17 * HOUR).phase_at(8 * HOUR)
    'closed'
    """

    opens: int
    closes: int
    opening_auction: int | None = None
    closing_auction: int | None = None

    def __attrs_post_init__(self) -> None:
        given = [(name, getattr(self, name)) for name in _NAMES]
        day = [(name, at) for name, at in given if at is not None]
        for (name, at), (later, then) in pairwise(day):
            if at >= then:
                raise ConfigError(f"hours: {name} must come before {later}")

    def changes(self) -> list[tuple[int, PhaseName]]:
        """The phases of a day with the time at which each begins."""
        day: list[tuple[int, PhaseName]] = []
        if self.opening_auction is not None:
            day.append((self.opening_auction, "auction"))
        day.append((self.opens, "continuous"))
        if self.closing_auction is not None:
            day.append((self.closing_auction, "auction"))
        day.append((self.closes, "closed"))
        return day

    def phase_at(self, of_day: int) -> PhaseName:
        """The phase at a time of day, nanoseconds since midnight."""
        phase: PhaseName = "closed"
        for at, begins in self.changes():
            if at <= of_day:
                phase = begins
        return phase

    def text(self) -> dict[str, str]:
        """The same as plain data."""
        return {
            name: str(time(at // HOUR, at % HOUR // MINUTE, at % MINUTE // SECOND))
            for name in _NAMES
            if (at := getattr(self, name)) is not None
        }


def hours_of(value: Any, field: str) -> Hours | None:
    """`Hours` from a table such as ``{opens = "09:30", closes = "16:00"}``; None for None."""
    if value is None or isinstance(value, Hours):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"{field} must be a table such as {{opens = '09:30', closes = '16:00'}}")
    known_keys(value, _NAMES, field)
    for name in ("opens", "closes"):
        if name not in value:
            raise ConfigError(f"{field} needs {name}: a time of day such as '09:30'")
    try:
        return Hours(**{name: time_of_day(at, f"{field}.{name}") for name, at in value.items()})
    except ConfigError as error:
        raise ConfigError(str(error).replace("hours:", f"{field}:", 1)) from None


def phases(code: str, hours: Hours | None, start: int, until: int) -> Iterator[tuple[int, Phase]]:
    """What pair ``code`` goes through from ``start`` to ``until``: first the phase it begins in,
    then each change at its time, day after day."""
    if hours is None:
        yield start, Phase(code, "continuous")
        return
    yield start, Phase(code, hours.phase_at(start % DAY))
    midnight = start - start % DAY
    while midnight <= until:
        for at, phase in hours.changes():
            if start < midnight + at <= until:
                yield midnight + at, Phase(code, phase)
        midnight += DAY
