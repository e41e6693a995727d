"""Kinds, statuses and reasons compare with the words that people write for them."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import backtest
from backtest.actors import EventKind
from backtest.errors import RejectReason
from backtest.models import OrderDirection, OrderStatus, TransactionType


@pytest.mark.parametrize(
    "member",
    [
        EventKind.FILLED,
        OrderStatus.FILLED,
        OrderDirection.LONG,
        RejectReason.UNKNOWN_PAIR,
        TransactionType.FEE_FILL,
    ],
)
def test_a_member_equals_its_name_in_either_case(member: Any) -> None:
    assert member == member.name
    assert member.name.lower() == member
    assert member != "nothing"
    assert member != 1
    assert {member: 1}[member.name] == 1
    assert pickle.loads(pickle.dumps(member)) is member


def test_a_name_is_not_that_of_another_member() -> None:
    assert OrderStatus.FILLED != "PENDING"
    assert OrderDirection.BUY == "BUY"
    assert OrderDirection.LONG == "buy"
    assert OrderDirection.SHORT != "buy"


def test_the_package_lists_what_it_offers() -> None:
    assert {"BacktestRunner", "RunResult", "run", "run_async"} <= set(dir(backtest))
