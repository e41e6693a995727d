"""Tables as pandas dataframes (extra ``pandas``)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from backtest.analysis.tables.tables import BOOLEANS, COLUMNS, INTEGERS, NUMBERS, TIMES, Tables
from backtest.analysis.tables.times import moment_ns
from backtest.errors import MissingExtra

__all__ = ["frames"]


def frames(tables: Tables) -> dict[str, Any]:
    """A dataframe for each table.

    Times are ``datetime64[ns, UTC]`` (NaT for none), counters ``Int64``, flags ``boolean``. Amounts
    are `Decimal` in a column of objects, None for none: ``frame["fee"].sum()`` is exact, and
    ``frame["price"].astype(float)`` is for plotting. Raises `MissingExtra` without pandas.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra("pandas", "pandas", "to_pandas()") from None
    found = {}
    for name, columns in COLUMNS.items():
        rows = list(tables.rows(name))
        data = {
            column: _column(pd, column, [row[at] for row in rows])
            for at, column in enumerate(columns)
        }
        found[name] = pd.DataFrame(data, columns=list(columns))
    return found


def _column(pd: Any, name: str, texts: list[str]) -> Any:
    if name in TIMES:
        moments = [pd.NaT if not text else moment_ns(text) for text in texts]
        return pd.Series(pd.to_datetime(moments, utc=True, unit="ns"), dtype="datetime64[ns, UTC]")
    if name in INTEGERS:
        return pd.Series([int(text) if text else None for text in texts], dtype="Int64")
    if name in BOOLEANS:
        return pd.Series([text == "true" for text in texts], dtype="boolean")
    if name in NUMBERS:
        return pd.Series([Decimal(text) if text else None for text in texts], dtype="object")
    return pd.Series(texts, dtype="object")
