"""Coarser bars of ticks and of finer bars, event by event.

A bar is given only when it is certain that nothing can belong to it any more: by an event that
comes at or after its close, or by the end of the data. It is stamped with the interval that it is
of, however little of that had events; an interval without events has no bar.
"""

from __future__ import annotations

from decimal import Decimal

from backtest.errors import ConfigError, DataError
from backtest.models.bar import Bar, trusted_bar
from backtest.models.market_event import MarketEvent
from backtest.models.quote import Quote
from backtest.money import exact_add
from backtest.services.calendars import ALWAYS_OPEN, Calendar
from backtest.times import DAY, format_ns

__all__ = ["QUOTE_PRICES", "Resampler"]

WEEK = 7 * DAY
_MONDAY = 4 * DAY
"""The first Monday after 1970-01-01, a Thursday: where weeks begin."""
QUOTE_PRICES = ("mid", "bid", "ask")


class Resampler:
    """Makes bars of ``length`` nanoseconds of one pair's quotes, trades or shorter bars.

    Args:
        length: always open: any, counted from 1970-01-01 UTC (weeks from a Monday). With sessions:
            less than a day, counted from each session's open, its last bar ending with the
            session; a day, from open to close of a session; or a week, from the open of the first
            session that has events to the close of the week's last one.
        price: what a quote counts for: its ``"mid"`` (exact), ``"bid"`` or ``"ask"``.

    An event at the boundary of two bars belongs to the later one, at a session's close to that
    session. What lies outside the sessions is left out. Raises `ConfigError` for a length that
    cannot be, `DataError` for a bar that does not fit into one coarser bar.
    """

    __slots__ = (
        "_bar",
        "_calendar",
        "_end",
        "_length",
        "_numbers",
        "_pair",
        "_price",
        "_start",
        "_volume",
    )

    def __init__(
        self, pair: str, length: int, calendar: Calendar = ALWAYS_OPEN, price: str = "mid"
    ) -> None:
        if price not in QUOTE_PRICES:
            raise ConfigError(f"price must be one of {', '.join(QUOTE_PRICES)}, not {price!r}")
        if calendar is not ALWAYS_OPEN and length >= DAY and length not in (DAY, WEEK):
            raise ConfigError(
                f"bars of {length} ns do not go with the sessions of {calendar.name}: give less "
                "than a day, '1d' or '1w'"
            )
        self._pair, self._length, self._calendar, self._price = pair, length, calendar, price
        self._start = self._end = 0
        self._numbers: tuple[Decimal, Decimal, Decimal, Decimal] | None = None
        self._volume: Decimal | None = None

    def add(self, event: MarketEvent) -> list[Bar]:
        """Take the next event; the bars that are complete now (none, one, or two)."""
        interval = self._interval(event)
        done: list[Bar] = []
        if self._numbers is not None and (
            event.open_ns >= self._end if interval is None else interval[1] != self._end
        ):
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
        bar = trusted_bar(self._pair, self._start, self._end, *self._numbers, self._volume)
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
            offset = _MONDAY if self._length % WEEK == 0 else 0
            start = (event.open_ns - offset) // self._length * self._length + offset
            end = start + self._length
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

    def _of_session(self, event: MarketEvent) -> tuple[int, int] | None:
        calendar, length = self._calendar, self._length
        session = calendar.session(event.open_ns)
        is_bar = type(event) is Bar
        if session is None or (is_bar and event.open_ns == session.close_ns):
            inside = calendar.session(event.close_ns - 1) if is_bar else None
            if inside is not None and inside != session:
                raise DataError(
                    f"the bar of {self._pair} from {format_ns(event.open_ns)} begins before the "
                    f"session of {calendar.name} that opens at {format_ns(inside.open_ns)} and "
                    "ends in it: resample finer data"
                )
            return None
        opened, closes, label = session
        if length == DAY:
            return opened, closes
        if length == WEEK:
            while (later := calendar.session(calendar.day_end(closes))) is not None:
                if _week(later.label) != _week(label):
                    break
                closes = later.close_ns
            return opened, closes
        place = min((event.open_ns - opened) // length, (closes - opened - 1) // length)
        start = opened + place * length
        return start, min(start + length, closes)


def _week(label: int) -> int:
    return (label * DAY - _MONDAY) // WEEK
