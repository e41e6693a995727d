"""Bars from CSV files, plain or gzip: text becomes `Decimal` directly, never a ``float``."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from datetime import timedelta, tzinfo
from pathlib import Path

from backtest.data._assemble import check_decimal, check_stamp, pair_code
from backtest.data._columns import find_columns
from backtest.data._csv_rows import CsvRows
from backtest.data._csv_table import CsvTable
from backtest.data._files import InputFile
from backtest.data._row_bars import RowBars
from backtest.data.sources import BarSource, MemoryBars
from backtest.errors import DataError
from backtest.models.bar import Bar
from backtest.models.quote import Quote
from backtest.models.trade import Trade
from backtest.models.trading_pair import TradingPair
from backtest.money import plain
from backtest.storage import whole_file

__all__ = ["CsvBars", "read_csv", "write_csv"]


def read_csv(
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
    """The bars of a CSV file: a list of them, or with ``stream`` a source that reads as it goes.

    Arguments and errors as `CsvBars`. Loading finds every error of the file at once; streaming
    finds those in its numbers when it gets to them.
    """
    source = CsvBars(path, pair, bar=bar, stamp=stamp, tz=tz, symbol=symbol, decimal=decimal)
    return source if stream else MemoryBars.loaded(source)


class CsvBars(RowBars):
    """A CSV file of bars, read anew for each iteration, a few thousand rows at a time.

    Args:
        path: plain or gzip, UTF-8, with a header; comma, semicolon or tab between fields.
        pair: the code that the bars get (or a `TradingPair`).
        bar: the bars' length, ``"1m"``, ``"1M"`` or nanoseconds. None: that of a column of times of
            close, or what all differences between the rows agree on, for which the times of the
            whole file are read once before.
        stamp: whether the file's time is that of the bar's ``"open"`` or ``"close"``.
        tz: the zone of times that name none, and of days and months; None: UTC.
        symbol: the rows to take where the file has a symbol column; None: those of the pair's
            code, or all when the file has one symbol only.
        decimal: the mark of decimals, ``"."`` or ``","``.

    A bar ends where the next one opens, where that is earlier than its length says; with times of
    close it opens where the one before closes, likewise. Raises `DataError` with file and line for
    whatever cannot be read exactly, for a length that would have to be guessed, and for one that
    exceeds most differences (a stream that is told the length knows that only at its end);
    `ConfigError` for arguments that make no sense.
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
        code = pair_code(pair)
        check_stamp(stamp)
        self._file = InputFile(path)
        table = CsvTable(self._file)
        columns = find_columns(table.names, code, stamp, source=table.name, line=table.header_line)
        rows = CsvRows(table, columns, code, symbol, check_decimal(decimal))
        super().__init__(code, rows, columns, bar, stamp, tz, decimal)

    def digest(self) -> str:
        """SHA-256 (hex) of the file's bytes."""
        return self._file.digest()

    def input_digest(self) -> str:
        """The same: the input is the file."""
        return self.digest()


def write_csv(path: str | os.PathLike[str], items: Iterable[Bar | Quote | Trade]) -> int:
    """Writes bars, quotes or trades as a file that is read back unchanged (but for volumes that are
    all zero, which count as unknown); returns how many.

    The file appears whole or not at all, and replaces one of that name. Times are in a column
    ``ts_ns``, of bars the open times. A volume, size or side that some have
    all must have, and all must be of one kind: else `DataError`.
    """
    count = 0
    header: list[str] = []
    first: type | None = None
    with whole_file(Path(path)) as file:
        writer = csv.writer(file, lineterminator="\n")
        for item in items:
            names, row = _row(item)
            if not count:
                header, first = names, type(item)
                writer.writerow(names)
            if names != header or type(item) is not first:
                what = type(item).__name__.lower()
                lacks = ", ".join(sorted({*names} ^ {*header})) or "its kind"
                raise DataError(
                    f"{what} {count} differs from the first in having a {lacks} or not: "
                    "give all of them one or none",
                    source=str(path),
                )
            writer.writerow(row)
            count += 1
    return count


def _row(item: Bar | Quote | Trade) -> tuple[list[str], list[str]]:
    """The columns that ``item`` has, and what is in them."""
    if isinstance(item, Bar):
        numbers = {name: getattr(item, name) for name in ("open", "high", "low", "close", "volume")}
        time, side = item.open_ns, None
    elif isinstance(item, Quote):
        numbers = {name: getattr(item, name) for name in ("bid", "ask", "bid_size", "ask_size")}
        time, side = item.time_ns, None
    else:
        numbers = {"price": item.price, "volume": item.volume}
        time, side = item.time_ns, item.aggressor
    there = {name: plain(value) for name, value in numbers.items() if value is not None}
    if side is not None:
        there["side"] = side
    return ["ts_ns", *there], [str(time), *there.values()]
