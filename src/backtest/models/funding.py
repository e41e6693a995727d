"""Funding of perpetual contracts: what longs pay shorts, and when."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from backtest.errors import FieldError, FieldTypeError
from backtest.money import setting_of
from backtest.times import DAY, HOUR, MINUTE, SECOND, duration_ns, format_ns, to_ns

__all__ = ["Funding", "funding_of"]

_NAMES = ("rate", "every", "at")


class Funding:
    """When funding falls due, and at what rate. Immutable.

    Either one ``rate`` ``every`` so long, counted from the time of day ``at`` (``"HH:MM"`` UTC), or
    a ``schedule`` of ``(time, rate)``, each time an aware `datetime` or nanoseconds. A position
    that is open at such a time pays the notional at the mark x the rate when it is long, and gets
    it when it is short; a negative rate turns that round. Never prorated.

    >>> Funding("0.0001", every="8h").after(0)
    (28800000000000, Decimal('0.0001'))
    """

    __slots__ = ("_at", "_every", "_rate", "_rates", "_times")

    def __init__(
        self,
        rate: Decimal | int | str | None = None,
        every: str | int | timedelta = "8h",
        at: str = "00:00",
        *,
        schedule: Iterable[tuple[datetime | int, Decimal | int | str]] | None = None,
    ) -> None:
        self._rate: Decimal | None = None
        self._every = self._at = 0
        self._times: tuple[int, ...] = ()
        self._rates: tuple[Decimal, ...] = ()
        if (rate is None) is (schedule is None):
            raise FieldError("funding", "needs a rate, or a schedule of times and rates: one of")
        if schedule is not None:
            rows = [(_time(time), setting_of(own, "funding.schedule")) for time, own in schedule]
            self._times = tuple(time for time, _ in rows)
            self._rates = tuple(own for _, own in rows)
            for before, after in zip(self._times, self._times[1:], strict=False):
                if after <= before:
                    raise FieldError("funding.schedule", "must have rising times, each once")
            return
        self._rate = setting_of(rate, "funding.rate")
        self._every = duration_ns(every, "funding.every")
        if not self._every:
            raise FieldError("funding.every", "must be longer than nothing")
        self._at = _time_of_day(at) % self._every

    def after(self, time: int) -> tuple[int, Decimal] | None:
        """The first time after ``time`` (ns) at which funding is due, and its rate; None: never."""
        if self._rate is not None:
            periods = (time - self._at) // self._every + 1
            return periods * self._every + self._at, self._rate
        place = bisect_right(self._times, time)
        return None if place == len(self._times) else (self._times[place], self._rates[place])

    def check_units(self, begin: int, pair: str) -> None:
        """Raise `FieldError` for a schedule that ends before the data of ``pair`` begins, at
        ``begin`` (ns), and would not if its times were of a coarser unit."""
        if not self._times or self._times[-1] >= begin:
            return
        for unit, factor in (("microseconds", 1_000), ("milliseconds", 10**6), ("seconds", 10**9)):
            if begin <= self._times[-1] * factor < 2**63:  # a time that nanoseconds can tell
                raise FieldError(
                    "funding.schedule",
                    f"of {pair} has times in nanoseconds, and these look like {unit}: the last, "
                    f"{self._times[-1]}, is {format_ns(self._times[-1])}, and the data begins at "
                    f"{format_ns(begin)}; multiply them by {factor:_}, or give aware datetimes",
                )

    def _key(self) -> tuple[Any, ...]:
        return self._rate, self._every, self._at, self._times, self._rates

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Funding) and other._key() == self._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        if self._rate is None:
            return f"Funding(schedule of {len(self._times)} times)"
        return f"Funding({self._rate}, every {self._every} ns at {self._at} ns)"

    def as_data(self) -> dict[str, Any]:
        """The same as plain data."""
        if self._rate is not None:
            return {"rate": str(self._rate), "every_ns": self._every, "at_ns": self._at}
        rows = zip(self._times, self._rates, strict=True)
        return {"schedule": [[time, str(rate)] for time, rate in rows]}


def funding_of(value: Any) -> Funding | None:
    """`Funding` of what people write: nothing, `Funding`, a table of ``rate``, ``every`` and
    ``at``, or a list of ``(time, rate)``."""
    if value is None or isinstance(value, Funding):
        return value
    if isinstance(value, Mapping):
        for name in value:
            if name not in _NAMES:
                raise FieldError("funding", f"knows no {name!r}; known: {', '.join(_NAMES)}")
        return Funding(**value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return Funding(schedule=value)
    raise FieldTypeError("funding", f"must be Funding, a table or (time, rate) rows, not {value!r}")


def _time(value: object) -> int:
    if isinstance(value, datetime):
        return to_ns(value, "funding.schedule")
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise FieldTypeError(
        "funding.schedule", f"must have times as aware datetimes or nanoseconds, not {value!r}"
    )


def _time_of_day(text: object) -> int:
    parts = text.split(":") if isinstance(text, str) else []
    if not (2 <= len(parts) <= 3 and all(one.isdecimal() for one in parts)):
        raise FieldError("funding.at", f"must be a time of day such as '08:00', not {text!r}")
    units = (HOUR, MINUTE, SECOND)
    time = sum(int(one) * unit for one, unit in zip(parts, units, strict=False))
    if time >= DAY:
        raise FieldError("funding.at", f"must be a time of day, not {text!r}")
    return time
