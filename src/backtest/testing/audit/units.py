"""Amounts as whole numbers, for the oracle: exact, and quick to add.

A `Decimal` is read by `as_integer_ratio` and counted in units of 10^-60; one that is finer still,
which no amount of the engine is, stays an exact fraction of a unit.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

__all__ = ["SCALE", "Units", "shown", "units", "whole"]

SCALE = 10**60
"""Units in one."""

Units = int | Fraction


def units(value: Decimal) -> Units:
    """``value``, which must be finite, in units."""
    numerator, denominator = value.as_integer_ratio()
    count, rest = divmod(numerator * SCALE, denominator)
    return Fraction(numerator * SCALE, denominator) if rest else count


def whole(amount: Units) -> Fraction:
    """``amount`` units as a number."""
    return Fraction(amount) / SCALE


def shown(amount: Units) -> str:
    """``amount`` units, to be read by people."""
    return format(float(whole(amount)), ".12g")
