"""Coarser bars of ticks and of finer bars, event by event.

A bar is given only when it is certain that nothing can belong to it any more: by an event that
comes at or after its close, or by the end of the data. It is stamped with the interval that it is
of, however little of that had events; an interval without events has no bar.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from backtest.errors import ConfigError, DataError
from backtest.models.bar import Bar, trusted_bar
from backtest.models.bar_length import BarLength
from backtest.models.market_event import MarketEvent
from backtest.models.quote import Quote
from backtest.money import exact_add
from backtest.services.calendars import ALWAYS_OPEN, Calendar
from backtest.times import DAY, WEEK, format_ns, from_ns, to_ns

__all__ = ["QUOTE_PRICES", "Resampler"]

_MONDAY = 4 * DAY
"""The first Monday after 1970-01-01, a Thursday: where weeks begin."""
QUOTE_PRICES = ("mid", "bid", "ask")


class Resampler:
    """Makes bars of ``length`` of one pair's quotes, trades or shorter bars.

    Args:
        length: a `BarLength`, or nanoseconds. Always open: any, counted from 1970-01-01 UTC (weeks
            from a Monday), or months of UTC. With sessions: less than a day, counted from each
            session's open, its last bar ending with the session; a day, from open to close of a
            session; or a week or months, from the open of the first session that has events to the
            close of the last one.
        price: what a quote counts for: its ``"mid"`` (exact), ``"bid"`` or ``"ask"``.

    An event at the boundary of two bars belongs to the later one, at a session's close to that
    session. What lies outside the sessions is left out. A bar of a day that is not of one session's
    hours is of the session that closes in it, and the coarser bar then goes from the first of them
    to the end of the day of the last session. Raises `ConfigError` for a length that cannot be,
    `DataError` for a bar that does not fit into one coarser bar.
    """

    __slots__ = (
        "_bar",
        "_calendar",
        "_closes",
        "_end",
        "_group",
        "_months",
        "_nominal",
        "_numbers",
        "_pair",
        "_price",
        "_span",
        "_start",
        "_volume",
    )

    def __init__(
        self,
        pair: str,
        length: BarLength | int,
        calendar: Calendar = ALWAYS_OPEN,
        price: str = "mid",
    ) -> None:
        length = BarLength.of(length, "length")
        self._nominal = self._span = length.ns
        self._months = length.count if length.unit == "month" else 0
        if price not in QUOTE_PRICES:
            raise ConfigError(f"price must be one of {', '.join(QUOTE_PRICES)}, not {price!r}")
        if calendar is not ALWAYS_OPEN and not self._months:
            if self._span >= DAY and self._span not in (DAY, WEEK):
                raise ConfigError(
                    f"bars of {self._span} ns do not go with the sessions of {calendar.name}: give "
                    "less than a day, '1d', '1w' or months ('1M')"
                )
        self._pair, self._calendar, self._price = pair, calendar, price
        self._start = self._end = 0
        self._group: int | None = None
        self._closes = 0
        """The week or months that were looked at last, and when their last session closes."""
        self._numbers: tuple[Decimal, Decimal, Decimal, Decimal] | None = None
        self._volume: Decimal | None = None

    def add(self, event: MarketEvent) -> list[Bar]:
        """Take the next event; the bars that are complete now (none, one, or two)."""
        interval = self._interval(event)
        done: list[Bar] = []
        if self._numbers is not None and (
            event.open_ns >= self._end if interval is None else interval[1] != self._end
        ):
            # A day that the clocks made shorter ends where the next one opens.
            self._end = min(self._end, event.open_ns)
            done.append(self._made())
        if interval is None:
            return done
        first, high, low, last, volume = self._values(event)
        if self._numbers is None:
            self._numbers, self._volume = (first, high, low, last), volume
            self._start, self._end = interval
        else:
            opened, top, bottom, _ = self._numbers
            self._numbers = (opened, max(top, high), min(bottom, low), last)
            total = self._volume
            both = total is not None and volume is not None
            self._volume = exact_add(total, volume) if both else None  # type: ignore[arg-type]
        if type(event) is Bar and event.close_ns >= self._end:
            done.append(self._made())
        return done

    def end(self) -> list[Bar]:
        """There are no more events; the last bar, if one was under way."""
        return [] if self._numbers is None else [self._made()]

    def _made(self) -> Bar:
        assert self._numbers is not None
        start, end = self._start, self._end
        nominal = None if end - start == self._nominal else self._nominal
        bar = trusted_bar(self._pair, start, end, *self._numbers, self._volume, nominal)
        self._numbers = None
        return bar

    def _values(
        self, event: MarketEvent
    ) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal | None]:
        if isinstance(event, Bar):
            return event.open, event.high, event.low, event.close, event.volume
        if isinstance(event, Quote):
            price: Decimal = getattr(event, self._price)
            return price, price, price, price, None
        return event.price, event.price, event.price, event.price, event.volume

    # -- intervals ---------------------------------------------------------------------------------

    def _interval(self, event: MarketEvent) -> tuple[int, int] | None:
        """The interval of the coarser bar that ``event`` belongs to; None outside the sessions."""
        if self._calendar is ALWAYS_OPEN:
            start, end = self._always(event.open_ns)
        else:
            found = self._of_session(event)
            if found is None:
                return None
            start, end = found
        if event.close_ns > end:
            raise DataError(
                f"the bar of {self._pair} from {format_ns(event.open_ns)} to "
                f"{format_ns(event.close_ns)} does not fit into one bar from {format_ns(start)} to "
                f"{format_ns(end)}: resample finer data"
            )
        return start, end

    def _always(self, ns: int) -> tuple[int, int]:
        """The interval that ``ns`` lies in where there are no sessions."""
        if self._months:
            if not self._start <= ns < self._end:
                return _months_of(ns, self._months)
            return self._start, self._end
        offset = 0 if self._span % WEEK else _MONDAY
        start = (ns - offset) // self._span * self._span + offset
        return start, start + self._span

    def _of_session(self, event: MarketEvent) -> tuple[int, int] | None:
        calendar, length = self._calendar, self._span
        session = calendar.session(event.open_ns)
        if type(event) is Bar and (session is None or event.close_ns > session.close_ns):
            if event.lasts(DAY) and length >= DAY:
                return self._of_day(event)
            if session is None or event.open_ns == session.close_ns:
                self._check_outside(event)
                return None
        elif session is None:
            return None
        opened, closes, label = session
        if length == DAY:
            return opened, closes
        if length == WEEK or self._months:
            return opened, self._last_close(closes, label)
        place = min((event.open_ns - opened) // length, (closes - opened - 1) // length)
        start = opened + place * length
        return start, min(start + length, closes)

    def _of_day(self, bar: Bar) -> tuple[int, int] | None:
        """That of a bar of a day, which is of the session that closes in it; None without one."""
        calendar, group = self._calendar, self._group
        closes = calendar.day_end(bar.open_ns)
        session = calendar.session(closes) if closes <= bar.close_ns else None
        if session is None:
            return None
        if self._span == DAY:
            return bar.open_ns, bar.close_ns
        last = calendar.session(self._last_close(closes, session.label))
        assert last is not None
        if self._numbers is not None and group == self._group:
            # That of the days before; a day that the clocks made longer may end later.
            self._end = max(self._end, bar.close_ns)
            return self._start, self._end
        return bar.open_ns, bar.close_ns + (last.label - session.label) * DAY

    def _check_outside(self, bar: Bar) -> None:
        """Refuse a bar that opens outside the sessions, and reaches into one."""
        closes = self._calendar.day_end(bar.open_ns)
        session = self._calendar.session(closes)
        if session is not None and session.open_ns < bar.close_ns:
            ends = "in" if bar.close_ns <= closes else "after"
            raise DataError(
                f"the bar of {self._pair} from {format_ns(bar.open_ns)} begins before the session "
                f"of {self._calendar.name} that opens at {format_ns(session.open_ns)} and ends "
                f"{ends} it: resample finer data"
            )

    def _last_close(self, closes: int, label: int) -> int:
        """When the last session of the week, or of the months, of a session closes."""
        group = self._group_of(label)
        if group != self._group:
            calendar = self._calendar
            while (later := calendar.session(calendar.day_end(closes))) is not None:
                if self._group_of(later.label) != group:
                    break
                closes = later.close_ns
            self._group, self._closes = group, closes
        return self._closes

    def _group_of(self, label: int) -> int:
        """The week, or the months, that the day of a session belongs to."""
        if self._months:
            return _month(from_ns(label * DAY)) // self._months
        return (label * DAY - _MONDAY) // WEEK


def _month(moment: datetime) -> int:
    return moment.year * 12 + moment.month - 1


def _months_of(ns: int, count: int) -> tuple[int, int]:
    """The ``count`` months of UTC, counted from a year's first, that ``ns`` lies in."""
    first = _month(from_ns(ns)) // count * count
    begins, ends = (
        to_ns(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC))
        for month in (first, first + count)
    )
    return begins, ends
