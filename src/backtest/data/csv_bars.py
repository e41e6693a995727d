"""Bars from CSV files, plain or gzip: text becomes `Decimal` directly, never a ``float``."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta, tzinfo
from decimal import Decimal

from backtest.data._assemble import (
    Assembler,
    bar_length,
    check_stamp,
    pair_code,
)
from backtest.data._columns import Columns, find_columns
from backtest.data._csv_rows import CsvRows
from backtest.data._csv_table import CsvTable
from backtest.data._files import InputFile
from backtest.data._rows import smallest_step
from backtest.data._stamps import StampReader, zone_of
from backtest.data._symbols import no_rows
from backtest.data.sources import BarSource, MemoryBars
from backtest.errors import DataError
from backtest.models.bar import Bar
from backtest.models.quote import Quote
from backtest.models.trade import Trade
from backtest.models.trading_pair import TradingPair
from backtest.money import plain

__all__ = ["CsvBars", "read_csv", "write_csv"]

_TextColumns = list[Sequence[str]]


def read_csv(
    path: str | os.PathLike[str],
    pair: str | TradingPair,
    *,
    bar: int | str | timedelta | None = None,
    stamp: str = "open",
    tz: str | tzinfo | None = None,
    symbol: str | None = None,
    stream: bool = False,
) -> BarSource:
    """The bars of a CSV file: a list of them, or with ``stream`` a source that reads as it goes.

    Arguments and errors as `CsvBars`. Loading finds every error of the file at once; streaming
    finds those in its numbers when it gets to them.
    """
    source = CsvBars(path, pair, bar=bar, stamp=stamp, tz=tz, symbol=symbol)
    return source if stream else MemoryBars.loaded(source)


class CsvBars:
    """A CSV file of bars, read anew for each iteration, a few thousand rows at a time.

    Args:
        path: plain or gzip, UTF-8, with a header; comma, semicolon or tab between fields.
        pair: the code that the bars get (or a `TradingPair`).
        bar: the bars' length, nanoseconds or ``"1m"``; None: the smallest difference between two
            rows, for which the times of the whole file are read once before.
        stamp: whether the file's time is that of the bar's ``"open"`` or ``"close"``.
        tz: the zone of times that name none; None: UTC.
        symbol: the rows to take where the file has a symbol column; None: those of the pair's
            code, or all when the file has one symbol only.

    Raises `DataError` with file and line for whatever cannot be read exactly, `ConfigError` for
    arguments that make no sense.
    """

    rounded = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        pair: str | TradingPair,
        *,
        bar: int | str | timedelta | None = None,
        stamp: str = "open",
        tz: str | tzinfo | None = None,
        symbol: str | None = None,
    ) -> None:
        self.pair = pair_code(pair)
        self._stamp = check_stamp(stamp)
        self._zone = zone_of(tz)
        given = bar_length(bar)
        self._file = InputFile(path)
        self.name = self._file.name
        self._table = CsvTable(self._file)
        self.columns: Columns = find_columns(
            self._table.names, self.pair, stamp, source=self.name, line=self._table.header_line
        )
        self._rows = CsvRows(self._table, self.columns, self.pair, symbol)
        self.symbol = self._rows.symbol
        stamps = StampReader(self._zone, self.columns.unit)
        self.bar_ns = smallest_step(self._rows, stamps) if given is None else given
        next(iter(self))  # what is wrong from the start is refused here, not in the middle of a run

    def __repr__(self) -> str:
        return f"<bars of {self.pair} in {self.name}>"

    def digest(self) -> str:
        """SHA-256 (hex) of the file's bytes."""
        return self._file.digest()

    def input_digest(self) -> str:
        """The same: the input is the file."""
        return self.digest()

    def __iter__(self) -> Iterator[Bar]:
        names = [self.columns.names[at] for at in self.columns.numbers]
        assembler = Assembler(self.pair, self.bar_ns, self._stamp, names)

        def convert(times: list[int], numbers: list[list[Decimal]], _: object) -> list[Bar]:
            return assembler.bars(times, *numbers)

        empty = True
        for bars in self._rows.read(StampReader(self._zone, self.columns.unit), convert):
            empty = False
            yield from bars
        if empty:
            raise no_rows(self.symbol, self.name)


def write_csv(path: str | os.PathLike[str], items: Iterable[Bar | Quote | Trade]) -> int:
    """Writes bars, quotes or trades as a file that is read back unchanged; returns how many.

    Times are in a column ``ts_ns``, of bars the open times. A volume, size or side that some have
    all must have, and all must be of one kind: else `DataError`.
    """
    count = 0
    header: list[str] = []
    first: type | None = None
    with open(path, "w", encoding="utf-8", newline="") as file:
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
