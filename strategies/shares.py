"""Shares in percent, as people give them: no number is taken for a hundredth of what was meant."""

from __future__ import annotations

from decimal import Decimal

from backtest.errors import FieldError, FieldTypeError
from backtest.money import ONE, ZERO, decimal_of, div, mul, plain

__all__ = ["percent_of", "weight_of"]

_HUNDRED = Decimal(100)


def percent_of(value: object, field: str) -> Decimal:
    """The fraction that ``value`` percent are: 50, ``"50"`` and ``"50%"`` are half.

    A number between 0 and 1 could be a fraction or a part of one percent: `FieldError`. Part of one
    percent is written with its sign, ``"0.5%"``.
    """
    if isinstance(value, str) and value.strip().endswith("%"):
        return div(decimal_of(value.strip()[:-1], field), _HUNDRED)
    if isinstance(value, float):
        told = f"'{value!r}%'" if value >= 1 else f"{value * 100:g} for {value * 100:g} %"
        raise FieldTypeError(field, f"is in percent and exact, not the float {value!r}: {told}")
    number = decimal_of(value, field)
    if ZERO < number.copy_abs() < ONE:
        whole = plain(mul(number, _HUNDRED))
        raise FieldError(
            field,
            f"is in percent, and {number} may be meant as a fraction: write {whole} for "
            f"{whole} %, or '{number}%' for less than one percent",
        )
    return div(number, _HUNDRED)


def weight_of(value: object, field: str) -> Decimal:
    """The fraction that a weight is: ``"0.6"`` and ``"60%"`` are six tenths."""
    if isinstance(value, str) and value.strip().endswith("%"):
        return div(decimal_of(value.strip()[:-1], field), _HUNDRED)
    return decimal_of(value, field)
