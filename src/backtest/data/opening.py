"""One door for every kind of data."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Any

from backtest.data._assemble import check_decimal, check_stamp, pair_code
from backtest.data._columns import kind_of
from backtest.data._csv_table import CsvTable
from backtest.data._files import InputFile
from backtest.data._frame_rows import table_of
from backtest.data._tables import ParquetTable
from backtest.data._zones import zone_of
from backtest.data.csv_bars import read_csv
from backtest.data.frames import read_frame, read_parquet
from backtest.data.sources import BarSource, MemoryBars
from backtest.data.tick_sources import MemoryTicks, TickSource, check_kind
from backtest.data.ticks import PARQUET, not_for_ticks, read_ticks
from backtest.errors import DataError
from backtest.models.bar_length import BarLength, is_nominally
from backtest.models.quote import Quote
from backtest.models.trade import Trade
from backtest.models.trading_pair import TradingPair

__all__ = ["open_bars", "open_data", "open_quotes", "open_trades"]

_CSV = {".csv", ".tsv", ".txt"}


def open_bars(
    data: Any,
    pair: str | TradingPair,
    *,
    bar: int | str | timedelta | None = None,
    stamp: str = "open",
    tz: str | tzinfo | None = None,
    stream: bool = False,
    symbol: str | None = None,
    decimal: str = ".",
) -> BarSource:
    """The bars of ``pair`` in ``data``, whatever it is.

    Args:
        data: the path of a CSV (``.csv .tsv .txt``, with ``.gz`` or without) or Parquet file
            (``.parquet .pq``), a dataframe, a list or other iterable of `Bar`, or a `BarSource`.
        bar: length of a bar, ``"1m"``, ``"1M"`` (a month) or nanoseconds. None: that of a column of
            times of close, or what the differences between the rows tell without a guess.
        stamp: whether the data's times are those of the bars' ``"open"`` or ``"close"``.
        tz: zone of times that name none, and of days and months; None: UTC.
        stream: read as the bars are asked for, in constant memory, instead of all at once.
        symbol: the rows to take where there is a column of symbols.
        decimal: the mark of decimals in text, ``"."`` or ``","``.

    `Bar`s and sources know their own times: for them ``bar`` must agree and the rest is not used.
    Raises `DataError` for data that cannot be used (with file and line where there are any),
    `ConfigError` for arguments that make no sense, `MissingExtra` for a package that is not there.

    >>> from backtest.data import synthetic_bars
    >>> len(list(open_bars(synthetic_bars("BTCUSD", 5), "BTCUSD")))
    5
    """
    source = open_data(
        data,
        pair,
        bar=bar,
        stamp=stamp,
        tz=tz,
        stream=stream,
        symbol=symbol,
        kind="bars",
        decimal=decimal,
    )
    assert isinstance(source, BarSource)
    return source


def open_quotes(
    data: Any,
    pair: str | TradingPair,
    *,
    tz: str | tzinfo | None = None,
    stream: bool = False,
    symbol: str | None = None,
    decimal: str = ".",
) -> TickSource:
    """The quotes of ``pair`` in ``data``; arguments and errors as `open_bars`.

    >>> from decimal import Decimal
    >>> from backtest.models import Quote
    >>> len(list(open_quotes([Quote("EURUSD", 0, Decimal("1.1"), Decimal("1.2"))], "EURUSD")))
    1
    """
    source = open_data(
        data, pair, tz=tz, stream=stream, symbol=symbol, kind="quotes", decimal=decimal
    )
    assert isinstance(source, TickSource)
    return source


def open_trades(
    data: Any,
    pair: str | TradingPair,
    *,
    tz: str | tzinfo | None = None,
    stream: bool = False,
    symbol: str | None = None,
    decimal: str = ".",
) -> TickSource:
    """The trades of ``pair`` in ``data``; arguments and errors as `open_bars`."""
    source = open_data(
        data, pair, tz=tz, stream=stream, symbol=symbol, kind="trades", decimal=decimal
    )
    assert isinstance(source, TickSource)
    return source


def open_data(
    data: Any,
    pair: str | TradingPair,
    *,
    bar: int | str | timedelta | None = None,
    stamp: str = "open",
    tz: str | tzinfo | None = None,
    stream: bool = False,
    symbol: str | None = None,
    kind: str | None = None,
    decimal: str = ".",
) -> BarSource | TickSource:
    """The bars, quotes or trades of ``pair`` in ``data``, whichever it holds.

    ``kind`` is ``"bars"``, ``"quotes"`` or ``"trades"``; None: a table with open, high, low and
    close holds bars, one with bid and ask quotes, one with a price trades; other things know what
    they are. ``bar`` and ``stamp`` concern bars alone; given for others, a notice says so. Other
    arguments and errors as `open_bars`.
    """
    length, code = None if bar is None else BarLength.of(bar), pair_code(pair)
    how: dict[str, Any] = {"tz": tz, "symbol": symbol, "stream": stream, "decimal": decimal}
    check_decimal(decimal)
    check_stamp(stamp)
    zone_of(tz)
    ignored = [] if bar is None else [f"bar={bar!r}"]
    ignored += [] if stamp == "open" else [f"stamp={stamp!r}"]
    if kind != "bars" and kind is not None:
        check_kind(kind)
    if isinstance(data, (str, os.PathLike)):
        is_csv = _is_csv(data)
        kind = kind or _kind_of_file(data, is_csv)
        if kind != "bars":
            return read_ticks(data, pair, kind, ignored=ignored, **how)
        read = read_csv if is_csv else read_parquet
        return read(data, pair, bar=bar, stamp=stamp, **how)
    if isinstance(data, (BarSource, TickSource)):
        return _agreeing(data, code, length, kind)
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "iloc"):
        kind = kind or kind_of(table_of(data, code, symbol).names)
        if kind != "bars":
            return read_ticks(data, pair, kind, ignored=ignored, **how)
        return read_frame(data, pair, bar=bar, stamp=stamp, **how)
    if isinstance(data, Iterable) and not isinstance(data, (bytes, bytearray, dict)):
        items = list(data)
        if kind in ("quotes", "trades") or (items and isinstance(items[0], Quote | Trade)):
            ticks = MemoryTicks(items, code)
            if ignored:
                ticks.notices = not_for_ticks(ticks, ignored)
            return _agreeing(ticks, code, length, kind)
        return _agreeing(MemoryBars(items, code), code, length, kind)
    raise DataError(
        f"data must be the path of a file, a dataframe, Bars or a BarSource, not {_kind(data)}"
    )


def _is_csv(path: str | os.PathLike[str]) -> bool:
    """Whether the end of the file's name says CSV; else it says Parquet."""
    name = Path(path).name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix in _CSV:
        return True
    if suffix in PARQUET:
        return False
    raise DataError(
        f"the name ends with {suffix or 'nothing'!r}, which tells no format: name it .csv, "
        ".csv.gz or .parquet",
        source=str(path),
    )


def _kind_of_file(path: str | os.PathLike[str], is_csv: bool) -> str:
    """What the columns of a file say it holds."""
    file = InputFile(path)
    return kind_of(CsvTable(file).names if is_csv else ParquetTable(file.name).names)


def _agreeing(
    source: BarSource | TickSource, code: str, length: BarLength | None, kind: str | None
) -> BarSource | TickSource:
    name = getattr(source, "name", "source")
    held = source.kind if isinstance(source, TickSource) else "bars"
    if kind is not None and held != kind:
        raise DataError(f"holds {held}, not {kind}: open it with open_{held}", source=name)
    if source.pair != code:
        raise DataError(f"holds {held} of {source.pair}, not of {code}", source=name)
    if isinstance(source, BarSource) and length is not None:
        if not is_nominally(source.bar_ns, length.ns):
            raise DataError(
                f"holds bars of {source.bar_ns} ns, not of the {length.ns} ns asked for: leave out "
                "bar",
                source=name,
            )
    return source


def _kind(data: object) -> str:
    if type(data).__name__ == "LazyFrame":
        return "a LazyFrame: collect() it first"
    return f"{type(data).__name__}"
