"""Columns of numbers over time, as dicts and as dataframes of other libraries."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from backtest.errors import MissingExtra
from backtest.money import plain
from backtest.times import from_ns

__all__ = ["Columns", "dicts", "pandas_frame", "pandas_series", "polars_frame"]

Values = Sequence[Decimal | None]


@frozen
class Columns:
    """Moments in nanoseconds since 1970 UTC, and numbers and texts at each by the name of their
    column: texts come first."""

    times: Sequence[int]
    numbers: dict[str, Values]
    texts: dict[str, Sequence[str]] = field(factory=dict)


def dicts(columns: Columns, *, exact: bool = False) -> list[dict[str, Any]]:
    """A dict for each moment: ``timestamp``, an aware UTC datetime of microseconds, and the
    numbers as floats, or decimals where ``exact``; None stays None."""
    named: dict[str, Sequence[Any]] = {**columns.texts}
    named |= {name: _numbers(values, exact) for name, values in columns.numbers.items()}
    return [
        {"timestamp": from_ns(time), **{name: values[at] for name, values in named.items()}}
        for at, time in enumerate(columns.times)
    ]


def pandas_frame(columns: Columns, *, exact: bool = False) -> Any:
    """A dataframe whose index ``timestamp`` is ``datetime64[ns, UTC]``.

    Numbers are ``float64`` (NaN for None), or `Decimal` in columns of objects where ``exact``.
    Raises `MissingExtra` without pandas.
    """
    pd = _pandas()
    kind = "object" if exact else "float64"
    data = {name: pd.Series(list(values), dtype="object") for name, values in columns.texts.items()}
    data |= {
        name: pd.Series(_numbers(values, exact), dtype=kind)
        for name, values in columns.numbers.items()
    }
    data = {name: values.to_numpy() for name, values in data.items()}
    return pd.DataFrame(data, index=_index(pd, columns.times))


def pandas_series(name: str, times: Sequence[int], values: Values, *, exact: bool = False) -> Any:
    """A Series called ``name`` with such an index. Raises `MissingExtra` without pandas."""
    pd = _pandas()
    kind = "object" if exact else "float64"
    return pd.Series(_numbers(values, exact), index=_index(pd, times), name=name, dtype=kind)


def polars_frame(columns: Columns, *, exact: bool = False) -> Any:
    """A dataframe of polars: ``timestamp`` in nanoseconds, UTC, and numbers as ``Float64``.

    Decimals of polars end at 38 digits: where ``exact``, numbers are text. Raises `MissingExtra`
    without polars.
    """
    try:
        import polars as pl
    except ImportError:
        raise MissingExtra("polars", "polars", "to_polars()") from None
    found = {
        "timestamp": pl.Series(list(columns.times), dtype=pl.Int64).cast(pl.Datetime("ns", "UTC"))
    }
    for name, words in columns.texts.items():
        found[name] = pl.Series(list(words), dtype=pl.String)
    for name, values in columns.numbers.items():
        if exact:
            texts = [None if one is None else plain(one) for one in values]
            found[name] = pl.Series(texts, dtype=pl.String)
        else:
            found[name] = pl.Series(_numbers(values, exact), dtype=pl.Float64)
    return pl.DataFrame(found)


def _numbers(values: Values, exact: bool) -> list[Any]:
    return list(values) if exact else [None if one is None else float(one) for one in values]


def _index(pd: Any, times: Sequence[int]) -> Any:
    index = pd.to_datetime(list(times), utc=True, unit="ns")
    return pd.DatetimeIndex(index, dtype="datetime64[ns, UTC]", name="timestamp")


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise MissingExtra("pandas", "pandas", "dataframes of equity and returns") from None
    return pandas
