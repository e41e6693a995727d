"""The rows of a table in memory or in Parquet as times, decimals and texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from backtest.data._assemble import RowError
from backtest.data._columns import RowColumns
from backtest.data._numbers import decimals
from backtest.data._rows import Convert
from backtest.data._stamps import StampReader
from backtest.data._symbols import choose_symbol
from backtest.data._tables import ArrowTable, Batch, Column, PandasTable, Table
from backtest.data._zones import Zone, zone_of
from backtest.errors import ConfigError, DataError

__all__ = ["FrameRows", "table_of"]

T = TypeVar("T")
_TIMES = ("utc", "local", "date")


def table_of(frame: Any, pair: str, symbol: str | None) -> Table:
    """A dataframe of whatever make as a `Table`; of columns by ticker those of ``symbol``, or of
    ``pair``."""
    if type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "iloc"):
        return PandasTable(frame, pair, symbol)
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
        decimal: str,
    ) -> None:
        self.name = name
        self.columns = columns
        self.rounded = False
        self._table = table
        self._decimal = decimal
        self.symbol = self._choose_symbol(symbol, pair)

    @property
    def zone(self) -> Zone | None:
        """The zone that the type of the times names."""
        name = self._table.zone(self.columns.time[0])
        try:
            return zone_of(name)
        except ConfigError:
            return None  # an offset, as an Arrow type may have, is no zone

    def read(
        self,
        stamps: StampReader,
        convert: Convert[T],
        *,
        closes: StampReader | None = None,
        times_only: bool = False,
    ) -> Iterator[list[T]]:
        """What ``convert`` makes of each batch; its errors get the number of the row."""
        at, symbol, closing = self.columns.symbol, self.symbol, self.columns.close_time
        wanted = [*self.columns.time, *(one for one in (at, closing) if one is not None)]
        if not times_only:
            wanted += [*self.columns.numbers, *self.columns.texts]
        for whole in self._table.batches(wanted):
            batch = whole if symbol is None or at is None else whole.where(at, symbol)
            if batch is None:
                continue
            try:
                times = [self._times(batch, self.columns.time, stamps)]
                if closes is not None and closing is not None:
                    times.append(self._times(batch, (closing,), closes))
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

    def _times(self, batch: Batch, at: Sequence[int], stamps: StampReader) -> list[int]:
        columns = [self._column(batch, place) for place in at]
        name = " ".join(self.columns.names[place] for place in at)
        if len(columns) == 1 and columns[0].kind in _TIMES:
            return self._moments(columns[0], name, stamps)
        texts = [list(map(_text, column.values)) for column in columns]
        joined = texts[0] if len(texts) == 1 else list(map(" ".join, zip(*texts, strict=True)))
        try:
            return stamps.read_many(joined)
        except ValueError:
            return [_at(index, name, stamps.read, text) for index, text in enumerate(joined)]

    def _moments(self, column: Column, name: str, stamps: StampReader) -> list[int]:
        if None in column.values:
            index = column.values.index(None)
            raise RowError(index, f"{name} is empty or no time: fill it in or remove the row")
        if column.kind == "utc":
            return list(column.values)
        read = partial(stamps.local, is_date=column.kind == "date")
        return [_at(index, name, read, value) for index, value in enumerate(column.values)]

    def _numbers(self, batch: Batch) -> list[list[Decimal]]:
        found = []
        for at in self.columns.numbers:
            column = self._column(batch, at)
            name = self.columns.names[at]
            if column.kind in _TIMES:
                raise DataError(f"the column {name!r} holds times, not numbers", source=self.name)
            # What was a float has a point, whatever the text of the table has.
            mark = "." if column.inexact else self._decimal
            found.append(decimals(column, name, mark))
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
