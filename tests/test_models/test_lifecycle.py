"""The life-cycle as a table: every status and every event, for both kinds."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from backtest.errors import InvalidTransition
from backtest.models import (
    SPOT_LIFECYCLE,
    TRADING_LIFECYCLE,
    OrderDirection,
    OrderStatus,
    OrderStep,
    next_status,
)

# Rows: status; columns: event. "." is forbidden. Written by hand from semantics 4.
SPOT = """
            FILL    CANCEL     MODIFY    SPLIT     CLOSE   CHARGE
PENDING     FILLED  CANCELLED  REPLACED  REPLACED  .       .
FILLED      .       .          .         .         .       .
CANCELLED   .       .          .         .         .       .
CLOSED      .       .          .         .         .       .
REPLACED    .       .          .         .         .       .
"""
TRADING = """
            FILL    CANCEL     MODIFY    SPLIT     CLOSE   CHARGE
PENDING     FILLED  CANCELLED  REPLACED  REPLACED  .       PENDING
FILLED      .       .          REPLACED  REPLACED  CLOSED  FILLED
CANCELLED   .       .          .         .         .       .
CLOSED      .       .          .         .         .       .
REPLACED    .       .          .         .         .       .
"""


def cells(table: str) -> dict[tuple[OrderStatus, OrderStep], str]:
    head, *rows = [line.split() for line in table.strip().splitlines()]
    return {
        (OrderStatus[row[0]], OrderStep[event]): cell
        for row in rows
        for event, cell in zip(head, row[1:], strict=True)
    }


@pytest.mark.parametrize(("table", "text"), [(SPOT_LIFECYCLE, SPOT), (TRADING_LIFECYCLE, TRADING)])
def test_the_table_is_the_one_of_the_semantics(
    table: Mapping[tuple[OrderStatus, OrderStep], OrderStatus], text: str
) -> None:
    expected = cells(text)
    assert len(expected) == len(OrderStatus) * len(OrderStep)
    for (status, event), cell in expected.items():
        if cell == ".":
            with pytest.raises(InvalidTransition, match=f"is {status.value}: cannot"):
                next_status(table, status, event)
        else:
            assert next_status(table, status, event) is OrderStatus[cell]


def test_the_error_names_the_order_and_what_is_allowed() -> None:
    with pytest.raises(InvalidTransition) as caught:
        next_status(SPOT_LIFECYCLE, OrderStatus.PENDING, OrderStep.CLOSE, "A1")
    assert str(caught.value) == (
        "order A1 is PENDING: cannot close it (allowed: fill, cancel, modify, split)"
    )
    with pytest.raises(InvalidTransition, match="nothing leads out of that state"):
        next_status(TRADING_LIFECYCLE, OrderStatus.CLOSED, OrderStep.CLOSE)


def test_directions_have_aliases_signs_and_opposites() -> None:
    assert OrderDirection["BUY"] is OrderDirection.LONG
    assert OrderDirection["SELL"] is OrderDirection.SHORT
    assert (OrderDirection.LONG.sign, OrderDirection.SHORT.sign) == (1, -1)
    assert OrderDirection.LONG.opposite is OrderDirection.SHORT
    assert OrderDirection.SHORT.opposite is OrderDirection.LONG
    assert [one.value for one in OrderDirection] == ["LONG", "SHORT"]


def test_statuses_are_named_by_their_values() -> None:
    assert [one.value for one in OrderStatus] == [
        "PENDING",
        "FILLED",
        "CANCELLED",
        "CLOSED",
        "REPLACED",
    ]
