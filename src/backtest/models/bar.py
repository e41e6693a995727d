"""Bars: what a market did between two moments."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, Overflow

from attrs import field, frozen

from backtest.errors import FieldError
from backtest.log import get_logger
from backtest.models._validate import (
    NON_NEGATIVE_IF_SET,
    POSITIVE,
    check_count,
    check_texts,
    market_number,
)
from backtest.models.bar_length import is_nominally
from backtest.money import mul, sub
from backtest.times import from_ns

__all__ = ["Bar", "trusted_bar", "widened", "widening"]


@frozen
class Bar:
    """Open, high, low and close of ``pair`` from ``open_ns`` to ``close_ns`` (ns since 1970 UTC).

    ``volume`` is in base; ``None`` means unknown (no cap on fills), 0 that nothing traded.
    ``nominal_ns`` is what its source calls its length where it lasted otherwise: a day of 23 hours,
    a month, the first half hour of a session in a file of hours. Two bars may differ in it alone
    and are equal.

    Frozen and slotted: a run holds millions.

    Raises `FieldError` or `FieldTypeError` unless 0 < low <= open, close <= high,
    open_ns < close_ns and volume >= 0. An open or close that is beyond high or low by less than
    1e-12 of itself, as sums of floats are, widens the bar, and a warning is logged.

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
    nominal_ns: int | None = field(default=None, eq=False, repr=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_texts({"pair": self.pair}, ("pair",))
        for name in ("open_ns", "close_ns"):
            check_count(getattr(self, name), name)
        if self.nominal_ns is not None:
            check_count(self.nominal_ns, "nominal_ns", 1)
        if self.open_ns >= self.close_ns:
            raise FieldError(
                "close_ns", f"must lie after open_ns {self.open_ns}, is {self.close_ns}"
            )
        for name in ("open", "high", "low", "close"):
            object.__setattr__(self, name, market_number(getattr(self, name), name, POSITIVE))
        object.__setattr__(
            self, "volume", market_number(self.volume, "volume", NON_NEGATIVE_IF_SET)
        )
        if not (self.low <= self.open <= self.high and self.low <= self.close <= self.high):
            self._widen()

    def _widen(self) -> None:
        """Take in an open and a close that are only the noise of floats beyond high and low."""
        found = widened(self.open, self.high, self.low, self.close)
        if found is None and self.high < self.low:
            raise FieldError("high", f"must not be below low: {self.high} < {self.low}")
        if found is None:
            name = "close" if self.low <= self.open <= self.high else "open"
            raise FieldError(
                name,
                f"must lie between low {self.low} and high {self.high}, is {getattr(self, name)}",
            )
        told = widening(self.high, self.low, *found)
        get_logger("backtest.data").warning("data.widened", pair=self.pair, bar=told)
        object.__setattr__(self, "high", found[0])
        object.__setattr__(self, "low", found[1])

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

    @property
    def nominal_length(self) -> int:
        """Nanoseconds by which its source's length is known: `length` unless it lasted otherwise.

        Of months it is what they are on average, so that all months of a source have one.
        """
        nominal = self.nominal_ns
        return self.close_ns - self.open_ns if nominal is None else nominal

    def lasts(self, nominal: int) -> bool:
        """Whether it is a bar of a length that counts as ``nominal`` nanoseconds.

        That is what its source says; where it says nothing, a day may be an hour off and a month
        be any.
        """
        if self.nominal_ns is not None:
            return self.nominal_ns == nominal
        return is_nominally(self.close_ns - self.open_ns, nominal)


def widened(
    open: Decimal, high: Decimal, low: Decimal, close: Decimal
) -> tuple[Decimal, Decimal] | None:
    """High and low moved out to an open or close that is beyond them by less than 1e-12 of itself;
    None where it is more."""
    top, bottom = max(high, open, close), min(low, open, close)
    if top == high and bottom == low:
        return top, bottom
    try:
        is_noise = sub(top, high) < mul(top, _NOISE) and sub(low, bottom) < mul(bottom, _NOISE)
    except Overflow:  # a monstrous number: whoever checks the bar says so
        return None
    return (top, bottom) if is_noise else None


def widening(high: Decimal, low: Decimal, top: Decimal, bottom: Decimal) -> str:
    """In words, that ``high`` and ``low`` became ``top`` and ``bottom``."""
    moved = (("high", high, top), ("low", low, bottom))
    return ", ".join(f"{name} {old} taken as {new}" for name, old, new in moved if old != new)


_NOISE = Decimal("1e-12")
_new = object.__new__
# Slot descriptors write past the frozen __setattr__, and are looked up once, here.
_NAMES = ("pair", "open_ns", "close_ns", "open", "high", "low", "close", "volume", "nominal_ns")
_pair, _open_ns, _close_ns, _open, _high, _low, _close, _volume, _nominal_ns = (
    Bar.__dict__[_name].__set__ for _name in _NAMES
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
    nominal_ns: int | None = None,
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
    _nominal_ns(bar, nominal_ns)
    return bar
