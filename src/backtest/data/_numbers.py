"""Columns of tables as decimals: exact ones as they are, binary floats on the pair's grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext
from itertools import repeat
from typing import Any

from backtest.data._assemble import READING, RowError, number_fault
from backtest.data._tables import Column
from backtest.money import ONE, to_step

__all__ = ["Numbers"]


class Numbers:
    """Turns columns into decimals, of which floats are rounded half-even to ``step``.

    A float is first written in its shortest form (``repr``). One that is on the grid stays as it is
    written, 0.5 on a grid of 0.01; one that had to be rounded has the digits of the grid. With
    ``positive`` a float that is not zero may not become zero.
    """

    def __init__(self, step: Decimal, *, positive: bool = False) -> None:
        self._step = step
        self._positive = positive
        self._digits = step.normalize(READING)
        self._by_digits = self._digits.scaleb(-self._digits.adjusted()) == ONE

    def of(self, column: Column, name: str) -> list[Decimal]:
        """The values of a column; `RowError`, with ``name``, for the first that is no number."""
        convert = self._on_grid if column.inexact else Decimal
        with localcontext(READING):
            try:
                if column.inexact and self._by_digits:
                    return self._all_on_grid(column.values)
                return list(map(convert, column.values))
            except (InvalidOperation, TypeError, ValueError):
                return [
                    _one(index, name, convert, value) for index, value in enumerate(column.values)
                ]

    def _all_on_grid(self, values: Sequence[Any]) -> list[Decimal]:
        """`_on_grid` of each value, in C loops; raises whatever comes when one is unusual."""
        exact = list(map(Decimal, map(_shortest, values)))
        rounded = list(map(Decimal.quantize, exact, repeat(self._digits), repeat(ROUND_HALF_EVEN)))
        if self._positive and not all(rounded):
            raise ValueError("a zero: to be looked at one by one")
        return [old if old == new else new for old, new in zip(exact, rounded, strict=True)]

    def _on_grid(self, value: Any) -> Decimal:
        exact = Decimal(_shortest(value))
        if not exact.is_finite() or exact.adjusted() > 30:
            return exact  # to be named as what it is where prices are checked
        rounded = to_step(exact, self._step, ROUND_HALF_EVEN)
        if self._positive and exact and not rounded:
            raise _TooCoarseError(f"{exact} is 0 on the pair's increment {self._step}")
        return exact if exact == rounded else rounded


class _TooCoarseError(ValueError):
    """A price that is not zero would be rounded to zero."""


def _shortest(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _one(index: int, name: str, convert: Callable[[Any], Decimal], value: Any) -> Decimal:
    try:
        return convert(value)
    except _TooCoarseError as error:
        raise RowError(index, f"{name} {error}: give the pair a finer price_increment") from None
    except (InvalidOperation, TypeError, ValueError):
        text = "" if value is None else str(value)
        raise RowError(index, f"{name} {number_fault(text)}") from None
