"""What the readers of CSV files and of tables have in common: rows, as times, numbers and texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Protocol, TypeVar

from backtest.data._columns import RowColumns
from backtest.data._stamps import StampReader
from backtest.data._zones import Zone

__all__ = ["Convert", "Rows"]

T = TypeVar("T")
Convert = Callable[[list[list[int]], list[list[Decimal]], list[list[str]]], list[T]]
"""Makes things of the columns of times, of numbers and of text of some rows."""


class Rows(Protocol):
    """The rows of one symbol of one table, to be read as often as one likes."""

    name: str
    symbol: str | None
    columns: RowColumns
    """Where what is; what is taken out of it is not read."""
    rounded: bool
    """Whether numbers came as binary floats: see `BarReader`."""

    @property
    def zone(self) -> Zone | None:
        """The zone that the type of the times names; None where they name none."""

    def read(
        self,
        stamps: StampReader,
        convert: Convert[T],
        *,
        closes: StampReader | None = None,
        times_only: bool = False,
    ) -> Iterator[list[T]]:
        """What ``convert`` makes of each batch of rows; a `RowError` of its gets a line.

        The first column of times is read by ``stamps``; by ``closes`` that of the times of close,
        where there is one.
        """
