"""Exact arithmetic for checking: amounts as whole numbers of 10⁻⁶⁰, read from their text.

The checks do not add with the ledger's `Decimal` contexts: what they are to find includes a fault
in those. Python's integers neither round nor overflow.
"""

from __future__ import annotations

import re

__all__ = ["DIGITS", "ONE_UNIT", "amount", "exact_product", "round_half_even", "text_of"]

DIGITS = 60
ONE_UNIT: int = 10**DIGITS
"""The number 1 in units."""

_POWERS = [10 ** (DIGITS - places) for places in range(DIGITS + 1)]
_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]*[1-9]))?")


def amount(text: str) -> int:
    """The number that ``text`` spells, in units; the empty text is nothing, 0.

    Only the one spelling that `backtest.money.plain` gives a number is taken: no exponent, no
    trailing zeros, no plus sign. Raises `ValueError` for any other.
    """
    if not text or text == "0":
        return 0
    match = _NUMBER.fullmatch(text)
    if match is None or text == "-0":
        raise ValueError(f"{text!r} is not a number in the spelling of these files")
    sign, whole, part = match.groups()
    if part is None:
        units = int(whole) * ONE_UNIT
    elif len(part) > DIGITS:
        raise ValueError(f"{text!r} has more than {DIGITS} digits after the point")
    else:
        units = int(whole + part) * _POWERS[len(part)]
    return -units if sign else units


def text_of(units: int) -> str:
    """The spelling of a number given in units; `amount` undoes it."""
    sign = "-" if units < 0 else ""
    whole, part = divmod(abs(units), ONE_UNIT)
    if not part:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{part:0{DIGITS}d}".rstrip("0")


def exact_product(left: int, right: int) -> int:
    """The product of two amounts. Raises `ValueError` where it has more digits than are kept."""
    product, rest = divmod(left * right, ONE_UNIT)
    if rest:
        raise ValueError("a product has too many digits to be checked")
    return product


def round_half_even(numerator: int, denominator: int) -> int:
    """``numerator / denominator`` as a whole number, halves to even; ``denominator`` above 0."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient
