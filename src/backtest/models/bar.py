"""Bars: what a market did between two moments."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from attrs import frozen

from backtest.errors import FieldError
from backtest.models._validate import (
    NON_NEGATIVE_IF_SET,
    POSITIVE,
    check_count,
    check_texts,
    number,
)
from backtest.times import from_ns

__all__ = ["Bar", "trusted_bar"]


@frozen
class Bar:
    """Open, high, low and close of ``pair`` from ``open_ns`` to ``close_ns`` (ns since 1970 UTC).

    ``volume`` is in base; ``None`` means unknown (no cap on fills), 0 that nothing traded.
    Frozen and slotted: a run holds millions.

    Raises `FieldError` or `FieldTypeError` unless 0 < low <= open, close <= high,
    open_ns < close_ns and volume >= 0.

    >>> Bar("BTCUSD", 0, 60_000_000_000, *map(Decimal, (100, 103, 99, 101))).close_time.isoformat()
    '1970-01-01T00:01:00+00:00'
    """

    pair: str
    open_ns: int
    close_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None = None

    def __attrs_post_init__(self) -> None:
        check_texts({"pair": self.pair}, ("pair",))
        for name in ("open_ns", "close_ns"):
            check_count(getattr(self, name), name)
        if self.open_ns >= self.close_ns:
            raise FieldError(
                "close_ns", f"must lie after open_ns {self.open_ns}, is {self.close_ns}"
            )
        for name in ("open", "high", "low", "close"):
            object.__setattr__(self, name, number(getattr(self, name), name, POSITIVE))
        object.__setattr__(self, "volume", number(self.volume, "volume", NON_NEGATIVE_IF_SET))
        if self.high < self.low:
            raise FieldError("high", f"must not be below low: {self.high} < {self.low}")
        for name in ("open", "close"):
            value = getattr(self, name)
            if not self.low <= value <= self.high:
                raise FieldError(
                    name, f"must lie between low {self.low} and high {self.high}, is {value}"
                )

    @property
    def open_time(self) -> datetime:
        """When the bar began (aware, UTC)."""
        return from_ns(self.open_ns)

    @property
    def close_time(self) -> datetime:
        """When the bar ended, and the first moment at which anyone may see it (aware, UTC)."""
        return from_ns(self.close_ns)

    @property
    def length(self) -> int:
        """Nanoseconds from its open to its close."""
        return self.close_ns - self.open_ns


_new = object.__new__
# Slot descriptors write past the frozen __setattr__, and are looked up once, here.
_pair, _open_ns, _close_ns, _open, _high, _low, _close, _volume = (
    Bar.__dict__[_name].__set__
    for _name in ("pair", "open_ns", "close_ns", "open", "high", "low", "close", "volume")
)


def trusted_bar(
    pair: str,
    open_ns: int,
    close_ns: int,
    open: Decimal,
    high: Decimal,
    low: Decimal,
    close: Decimal,
    volume: Decimal | None,
) -> Bar:
    """A `Bar` of values that a loader has validated; nothing is checked here."""
    bar = _new(Bar)
    _pair(bar, pair)
    _open_ns(bar, open_ns)
    _close_ns(bar, close_ns)
    _open(bar, open)
    _high(bar, high)
    _low(bar, low)
    _close(bar, close)
    _volume(bar, volume)
    return bar
