"""The rows of a CSV file as times, decimals and texts: text becomes `Decimal`, never a ``float``.

Batches of rows are converted column by column; only one that fails is gone through row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation, localcontext
from itertools import compress
from typing import TypeVar

from backtest.data._assemble import LONG, READING, RowError, number_fault, number_of
from backtest.data._columns import RowColumns
from backtest.data._csv_table import CsvTable
from backtest.data._rows import Convert
from backtest.data._stamps import StampReader
from backtest.data._symbols import choose_symbol
from backtest.errors import DataError

__all__ = ["CsvRows"]

T = TypeVar("T")
_TextColumns = list[Sequence[str]]


class CsvRows:
    """The rows of ``table`` that are of ``symbol`` (None: of the pair, see `choose_symbol`)."""

    rounded = False

    def __init__(
        self,
        table: CsvTable,
        columns: RowColumns,
        pair: str,
        symbol: str | None,
        decimal: str,
    ) -> None:
        self.name = table.name
        self.columns = columns
        self._table = table
        self._decimal = decimal
        self.symbol = self._choose_symbol(symbol, pair)

    zone = None
    """Text names no zone."""

    def read(
        self,
        stamps: StampReader,
        convert: Convert[T],
        *,
        closes: StampReader | None = None,
        times_only: bool = False,
    ) -> Iterator[list[T]]:
        """What ``convert`` makes of each batch's rows of the symbol; its errors get a line."""
        at, symbol, closing = self.columns.symbol, self.symbol, self.columns.close_time
        for before, columns in self._table.batches():
            chosen: list[bool] | None = None
            if symbol is not None and at is not None:
                chosen = [text.strip() == symbol for text in columns[at]]
                columns = [list(compress(column, chosen)) for column in columns]
                if not columns[0]:
                    continue
            try:
                times = [self._times(columns, self.columns.time, stamps)]
                if closes is not None and closing is not None:
                    times.append(self._times(columns, (closing,), closes))
                if times_only:
                    yield convert(times, [], [])
                else:
                    texts = [list(columns[place]) for place in self.columns.texts]
                    yield convert(times, self._numbers(columns), texts)
            except RowError as error:
                index = error.index
                if chosen is not None:
                    index = [place for place, take in enumerate(chosen) if take][index]
                line = self._table.line(before + index)
                raise DataError(error.problem, source=self.name, line=line) from None

    def _times(self, columns: _TextColumns, at: Sequence[int], stamps: StampReader) -> list[int]:
        first, *more = at
        texts = columns[first]
        if more:
            pairs = zip(texts, columns[more[0]], strict=True)
            texts = [f"{day.strip()} {clock.strip()}" for day, clock in pairs]
        try:
            return stamps.read_many(texts)
        except ValueError:
            name = " ".join(self.columns.names[place] for place in at)
            for index, text in enumerate(texts):
                try:
                    stamps.read(text)
                except ValueError as error:
                    raise RowError(index, f"{name} {error}") from None
            raise

    def _numbers(self, columns: _TextColumns) -> list[list[Decimal]]:
        texts = [columns[at] for at in self.columns.numbers]
        with localcontext(READING):
            try:
                if any("_" in text for column in texts for text in column):
                    raise InvalidOperation  # Decimal would read 1_000 as a thousand
                if max(max(map(len, column), default=0) for column in texts) <= LONG:
                    return [list(map(Decimal, self._pointed(column))) for column in texts]
            except InvalidOperation:
                pass
            rows = [self._row(*row) for row in enumerate(zip(*texts, strict=True))]
            return [list(column) for column in zip(*rows, strict=True)]

    def _pointed(self, texts: Sequence[str]) -> Sequence[str]:
        """``texts`` with a point before their decimals."""
        if self._decimal == ".":
            return texts
        if any("." in text for text in texts):
            raise InvalidOperation  # Decimal would read 1.000 as one
        return [text.replace(",", ".") for text in texts]

    def _row(self, index: int, row: Sequence[str]) -> list[Decimal]:
        """The numbers of one row, one by one; `RowError` for the first that is none."""
        numbers = []
        for at, text in zip(self.columns.numbers, row, strict=True):
            try:
                numbers.append(number_of(text, self._decimal))
            except InvalidOperation:
                name = self.columns.names[at]
                raise RowError(index, f"{name} {number_fault(text, self._decimal)}") from None
        return numbers

    def _choose_symbol(self, symbol: str | None, pair: str) -> str | None:
        at = self.columns.symbol
        seen: set[str] = set()
        if at is not None and symbol is None:
            for _, columns in self._table.batches():
                seen.update(map(str.strip, columns[at]))
        return choose_symbol(symbol, seen, pair, at is not None, self.name)
