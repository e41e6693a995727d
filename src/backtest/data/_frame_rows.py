"""The rows of a table in memory or in Parquet as times, decimals and texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeVar

from backtest.data._assemble import RowError
from backtest.data._columns import RowColumns
from backtest.data._numbers import decimals
from backtest.data._rows import Convert
from backtest.data._stamps import StampReader, Zone
from backtest.data._symbols import choose_symbol
from backtest.data._tables import ArrowTable, Batch, Column, PandasTable, Table
from backtest.errors import DataError

__all__ = ["FrameRows", "table_of"]

T = TypeVar("T")


def table_of(frame: Any) -> Table:
    """A dataframe of whatever make as a `Table`."""
    if type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "iloc"):
        return PandasTable(frame)
    return ArrowTable(frame)


class FrameRows:
    """The rows of ``table`` that are of ``symbol`` (None: of the pair, see `choose_symbol`)."""

    def __init__(
        self,
        table: Table,
        name: str,
        columns: RowColumns,
        pair: str,
        symbol: str | None,
        zone: Zone | None,
    ) -> None:
        self.name = name
        self.columns = columns
        self.rounded = False
        self._table = table
        self._zone = zone
        self.symbol = self._choose_symbol(symbol, pair)

    def read(
        self, stamps: StampReader, convert: Convert[T], *, times_only: bool = False
    ) -> Iterator[list[T]]:
        """What ``convert`` makes of each batch; its errors get the number of the row."""
        at, symbol = self.columns.symbol, self.symbol
        wanted = [*self.columns.time, *([] if at is None else [at])]
        if not times_only:
            wanted += [*self.columns.numbers, *self.columns.texts]
        for whole in self._table.batches(wanted):
            batch = whole if symbol is None or at is None else whole.where(at, symbol)
            if batch is None:
                continue
            try:
                times = self._times(batch, stamps)
                if times_only:
                    yield convert(times, [], [])
                else:
                    yield convert(times, self._numbers(batch), self._texts(batch))
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
        name = " ".join(self.columns.names[at] for at in self.columns.time)
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
        found = []
        for at in self.columns.numbers:
            column = self._column(batch, at)
            name = self.columns.names[at]
            if column.kind in ("utc", "local"):
                raise DataError(f"the column {name!r} holds times, not numbers", source=self.name)
            found.append(decimals(column, name))
            self.rounded = self.rounded or column.inexact
        return found

    def _texts(self, batch: Batch) -> list[list[str]]:
        return [list(map(_text, self._column(batch, at).values)) for at in self.columns.texts]

    def _choose_symbol(self, symbol: str | None, pair: str) -> str | None:
        at = self.columns.symbol
        seen: set[str] = set()
        if at is not None and symbol is None:
            for batch in self._table.batches([at]):
                seen.update(map(_text, self._column(batch, at).values))
        return choose_symbol(symbol, seen, pair, at is not None, self.name)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _at(index: int, name: str, convert: Callable[[Any], int], value: Any) -> int:
    try:
        return convert(value)
    except ValueError as error:
        raise RowError(index, f"{name} {error}") from None
