"""What the readers of CSV files and of tables have in common: rows, as times, numbers and texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Protocol, TypeVar

from backtest.data._assemble import StepFinder
from backtest.data._columns import RowColumns
from backtest.data._stamps import StampReader
from backtest.data._symbols import no_rows

__all__ = ["Convert", "Rows", "smallest_step"]

T = TypeVar("T")
Convert = Callable[[list[int], list[list[Decimal]], list[list[str]]], list[T]]
"""Makes things of the times, the columns of numbers and those of text of some rows."""


class Rows(Protocol):
    """The rows of one symbol of one table, to be read as often as one likes."""

    name: str
    symbol: str | None
    rounded: bool
    """Whether numbers came as binary floats: see `BarReader`."""

    @property
    def columns(self) -> RowColumns:
        """Where what is."""

    def read(
        self, stamps: StampReader, convert: Convert[T], *, times_only: bool = False
    ) -> Iterator[list[T]]:
        """What ``convert`` makes of each batch of rows; a `RowError` of its gets a line."""


def smallest_step(rows: Rows, stamps: StampReader) -> int:
    """The smallest difference between the times of ``rows``: the length of bars left out."""
    steps = StepFinder()

    def feed(times: list[int], *_: object) -> list[int]:
        steps.feed(times)
        return []

    for _ in rows.read(stamps, feed, times_only=True):
        pass
    if not steps.count:
        raise no_rows(rows.symbol, rows.name)
    return steps.result(rows.name)
