"""Agents that were told what to do."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.errors import FieldError
from backtest.strategies.agents import Once, Scripted
from backtest.times import MINUTE

from .running import D, bars, play, sent_orders

START = next(iter(bars(1))).open_ns


def minute(order: Any) -> Any:
    return round((order.create_timestamp.timestamp() * 10**9 - START) / MINUTE)


def test_steps_are_taken_at_their_times() -> None:
    steps = [("2m", "buy", 3), ("3m", "buy", "1.5", "50"), ("5m", "sell", 2), ("7m", "cancel")]
    orders = sent_orders(play(Scripted(steps=steps), bars(20)))
    assert [(minute(one), one.direction.name, one.volume, one.limit_price) for one in orders] == [
        (2, "LONG", 3, None),
        (3, "LONG", D("1.5"), 50),
        (5, "SHORT", 2, None),
    ]
    assert [one.status.name for one in orders] == ["FILLED", "CANCELLED", "FILLED"]


def test_once_is_one_order() -> None:
    agent = Once(volume=5, after="4m")
    (order,) = sent_orders(play(agent, bars(20)))
    assert (minute(order), order.direction.name, order.volume) == (4, "SHORT", 5)
    assert agent.inventory == -5


def test_once_can_name_a_price() -> None:
    (order,) = sent_orders(play(Once(side="buy", volume=5, after="4m", price=50), bars(20)))
    assert (order.direction.name, order.limit_price) == ("LONG", 50)


@pytest.mark.parametrize(
    "step",
    [
        ("1m", "hold", 3),
        ("1m", "buy"),
        ("1m", "buy", 0),
        ("1m", "cancel", 3),
        ("1m", "buy", 1, 2, 3),
    ],
)
def test_refuses_steps_that_are_none(step: tuple[Any, ...]) -> None:
    with pytest.raises(FieldError, match=r"steps|volume"):
        play(Scripted(steps=[step]), bars(2))
