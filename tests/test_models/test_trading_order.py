"""Trading orders: positions, PnL worked out by hand, and the copies that replace assignment."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from backtest.errors import FieldError, FieldTypeError, InvalidTransition
from backtest.models.orders import OrderDirection, OrderStatus, TradingOrder
from tests.generators import ACCOUNT, AGENT, BROKER, DAY, RUN, D, later, trading, uid

LONG, SHORT = OrderDirection.LONG, OrderDirection.SHORT


def filled(**fields: Any) -> TradingOrder:
    return trading(**fields).create_filled_copy(later(1), D(50_000), margin_reserved=D(50_000))


def test_fields_may_be_given_by_position() -> None:
    order = TradingOrder(
        "BTCUSD", SHORT, D(3), DAY, D(100), AGENT, ACCOUNT, BROKER, RUN, OrderStatus.PENDING
    )
    assert (order.direction, order.volume, order.create_price) == (SHORT, D(3), D(100))
    assert (order.agent_id, order.account_id, order.broker_id) == (AGENT, ACCOUNT, BROKER)


def test_the_defaults_are_those_of_a_plain_order() -> None:
    order = TradingOrder("BTCUSD", LONG, D(1), DAY, D(100), AGENT, ACCOUNT, BROKER, RUN)
    assert order.status is OrderStatus.PENDING
    assert (order.leverage, order.contract_size, order.order_number) == (D(1), D(1), 0)
    assert (order.total_fees, order.margin_reserved, order.reserved) == (D(0), D(0), D(0))
    assert (order.gross_pnl, order.net_pnl, order.closing_reason) == (None, None, None)
    assert order.is_market_order


def test_root_and_branch_are_its_own_without_a_parent() -> None:
    order = trading()
    assert order.root_order_id == order.root_id == order.branch_id == order.id
    assert order.parent_order_id is order.parent_id is None


def test_the_family_has_the_names_of_a_spot_order_too() -> None:
    child = trading(parent_order_id=uid(1), root_order_id=uid(2), branch_id=uid(3))
    assert (child.parent_id, child.root_id, child.branch_id) == (uid(1), uid(2), uid(3))


def test_pending_and_filled_are_active_and_the_rest_is_not() -> None:
    active = {status for status in OrderStatus if trading(status=status).is_active}
    assert active == {OrderStatus.PENDING, OrderStatus.FILLED}


def test_filling_opens_a_position() -> None:
    position = trading(reserved=D(52_500)).create_filled_copy(
        later(1), D(50_000), fees_on_fill=D(50), margin_reserved=D(50_000)
    )
    assert position.is_filled
    assert (position.fill_volume, position.remaining_volume) == (D(10), D(0))
    assert (position.fees_on_fill, position.margin_reserved) == (D(50), D(50_000))
    assert position.reserved == D(0)


def test_filling_without_fees_or_margin_keeps_what_the_order_has() -> None:
    position = trading(fees_on_fill=D(1), margin_reserved=D(2)).create_filled_copy(
        later(1), D(50_000), D(4)
    )
    assert (position.fees_on_fill, position.margin_reserved) == (D(1), D(2))
    assert position.remaining_volume == D(6)


@pytest.mark.parametrize(
    ("direction", "close", "gross"),
    [
        (LONG, D(51_000), D(10_000)),  # (51000 - 50000) * 10
        (LONG, D(49_500), D(-5_000)),
        (SHORT, D(51_000), D(-10_000)),
        (SHORT, D("49999.5"), D(5)),
    ],
)
def test_gross_pnl_follows_price_and_side(
    direction: OrderDirection, close: Decimal, gross: Decimal
) -> None:
    closed = filled(direction=direction).create_closed_copy(later(2), close)
    assert closed.is_closed
    assert (closed.gross_pnl, closed.net_pnl) == (gross, gross)
    assert (closed.close_price, closed.close_timestamp) == (close, later(2))


def test_net_pnl_is_gross_less_every_fee() -> None:
    position = trading(fees_on_create=D(1)).create_filled_copy(later(1), D(100), fees_on_fill=D(2))
    charged = position.create_with_overnight_fees(D(4)).create_with_overnight_fees(D("-0.5"))
    closed = charged.create_closed_copy(later(2), D(110), fees_on_close=D(8))
    # gross (110 - 100) * 10 = 100; fees 1 + 2 + 3.5 + 8 = 14.5
    assert closed.gross_pnl == D(100)
    assert closed.total_fees == D("14.5")
    assert closed.net_pnl == D("85.5")


def test_pnl_counts_the_filled_volume_and_the_contract_size() -> None:
    part = trading(contract_size=D("0.1")).create_filled_copy(later(1), D(100), D(4))
    # (103 - 100) * 4 * 0.1 = 1.2
    assert part.create_closed_copy(later(2), D(103)).gross_pnl == D("1.2")


def test_cancelling_takes_all_that_remains() -> None:
    cancelled = trading(reserved=D(9)).create_cancelled_copy(later(2), fees_on_cancel=D(3))
    assert cancelled.is_cancelled
    assert (cancelled.cancel_volume, cancelled.remaining_volume) == (D(10), D(0))
    assert (cancelled.total_fees, cancelled.reserved) == (D(3), D(0))


def test_cancelling_without_a_fee_keeps_what_was_charged() -> None:
    assert trading(fees_on_cancel=D(2)).create_cancelled_copy(later(2)).total_fees == D(2)


def test_overnight_fees_add_up_on_pending_orders_too() -> None:
    order = trading().create_with_overnight_fees(D(2)).create_with_overnight_fees(D(3))
    assert order.is_pending
    assert order.fees_on_overnight == D(5)


def test_a_position_can_be_replaced() -> None:
    assert filled().create_replaced_copy(later(3)).is_replaced


def test_forbidden_transitions_are_refused_and_change_nothing() -> None:
    pending, position = trading(), filled()
    closed = position.create_closed_copy(later(2), D(1))
    acts: list[Callable[[], object]] = [
        lambda: pending.create_closed_copy(later(1), D(1)),
        lambda: position.create_filled_copy(later(1), D(1)),
        lambda: position.create_cancelled_copy(later(1)),
        lambda: closed.create_closed_copy(later(1), D(1)),
        lambda: closed.create_with_overnight_fees(D(1)),
        lambda: closed.create_replaced_copy(later(1)),
        lambda: closed.create_cancelled_copy(later(1)),
    ]
    for act in acts:
        before = (dict(pending.__dict__), dict(position.__dict__), dict(closed.__dict__))
        with pytest.raises(InvalidTransition, match="cannot"):
            act()
        assert before == (pending.__dict__, position.__dict__, closed.__dict__)


def test_a_position_without_a_fill_price_cannot_close() -> None:
    with pytest.raises(FieldError, match=r"^fill_price must be set"):
        trading(status=OrderStatus.FILLED).create_closed_copy(later(1), D(1))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("trading_pair_code", "", "trading_pair_code cannot be empty"),
        ("volume", D(0), "volume must be positive"),
        ("create_price", D(0), "create_price must be positive"),
        ("leverage", D(0), "leverage must be positive"),
        ("contract_size", D(0), "contract_size must be positive"),
        ("limit_price", D(-1), "limit_price must be positive if set"),
        ("stop_loss", D(0), "stop_loss must be positive if set"),
        ("take_profit", D(0), "take_profit must be positive if set"),
        ("fees_on_create", D(-1), "fees_on_create must be non-negative"),
        ("fees_on_cancel", D(-1), "fees_on_cancel must be non-negative"),
        ("margin_reserved", D(-1), "margin_reserved must be non-negative"),
        ("order_number", -1, "order_number must be non-negative"),
    ],
)
def test_values_that_cannot_be_are_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        trading(**{field: value})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "field", ["volume", "create_price", "leverage", "stop_loss", "gross_pnl", "fees_on_overnight"]
)
def test_floats_are_refused_everywhere(field: str) -> None:
    with pytest.raises(FieldTypeError, match=f"^{field} must be a Decimal, not the float"):
        trading(**{field: 1.5})


def test_the_copies_check_their_arguments() -> None:
    with pytest.raises(FieldError, match=r"^fill_price must be positive"):
        trading().create_filled_copy(later(1), D(0))
    with pytest.raises(FieldError, match=r"^margin_reserved must be non-negative"):
        trading().create_filled_copy(later(1), D(1), margin_reserved=D(-1))
    with pytest.raises(FieldTypeError, match=r"^close_price must be a Decimal"):
        filled().create_closed_copy(later(1), 1.0)  # type: ignore[arg-type]
    with pytest.raises(FieldTypeError, match=r"^close_timestamp must be a datetime"):
        filled().create_closed_copy(None, D(1))  # type: ignore[arg-type]
    with pytest.raises(FieldError, match=r"^fees_on_cancel must be non-negative"):
        trading().create_cancelled_copy(later(1), D(-1))
    with pytest.raises(FieldTypeError, match=r"^fees must be a Decimal"):
        trading().create_with_overnight_fees(0.5)  # type: ignore[arg-type]


def test_a_trading_order_is_frozen() -> None:
    order = trading()
    with pytest.raises(AttributeError):
        order.status = OrderStatus.FILLED  # type: ignore[misc]
    assert order.is_pending
