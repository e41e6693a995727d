"""The checks' own arithmetic: whole numbers of 10⁻⁶⁰."""

from __future__ import annotations

from decimal import Decimal as D
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.analysis.tables.exact import ONE_UNIT, amount, round_half_even, text_of
from backtest.money import plain

NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**30))


@given(NUMBERS)
def test_an_amount_is_the_number_and_is_spelled_as_money_spells_it(number: D) -> None:
    units = amount(plain(number))
    assert Fraction(units, ONE_UNIT) == Fraction(number)
    assert text_of(units) == plain(number)


@pytest.mark.parametrize(
    "text",
    ["1.0", "01", "+1", "1e3", "-0", "-0.0", ".5", "5.", "1,000", " 1", "1 ", "NaN", "١", "--1"],
)
def test_one_spelling_only(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        amount(text)


def test_digits_beyond_what_is_kept_are_refused_not_cut() -> None:
    assert amount("0." + "0" * 59 + "1") == 1
    with pytest.raises(ValueError, match="more than 60 digits"):
        amount("0." + "0" * 60 + "1")


def test_nothing_is_nothing() -> None:
    assert amount("") == amount("0") == 0
    assert text_of(0) == "0"


@pytest.mark.parametrize(
    ("part", "whole", "rounded"),
    [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (8, 3, 3), (7, 3, 2), (6, 3, 2), (-1, 3, 0)],
)
def test_halves_go_to_the_even_neighbour(part: int, whole: int, rounded: int) -> None:
    assert round_half_even(part, whole) == rounded
