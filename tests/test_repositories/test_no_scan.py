"""The answers that trading needs do not look at all rows: comparisons are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backtest.models import OrderStatus
from backtest.models._fast import derive
from backtest.repositories import BalanceRepository, OrderRepository, TransactionRepository
from tests.generators import ACCOUNT, AGENT, OTHER, RUN, balance, later, trading, transaction, uid

MANY = 20_000


class Counted(datetime):
    """A time that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: Any) -> bool:
        Counted.compared += 1
        return super().__lt__(other)

    def __gt__(self, other: Any) -> bool:
        Counted.compared += 1
        return super().__gt__(other)

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return super().__eq__(other)

    __hash__ = datetime.__hash__


def at(seconds: int) -> Counted:
    time = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return Counted(time.year, time.month, time.day, time.hour, time.minute, time.second, tzinfo=UTC)


@pytest.fixture(autouse=True)
def from_zero() -> None:
    Counted.compared = 0


def test_transactions_since_a_time_are_found_by_halving() -> None:
    repository, one = TransactionRepository(), transaction()
    for number in range(MANY):
        repository.save(derive(one, transaction_id=uid(number), timestamp=at(number)))
    Counted.compared = 0
    since = repository.get_since_timestamp(ACCOUNT, later(MANY - 4), RUN)
    assert [row.transaction_id for row in since] == [uid(MANY - 3), uid(MANY - 2), uid(MANY - 1)]
    # log2(20000) is 14.3; a step compares a pair of tuples, which is two comparisons of times
    assert 0 < Counted.compared <= 2 * 16


def test_the_latest_balance_compares_nothing() -> None:
    repository, one = BalanceRepository(), balance()
    for number in range(MANY):
        repository.save(derive(one, balance_id=uid(number), timestamp=at(number)))
    Counted.compared = 0
    latest = repository.get_latest_balance(ACCOUNT, RUN)
    assert latest is not None
    assert latest.balance_id == uid(MANY - 1)
    assert Counted.compared == 0


def test_pending_orders_of_an_agent_compare_only_each_other() -> None:
    repository, one = OrderRepository(), trading()
    for number in range(MANY):
        waiting = number % 5_000 == 0
        agent = AGENT if waiting or number % 2 else OTHER
        status = OrderStatus.PENDING if waiting or agent is OTHER else OrderStatus.CLOSED
        repository.save(
            derive(one, id=uid(number), agent_id=agent, status=status, create_timestamp=at(number))
        )
    Counted.compared = 0
    pending = repository.get_pending_orders(AGENT, RUN)
    assert [order.id for order in pending] == [uid(0), uid(5_000), uid(10_000), uid(15_000)]
    assert 0 < Counted.compared <= 2 * 4


def test_saving_in_order_costs_the_same_at_any_size() -> None:
    repository, one = TransactionRepository(), transaction()
    for number in range(MANY):
        repository.save(derive(one, transaction_id=uid(number), timestamp=at(number)))
    Counted.compared = 0
    repository.save(derive(one, transaction_id=uid(MANY), timestamp=at(MANY)))
    assert Counted.compared <= 4  # two series, one pair of tuples each


def test_the_series_grow_and_vanish_with_their_rows() -> None:
    repository = TransactionRepository()
    saved = [repository.save(transaction(timestamp=later(number))) for number in range(3)]
    for one in saved:
        assert repository.delete(one.transaction_id)
    assert repository.get_by_account(ACCOUNT) == []
    assert not repository._series
    assert not repository._groups
