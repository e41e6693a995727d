"""Exact decimal arithmetic: contexts, roundings, and the doors through which numbers come in.

The engine never uses the caller's decimal context (a strategy may change its own): `add`, `sub`,
`mul` and `div` are bound to a context of 60 digits, and `exact_add` to one that traps `Inexact`,
so that a ledger addition either is exact or raises.
"""

from __future__ import annotations

from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
)
from functools import cache

from backtest.errors import FieldError, FieldTypeError

__all__ = [
    "ONE",
    "ZERO",
    "add",
    "decimal_of",
    "div",
    "exact_add",
    "exponent",
    "floor_quotient",
    "is_multiple",
    "mul",
    "plain",
    "round_down",
    "round_half_even",
    "round_up",
    "setting_of",
    "strict_decimal",
    "sub",
    "to_step",
    "whole_mul",
]

_TRAPS = [InvalidOperation, DivisionByZero, Overflow, FloatOperation]
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=_TRAPS)
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[*_TRAPS, Inexact])

add = _CONTEXT.add
sub = _CONTEXT.subtract
mul = _CONTEXT.multiply
div = _CONTEXT.divide
exact_add = _EXACT.add
whole_mul = Context(prec=10_000, traps=[*_TRAPS, Inexact]).multiply
"""A product with all its digits, however many."""

ZERO = Decimal(0)
ONE = Decimal(1)
_SMALLEST = -50
"""The power of ten of the first digit of the smallest number that people give."""


@cache
def exponent(precision: int) -> Decimal:
    """The decimal with ``precision`` digits after the point that `quantize` takes: 2 gives 0.01."""
    return Decimal((0, (1,), -precision))


def round_half_even(value: Decimal, step: Decimal) -> Decimal:
    """``value`` with the digits of ``step`` (a power of ten), halves to even."""
    return value.quantize(step, ROUND_HALF_EVEN, _CONTEXT)


def round_up(value: Decimal, step: Decimal) -> Decimal:
    """``value`` toward plus infinity: a fee against the account, a rebate toward zero."""
    return value.quantize(step, ROUND_CEILING, _CONTEXT)


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """``value`` toward minus infinity, with the digits of ``step``."""
    return value.quantize(step, ROUND_FLOOR, _CONTEXT)


def to_step(value: Decimal, step: Decimal, rounding: str = ROUND_FLOOR) -> Decimal:
    """The multiple of ``step`` (any positive decimal, 0.25 say) next to ``value``."""
    units = div(value, step).to_integral_value(rounding, _CONTEXT)
    return mul(units, step)


def floor_quotient(numerator: Decimal, denominator: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of ``step`` that is not above ``numerator / denominator``: the division
    is exact, and what is rounded is rounded once."""
    above, below = numerator.as_integer_ratio()
    above_too, below_too = whole_mul(denominator, step).as_integer_ratio()
    return whole_mul(Decimal(above * below_too // (below * above_too)), step)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether ``value`` is a whole number of steps (fewer than 10^60)."""
    return not _CONTEXT.remainder(value, step)


def _finite(value: Decimal, field: str) -> Decimal:
    if not value.is_finite():
        raise FieldError(field, f"must be a finite number, not {value}")
    return value


def strict_decimal(value: object, field: str) -> Decimal:
    """``value`` as models take it: a `Decimal`, or an `int`, which is exact.

    Raises `TypeError` for anything else (a ``float`` above all) and `ValueError` for NaN and
    infinities; both name ``field``.
    """
    if type(value) is Decimal:
        return value if value.is_finite() else _finite(value, field)
    if isinstance(value, Decimal):
        return _finite(Decimal(value), field)
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, float):
        raise FieldTypeError(
            field, f"must be a Decimal, not the float {value!r}: write Decimal({str(value)!r})"
        )
    raise FieldTypeError(field, f"must be a Decimal, not {type(value).__name__}")


def decimal_of(value: object, field: str) -> Decimal:
    """``value`` as strategy calls take it: what `strict_decimal` takes, and a numeric `str`."""
    if type(value) is Decimal:
        return value if value.is_finite() else _finite(value, field)
    if type(value) is int:
        return Decimal(value)
    if isinstance(value, str):
        try:
            # Whatever the caller's context: what is no number is to be refused, not to be NaN.
            parsed = Decimal(value.strip().replace("_", ""), _CONTEXT)
        except InvalidOperation:
            raise FieldError(field, f"must be a number, not {value!r}") from None
        return _finite(parsed, field)
    return strict_decimal(value, field)


def setting_of(value: object, field: str, largest: int = 18) -> Decimal:
    """``value`` as rules, pairs and cash take it: what `decimal_of` takes, in a range.

    Its first digit is no higher than 10^``largest``, and no lower than 10^-50, so that products
    have digits to spare. (What is ordered has the bounds of its venue.)
    """
    number = decimal_of(value, field)
    if _SMALLEST <= number.adjusted() <= largest:
        return number
    if number.adjusted() > largest:
        raise FieldError(field, f"must be below 1e{largest + 1}, is {number:.6e}")
    if number:
        raise FieldError(field, f"has more than {-_SMALLEST} digits after the point: {number:.6e}")
    return ZERO


def plain(value: Decimal) -> str:
    """``value`` as text without an exponent and without trailing zeros: one spelling per number."""
    text = str(value)
    # Mostly that is it already, in half the time. An "e" is what a strategy's own context writes.
    if text[-1] != "0" and "E" not in text and "e" not in text:
        return text
    if not value:
        return "0"
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text
