"""Order operations, worked out by hand; the life-cycle for every operation and status."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest

from backtest.errors import FieldError, InvalidTransition, OrderRejected, RejectReason
from backtest.models import OrderDirection, OrderStatus, SpotOrder, TradingOrder
from backtest.services.orders.operations import (
    SPOT_LIFECYCLE,
    TRADING_LIFECYCLE,
    OrderStep,
    apportion,
    cancel,
    close,
    create_spot,
    create_trading,
    fill,
    modify,
    split,
)
from tests.generators import ACCOUNT, AGENT, BROKER, DAY, RUN, D, later, spot, trading, uid

CENT = D("0.01")
REQUESTED = RejectReason.REQUESTED


def fill_all(order: Any) -> Any:
    return fill(order, at=later(1), price=D(50_000), volume=order.volume, fee=D(1)).filled


def position(**fields: Any) -> TradingOrder:
    """10 long at 50000; margin 50000, fees 10 at create, 7.77 at fill, 1 overnight."""
    order = trading(id=uid(1), fees_on_create=D(10), **fields)
    filled = fill(
        order, at=later(1), price=D(50_000), volume=D(10), fee=D("7.77"), margin=D(50_000)
    ).filled
    return filled.create_with_overnight_fees(D(1))


# -- create ------------------------------------------------------------------------------------


def test_a_created_spot_order_equals_one_made_by_hand() -> None:
    made = create_spot(
        id=uid(1),
        order_number=1,
        at=DAY,
        pair="BTCUSD",
        direction=OrderDirection.LONG,
        volume=D("1.5"),
        agent_id=AGENT,
        account_id=ACCOUNT,
        broker_id=BROKER,
        run_id=RUN,
        limit_price=D(50_000),
        reserved=D(75_000),
        fee=D(2),
    )
    assert made == spot(id=uid(1), reserved=D(75_000), fee_create=D(2))
    assert list(made.__dict__) == [one.name for one in attrs.fields(SpotOrder)]


def test_a_created_trading_order_equals_one_made_by_hand() -> None:
    made = create_trading(
        id=uid(1),
        order_number=4,
        at=DAY,
        pair="BTCUSD",
        direction=OrderDirection.LONG,
        volume=D(10),
        price=D(50_000),
        agent_id=AGENT,
        account_id=ACCOUNT,
        broker_id=BROKER,
        run_id=RUN,
        leverage=D(10),
        stop_loss=D(48_000),
    )
    assert made == trading(id=uid(1), order_number=4, stop_loss=D(48_000))
    assert list(made.__dict__) == [one.name for one in attrs.fields(TradingOrder)]


# -- apportion ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "part", "whole", "step", "share", "rest"),
    [
        ("10", "1", "3", "0.01", "3.33", "6.67"),  # 3.3333
        ("10", "2", "3", "0.01", "6.67", "3.33"),  # 6.6667
        ("0.05", "1", "2", "0.01", "0.02", "0.03"),  # 0.025: half to the even 0.02
        ("0.07", "1", "2", "0.01", "0.04", "0.03"),  # 0.035: half to the even 0.04
        ("-0.05", "1", "2", "0.01", "-0.02", "-0.03"),  # a rebate, likewise
        ("0", "1", "2", "0.01", "0", "0"),
        ("0.018", "9", "10", "0.01", "0.018", "0"),  # 0.0162 rounds to 0.02, past the amount
        ("1.005", "3", "3", "0.01", "1.005", "0"),  # all of it: not rounded
    ],
)
def test_a_share_is_rounded_half_even_and_the_rest_takes_the_remainder(
    amount: str, part: str, whole: str, step: str, share: str, rest: str
) -> None:
    assert apportion(D(amount), D(part), D(whole), D(step)) == (D(share), D(rest))


def test_without_a_step_the_amounts_own_last_digit_counts() -> None:
    assert apportion(D("0.10"), D(1), D(3)) == (D("0.03"), D("0.07"))
    assert apportion(D("1E+2"), D(1), D(3)) == (D(33), D(67))


# -- fill --------------------------------------------------------------------------------------


def test_a_whole_fill_leaves_nothing() -> None:
    order = spot(id=uid(1), reserved=D(75_100), fee_create=D(3))
    filled, leaves = fill(order, at=later(1), price=D(49_000), volume=D("1.5"), fee=D("36.75"))
    assert leaves is None
    assert filled == attrs.evolve(
        order,
        status=OrderStatus.FILLED,
        fill_timestamp=later(1),
        fill_price=D(49_000),
        fill_volume=D("1.5"),
        fee_fill=D("36.75"),
        reserved=D(0),
    )


def test_a_partial_fill_keeps_the_id_and_the_leaves_live_on() -> None:
    order = spot(id=uid(1), reserved=D(75_000), fee_create=D("1.00"), order_number=8)
    filled, leaves = fill(
        order,
        at=later(1),
        price=D(49_000),
        volume=D("0.5"),
        fee=D(12),
        leaves_id=uid(2),
        reserved_left=D(50_000),
        step=CENT,
    )
    assert (filled.id, filled.status, filled.volume) == (uid(1), OrderStatus.FILLED, D("0.5"))
    assert (filled.fill_volume, filled.remaining_volume, filled.reserved) == (
        D("0.5"),
        D(0),
        D(0),
    )
    # create fee 1.00 * 0.5 / 1.5 = 0.333: 0.33 with the part, 0.67 with the leaves
    assert (filled.fee_create, filled.fee_fill) == (D("0.33"), D(12))
    assert leaves == attrs.evolve(
        order,
        id=uid(2),
        parent_id=uid(1),
        volume=D("1.0"),
        reserved=D(50_000),
        fee_create=D("0.67"),
    )
    assert (leaves.root_id, leaves.branch_id, leaves.order_number) == (uid(1), uid(1), 8)


def test_a_position_opens_with_its_margin_and_the_leaves_keep_protection() -> None:
    order = trading(id=uid(1), stop_loss=D(48_000), fees_on_overnight=D("0.30"), reserved=D(9))
    filled, leaves = fill(
        order,
        at=later(1),
        price=D(50_000),
        volume=D(4),
        fee=D(2),
        leaves_id=uid(2),
        margin=D(20_000),
        reserved_left=D(5),
    )
    assert leaves is not None
    assert (filled.margin_reserved, filled.fees_on_fill, filled.reserved) == (
        D(20_000),
        D(2),
        D(0),
    )
    # overnight fees 0.30 * 4 / 10 = 0.12 while it waited
    assert (filled.fees_on_overnight, leaves.fees_on_overnight) == (D("0.12"), D("0.18"))
    assert (leaves.parent_order_id, leaves.root_order_id) == (uid(1), uid(1))
    assert (leaves.volume, leaves.reserved, leaves.stop_loss) == (D(6), D(5), D(48_000))
    assert leaves.is_pending


@pytest.mark.parametrize("volume", [D(0), D(-1), D("1.51")])
def test_a_fill_is_a_part_of_the_order(volume: Decimal) -> None:
    with pytest.raises(FieldError, match=r"^volume must be positive and at most 1.5"):
        fill(spot(), at=later(1), price=D(1), volume=volume, fee=D(0), leaves_id=uid(2))


def test_a_rest_needs_an_id() -> None:
    with pytest.raises(FieldError, match=r"^leaves_id must be given"):
        fill(spot(), at=later(1), price=D(1), volume=D(1), fee=D(0))


# -- cancel ------------------------------------------------------------------------------------


def test_a_whole_cancel_says_why() -> None:
    order = spot(id=uid(1), reserved=D(75_000))
    cancelled, leaves = cancel(
        order, at=later(2), fee=D("0.5"), reason=RejectReason.INSUFFICIENT_FUNDS
    )
    assert leaves is None
    assert (cancelled.id, cancelled.status) == (uid(1), OrderStatus.CANCELLED)
    assert (cancelled.cancel_volume, cancelled.remaining_volume) == (D("1.5"), D(0))
    assert (cancelled.fee_cancel, cancelled.reserved) == (D("0.5"), D(0))
    assert (cancelled.cancel_timestamp, cancelled.end_reason) == (
        later(2),
        "INSUFFICIENT_FUNDS",
    )


def test_a_partial_cancel_keeps_the_id_and_the_leaves_live_on() -> None:
    order = trading(id=uid(1), fees_on_create=D("0.10"), reserved=D(100))
    cancelled, leaves = cancel(
        order,
        at=later(2),
        volume=D(3),
        leaves_id=uid(2),
        fee=D(1),
        reason=REQUESTED,
        reserved_left=D(70),
        step=CENT,
    )
    assert leaves is not None
    assert (cancelled.volume, cancelled.cancel_volume, cancelled.fees_on_cancel) == (
        D(3),
        D(3),
        D(1),
    )
    assert (cancelled.fees_on_create, leaves.fees_on_create) == (D("0.03"), D("0.07"))
    assert (leaves.id, leaves.parent_id, leaves.branch_id) == (uid(2), uid(1), uid(1))
    assert (leaves.volume, leaves.reserved, leaves.end_reason) == (D(7), D(70), None)


def test_cancelling_all_by_volume_leaves_nothing() -> None:
    both = cancel(spot(), at=later(2), volume=D("1.50"), fee=D(0), reason=REQUESTED)
    assert both.leaves is None


# -- modify ------------------------------------------------------------------------------------


def test_a_modified_order_is_replaced_by_a_child_of_its_branch() -> None:
    order = spot(id=uid(1), reserved=D(75_000), fee_create=D(3), branch_id=uid(9))
    replaced, child = modify(
        order,
        at=later(3),
        new_id=uid(2),
        leaves=D(2),
        changes={"limit_price": D(51_000)},
        reserved=D(102_000),
        fee=D(1),
    )
    assert (replaced.id, replaced.status, replaced.reserved) == (
        uid(1),
        OrderStatus.REPLACED,
        D(0),
    )
    assert (replaced.replaced_timestamp, replaced.end_reason) == (later(3), "REQUESTED")
    assert child == attrs.evolve(
        order,
        id=uid(2),
        parent_id=uid(1),
        volume=D(2),
        limit_price=D(51_000),
        reserved=D(102_000),
        fee_create=D(4),
    )


def test_protection_of_a_position_changes_and_the_position_stays_open() -> None:
    held = position(stop_loss=D(48_000), take_profit=D(60_000))
    replaced, child = modify(
        held,
        at=later(3),
        new_id=uid(2),
        changes={"stop_loss": D(49_000), "take_profit": None},
        reserved=D(5),
    )
    assert replaced.is_replaced
    assert child == attrs.evolve(
        held,
        id=uid(2),
        parent_order_id=uid(1),
        stop_loss=D(49_000),
        take_profit=None,
    )
    assert child.is_filled
    assert child.reserved == D(0)  # a position reserves nothing: it holds margin


@pytest.mark.parametrize(
    ("order", "arguments", "reason"),
    [
        (spot(), {"leaves": D(0), "changes": {}}, RejectReason.INVALID_VOLUME),
        (spot(), {"changes": {"leverage": D(1)}}, RejectReason.INVALID_ACTION),
        (trading(), {"changes": {"leverage": D(1)}}, RejectReason.INVALID_ACTION),
        (position(), {"changes": {"limit_price": D(1)}}, RejectReason.INVALID_ACTION),
        (position(), {"leaves": D(9), "changes": {}}, RejectReason.INVALID_ACTION),
    ],
)
def test_what_cannot_be_modified_is_rejected(
    order: SpotOrder | TradingOrder, arguments: dict[str, Any], reason: RejectReason
) -> None:
    with pytest.raises(OrderRejected) as caught:
        modify(order, at=later(3), new_id=uid(2), **arguments)
    assert caught.value.reason is reason
    assert caught.value.order_id == order.branch_id


# -- split -------------------------------------------------------------------------------------


def test_a_pending_order_splits_exactly() -> None:
    order = spot(id=uid(1), reserved=D("100.01"), fee_create=D("0.10"))
    replaced, parts = split(
        order,
        at=later(4),
        volumes=[D("0.5"), D("0.5"), D("0.5")],
        ids=[uid(2), uid(3), uid(4)],
        limit_prices=[D(49_000), None, D(51_000)],
        step=CENT,
    )
    assert replaced.is_replaced
    # reserve: 100.01 / 3 = 33.337 -> 33.34; 66.67 / 2 = 33.335 -> 33.34 (even); the rest 33.33
    assert [part.reserved for part in parts] == [D("33.34"), D("33.34"), D("33.33")]
    # create fee: 0.10 / 3 = 0.033 -> 0.03; 0.07 / 2 = 0.035 -> 0.04 (even); the rest 0.03
    assert [part.fee_create for part in parts] == [D("0.03"), D("0.04"), D("0.03")]
    assert [part.limit_price for part in parts] == [D(49_000), D(50_000), D(51_000)]
    for part, id in zip(parts, (uid(2), uid(3), uid(4)), strict=True):
        assert (part.id, part.branch_id, part.root_id, part.parent_id) == (id, id, uid(1), uid(1))
        assert part.is_pending


def test_the_reserve_of_a_sell_goes_with_the_volume() -> None:
    # 1.5 base is held for 1.5 base: a step of cents has no say in it
    order = spot(direction=OrderDirection.SHORT, reserved=D("1.5"))
    parts = split(
        order, at=later(4), volumes=[D("0.333"), D("1.167")], ids=[uid(2), uid(3)], step=CENT
    ).parts
    assert [part.reserved for part in parts] == [D("0.333"), D("1.167")]


def test_reserves_may_be_given() -> None:
    parts = split(
        spot(reserved=D(9)),
        at=later(4),
        volumes=[D(1), D("0.5")],
        ids=[uid(2), uid(3)],
        reserves=[D(7), D(4)],
    ).parts
    assert [part.reserved for part in parts] == [D(7), D(4)]


def test_a_position_splits_into_positions() -> None:
    held = position(stop_loss=D(48_000), take_profit=D(60_000))
    replaced, (small, large) = split(
        held, at=later(4), volumes=[D(3), D(7)], ids=[uid(2), uid(3)], step=CENT
    )
    assert replaced.is_replaced
    for part in (small, large):
        assert part.is_filled
        assert part.fill_volume == part.volume
        assert (part.stop_loss, part.take_profit) == (D(48_000), D(60_000))
        assert (part.fill_price, part.fill_timestamp) == (D(50_000), later(1))
    assert (small.margin_reserved, large.margin_reserved) == (D(15_000), D(35_000))
    # fill fee 7.77 * 0.3 = 2.331
    assert (small.fees_on_fill, large.fees_on_fill) == (D("2.33"), D("5.44"))
    assert (small.fees_on_overnight, large.fees_on_overnight) == (D("0.30"), D("0.70"))
    assert small.total_fees + large.total_fees == held.total_fees


@pytest.mark.parametrize(
    ("volumes", "reason"),
    [
        ([], RejectReason.INVALID_VOLUME),
        ([D("1.5")], RejectReason.INVALID_VOLUME),
        ([D("1.5"), D(0)], RejectReason.INVALID_VOLUME),
        ([D(2), D("-0.5")], RejectReason.INVALID_VOLUME),
        ([D(1), D("0.49")], RejectReason.STALE),
        ([D(1), D("0.51")], RejectReason.STALE),
    ],
)
def test_volumes_that_do_not_make_up_the_order_are_rejected(
    volumes: list[Decimal], reason: RejectReason
) -> None:
    order = spot()
    before = dict(order.__dict__)
    with pytest.raises(OrderRejected) as caught:
        split(order, at=later(4), volumes=volumes, ids=[uid(n) for n, _ in enumerate(volumes)])
    assert caught.value.reason is reason
    assert order.__dict__ == before


def test_the_lists_of_a_split_are_as_long_as_its_volumes() -> None:
    halves = [D("0.75"), D("0.75")]
    with pytest.raises(FieldError, match=r"^ids must be one per part"):
        split(spot(), at=later(4), volumes=halves, ids=[uid(2)])
    with pytest.raises(FieldError, match=r"^reserves must be one per part"):
        split(spot(), at=later(4), volumes=halves, ids=[uid(2), uid(3)], reserves=[D(1)])
    with pytest.raises(OrderRejected, match="INVALID_PRICE"):
        split(spot(), at=later(4), volumes=halves, ids=[uid(2), uid(3)], limit_prices=[D(1)])


def test_parts_of_a_position_have_no_limit_prices() -> None:
    with pytest.raises(OrderRejected, match="INVALID_ACTION"):
        split(
            position(),
            at=later(4),
            volumes=[D(5), D(5)],
            ids=[uid(2), uid(3)],
            limit_prices=[D(1), D(1)],
        )


# -- close -------------------------------------------------------------------------------------


def test_a_whole_close_books_the_pnl_less_all_fees() -> None:
    closed, rest = close(
        position(),
        at=later(5),
        price=D(50_100),
        volume=D(10),
        fee=D(8),
        pnl=D(1_000),
        closing_reason="take_profit",
    )
    assert rest is None
    assert (closed.id, closed.status) == (uid(1), OrderStatus.CLOSED)
    assert (closed.close_timestamp, closed.close_price) == (later(5), D(50_100))
    assert closed.closing_reason == "take_profit"
    # 1000 - (10 + 7.77 + 8 + 1)
    assert (closed.gross_pnl, closed.net_pnl) == (D(1_000), D("973.23"))


def test_a_partial_close_keeps_the_id_and_the_rest_stays_open() -> None:
    held = position(take_profit=D(60_000))
    closed, rest = close(
        held,
        at=later(5),
        price=D(50_100),
        volume=D(3),
        fee=D(2),
        pnl=D(300),
        rest_id=uid(2),
        closing_reason="close",
        step=CENT,
    )
    assert rest is not None
    assert (closed.id, closed.volume, closed.fill_volume) == (uid(1), D(3), D(3))
    assert (closed.margin_reserved, rest.margin_reserved) == (D(15_000), D(35_000))
    # of 10, 7.77 and 1: 3.00, 2.33 (2.331) and 0.30; net 300 - 3 - 2.33 - 0.30 - 2
    assert closed.net_pnl == D("292.37")
    assert (rest.fees_on_create, rest.fees_on_fill, rest.fees_on_overnight) == (
        D(7),
        D("5.44"),
        D("0.7"),
    )
    assert rest == attrs.evolve(
        held,
        id=uid(2),
        parent_order_id=uid(1),
        volume=D(7),
        fill_volume=D(7),
        margin_reserved=D(35_000),
        fees_on_create=D(7),
        fees_on_fill=D("5.44"),
        fees_on_overnight=D("0.7"),
    )


@pytest.mark.parametrize("volume", [D(0), D(11)])
def test_a_close_is_a_part_of_the_position(volume: Decimal) -> None:
    with pytest.raises(FieldError, match=r"^volume must be positive and at most 10"):
        close(
            position(),
            at=later(5),
            price=D(1),
            volume=volume,
            fee=D(0),
            pnl=D(0),
            rest_id=uid(2),
            closing_reason="close",
        )


# -- the life-cycle ----------------------------------------------------------------------------

HALVES = {"ids": [uid(2), uid(3)]}

OPERATIONS: dict[OrderStep, Callable[[Any], Any]] = {
    OrderStep.FILL: fill_all,
    OrderStep.CANCEL: lambda order: (
        cancel(order, at=later(1), fee=D(0), reason=REQUESTED).cancelled
    ),
    OrderStep.MODIFY: lambda order: modify(order, at=later(1), new_id=uid(2), changes={}).replaced,
    OrderStep.SPLIT: lambda order: (
        split(
            order, at=later(1), volumes=[order.volume / 2, order.volume / 2], ids=[uid(2), uid(3)]
        ).replaced
    ),
    OrderStep.CLOSE: lambda order: (
        close(
            order,
            at=later(1),
            price=D(1),
            volume=order.volume,
            fee=D(0),
            pnl=D(0),
            closing_reason="close",
        ).closed
    ),
    OrderStep.CHARGE: lambda order: order.create_with_overnight_fees(D(1)),
}


@pytest.mark.parametrize("event", list(OrderStep))
@pytest.mark.parametrize("status", list(OrderStatus))
@pytest.mark.parametrize("make", [spot, trading])
def test_every_operation_does_what_the_table_says(
    make: Callable[..., Any], status: OrderStatus, event: OrderStep
) -> None:
    if make is spot and event in (OrderStep.CLOSE, OrderStep.CHARGE):
        assert not any(one is event for _, one in SPOT_LIFECYCLE)  # not to be had on a spot order
        return
    order = make(status=status)
    before = dict(order.__dict__)
    table = SPOT_LIFECYCLE if make is spot else TRADING_LIFECYCLE
    after = table.get((status, event))
    if after is None:
        with pytest.raises(InvalidTransition, match=f"is {status.value}: cannot"):
            OPERATIONS[event](order)
    else:
        assert OPERATIONS[event](order).status is after
    assert order.__dict__ == before
