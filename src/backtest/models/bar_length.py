"""How long bars are by name: a span of time, or days or months of a calendar."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from attrs import frozen

from backtest.errors import ConfigError
from backtest.times import DAY, HOUR, MONTH, SECOND, duration_ns, months_in

__all__ = ["BarLength", "is_nominally"]

_SUSPICIOUS = 1_000_000
_FIXED = (("h", HOUR), ("m", HOUR // 60), ("s", SECOND), ("ms", 1_000_000), ("us", 1_000))
_MONTHS = ((12, "y"), (3, "q"), (1, "M"))


@frozen
class BarLength:
    """``count`` nanoseconds, days or months.

    Days and months are those of a calendar: `"1d"` is 23 hours long when the clocks go forward,
    and `"24h"` never is. ``str`` writes it as `of` reads it.

    >>> str(BarLength.of("1M")), str(BarLength.of("60s")), BarLength.of("1w").ns // 10**9
    ('1M', '1m', 604800)
    """

    count: int
    unit: Literal["ns", "day", "month"] = "ns"

    @classmethod
    def of(cls, value: object, field: str = "bar") -> BarLength:
        """A length as it is, or given as ``"1m"``, ``"1M"``, a `timedelta`, or nanoseconds.

        ``d`` and ``w`` are days and weeks of the calendar, ``M`` or ``mo``, ``q`` and ``y`` months,
        quarters and years of it. Raises `ConfigError` and `FieldError` for what is none.
        """
        if isinstance(value, BarLength):
            return value
        if isinstance(value, bool) or not isinstance(value, int | str | timedelta):
            raise ConfigError(
                f"{field} must be a length such as '1m' or nanoseconds, not {value!r}"
            )
        if isinstance(value, int) and 0 < value < _SUSPICIOUS:
            raise ConfigError(
                f"{field}={value} means {value} nanoseconds: write '{value}s' (or '{value}ns')"
            )
        months = months_in(value) if isinstance(value, str) else 0
        if months:
            return cls(months, "month")
        ns = value if isinstance(value, int) else duration_ns(value, field)
        if ns <= 0:
            raise ConfigError(f"{field} must be longer than zero, not {value!r}")
        if isinstance(value, str) and value.strip().lower()[-1] in "dw":
            return cls(ns // DAY, "day")
        return cls(ns)

    @property
    def ns(self) -> int:
        """Nanoseconds by which lengths are compared: of months, what they are on average."""
        return self.count * {"ns": 1, "day": DAY, "month": MONTH}[self.unit]

    @classmethod
    def span_of(cls, value: object, field: str = "bar") -> int:
        """Nanoseconds of a length where all are alike: days of 24 hours, and no months."""
        length = cls.of(value, field)
        if length.unit == "month":
            raise ConfigError(f"{field} must be a fixed length, which {length} is not: '1d', say")
        return length.ns

    @property
    def longest_ns(self) -> int:
        """Nanoseconds that a bar of it may last at most: a day has 25 hours, a month 31 days."""
        if self.unit == "ns":
            return self.count
        return self.count * (DAY if self.unit == "day" else 31 * DAY) + HOUR

    @property
    def is_fixed(self) -> bool:
        """Whether it is a span of time, the same in every calendar."""
        return self.unit == "ns"

    def __str__(self) -> str:
        if self.unit == "day":
            return f"{self.count}d" if self.count % 7 else f"{self.count // 7}w"
        if self.unit == "month":
            size, name = next(one for one in _MONTHS if not self.count % one[0])
            return f"{self.count // size}{name}"
        name, size = next((one for one in _FIXED if not self.count % one[1]), ("ns", 1))
        return f"{self.count // size}{name}"


def is_nominally(span: int, nominal: int) -> bool:
    """Whether bars of ``span`` nanoseconds may be bars of the length that counts as ``nominal``.

    Days and weeks may be an hour off, where the clocks change; months are of 28 to 31 days, and
    their multiples as different.
    """
    if span == nominal:
        return True
    if not nominal % MONTH:
        return abs(span - nominal) <= 5 * DAY // 2
    return not nominal % DAY and abs(span - nominal) <= HOUR
