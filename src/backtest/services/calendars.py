"""When a market is open: what a day is to `DAY` orders, overnight charges and resampling."""

from __future__ import annotations

import importlib
import warnings
from bisect import bisect_left, bisect_right
from typing import Any, NamedTuple, Protocol, runtime_checkable

from backtest.errors import ConfigError, FieldTypeError, MissingExtra
from backtest.times import DAY, from_ns

__all__ = [
    "ALWAYS_OPEN",
    "AlwaysOpen",
    "Calendar",
    "ExchangeCalendar",
    "Session",
    "always_open",
    "calendar_of",
    "from_exchange",
]


class Session(NamedTuple):
    """A trading day, in nanoseconds since 1970 UTC."""

    open_ns: int
    close_ns: int
    label: int
    """The calendar day it belongs to: days since 1970."""


@runtime_checkable
class Calendar(Protocol):
    """The sessions of a market. Pure: the same question always has the same answer."""

    name: str

    def session(self, ns: int) -> Session | None:
        """The session that ``ns`` lies in, its close included; None between sessions."""

    def day_end(self, ns: int) -> int:
        """The first close of a session after ``ns``: when a ``DAY`` order sent then expires."""

    def rollover(self, ns: int, time_of_day: int) -> int:
        """The first moment after ``ns`` at which a night is charged; ``time_of_day`` is what the
        rules say (`TradingRules.rollover_ns`)."""


class AlwaysOpen:
    """A market that never closes: its days are those of UTC. The default.

    A moment at midnight is of the day that begins. Nights are charged at the rules' time of day.
    """

    name = "always_open"

    def __repr__(self) -> str:
        return "always_open()"

    def session(self, ns: int) -> Session | None:
        day = ns // DAY
        return Session(day * DAY, (day + 1) * DAY, day)

    def day_end(self, ns: int) -> int:
        return (ns // DAY + 1) * DAY

    def rollover(self, ns: int, time_of_day: int) -> int:
        return ((ns - time_of_day) // DAY + 1) * DAY + time_of_day


ALWAYS_OPEN = AlwaysOpen()


def always_open() -> AlwaysOpen:
    """The calendar of a market that never closes."""
    return ALWAYS_OPEN


class ExchangeCalendar:
    """The sessions of an exchange, by its name at `exchange_calendars` (``"XNYS"``, ``"XLON"``).

    Sessions are read a few years at a time, always of bounds that the questions alone determine:
    the package's own default bounds move with the date of today. Breaks at noon count as open.
    Nights are charged at the close of each session, whatever time of day the rules name.

    Raises `MissingExtra` without the extra ``calendars``, `ConfigError` for a name that is not
    known and for years that the calendar does not know.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._module: Any = _required()
        if name not in self._module.get_calendar_names(include_aliases=True):
            raise ConfigError(
                f"there is no calendar {name!r}: give 'always_open', or a name of "
                "exchange_calendars such as 'XNYS' or 'XLON'"
            )
        self._first_year, self._last_year = 1, 0
        self._opens: list[int] = []
        self._closes: list[int] = []
        self._labels: list[int] = []

    def __repr__(self) -> str:
        return f"from_exchange({self.name!r})"

    def session(self, ns: int) -> Session | None:
        self._know(ns)
        place = bisect_left(self._closes, ns)
        if place == len(self._closes) or self._opens[place] > ns:
            return None
        return Session(self._opens[place], self._closes[place], self._labels[place])

    def day_end(self, ns: int) -> int:
        self._know(ns)
        place = bisect_right(self._closes, ns)
        if place == len(self._closes):
            raise ConfigError(f"calendar {self.name} knows no session after {from_ns(ns)}")
        return self._closes[place]

    def rollover(self, ns: int, time_of_day: int) -> int:
        return self.day_end(ns)

    def _know(self, ns: int) -> None:
        """Have the sessions of the year of ``ns`` and of those beside it."""
        year = from_ns(ns).year
        if self._first_year < year < self._last_year:
            return
        first, last = year - 1, year + 1
        if self._opens:
            first, last = min(first, self._first_year), max(last, self._last_year)
        with warnings.catch_warnings():
            # What the package owes to a new pandas is nothing that its users could mend.
            warnings.simplefilter("ignore")
            try:
                sessions = self._module.get_calendar(
                    self.name, start=f"{first}-01-01", end=f"{last}-12-31"
                )
            except ValueError as error:
                raise ConfigError(f"calendar {self.name} does not know {year}: {error}") from None
            self._opens, self._closes = _moments(sessions.opens), _moments(sessions.closes)
            days = sessions.opens.index.to_numpy("datetime64[D]").astype("int64")
            self._labels = days.tolist()
        self._first_year, self._last_year = first, last


def from_exchange(name: str) -> ExchangeCalendar:
    """The calendar of an exchange, ``from_exchange("XNYS")``; errors as `ExchangeCalendar`."""
    found = _known.get(name)
    if found is None:
        found = _known[name] = ExchangeCalendar(name)
    return found


_known: dict[str, ExchangeCalendar] = {}


def calendar_of(calendar: object) -> Calendar:
    """A calendar as it is; that of a name (None: always open)."""
    if calendar is None or calendar == "always_open":
        return ALWAYS_OPEN
    if isinstance(calendar, str):
        return from_exchange(calendar)
    if isinstance(calendar, Calendar) and not isinstance(calendar, type):
        return calendar
    raise FieldTypeError("calendar", f"must be a Calendar or its name, not {calendar!r}")


def _required() -> Any:
    try:
        return importlib.import_module("exchange_calendars")
    except ImportError:
        raise MissingExtra("exchange_calendars", "calendars", "the sessions of exchanges") from None


def _moments(times: Any) -> list[int]:
    """Nanoseconds of a series of aware times."""
    naive = times.dt.tz_convert("UTC").dt.tz_localize(None)
    moments: list[int] = naive.to_numpy("datetime64[ns]").astype("int64").tolist()
    return moments
