"""Balances: totals, utilization, and that they never fall below zero."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backtest.errors import FieldError, FieldTypeError
from backtest.models.balance import Balance
from tests.generators import ACCOUNT, DAY, RUN, D, balance, uid


def test_fields_may_be_given_by_position() -> None:
    made = Balance(ACCOUNT, RUN, DAY, D(1), D(2), uid(3), "BTC")
    assert (made.balance_id, made.asset_code) == (uid(3), "BTC")


def test_total_is_available_and_unavailable() -> None:
    assert balance().total_balance == D(100_000)


def test_utilization_is_the_locked_share_in_percent() -> None:
    # 5000 of 100000 is 5 %
    assert balance().utilization_rate == D(5)
    # 1 of 8 is 12.5 %
    eighth = balance(available_balance=D(7), unavailable_balance=D(1))
    assert eighth.utilization_rate == D("12.5")


def test_utilization_of_nothing_is_zero() -> None:
    empty = balance(available_balance=D(0), unavailable_balance=D(0))
    assert empty.utilization_rate == D(0)


@pytest.mark.parametrize("field", ["available_balance", "unavailable_balance"])
def test_neither_part_can_be_negative(field: str) -> None:
    with pytest.raises(ValueError, match=rf"^{field} cannot be negative$"):
        balance(**{field: D("-0.01")})


@pytest.mark.parametrize("field", ["available_balance", "unavailable_balance"])
def test_floats_and_nan_are_refused(field: str) -> None:
    with pytest.raises(FieldTypeError, match=rf"^{field} must be a Decimal"):
        balance(**{field: 1.0})
    with pytest.raises(FieldError, match=rf"^{field} must be a finite number"):
        balance(**{field: Decimal("NaN")})


def test_a_balance_is_frozen_and_has_an_id_of_its_own() -> None:
    made = balance()
    with pytest.raises(AttributeError):
        made.available_balance -= D(100)  # type: ignore[misc]
    assert made.available_balance == D(95_000)
    assert made.balance_id != balance().balance_id


def test_an_asset_code_is_not_empty_when_set() -> None:
    with pytest.raises(FieldError, match=r"^asset_code cannot be empty"):
        balance(asset_code=" ")
