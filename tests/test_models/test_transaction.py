"""Transactions: what they hold, what they refuse."""

from __future__ import annotations

import pickle
from datetime import datetime
from decimal import Decimal

import pytest

from backtest.errors import FieldError, FieldTypeError
from backtest.models.transaction import Transaction, TransactionType
from tests.generators import ACCOUNT, DAY, RUN, D, transaction, uid


def test_fields_may_be_given_by_position() -> None:
    made = Transaction(
        ACCOUNT, RUN, DAY, "fee", D("-1.5"), D(0), TransactionType.FEE_FILL, uid(1), uid(2), "USD"
    )
    assert (made.order_id, made.transaction_id, made.asset_code) == (uid(1), uid(2), "USD")
    assert made.available_balance_change == D("-1.5")


def test_locking_money_changes_no_total() -> None:
    assert transaction().total_balance_change == D(0)


def test_a_fee_changes_the_total() -> None:
    # -12.5 available, 0 unavailable: 12.5 less in all
    fee = transaction(available_balance_change=D("-12.5"), unavailable_balance_change=D(0))
    assert fee.total_balance_change == D("-12.5")


def test_ids_are_new_each_time_and_the_rest_is_left_out() -> None:
    one, two = transaction(), transaction()
    assert one.transaction_id != two.transaction_id
    assert (one.order_id, one.asset_code, one.entry_id, one.sequence) == (None, None, None, None)


def test_a_transaction_is_frozen() -> None:
    with pytest.raises(AttributeError):
        transaction().description = "other"  # type: ignore[misc]


@pytest.mark.parametrize("text", ["", "   "])
def test_a_description_is_needed(text: str) -> None:
    with pytest.raises(ValueError, match=r"^description cannot be empty"):
        transaction(description=text)


@pytest.mark.parametrize("field", ["available_balance_change", "unavailable_balance_change"])
@pytest.mark.parametrize("value", [1.5, "1.5", None, True])
def test_only_decimals_and_ints_are_money(field: str, value: object) -> None:
    with pytest.raises(FieldTypeError, match=rf"^{field} must be a Decimal"):
        transaction(**{field: value})


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(FieldError, match=r"^available_balance_change must be a finite number"):
        transaction(available_balance_change=Decimal(value))


def test_a_float_is_refused_with_the_way_to_mend_it() -> None:
    with pytest.raises(TypeError, match=r"write Decimal\('0.1'\)"):
        transaction(available_balance_change=0.1)


def test_an_int_becomes_an_exact_decimal() -> None:
    made = transaction(available_balance_change=-7)
    assert made.available_balance_change == D(-7)
    assert type(made.available_balance_change) is Decimal


def test_the_type_must_be_a_member() -> None:
    with pytest.raises(FieldTypeError, match=r"^transaction_type must be one of"):
        transaction(transaction_type="FEE_FILL")


def test_the_time_must_be_a_datetime_naive_or_aware() -> None:
    assert transaction(timestamp=datetime(2024, 1, 1)).timestamp.tzinfo is None
    with pytest.raises(FieldTypeError, match=r"^timestamp must be a datetime"):
        transaction(timestamp="2024-01-01")


def test_an_asset_code_is_not_empty_when_set() -> None:
    with pytest.raises(FieldError, match=r"^asset_code cannot be empty"):
        transaction(asset_code="")


def test_the_types_are_those_of_the_document() -> None:
    assert [one.name for one in TransactionType] == [
        "RESERVE_MARGIN",
        "RETURN_MARGIN",
        "FEE_CREATE",
        "FEE_FILL",
        "FEE_CLOSE",
        "FEE_CANCEL",
        "FEE_OVERNIGHT",
        "FILL_BUY",
        "FILL_SELL",
        "CLOSE_PNL",
        "SPOT_EXCHANGE",
        "ADJUSTMENT",
    ]
    assert all(one.value == one.name for one in TransactionType)


def test_a_transaction_survives_pickling() -> None:
    made = transaction(asset_code="USD")
    assert pickle.loads(pickle.dumps(made)) == made
