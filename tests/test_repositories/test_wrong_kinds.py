"""A question with a value of the wrong kind is an error that names it, never an empty answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backtest.errors import FieldTypeError
from backtest.models import OrderStatus, TransactionType
from backtest.repositories import (
    BalanceRepository,
    OrderRepository,
    SpotOrderRepository,
    TransactionRepository,
)
from tests.generators import ACCOUNT, AGENT, DAY, RUN, spot, trading

ORDERS: list[Any] = [SpotOrderRepository, OrderRepository]
ALL: list[Any] = [*ORDERS, TransactionRepository, BalanceRepository]
Question = Callable[[Any], Any]


def refused(repository: Any, question: Question, field: str) -> None:
    with pytest.raises(FieldTypeError, match=f"^{field} must be"):
        question(repository)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("question", "field"),
    [
        (lambda one: one.get(str(AGENT)), "id"),
        (lambda one: one.get(None), "id"),
        (lambda one: one.delete(7), "id"),
        (lambda one: one.exists("nothing"), "id"),
        (lambda one: one.get_all("run"), "backtest_run_id"),
        (lambda one: one.get_by_run_id(None), "backtest_run_id"),
        (lambda one: one.count(OrderStatus.PENDING), "backtest_run_id"),
        (lambda one: one.clear_run(str(RUN)), "backtest_run_id"),
        (lambda one: one.get_by_account("main"), "account_id"),
        (lambda one: one.get_by_account(None), "account_id"),
        (lambda one: one.get_by_account(ACCOUNT, "run"), "backtest_run_id"),
    ],
)
def test_of_all(kind: Any, question: Question, field: str) -> None:
    refused(kind(), question, field)


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize(
    ("question", "field"),
    [
        (lambda one: one.get_by_status(AGENT), "status"),
        (lambda one: one.get_by_status(AGENT, RUN), "status"),
        (lambda one: one.get_by_status("PENDING"), "status"),
        (lambda one: one.get_by_status(OrderStatus.PENDING, "run"), "backtest_run_id"),
        (lambda one: one.get_by_agent(OrderStatus.PENDING), "agent_id"),
        (lambda one: one.get_by_agent(AGENT, OrderStatus.PENDING), "backtest_run_id"),
        (lambda one: one.get_pending_orders("me"), "agent_id"),
        (lambda one: one.get_active_orders(AGENT, "run"), "backtest_run_id"),
        (lambda one: one.get_filled_orders(OrderStatus.FILLED), "agent_id"),
        (lambda one: one.get_cancelled_orders(7), "agent_id"),
        (lambda one: one.get_by_trading_pair(AGENT), "trading_pair_code"),
        (lambda one: one.get_by_root_id("root"), "root_id"),
    ],
)
def test_of_orders(kind: Any, question: Question, field: str) -> None:
    refused(kind(), question, field)


@pytest.mark.parametrize(
    ("question", "field"),
    [
        (lambda one: one.get_by_order("order"), "order_id"),
        (lambda one: one.get_by_type("FEE_FILL"), "transaction_type"),
        (lambda one: one.get_by_type(ACCOUNT), "transaction_type"),
        (lambda one: one.get_by_type(TransactionType.FEE_FILL, "run"), "backtest_run_id"),
        (lambda one: one.get_by_time_range(ACCOUNT, 0), "start"),
        (lambda one: one.get_by_time_range(ACCOUNT, DAY, 7), "end"),
        (lambda one: one.get_by_time_range("main", DAY), "account_id"),
        (lambda one: one.get_since_timestamp(ACCOUNT, "2024-01-01"), "timestamp"),
    ],
)
def test_of_transactions(question: Question, field: str) -> None:
    refused(TransactionRepository(), question, field)


@pytest.mark.parametrize(
    ("question", "field"),
    [
        (lambda one: one.get_latest_balance("main"), "account_id"),
        (lambda one: one.get_latest_balance(ACCOUNT, RUN, 7), "asset_code"),
        (lambda one: one.get_balance_at_time(ACCOUNT, 0), "timestamp"),
        (lambda one: one.get_balance_at_time(ACCOUNT, DAY, "run"), "backtest_run_id"),
    ],
)
def test_of_balances(question: Question, field: str) -> None:
    refused(BalanceRepository(), question, field)


def test_the_error_says_what_there_is() -> None:
    with pytest.raises(TypeError, match=r"must be one of OrderStatus\.PENDING, .* not UUID\("):
        OrderRepository().get_by_status(AGENT)  # type: ignore[arg-type]


def test_closed_orders_of_the_wrong_agent_are_refused_and_none_is_all() -> None:
    repository = OrderRepository()
    refused(repository, lambda one: one.get_closed_orders("me"), "agent_id")
    order = repository.save(trading())
    assert repository.get_active_orders(None, None) == [order]
    spots = SpotOrderRepository()
    assert spots.get_active_orders(None, spots.save(spot()).backtest_run_id) == spots.get_all()
