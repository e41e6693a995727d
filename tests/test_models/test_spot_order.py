"""Spot orders: fields, questions, and the copies that replace assignment."""

from __future__ import annotations

import pickle
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from backtest.errors import FieldError, FieldTypeError, InvalidTransition
from backtest.models.orders import OrderDirection, OrderStatus
from backtest.models.spot_order import SpotOrder
from tests.generators import ACCOUNT, AGENT, BROKER, DAY, RUN, D, later, spot, uid


def test_fields_may_be_given_by_position() -> None:
    order = SpotOrder(
        BROKER,
        "BTCUSD",
        AGENT,
        ACCOUNT,
        RUN,
        7,
        OrderDirection.SHORT,
        OrderStatus.PENDING,
        DAY,
        D(2),
        D(100),
        uid(1),
        uid(2),
        uid(3),
    )
    assert (order.order_number, order.volume, order.limit_price) == (7, D(2), D(100))
    assert (order.id, order.parent_id, order.root_id) == (uid(1), uid(2), uid(3))


def test_without_a_parent_an_order_is_root_and_first_of_its_branch() -> None:
    order = spot()
    assert order.root_id == order.branch_id == order.id
    assert order.parent_id is None


def test_with_a_parent_root_and_branch_are_as_given() -> None:
    child = spot(parent_id=uid(1), root_id=uid(2), branch_id=uid(3))
    assert (child.parent_id, child.root_id, child.branch_id) == (uid(1), uid(2), uid(3))


def test_with_a_parent_alone_the_parent_is_taken_for_the_root() -> None:
    child = spot(parent_id=uid(1))
    assert (child.root_id, child.branch_id) == (uid(1), uid(1))


def test_a_new_order_is_pending_and_active_and_owes_nothing() -> None:
    order = spot()
    assert order.is_pending
    assert order.is_active
    assert not order.is_filled
    assert not order.is_cancelled
    assert not order.is_replaced
    assert order.total_fees == D(0)
    assert order.remaining_volume == D("1.5")


@pytest.mark.parametrize(
    ("prices", "market", "limit", "stop"),
    [
        ({"limit_price": None}, True, False, False),
        ({"limit_price": D(1)}, False, True, False),
        ({"limit_price": None, "stop_price": D(1)}, False, False, True),
        ({"limit_price": D(1), "stop_price": D(1)}, False, True, True),
    ],
)
def test_the_prices_say_what_kind_it_is(
    prices: dict[str, Any], market: bool, limit: bool, stop: bool
) -> None:
    order = spot(**prices)
    assert (order.is_market_order, order.is_limit_order, order.is_stop_order) == (
        market,
        limit,
        stop,
    )


def test_a_whole_fill_keeps_the_id_and_leaves_nothing() -> None:
    order = spot(reserved=D(75_000))
    filled = order.create_filled_copy(later(1), D(49_000), fee_fill=D("37.50"))
    assert filled.id == order.id
    assert filled.status is OrderStatus.FILLED
    assert (filled.fill_volume, filled.remaining_volume) == (D("1.5"), D(0))
    assert (filled.fill_timestamp, filled.fill_price) == (later(1), D(49_000))
    assert (filled.total_fees, filled.reserved) == (D("37.50"), D(0))
    assert order.is_pending  # the original is as it was
    assert order.reserved == D(75_000)


def test_a_partial_fill_leaves_the_rest() -> None:
    part = spot().create_filled_copy(later(1), D(50_000), D("1.0"), D(25))
    assert part.is_filled
    assert part.remaining_volume == D("0.5")


def test_a_rebate_is_a_negative_fill_fee() -> None:
    filled = spot(fee_create=D(3)).create_filled_copy(later(1), D(50_000), fee_fill=D(-1))
    assert filled.total_fees == D(2)


def test_cancelling_takes_all_that_remains() -> None:
    cancelled = spot().create_cancelled_copy(later(2), fee_cancel=D("0.5"))
    assert cancelled.is_cancelled
    assert not cancelled.is_active
    assert (cancelled.cancel_volume, cancelled.remaining_volume) == (D("1.5"), D(0))
    assert (cancelled.cancel_timestamp, cancelled.total_fees) == (later(2), D("0.5"))


def test_cancelling_a_part_leaves_the_rest() -> None:
    assert spot().create_cancelled_copy(later(2), D(1)).remaining_volume == D("0.5")


def test_a_replaced_copy_is_final() -> None:
    parent = spot(reserved=D(5)).create_replaced_copy(later(3))
    assert parent.is_replaced
    assert (parent.replaced_timestamp, parent.reserved) == (later(3), D(0))
    with pytest.raises(InvalidTransition):
        parent.create_replaced_copy(later(4))


@pytest.mark.parametrize("status", ["FILLED", "CANCELLED", "CLOSED", "REPLACED"])
def test_what_is_not_pending_neither_fills_nor_cancels(status: str) -> None:
    order = spot(status=OrderStatus[status])
    with pytest.raises(ValueError, match=f"is {status}: cannot fill it"):
        order.create_filled_copy(later(1), D(1))
    with pytest.raises(ValueError, match=f"is {status}: cannot cancel it"):
        order.create_cancelled_copy(later(1))


@pytest.mark.parametrize("volume", [D(0), D(-1)])
def test_nothing_cannot_be_filled_or_cancelled(volume: Decimal) -> None:
    with pytest.raises(FieldError, match=r"^fill_volume must be positive"):
        spot().create_filled_copy(later(1), D(1), volume)
    with pytest.raises(FieldError, match=r"^cancel_volume must be positive"):
        spot().create_cancelled_copy(later(1), volume)


def test_more_than_remains_cannot_be_filled_or_cancelled() -> None:
    with pytest.raises(FieldError, match=r"^fill_volume must not exceed the remaining volume 1.5"):
        spot().create_filled_copy(later(1), D(1), D("1.50000001"))
    with pytest.raises(FieldError, match=r"^cancel_volume must not exceed the remaining"):
        spot().create_cancelled_copy(later(1), D(2))


def test_a_pending_order_with_nothing_left_cannot_fill() -> None:
    done = spot(fill_volume=D("1.5"))
    with pytest.raises(FieldError, match="nothing remains"):
        done.create_filled_copy(later(1), D(1))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"fill_price": D(0)}, "fill_price"),
        ({"fill_price": 1.5}, "fill_price"),
        ({"fill_volume": 0.5}, "fill_volume"),
        ({"fee_fill": 0.5}, "fee_fill"),
        ({"fee_fill": D("NaN")}, "fee_fill"),
        ({"fill_timestamp": "now"}, "fill_timestamp"),
    ],
)
def test_a_filled_copy_checks_its_arguments(arguments: dict[str, Any], field: str) -> None:
    good: dict[str, Any] = {"fill_timestamp": later(1), "fill_price": D(1)}
    with pytest.raises((FieldError, FieldTypeError), match=f"^{field} "):
        spot().create_filled_copy(**(good | arguments))


def test_a_cancelled_copy_checks_its_fee_and_time() -> None:
    with pytest.raises(FieldError, match=r"^fee_cancel must be non-negative"):
        spot().create_cancelled_copy(later(1), fee_cancel=D(-1))
    with pytest.raises(FieldTypeError, match=r"^cancel_timestamp must be a datetime"):
        spot().create_cancelled_copy(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("trading_pair_code", "", "trading_pair_code cannot be empty"),
        ("trading_pair_code", " ", "trading_pair_code cannot be empty"),
        ("volume", D(0), "volume must be positive"),
        ("volume", D(-1), "volume must be positive"),
        ("limit_price", D(0), "limit_price must be positive if set"),
        ("limit_price", D(-5), "limit_price must be positive if set"),
        ("stop_price", D(0), "stop_price must be positive if set"),
        ("order_number", -1, "order_number must be non-negative"),
        ("fee_create", D(-1), "fee_create must be non-negative"),
        ("fee_cancel", D(-1), "fee_cancel must be non-negative"),
        ("fill_volume", D(-1), "fill_volume must be non-negative"),
        ("fill_volume", D(2), "fill_volume must not exceed volume 1.5, but is 2"),
        ("cancel_volume", D(2), "cancel_volume must not exceed what is not filled, but is 2"),
        ("reserved", D(-1), "reserved must be non-negative"),
        ("volume", Decimal("Infinity"), "volume must be a finite number, not Infinity"),
    ],
)
def test_values_that_cannot_be_are_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(FieldError) as caught:
        spot(**{field: value})
    assert str(caught.value) == message
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("volume", 1.5),
        ("volume", "1.5"),
        ("volume", None),
        ("limit_price", 50_000.0),
        ("trading_pair_code", 5),
        ("order_number", 1.0),
        ("order_number", True),
        ("direction", "LONG"),
        ("status", "PENDING"),
        ("create_timestamp", 0),
        ("fill_timestamp", 0),
    ],
)
def test_types_that_cannot_be_are_refused(field: str, value: object) -> None:
    with pytest.raises(FieldTypeError, match=f"^{field} must be"):
        spot(**{field: value})


def test_naive_times_are_taken_as_given() -> None:
    naive = datetime(2024, 1, 1)
    assert spot(create_timestamp=naive).create_timestamp is naive


@pytest.mark.parametrize("field", ["status", "volume", "limit_price", "id", "new_field"])
def test_an_order_is_frozen(field: str) -> None:
    order = spot()
    with pytest.raises(AttributeError):
        setattr(order, field, None)


def test_an_order_survives_pickling_and_can_be_in_a_set() -> None:
    order = spot(id=uid(1))
    assert pickle.loads(pickle.dumps(order)) == order
    assert len({order, spot(id=uid(1))}) == 1
