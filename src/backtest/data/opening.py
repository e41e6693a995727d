"""One door for every kind of data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Any

from backtest.data._assemble import bar_length, check_stamp, pair_code
from backtest.data._stamps import zone_of
from backtest.data.csv_bars import read_csv
from backtest.data.frames import read_frame, read_parquet
from backtest.data.sources import BarSource, MemoryBars
from backtest.errors import DataError
from backtest.models.bar import Bar
from backtest.models.trading_pair import TradingPair

__all__ = ["open_bars"]

_CSV = {".csv", ".tsv", ".txt"}
_PARQUET = {".parquet", ".pq"}


def open_bars(
    data: Any,
    pair: str | TradingPair,
    *,
    bar: int | str | timedelta | None = None,
    stamp: str = "open",
    tz: str | tzinfo | None = None,
    stream: bool = False,
    symbol: str | None = None,
) -> BarSource:
    """The bars of ``pair`` in ``data``, whatever it is.

    Args:
        data: the path of a CSV (``.csv .tsv .txt``, with ``.gz`` or without) or Parquet file
            (``.parquet .pq``), a dataframe, a list or other iterable of `Bar`, or a `BarSource`.
        bar: length of a bar, ``"1m"`` or nanoseconds; None: the smallest difference in the data.
        stamp: whether the data's times are those of the bars' ``"open"`` or ``"close"``.
        tz: zone of times that name none; None: UTC.
        stream: read as the bars are asked for, in constant memory, instead of all at once.
        symbol: the rows to take where there is a column of symbols.

    `Bar`s and sources know their own times: for them ``bar`` must agree and the rest is not used.
    Raises `DataError` for data that cannot be used (with file and line where there are any),
    `ConfigError` for arguments that make no sense, `MissingExtra` for a package that is not there.

    >>> from backtest.data import synthetic_bars
    >>> len(list(open_bars(synthetic_bars("BTCUSD", 5), "BTCUSD")))
    5
    """
    length, code = bar_length(bar), pair_code(pair)
    check_stamp(stamp)
    zone_of(tz)
    if isinstance(data, (str, os.PathLike)):
        read = _reader_of(data)
        return read(data, pair, bar=bar, stamp=stamp, tz=tz, symbol=symbol, stream=stream)
    if isinstance(data, BarSource):
        return _agreeing(data, code, length)
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "iloc"):
        return read_frame(data, pair, bar=bar, stamp=stamp, tz=tz, symbol=symbol, stream=stream)
    if isinstance(data, Iterable) and not isinstance(data, (bytes, bytearray, dict, Bar)):
        return _agreeing(MemoryBars(data, code), code, length)
    raise DataError(
        f"data must be the path of a file, a dataframe, Bars or a BarSource, not {_kind(data)}"
    )


def _reader_of(path: str | os.PathLike[str]) -> Callable[..., BarSource]:
    """`read_csv` or `read_parquet`, by the end of the file's name."""
    name = Path(path).name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix in _CSV:
        return read_csv
    if suffix in _PARQUET:
        return read_parquet
    raise DataError(
        f"the name ends with {suffix or 'nothing'!r}, which tells no format: name it .csv, "
        ".csv.gz or .parquet",
        source=str(path),
    )


def _agreeing(source: BarSource, code: str, length: int | None) -> BarSource:
    name = getattr(source, "name", "source")
    if source.pair != code:
        raise DataError(f"holds bars of {source.pair}, not of {code}", source=name)
    if length is not None and source.bar_ns != length:
        raise DataError(
            f"holds bars of {source.bar_ns} ns, not of the {length} ns asked for: leave out bar",
            source=name,
        )
    return source


def _kind(data: object) -> str:
    if type(data).__name__ == "LazyFrame":
        return "a LazyFrame: collect() it first"
    return f"{type(data).__name__}"
