"""Time inside is an integer count of nanoseconds since 1970-01-01 UTC; here are the doors to it.

At the API a time is an aware UTC `datetime` (microseconds are the finest it can hold).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from backtest.errors import FieldError

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "MONTH",
    "SECOND",
    "WEEK",
    "age_ns",
    "duration_ns",
    "format_ns",
    "format_span",
    "from_ns",
    "moment",
    "months_in",
    "parse_ns",
    "to_ns",
]

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY
MONTH = 2_629_746 * SECOND
"""A twelfth of a Gregorian year (365.2425 days): what a month counts as where lengths are compared.
How long a certain month is, is a matter of the calendar."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SUSPICIOUS = 1_000_000
"""Whoever gives so few nanoseconds means something else."""
_MICROSECOND = timedelta(microseconds=1)
_COUNTED = re.compile(r"\s*(\d+)\s*([a-zA-Zµ]+)\s*")
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": MINUTE,
    "min": MINUTE,
    "h": HOUR,
    "d": DAY,
    "w": WEEK,
}
_MONTHS = {"mo": 1, "q": 3, "y": 12}
_SPANS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}


def to_ns(moment: datetime, field: str = "timestamp") -> int:
    """Nanoseconds of an aware ``moment``; a naive one is refused with the way to mend it."""
    if moment.tzinfo is None:
        raise FieldError(
            field, f"must know its time zone: {moment!r} is naive; write datetime(..., tzinfo=UTC)"
        )
    return (moment - _EPOCH) // _MICROSECOND * 1_000


def from_ns(ns: int) -> datetime:
    """The aware UTC `datetime` of ``ns`` nanoseconds (below a microsecond is cut off)."""
    return _EPOCH + timedelta(microseconds=ns // 1_000)


def format_ns(ns: int) -> str:
    """ISO 8601 in UTC, with as many digits as the moment needs (0, 6 or 9)."""
    text = from_ns(ns).replace(tzinfo=None).isoformat()
    rest = ns % 1_000
    if rest:
        if "." not in text:
            text += ".000000"
        text += f"{rest:03d}"
    return text + "+00:00"


def moment(text: str) -> str:
    """A time of the tables, shorter: ``2020-01-01 00:05``, with seconds only where there are."""
    short = text.removesuffix("+00:00").replace("T", " ")
    return short.removesuffix(":00") if short.count(":") == 2 else short


def duration_ns(value: str | int | float | timedelta, field: str = "duration") -> int:
    """Nanoseconds of a length of time: ``"1m"``, ``"500ms"``, a `timedelta`, or seconds.

    Raises `FieldError` when it is not a length of time or is negative.
    """
    if isinstance(value, timedelta):
        ns = value // _MICROSECOND * 1_000
    elif isinstance(value, bool):
        raise FieldError(field, "must be a length of time, not a bool")
    elif isinstance(value, int):
        ns = value * SECOND
    elif isinstance(value, float):
        ns = round(value * 1e6) * 1_000
    else:
        ns = _counted_ns(value, field)
    if ns < 0:
        raise FieldError(field, f"must be non-negative, not {value!r}")
    return ns


def _counted_ns(text: str, field: str) -> int:
    """Nanoseconds of ``"90s"``: a count and a unit."""
    if months_in(text):
        raise FieldError(
            field, f"must be a fixed length of time, which {text!r} is not; a minute is '1m'"
        )
    match = _COUNTED.fullmatch(text)
    if match is None or match[2].lower() not in _UNITS:
        raise FieldError(
            field, f"must be a length of time such as '1m', '4h' or '1d', not {text!r}"
        )
    return int(match[1]) * _UNITS[match[2].lower()]


def months_in(text: str) -> int:
    """The months in ``"1M"``, ``"1mo"``, ``"1q"`` or ``"1y"``; 0 in all else, as in ``"1m"``."""
    match = _COUNTED.fullmatch(text)
    if match is None:
        return 0
    return int(match[1]) * (1 if match[2] == "M" else _MONTHS.get(match[2].lower(), 0))


def parse_ns(text: str) -> int:
    """Nanoseconds of a time as `format_ns` writes it: exactly the one it was made from."""
    whole, _, part = text.removesuffix("+00:00").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND * 1_000 + int(part.ljust(9, "0") or 0)


def format_span(ns: int) -> str:
    """A length of time as one says it: ``"1h"``, ``"17h30m"``, ``"59s999ms"``."""
    parts = []
    for unit, size in _SPANS.items():
        count, ns = divmod(ns, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def age_ns(age: object, field: str = "age") -> int:
    """Nanoseconds of an age: ``"5s"``, a `timedelta`, or nanoseconds as a whole number; 0 counts.

    Raises `FieldError` for anything else.
    """
    if isinstance(age, bool) or not isinstance(age, (int, str, timedelta)):
        raise FieldError(field, f"must be a length of time such as '5s', not {age!r}")
    if isinstance(age, int) and 0 < age < _SUSPICIOUS:
        raise FieldError(field, f"of {age} means {age} nanoseconds: write '{age}s' (or '{age}ns')")
    if isinstance(age, int) and age >= 0:
        return age
    return duration_ns(age, field)
