"""Decimal arithmetic of statistics: 34 digits, halves to even, the same on every machine.

Square roots, logarithms and exponentials are `Decimal`'s own and not the C library's, whose last
digits differ between platforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

__all__ = ["STATISTICS", "covariance", "deviation", "mean", "rounded", "total", "variance"]

STATISTICS = Context(prec=34, rounding=ROUND_HALF_EVEN)
"""The context of all statistics."""
_PLACES = Decimal("0.000001")
_add, _sub, _mul, _div = (
    STATISTICS.add,
    STATISTICS.subtract,
    STATISTICS.multiply,
    STATISTICS.divide,
)


def total(values: Sequence[Decimal]) -> Decimal:
    """The sum of ``values``, 0 of none."""
    found = Decimal(0)
    for value in values:
        found = _add(found, value)
    return found


def mean(values: Sequence[Decimal]) -> Decimal:
    """The arithmetic mean of one value or more."""
    return _div(total(values), Decimal(len(values)))


def covariance(one: Sequence[Decimal], other: Sequence[Decimal]) -> Decimal:
    """The covariance of a sample (n - 1) of two pairs or more."""
    here, there = mean(one), mean(other)
    products = [_mul(_sub(a, here), _sub(b, there)) for a, b in zip(one, other, strict=True)]
    return _div(total(products), Decimal(len(one) - 1))


def variance(values: Sequence[Decimal]) -> Decimal:
    """The variance of a sample (n - 1) of two values or more."""
    return covariance(values, values)


def deviation(values: Sequence[Decimal]) -> Decimal:
    """The standard deviation of a sample (n - 1) of two values or more."""
    return STATISTICS.sqrt(variance(values))


def rounded(value: Decimal | None) -> Decimal | None:
    """To six digits, halves to even, as figures are told; zero has no sign. None stays None."""
    if value is None:
        return None
    return STATISTICS.plus(value.quantize(_PLACES, ROUND_HALF_EVEN, STATISTICS))
