"""Time inside is an integer count of nanoseconds since 1970-01-01 UTC; here are the doors to it.

At the API a time is an aware UTC `datetime` (microseconds are the finest it can hold).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from backtest.errors import ConfigError, FieldError

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "duration_ns",
    "format_ns",
    "from_ns",
    "length_ns",
    "parse_ns",
    "to_ns",
]

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SUSPICIOUS = 1_000_000
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
    "w": 7 * DAY,
}


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
        match = re.fullmatch(r"\s*(\d+)\s*([a-zµ]+)\s*", value.lower())
        if match is None or match[2] not in _UNITS:
            raise FieldError(
                field, f"must be a length of time such as '1m', '4h' or '1d', not {value!r}"
            )
        ns = int(match[1]) * _UNITS[match[2]]
    if ns < 0:
        raise FieldError(field, f"must be non-negative, not {value!r}")
    return ns


def parse_ns(text: str) -> int:
    """Nanoseconds of a time as `format_ns` writes it: exactly the one it was made from."""
    whole, _, part = text.removesuffix("+00:00").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND * 1_000 + int(part.ljust(9, "0") or 0)


def length_ns(bar: object, field: str = "length") -> int | None:
    """Nanoseconds of a bar's length: nanoseconds, ``"1m"`` or a `timedelta`; None for None."""
    if bar is None:
        return None
    if isinstance(bar, bool) or not isinstance(bar, (int, str, timedelta)):
        raise ConfigError(f"{field} must be a length such as '1m' or nanoseconds, not {bar!r}")
    if isinstance(bar, int) and 0 < bar < _SUSPICIOUS:
        raise ConfigError(f"{field}={bar} means {bar} nanoseconds: write '{bar}s' (or '{bar}ns')")
    ns = bar if isinstance(bar, int) else duration_ns(bar, field)
    if ns <= 0:
        raise ConfigError(f"{field} must be longer than zero, not {bar!r}")
    return ns
