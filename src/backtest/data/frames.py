"""Bars from Parquet files and dataframes of any make.

Integers, decimals and text are taken exactly. A binary float is not a decimal number: it is written
in its shortest form (``repr``), read as `Decimal` and rounded half-even to the pair's increment,
and the source says so (``rounded``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta, tzinfo
from decimal import Decimal
from typing import Any

from backtest.data._assemble import (
    Assembler,
    RowError,
    StepFinder,
    bar_length,
    check_stamp,
    pair_code,
)
from backtest.data._columns import Columns, find_columns
from backtest.data._files import InputFile
from backtest.data._numbers import Numbers
from backtest.data._stamps import StampReader, zone_of
from backtest.data._symbols import choose_symbol, no_rows
from backtest.data._tables import ArrowTable, Batch, Column, PandasTable, ParquetTable, Table
from backtest.data.sources import BarSource, MemoryBars, canonical_digest
from backtest.errors import DataError
from backtest.models.bar import Bar
from backtest.models.trading_pair import TradingPair

__all__ = ["FrameBars", "ParquetBars", "read_frame", "read_parquet"]

_FINEST = Decimal("0.00000001")


def read_parquet(
    path: str | os.PathLike[str],
    pair: str | TradingPair,
    *,
    bar: int | str | timedelta | None = None,
    stamp: str = "open",
    tz: str | tzinfo | None = None,
    symbol: str | None = None,
    stream: bool = False,
) -> BarSource:
    """The bars of a Parquet file: a list of them, or with ``stream`` read as one goes.

    Arguments and errors as `FrameBars`; needs the extra ``parquet``.
    """
    source = ParquetBars(path, pair, bar=bar, stamp=stamp, tz=tz, symbol=symbol)
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
) -> BarSource:
    """The bars of a dataframe: a list of them, or with ``stream`` made as they are asked for.

    Arguments and errors as `FrameBars`.
    """
    source = FrameBars(frame, pair, bar=bar, stamp=stamp, tz=tz, symbol=symbol)
    return source if stream else MemoryBars.loaded(source)


class FrameBars:
    """Bars of a pandas DataFrame, or of whatever exports an Arrow C stream (polars, pyarrow ...).

    Args:
        frame: its columns are found by name as a CSV file's are; a pandas index with a name, or of
            times, counts as a column.
        pair: the code that the bars get. Floats are rounded to the increments of a `TradingPair`,
            and with a code alone to eight digits.
        bar, stamp, tz, symbol: as `backtest.data.CsvBars`.

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
    ) -> None:
        table: Table = PandasTable(frame) if _is_pandas(frame) else ArrowTable(frame)
        self._set_up(table, "dataframe", pair, bar, stamp, tz, symbol)
        self._digest: str | None = None

    def _set_up(
        self,
        table: Table,
        name: str,
        pair: str | TradingPair,
        bar: int | str | timedelta | None,
        stamp: str,
        tz: str | tzinfo | None,
        symbol: str | None,
    ) -> None:
        self.name = name
        self.pair = pair_code(pair)
        self._stamp = check_stamp(stamp)
        self._zone = zone_of(tz)
        given = bar_length(bar)
        prices, volumes = _FINEST, _FINEST
        if isinstance(pair, TradingPair):
            prices, volumes = pair.price_increment, pair.volume_increment
        self._prices, self._volumes = Numbers(prices, positive=True), Numbers(volumes)
        self._table = table
        self.columns: Columns = find_columns(table.names, self.pair, stamp, source=name)
        self.rounded = False
        self.symbol = self._choose_symbol(symbol)
        self.bar_ns = self._smallest_step() if given is None else given
        next(iter(self))  # what is wrong from the start is refused here, not in the middle of a run

    def __repr__(self) -> str:
        return f"<bars of {self.pair} in {self.name}>"

    def digest(self) -> str:
        """SHA-256 (hex) of the bars, by `canonical_digest`."""
        if self._digest is None:
            self._digest = canonical_digest(self)
        return self._digest

    def input_digest(self) -> str | None:
        """None: there is no file."""
        return None

    def __iter__(self) -> Iterator[Bar]:
        stamps = StampReader(self._zone, self.columns.unit)
        assembler = Assembler(self.pair, self.bar_ns, self._stamp, self.columns.number_names)

        def convert(batch: Batch) -> list[Bar]:
            return assembler.bars(self._times(batch, stamps), *self._numbers(batch))

        empty = True
        for bars in self._converted(convert, self.columns.numbers):
            empty = False
            yield from bars
        if empty:
            raise no_rows(self.symbol, self.name)

    def _converted(
        self, convert: Callable[[Batch], list[Bar]], numbers: Sequence[int]
    ) -> Iterator[list[Bar]]:
        """What ``convert`` makes of each batch; its errors get the number of the row."""
        at, symbol = self.columns.symbol, self.symbol
        wanted = [*self.columns.time, *numbers, *([] if at is None else [at])]
        for whole in self._table.batches(wanted):
            batch = whole if symbol is None or at is None else whole.where(at, symbol)
            if batch is None:
                continue
            try:
                yield convert(batch)
            except RowError as error:
                line = batch.row(error.index)
                raise DataError(error.problem, source=self.name, line=line) from None

    def _column(self, batch: Batch, at: int) -> Column:
        try:
            return batch.column(at)
        except TypeError as error:
            raise DataError(
                f"the column {self.columns.names[at]!r} holds values of type {error}: give "
                "numbers, times or text",
                source=self.name,
            ) from None

    def _times(self, batch: Batch, stamps: StampReader) -> list[int]:
        columns = [self._column(batch, at) for at in self.columns.time]
        name = self.columns.time_name
        if len(columns) == 1 and columns[0].kind in ("utc", "local"):
            return self._moments(columns[0], name)
        texts = [list(map(_text, column.values)) for column in columns]
        joined = texts[0] if len(texts) == 1 else list(map(" ".join, zip(*texts, strict=True)))
        try:
            return stamps.read_many(joined)
        except ValueError:
            return [_at(index, name, stamps.read, text) for index, text in enumerate(joined)]

    def _moments(self, column: Column, name: str) -> list[int]:
        if None in column.values:
            index = column.values.index(None)
            raise RowError(index, f"{name} is empty or no time: fill it in or remove the row")
        if column.kind == "utc" or self._zone is None:
            return list(column.values)
        to_utc = self._zone.to_utc
        return [_at(index, name, to_utc, value) for index, value in enumerate(column.values)]

    def _numbers(self, batch: Batch) -> list[list[Decimal]]:
        """Open, high, low, close and, where there is one, volume."""
        found = []
        for place, at in enumerate(self.columns.numbers):
            column = self._column(batch, at)
            name = self.columns.names[at]
            if column.kind in ("utc", "local"):
                raise DataError(f"the column {name!r} holds times, not numbers", source=self.name)
            numbers = self._volumes if place == 4 else self._prices
            found.append(numbers.of(column, name))
            self.rounded = self.rounded or column.inexact
        return found

    def _smallest_step(self) -> int:
        stamps = StampReader(self._zone, self.columns.unit)
        steps = StepFinder()

        def convert(batch: Batch) -> list[Bar]:
            steps.feed(self._times(batch, stamps))
            return []

        for _ in self._converted(convert, ()):
            pass
        if not steps.count:
            raise no_rows(self.symbol, self.name)
        return steps.result(self.name)

    def _choose_symbol(self, symbol: str | None) -> str | None:
        at = self.columns.symbol
        seen: set[str] = set()
        if at is not None and symbol is None:
            for batch in self._table.batches([at]):
                seen.update(map(_text, self._column(batch, at).values))
        return choose_symbol(symbol, seen, self.pair, at is not None, self.name)


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
    ) -> None:
        self._file = InputFile(path)
        self._set_up(ParquetTable(self._file.name), self._file.name, pair, bar, stamp, tz, symbol)

    def digest(self) -> str:
        """SHA-256 (hex) of the file's bytes."""
        return self._file.digest()

    def input_digest(self) -> str:
        """The same: the input is the file."""
        return self.digest()


def _is_pandas(frame: Any) -> bool:
    return type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "iloc")


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _at(index: int, name: str, convert: Callable[[Any], int], value: Any) -> int:
    try:
        return convert(value)
    except ValueError as error:
        raise RowError(index, f"{name} {error}") from None
