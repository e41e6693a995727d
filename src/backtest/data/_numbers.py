"""Columns of tables as decimals, with all of their digits: a binary float in its shortest form."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation, localcontext
from itertools import repeat
from operator import contains
from typing import Any

from backtest.data._assemble import LONG, READING, RowError, number_fault, number_of
from backtest.data._tables import Column
from backtest.money import ONE

__all__ = ["decimals"]


def decimals(column: Column, name: str, mark: str) -> list[Decimal]:
    """The values of a column; `RowError`, with ``name``, for the first that is no number.

    A float is what its shortest text says: 0.1 is a tenth, and not what is stored for it. A number
    of a column of decimals goes without the zeros that fill the column's digits. ``mark`` is the
    mark of decimals in text, a point or a comma.
    """
    with localcontext(READING):
        try:
            if column.kind == "float":
                return list(map(Decimal, map(repr, column.values)))
            if column.kind == "text" and mark == ",":
                return [_one(index, name, value, mark) for index, value in enumerate(column.values)]
            if column.kind == "text" and any(map(contains, column.values, repeat("_"))):
                raise InvalidOperation  # Decimal would read 1_000 as a thousand
            if column.kind != "int" and max(map(len, map(str, column.values)), default=0) > LONG:
                raise InvalidOperation  # one by one: too many digits, or many zeros
            numbers = list(map(Decimal, column.values))
            return list(map(_trimmed, numbers)) if column.kind == "decimal" else numbers
        except (InvalidOperation, TypeError, ValueError):
            return [_one(index, name, value, ".") for index, value in enumerate(column.values)]


def _trimmed(value: Decimal) -> Decimal:
    """``value`` without the zeros that the type of its column has put behind it."""
    short = value.normalize(READING)
    whole = short.to_integral_value(context=READING)
    return short.quantize(ONE, context=READING) if short == whole else short


def _one(index: int, name: str, value: Any, mark: str) -> Decimal:
    text = "" if value is None else str(value)
    try:
        return number_of(text, mark)
    except InvalidOperation:
        raise RowError(index, f"{name} {number_fault(text, mark)}") from None
