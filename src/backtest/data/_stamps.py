"""Times as files write them, turned into nanoseconds since 1970-01-01 UTC.

One reader reads one column. The first text settles what the column holds (an epoch number and its
unit, or calendar times) and every later text must be of that kind: a file that changes its mind
halfway is a broken file, not a guess to be made again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation

from backtest.data._zones import Zone, zone_of
from backtest.money import mul
from backtest.times import DAY, HOUR, MINUTE, SECOND

__all__ = ["EARLIEST", "LATEST", "UNITS", "StampReader", "Zone", "zone_of"]

EARLIEST = -2_208_988_800 * SECOND
"""1900-01-01: an earlier time in market data is a mistake."""
LATEST = 2**63 - 1
"""In the year 2262: the last time that 64 bits of nanoseconds can hold."""

_GUESSES = (
    ("seconds", 10**8, 10**10, SECOND),
    ("milliseconds", 10**11, 10**13, 1_000_000),
    ("microseconds", 10**14, 10**16, 1_000),
    ("nanoseconds", 10**17, 10**19, 1),
)
"""Unit by magnitude; each range spans the years 1973 to 2286, so that they cannot overlap."""

UNITS = {"s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds of each unit, as columns of times name it."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_PLAIN = re.compile(r"(\d{1,30})(?:\.\d*)?", re.ASCII)
_COMPACT = re.compile(
    r"(19|2[0-2])\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\d{6}|([01]\d|2[0-3])[0-5]\d)?",
    re.ASCII,
)
"""A date, or a date and time, in 8, 12 or 14 digits: no epoch number, though the 12 could be one of
the years 1976 and 1977."""
_DAY_FIRST = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}.*", re.ASCII)
_DAY = re.compile(r"(\d{4})([-/.])(\d{2})\2(\d{2})", re.ASCII)
_CLOCK = re.compile(
    r"[ T](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
    r" ?(Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?",
    re.ASCII | re.IGNORECASE,
)
_COMPACT_CLOCK = re.compile(r"[ T]?(\d{2}):?(\d{2})(?::?(\d{2})(?:[.,]?(\d{1,9}))?)?", re.ASCII)
_HOW = "write 2020-01-31 23:59:00, ISO 8601, or an epoch number in s, ms, us or ns"
_EPOCH = datetime(1970, 1, 1)
_REMEMBERED = 100_000
"""Distinct days or times of day kept; beyond that the memory is emptied, so that it cannot grow."""


class _Unremembered(Exception):
    """This text must be read by itself: it is not a plain day followed by a plain time of day."""


def _clock_ns(hour: str, minute: str, second: str | None, fraction: str | None, text: str) -> int:
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 59:
        raise ValueError(f"{text!r} is no time of day (00:00:00 to 23:59:59)")
    ns = int(hour) * HOUR + int(minute) * MINUTE + int(second or 0) * SECOND
    return ns + int((fraction or "0").ljust(9, "0"))


def _day_ns(year: str, month: str, day: str, text: str) -> int:
    try:
        return (datetime(int(year), int(month), int(day)) - _EPOCH).days * DAY
    except ValueError:
        raise ValueError(f"{text!r} is no date of the calendar") from None


def _offset_ns(text: str | None) -> int | None:
    """Nanoseconds of ``+01:30``, ``-0500``, ``Z``; None when the text names no offset."""
    if text is None:
        return None
    if text[0] not in "+-":
        return 0
    ns = int(text[1:3]) * HOUR + int(text[3:].removeprefix(":") or 0) * MINUTE
    return -ns if text[0] == "-" else ns


class _Days(dict[str, int]):
    """UTC nanoseconds at which a day begins, by its ten characters; filled when first asked."""

    def __init__(self, zone: Zone | None) -> None:
        super().__init__()
        self._zone = zone

    def __missing__(self, text: str) -> int:
        match = _DAY.fullmatch(text)
        if match is None:
            raise _Unremembered
        ns = _day_ns(match[1], match[3], match[4], text)
        if not EARLIEST + DAY <= ns <= LATEST - 2 * DAY:
            raise _Unremembered  # at the edges, the time of day and the offset count
        if self._zone is not None:
            constant = self._zone.constant_offset(ns)
            if constant is None:
                raise _Unremembered
            ns -= constant
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = ns
        return ns


class _Clocks(dict[str, int]):
    """Nanoseconds since the day began, by the text after the day; filled when first asked."""

    def __init__(self, zone: Zone | None) -> None:
        super().__init__()
        self._zone = zone
        self[""] = 0
        self.grain = DAY
        """The finest that is written: a day, a minute, or a second (and whatever is below)."""

    def __missing__(self, text: str) -> int:
        match = _CLOCK.fullmatch(text)
        if match is None:
            raise _Unremembered
        offset = _offset_ns(match[5])
        if offset is not None and self._zone is not None:
            raise _Unremembered  # the day's own offset must not be applied as well
        ns = _clock_ns(match[1], match[2], match[3], match[4], text) - (offset or 0)
        self.note(match)
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = ns
        return ns

    def note(self, clock: re.Match[str]) -> None:
        """Take note of how finely a time of day is written."""
        self.grain = min(self.grain, MINUTE if clock[3] is None else SECOND)


class StampReader:
    """Reads the texts, or the moments, of one column of times.

    ``zone`` is the zone of times that name none (None: UTC); ``unit`` the nanoseconds of one unit
    when the column's name tells it (``ts_ns``), else the magnitude of the first number does. A date
    without a time of day is the beginning of that day, also where the clocks skip midnight or it
    comes twice; with ``days`` midnights are, too, for the times are known to be days. Everything
    that cannot be read is a `ValueError` whose sentence says what to write instead.
    """

    def __init__(
        self, zone: Zone | None = None, unit: int | None = None, *, days: bool = False
    ) -> None:
        self._zone = zone
        self._is_of_days = days
        self._unit = unit
        self._unit_name = "the unit of its name"
        self._low, self._high = EARLIEST, LATEST
        if unit is not None:
            self._low, self._high = -(-EARLIEST // unit), LATEST // unit
        self._epoch: bool | None = None if unit is None else True
        self._strange = ""
        """Why the numbers are of another unit, where they are."""
        self._trusted = unit is None
        """Whether the numbers are known not to be of another unit than the column's name tells."""
        self._days = _Days(zone)
        self._clocks = _Clocks(zone)

    @property
    def grain(self) -> int:
        """How finely the times so far are written: `DAY`, `MINUTE`, or `SECOND` for all below."""
        return self._clocks.grain if self._epoch is False else SECOND

    def local(self, local_ns: int, *, is_date: bool = False) -> int:
        """Nanoseconds of a local time (or of a date) given as if it were UTC."""
        if self._zone is None:
            return local_ns
        if not local_ns % DAY and (is_date or self._is_of_days):
            return self._zone.at(local_ns // DAY)
        return self._zone.to_utc(local_ns)

    def read_many(self, texts: Sequence[str]) -> list[int]:
        """`read` of each text; the fast way for the common spellings."""
        if self._epoch is None and texts:
            self._settle(texts[0].strip())
        if not self._trusted and texts:
            self._check_unit(texts[:2])
        if self._strange:
            raise ValueError(self._strange)
        try:
            if not self._epoch:
                days, clocks = self._days, self._clocks
                return [days[text[:10]] + clocks[text[10:]] for text in texts]
            numbers = list(map(int, texts))
            if numbers and self._low <= min(numbers) and max(numbers) < self._high:
                unit = self._unit or 1
                return numbers if unit == 1 else [number * unit for number in numbers]
        except (_Unremembered, ValueError):
            pass
        return [self.read(text) for text in texts]

    def read(self, text: str) -> int:
        """Nanoseconds of one text."""
        text = text.strip()
        if self._strange:
            raise ValueError(self._strange)
        if not text:
            raise ValueError(f"is empty: {_HOW}")
        if self._epoch is None:
            self._settle(text)
        return self._read_epoch(text) if self._epoch else self._read_calendar(text)

    def _settle(self, text: str) -> None:
        numeric = _NUMBER.fullmatch(text) is not None and _COMPACT.fullmatch(text) is None
        if not numeric:
            self._epoch = False
            return
        magnitude = _number(text)
        for name, low, high, unit in _GUESSES:
            if low <= magnitude < high:
                self._unit_name, self._unit = name, unit
                self._low, self._high = low, min(high, LATEST // unit)
                self._epoch = True
                return
        raise ValueError(_no_unit(text, magnitude))

    def _check_unit(self, texts: Sequence[str]) -> None:
        """Note where the first numbers are of another unit than their name tells.

        By their size they are, and as they are named they are of 1970, or of no time at all, and
        not even whole seconds apart.
        """
        self._trusted = True
        plain = [_PLAIN.fullmatch(text.strip()) for text in texts]
        numbers = [int(match[1]) for match in plain if match is not None]
        if len(numbers) < len(texts):
            return
        gap, told = numbers[-1] - numbers[0], self._unit or 1
        if gap and not gap * told % SECOND and self._low <= numbers[0] < self._high:
            return
        for name, low, high, unit in _GUESSES:
            if unit != told and low <= numbers[0] < high:
                short = next(short for short, own in UNITS.items() if own == unit)
                self._strange = (
                    f"{texts[0].strip()!r} has the size of an epoch number in {name}, and the "
                    f"column's name tells another unit: call it ts_{short}"
                )

    def _read_epoch(self, text: str) -> int:
        if _NUMBER.fullmatch(text) is None:
            raise ValueError(f"{text!r} is not an epoch number, as the column's other times are")
        number = _number(text)
        if not self._low <= number < self._high:
            raise ValueError(
                f"{text!r} is out of range for an epoch number in {self._unit_name}, in which this "
                "column is read: use one unit in the whole file"
            )
        ns = mul(number, Decimal(self._unit or 1))
        if ns != int(ns):
            raise ValueError(f"{text!r} is finer than a nanosecond")
        return int(ns)

    def _read_calendar(self, text: str) -> int:
        day, offset, clock = self._calendar(text)
        ns = day + clock - (offset or 0)
        if not EARLIEST <= ns <= LATEST:
            raise ValueError(f"{text!r} is not between the years 1900 and 2262")
        return ns if offset is not None else self.local(ns, is_date=len(text) <= len("2020-01-31"))

    def _calendar(self, text: str) -> tuple[int, int | None, int]:
        """Day, offset (None: not named) and time of day of ``text``, in nanoseconds."""
        match = _DAY.fullmatch(text[:10])
        if match is not None:
            day = _day_ns(match[1], match[3], match[4], text)
            if len(text) == 10:
                return day, None, 0
            clock = _CLOCK.fullmatch(text[10:])
            if clock is not None:
                ns = _clock_ns(clock[1], clock[2], clock[3], clock[4], text)
                self._clocks.note(clock)
                return day, _offset_ns(clock[5]), ns
        elif _COMPACT.fullmatch(text[:8]):
            day = _day_ns(text[:4], text[4:6], text[6:8], text)
            if len(text) == 8:
                return day, None, 0
            clock = _COMPACT_CLOCK.fullmatch(text[8:])
            if clock is not None:
                self._clocks.note(clock)
                return day, None, _clock_ns(clock[1], clock[2], clock[3], clock[4], text)
        if _DAY_FIRST.fullmatch(text):
            raise ValueError(f"{text!r} may be day or month first: write 2020-01-31, year first")
        raise ValueError(f"{text!r} is not a time: {_HOW}")


def _no_unit(text: str, magnitude: Decimal | int) -> str:
    """What to say of a number that is no epoch number since 1973: what it may be instead."""
    if 10_000 <= magnitude < 100_000:
        return (
            f"{text!r} is no time, but may be a spreadsheet's number of a day: give the column the "
            "format 2020-01-31 there, and save it again"
        )
    if 1_900 <= magnitude < 10**8:
        return f"{text!r} is no time, but may be a date: write 2020-01-31"
    return (
        f"{text!r} has a size that does not tell its unit: if it is an epoch number, name the "
        "column ts_s, ts_ms, ts_us or ts_ns; else write calendar times, 2020-01-31 23:59:00"
    )


def _number(text: str) -> Decimal | int:
    try:
        return int(text) if len(text) < 40 else Decimal(text)
    except ValueError:
        pass
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
