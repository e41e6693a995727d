"""Bars from CSV files, plain or gzip: text becomes `Decimal` directly, never a ``float``.

Batches of rows are converted column by column; only one that fails is gone through row by row.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta, tzinfo
from decimal import Decimal, InvalidOperation, localcontext
from itertools import compress

from backtest.data._assemble import (
    READING,
    Assembler,
    RowError,
    StepFinder,
    bar_length,
    check_stamp,
    number_fault,
    pair_code,
)
from backtest.data._columns import Columns, find_columns
from backtest.data._csv_table import CsvTable
from backtest.data._files import InputFile
from backtest.data._stamps import StampReader, zone_of
from backtest.data._symbols import choose_symbol, no_rows
from backtest.data.sources import BarSource, MemoryBars
from backtest.errors import DataError
from backtest.models.bar import Bar
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
        self.symbol = self._choose_symbol(symbol)
        self.bar_ns = self._smallest_step() if given is None else given
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
        stamps = StampReader(self._zone, self.columns.unit)
        assembler = Assembler(self.pair, self.bar_ns, self._stamp, self.columns.number_names)

        def convert(columns: _TextColumns) -> list[Bar]:
            times = self._times(columns, stamps)
            return assembler.bars(times, *self._numbers(columns))

        empty = True
        for bars in self._converted(convert):
            empty = False
            yield from bars
        if empty:
            raise no_rows(self.symbol, self.name)

    def _converted(self, convert: Callable[[_TextColumns], list[Bar]]) -> Iterator[list[Bar]]:
        """What ``convert`` makes of each batch's rows of the symbol; its errors get a line."""
        at, symbol = self.columns.symbol, self.symbol
        for before, columns in self._table.batches():
            chosen: list[bool] | None = None
            if symbol is not None and at is not None:
                chosen = [text.strip() == symbol for text in columns[at]]
                columns = [list(compress(column, chosen)) for column in columns]
                if not columns[0]:
                    continue
            try:
                yield convert(columns)
            except RowError as error:
                index = error.index
                if chosen is not None:
                    index = [place for place, take in enumerate(chosen) if take][index]
                line = self._table.line(before + index)
                raise DataError(error.problem, source=self.name, line=line) from None

    def _times(self, columns: _TextColumns, stamps: StampReader) -> list[int]:
        first, *more = self.columns.time
        texts = columns[first]
        if more:
            pairs = zip(texts, columns[more[0]], strict=True)
            texts = [f"{day.strip()} {clock.strip()}" for day, clock in pairs]
        try:
            return stamps.read_many(texts)
        except ValueError:
            for index, text in enumerate(texts):
                try:
                    stamps.read(text)
                except ValueError as error:
                    raise RowError(index, f"{self.columns.time_name} {error}") from None
            raise

    def _numbers(self, columns: _TextColumns) -> list[list[Decimal]]:
        """Open, high, low, close and, where there is one, volume."""
        texts = [columns[at] for at in self.columns.numbers]
        with localcontext(READING):
            try:
                if any("_" in text for column in texts for text in column):
                    raise InvalidOperation  # Decimal would read 1_000 as a thousand
                return [list(map(Decimal, column)) for column in texts]
            except InvalidOperation:
                for index, row in enumerate(zip(*texts, strict=True)):
                    self._check_row(index, row)
                raise

    def _check_row(self, index: int, row: Sequence[str]) -> None:
        for name, text in zip(self.columns.number_names, row, strict=True):
            try:
                if "_" in text:
                    raise InvalidOperation
                Decimal(text)
            except InvalidOperation:
                raise RowError(index, f"{name} {number_fault(text)}") from None

    def _smallest_step(self) -> int:
        stamps = StampReader(self._zone, self.columns.unit)
        steps = StepFinder()

        def convert(columns: _TextColumns) -> list[Bar]:
            steps.feed(self._times(columns, stamps))
            return []

        for _ in self._converted(convert):
            pass
        if not steps.count:
            raise no_rows(self.symbol, self.name)
        return steps.result(self.name)

    def _choose_symbol(self, symbol: str | None) -> str | None:
        at = self.columns.symbol
        seen: set[str] = set()
        if at is not None and symbol is None:
            for _, columns in self._table.batches():
                seen.update(map(str.strip, columns[at]))
        return choose_symbol(symbol, seen, self.pair, at is not None, self.name)


def write_csv(path: str | os.PathLike[str], bars: Iterable[Bar]) -> int:
    """Writes ``bars`` as a file that `read_csv` gives back unchanged; returns how many there were.

    Times are open times in a column ``ts_ns``. Either all bars have a volume or none has: else
    `DataError`.
    """
    count = 0
    with_volume = True
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for bar in bars:
            if not count:
                with_volume = bar.volume is not None
                header = ["ts_ns", "open", "high", "low", "close"]
                writer.writerow([*header, "volume"] if with_volume else header)
            if (bar.volume is not None) != with_volume:
                raise DataError(
                    f"bar {count} differs from the first in having a volume or not: give all bars "
                    "one or none",
                    source=str(path),
                )
            prices = map(plain, (bar.open, bar.high, bar.low, bar.close))
            row = [str(bar.open_ns), *prices]
            writer.writerow(row if bar.volume is None else [*row, plain(bar.volume)])
            count += 1
    return count
