"""Local times of a time zone, and days and months of its calendar."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from backtest.errors import ConfigError
from backtest.models.bar_length import BarLength
from backtest.times import DAY

__all__ = ["Zone", "date_of", "zone_of"]

_EPOCH = datetime(1970, 1, 1)
_AWARE_EPOCH = _EPOCH.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY_ONE = _EPOCH.toordinal()


def date_of(day: int) -> date:
    """The date of a day counted from 1970-01-01."""
    return date.fromordinal(_DAY_ONE + day)


class Zone:
    """Local times of one time zone, and its calendar.

    A local time that does not exist or exists twice is a `ValueError`. Days are counted from
    1970-01-01; one begins at midnight or, where the clocks skip that, at the first moment after; if
    midnight comes twice, at the first.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._constant: dict[int, int | None] = {}

    def __repr__(self) -> str:
        return str(self._zone)

    @property
    def tzinfo(self) -> tzinfo:
        """The zone itself."""
        return self._zone

    def _offset(self, local_ns: int, fold: int) -> int:
        local = _EPOCH + timedelta(microseconds=local_ns // 1_000)
        return self._known(local.replace(tzinfo=self._zone, fold=fold).utcoffset())

    def _offset_at(self, ns: int) -> int:
        """The offset from UTC at a moment."""
        moment = _AWARE_EPOCH + timedelta(microseconds=ns // 1_000)
        return self._known(moment.astimezone(self._zone).utcoffset())

    def _known(self, offset: timedelta | None) -> int:
        if offset is None:
            raise ValueError(f"the time zone {self._zone} does not know its offset from UTC")
        return offset // _MICROSECOND * 1_000

    def constant_offset(self, day_ns: int) -> int | None:
        """The offset of the whole local day that begins at ``day_ns``, None if it changes in it."""
        try:
            return self._constant[day_ns]
        except KeyError:
            first, *seen = [
                self._offset(day_ns + days, fold) for days in (0, DAY) for fold in (0, 1)
            ]
            constant = first if seen == [first] * 3 else None
            self._constant[day_ns] = constant
            return constant

    def to_utc(self, local_ns: int) -> int:
        """UTC nanoseconds of a local wall-clock time given as if it were UTC."""
        constant = self.constant_offset(local_ns - local_ns % DAY)
        if constant is not None:
            return local_ns - constant
        before, after = self._offset(local_ns, 0), self._offset(local_ns, 1)
        if before == after:
            return local_ns - before
        local = (_EPOCH + timedelta(microseconds=local_ns // 1_000)).isoformat(" ")
        what = (
            f"{local} does not exist in {self}: the clocks skip it"
            if before < after
            else f"{local} happens twice in {self}: the clocks are set back over it"
        )
        raise ValueError(f"{what}; write this file's times in UTC or with their offset (+01:00)")

    # -- its calendar ------------------------------------------------------------------------------

    def local(self, ns: int) -> tuple[int, int]:
        """The day of a moment, and the local time of day in nanoseconds: 0 where the day begins."""
        day, clock = divmod(ns + self._offset_at(ns), DAY)
        if clock and self.constant_offset(day * DAY) is None and ns == self.at(day):
            clock = 0
        return day, clock

    def at(self, day: int, clock: int = 0) -> int:
        """UTC nanoseconds of a local time of a day.

        One that the clocks skip is the first moment after; of one that comes twice it is the later,
        of the beginning of a day the first.
        """
        local = day * DAY + clock
        constant = self.constant_offset(day * DAY)
        if constant is not None:
            return local - constant
        before, after = self._offset(local, 0), self._offset(local, 1)
        if before >= after:
            return local - (after if clock else before)
        low, high = local - after, local - before
        while low < high:
            middle = (low + high) // 2
            if middle + self._offset_at(middle) < local:
                low = middle + 1
            else:
                high = middle
        return low

    def shifted(self, ns: int, length: BarLength, times: int = 1) -> int:
        """The moment ``times`` of ``length`` after ``ns`` (before it where that is negative).

        Days and months keep the local time of day; months keep the day of the month, as far as
        there is one, and go from a month's last day to a month's last day.
        """
        count = times * length.count
        if length.is_fixed:
            return ns + count
        day, clock = self.local(ns)
        if length.unit == "day":
            return self.at(day + count, clock)
        here = date_of(day)
        year, month = divmod(here.year * 12 + here.month - 1 + count, 12)
        last = monthrange(year, month + 1)[1]
        is_last = here.day == monthrange(here.year, here.month)[1]
        there = date(year, month + 1, last if is_last else min(here.day, last))
        return self.at(there.toordinal() - _DAY_ONE, clock)


def zone_of(tz: str | tzinfo | None) -> Zone | None:
    """The `Zone` of a zone's name or `tzinfo`; None (naive means UTC) for None.

    Raises `ConfigError` when there is no such zone.
    """
    if tz is None:
        return None
    name = getattr(tz, "zone", tz)  # of pytz, whose zones do not know their offset by themselves
    if not isinstance(name, str):
        return Zone(name)
    try:
        return Zone(ZoneInfo(name))
    except (ValueError, OSError, LookupError):
        raise ConfigError(
            f"unknown time zone {tz!r}: write a name of the IANA list such as 'Europe/Berlin' "
            "(where the system has no such list, pip install tzdata)"
        ) from None
