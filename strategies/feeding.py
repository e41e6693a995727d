"""Indicators that are fed with bars: talipp's, and any object that takes values by ``add``."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from attrs import fields, has

from backtest.errors import FieldError, FieldTypeError
from backtest.models import Bar
from backtest.spelling import suggestion

__all__ = ["COLUMNS", "FloatBar", "IndicatorFeed", "column_of", "forget_old", "number_of"]

COLUMNS = ("open", "high", "low", "close", "volume")
"""What a bar has that is a number."""
_KEPT = 10_000
_NAN = float("nan")
_READY = ("is_ready", "ready", "initialized")
"""How indicators call it that they have seen enough."""


class FloatBar(NamedTuple):
    """A bar in floats, with the names that talipp's ``OHLCV`` has."""

    open: float
    high: float
    low: float
    close: float
    volume: float | None
    time: Any


class IndicatorFeed:
    """An indicator, and the bars of ``pair`` that it is given, each before `on_bar` is called.

    ``value`` is what it says now, and None until it `is_ready`. ``indicator`` is the object itself:
    ``feed.indicator[-2]`` is what one of talipp's said a bar ago.
    """

    def __init__(self, indicator: Any, pair: str, column: str | None, exact: bool) -> None:
        if not callable(getattr(indicator, "add", None)):
            raise FieldTypeError(
                "indicator",
                f"must have a method add(value), as talipp's have; {indicator!r} has none",
            )
        column = ("bar" if _takes_bars(indicator) else "close") if column is None else column
        if column != "bar":
            column_of(column, ("bar", *COLUMNS))
        self.indicator = indicator
        self.pair = pair
        self.count = 0
        """How many bars it was given."""
        self._column = column
        self._exact = exact
        self._said: Any = None

    def __repr__(self) -> str:
        return f"<IndicatorFeed {type(self.indicator).__name__} {self.pair} {self.value!r}>"

    def take(self, bar: Bar) -> None:
        """Give it the next bar."""
        self.count += 1
        said = self.indicator.add(self._of(bar))
        self._said = None if said is self.indicator or type(said) is bool else said
        forget_old(self.indicator)

    def _of(self, bar: Bar) -> Any:
        if self._column == "bar":
            if self._exact:
                return bar
            first, high, low, last = map(float, (bar.open, bar.high, bar.low, bar.close))
            volume = None if bar.volume is None else float(bar.volume)
            return FloatBar(first, high, low, last, volume, bar.close_time)
        value = getattr(bar, self._column)
        if self._exact or value is None:
            return value
        return float(value)

    @property
    def value(self) -> Any:
        """What it says now; None until it `is_ready`."""
        return self._latest() if self.is_ready else None

    @property
    def decimal(self) -> Decimal | None:
        """The same as the shortest decimal that a float means; None until it `is_ready`."""
        value = self.value
        if value is None or isinstance(value, Decimal):
            return value
        if isinstance(value, int | float):
            return Decimal(str(value))
        raise FieldTypeError("value", f"is no number: {value!r}; take one of its fields")

    @property
    def is_ready(self) -> bool:
        """Whether it has seen enough: it says so itself, or else says something whole."""
        for name in _READY:
            said = getattr(self.indicator, name, None)
            if said is not None:
                return bool(said() if callable(said) else said)
        return _is_whole(self._latest())

    def _latest(self) -> Any:
        if self._said is not None:
            return self._said
        indicator = self.indicator
        if isinstance(indicator, Sequence):
            return indicator[-1] if len(indicator) else None
        value = getattr(indicator, "value", None)
        return value() if callable(value) else value


def column_of(name: str, known: Sequence[str] = COLUMNS) -> str:
    """``name``, if it is a column of bars; raises `FieldError` otherwise."""
    if name in known:
        return name
    meant = suggestion(name, known)
    told = f"did you mean {meant!r}?" if meant else f"it may be: {', '.join(known)}"
    raise FieldError("column", f"cannot be {name!r}; {told}")


def number_of(bar: Bar, column: str, exact: bool) -> Any:
    """A number of ``bar``: a float (``nan`` for a volume that is not known), or as it is."""
    value = getattr(bar, column)
    if exact:
        return value
    return _NAN if value is None else float(value)


def forget_old(series: Any) -> None:
    """talipp keeps all that it ever saw; it is made to forget all but the last values, now and
    then."""
    purge = getattr(series, "purge_oldest", None)
    if purge is not None and len(series) > 2 * _KEPT:
        purge(_KEPT)


def _takes_bars(indicator: Any) -> bool:
    """Whether it is one of talipp's that take whole bars: it says so in its description alone, or
    (the balance of power) is described wrongly there."""
    kind = type(indicator)
    if not kind.__module__.startswith("talipp."):
        return False
    return "Input type: [OHLCV]" in (kind.__doc__ or "") or kind.__name__ == "BOP"


def _is_whole(value: Any) -> bool:
    """Whether nothing of ``value`` is missing, such as the signal of a MACD that has begun."""
    if value is None or (isinstance(value, float | Decimal) and value != value):
        return False
    names = getattr(type(value), "__dataclass_fields__", None)
    if names is None and has(type(value)):
        names = [one.name for one in fields(type(value))]
    return all(_is_whole(getattr(value, name)) for name in names or ())
