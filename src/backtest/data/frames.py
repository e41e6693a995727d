"""Bars from Parquet files and dataframes of any make.

Integers, decimals and text are taken exactly. A binary float is not a decimal number: it is what
its shortest form (``repr``) says, with all of its digits, and the source says so (``rounded``).
"""

from __future__ import annotations

import os
from datetime import timedelta, tzinfo
from typing import Any

from backtest.data._assemble import check_decimal, check_stamp, pair_code
from backtest.data._columns import find_columns
from backtest.data._files import InputFile
from backtest.data._frame_rows import FrameRows, table_of
from backtest.data._row_bars import RowBars
from backtest.data._tables import ParquetTable, Table
from backtest.data.sources import BarSource, MemoryBars, canonical_digest
from backtest.models.trading_pair import TradingPair

__all__ = ["FrameBars", "ParquetBars", "read_frame", "read_parquet"]


def read_parquet(
    path: str | os.PathLike[str],
    pair: str | TradingPair,
    *,
    bar: int | str | timedelta | None = None,
    stamp: str = "open",
    tz: str | tzinfo | None = None,
    symbol: str | None = None,
    stream: bool = False,
    decimal: str = ".",
) -> BarSource:
    """The bars of a Parquet file: a list of them, or with ``stream`` read as one goes.

    Arguments and errors as `FrameBars`; needs the extra ``parquet``.
    """
    source = ParquetBars(path, pair, bar=bar, stamp=stamp, tz=tz, symbol=symbol, decimal=decimal)
    return source if stream else MemoryBars.loaded(source)


def read_frame(
    frame: Any,
    pair: str | TradingPair,
    *,
    bar: int | str | timedelta | None = None,
    stamp: str = "open",
    tz: str | tzinfo | None = None,
    symbol: str | None = None,
    stream: bool = False,
    decimal: str = ".",
) -> BarSource:
    """The bars of a dataframe: a list of them, or with ``stream`` made as they are asked for.

    Arguments and errors as `FrameBars`.
    """
    source = FrameBars(frame, pair, bar=bar, stamp=stamp, tz=tz, symbol=symbol, decimal=decimal)
    return source if stream else MemoryBars.loaded(source)


class FrameBars(RowBars):
    """Bars of a pandas DataFrame, or of whatever exports an Arrow C stream (polars, pyarrow ...).

    Args:
        frame: its columns are found by name as a CSV file's are; a pandas index with a name, or of
            times, counts as a column.
        pair: the code that the bars get (or a `TradingPair`).
        bar, stamp, tz, symbol, decimal: as `backtest.data.CsvBars` (the last concerns text);
            without ``tz``, days and months are those of the zone that the type of the times names.

    Raises `DataError` with the number of the row (from 1) as its line, `ConfigError` for arguments
    that make no sense, `MissingExtra` when pyarrow is needed and not there.
    """

    def __init__(
        self,
        frame: Any,
        pair: str | TradingPair,
        *,
        bar: int | str | timedelta | None = None,
        stamp: str = "open",
        tz: str | tzinfo | None = None,
        symbol: str | None = None,
        decimal: str = ".",
    ) -> None:
        self._digest: str | None = None
        table = table_of(frame, pair_code(pair), symbol)
        self._set_up(table, "dataframe", pair, bar, stamp, tz, symbol, decimal)

    def _set_up(
        self,
        table: Table,
        name: str,
        pair: str | TradingPair,
        bar: int | str | timedelta | None,
        stamp: str,
        tz: str | tzinfo | None,
        symbol: str | None,
        decimal: str,
    ) -> None:
        code = pair_code(pair)
        columns = find_columns(table.names, code, check_stamp(stamp), source=name)
        rows = FrameRows(table, name, columns, code, symbol, check_decimal(decimal))
        super().__init__(code, rows, columns, bar, stamp, tz, decimal)

    def digest(self) -> str:
        """SHA-256 (hex) of the bars, by `canonical_digest`."""
        if self._digest is None:
            self._digest = canonical_digest(self)
        return self._digest

    def input_digest(self) -> str | None:
        """None: there is no file."""
        return None


class ParquetBars(FrameBars):
    """Bars of a Parquet file, read anew for each iteration, some row groups' pages at a time.

    Arguments and errors as `FrameBars`, but for ``path``.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        pair: str | TradingPair,
        *,
        bar: int | str | timedelta | None = None,
        stamp: str = "open",
        tz: str | tzinfo | None = None,
        symbol: str | None = None,
        decimal: str = ".",
    ) -> None:
        self._file = InputFile(path)
        self._set_up(
            ParquetTable(self._file.name), self._file.name, pair, bar, stamp, tz, symbol, decimal
        )

    def digest(self) -> str:
        """SHA-256 (hex) of the file's bytes."""
        return self._file.digest()

    def input_digest(self) -> str:
        """The same: the input is the file."""
        return self.digest()
