"""Hypothesis: whatever is saved, replaced and deleted, the answers are those of a plain list."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from backtest.models import OrderStatus, TransactionType
from backtest.repositories import (
    BalanceRepository,
    OrderRepository,
    SpotOrderRepository,
    TransactionRepository,
)
from tests.generators import D, balance, later, spot, trading, transaction, uid

IDS = st.integers(1, 8).map(uid)
PARTIES = st.sampled_from([uid(11), uid(12)])
RUNS = st.sampled_from([uid(21), uid(22)])
TIMES = st.integers(0, 5).map(later)
ASSETS = st.sampled_from([None, "USD", "BTC"])
TYPES = st.sampled_from(list(TransactionType)[:3])
STATUSES = st.sampled_from(list(OrderStatus))

Step = tuple[str, Any]


def steps(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Step]]:
    """Savings mostly; now and then a delete or the clearing of a run."""
    step = st.one_of(
        st.tuples(st.just("save"), items),
        st.tuples(st.just("save"), items),
        st.tuples(st.just("save"), items),
        st.tuples(st.just("delete"), IDS),
        st.tuples(st.just("clear_run"), RUNS),
    )
    return st.lists(step, max_size=40)


class Listed:
    """The reference: a list in the order first saved, searched from end to end."""

    def __init__(self, id_of: Callable[[Any], UUID], time_of: Callable[[Any], datetime]) -> None:
        self.items: list[Any] = []
        self.id_of = id_of
        self.time_of = time_of

    def apply(self, name: str, value: Any) -> object:
        before = len(self.items)
        if name == "delete":
            self.items = [one for one in self.items if self.id_of(one) != value]
            return len(self.items) < before
        if name == "clear_run":
            self.items = [one for one in self.items if one.backtest_run_id != value]
            return before - len(self.items)
        for index, one in enumerate(self.items):
            if self.id_of(one) == self.id_of(value):
                self.items[index] = value
                return value
        self.items.append(value)
        return value

    def where(self, keep: Callable[[Any], bool]) -> list[Any]:
        return sorted((one for one in self.items if keep(one)), key=self.time_of)


def play(repository: Any, listed: Listed, script: list[Step]) -> None:
    for name, value in script:
        assert getattr(repository, name)(value) == listed.apply(name, value)
    assert repository.get_all() == listed.where(lambda one: True)
    assert repository.count() == len(listed.items)
    for number in range(1, 9):
        known = [one for one in listed.items if listed.id_of(one) == uid(number)]
        assert repository.get(uid(number)) == (known[0] if known else None)
        assert repository.exists(uid(number)) == bool(known)


def in_run(run: UUID | None) -> Callable[[Any], bool]:
    return lambda one: run is None or one.backtest_run_id == run


RUN_FILTER = st.one_of(st.none(), RUNS)

TRANSACTIONS = st.builds(
    transaction,
    transaction_id=IDS,
    account_id=PARTIES,
    backtest_run_id=RUNS,
    timestamp=TIMES,
    transaction_type=TYPES,
    order_id=st.one_of(st.none(), IDS),
)


@given(steps(TRANSACTIONS), PARTIES, RUN_FILTER, TIMES, TIMES, TYPES, IDS)
def test_transactions(
    script: list[Step],
    account: UUID,
    run: UUID | None,
    start: datetime,
    end: datetime,
    kind: TransactionType,
    order: UUID,
) -> None:
    repository = TransactionRepository()
    listed = Listed(lambda one: one.transaction_id, lambda one: one.timestamp)
    play(repository, listed, script)
    kept = in_run(run)
    mine = [one for one in listed.where(kept) if one.account_id == account]
    assert repository.get_by_account(account, run) == mine
    assert repository.get_since_timestamp(account, start, run) == [
        one for one in mine if one.timestamp > start
    ]
    assert repository.get_by_time_range(account, start, end, run) == [
        one for one in mine if start <= one.timestamp <= end
    ]
    assert repository.get_by_time_range(account, start, None, run) == [
        one for one in mine if start <= one.timestamp
    ]
    assert repository.get_by_type(kind, run) == [
        one for one in listed.where(kept) if one.transaction_type is kind
    ]
    assert repository.get_by_order(order, run) == [
        one for one in listed.where(kept) if one.order_id == order
    ]
    assert repository.get_all(run) == listed.where(kept)


BALANCES = st.builds(
    balance,
    balance_id=IDS,
    account_id=PARTIES,
    backtest_run_id=RUNS,
    timestamp=TIMES,
    asset_code=ASSETS,
)


@given(steps(BALANCES), PARTIES, RUN_FILTER, ASSETS, TIMES)
def test_balances(
    script: list[Step], account: UUID, run: UUID | None, asset: str | None, time: datetime
) -> None:
    repository = BalanceRepository()
    listed = Listed(lambda one: one.balance_id, lambda one: one.timestamp)
    play(repository, listed, script)
    mine = [
        one
        for one in listed.where(in_run(run))
        if one.account_id == account and (asset is None or one.asset_code == asset)
    ]
    assert repository.get_by_account(account, run, asset) == mine
    assert repository.get_latest_balance(account, run, asset) == (mine[-1] if mine else None)
    until = [one for one in mine if one.timestamp <= time]
    at = repository.get_balance_at_time(account, time, run, asset)
    assert at == (until[-1] if until else None)


def orders(make: Any, root: str) -> st.SearchStrategy[Any]:
    return st.builds(
        make,
        id=IDS,
        agent_id=PARTIES,
        account_id=PARTIES,
        backtest_run_id=RUNS,
        create_timestamp=TIMES,
        status=STATUSES,
        trading_pair_code=st.sampled_from(["BTCUSD", "ETHUSD"]),
        **{root: st.one_of(st.none(), IDS)},
    )


def check_orders(
    repository: Any, script: list[Step], agent: UUID, run: UUID | None, status: OrderStatus
) -> None:
    listed = Listed(lambda one: one.id, lambda one: one.create_timestamp)
    play(repository, listed, script)
    kept = listed.where(in_run(run))
    pending = [one for one in kept if one.status is OrderStatus.PENDING]
    assert repository.get_pending_orders(None, run) == pending
    assert repository.get_pending_orders(agent, run) == [
        one for one in pending if one.agent_id == agent
    ]
    assert repository.get_by_status(status, run) == [one for one in kept if one.status is status]
    assert repository.get_by_agent(agent, run) == [one for one in kept if one.agent_id == agent]
    assert repository.get_by_account(agent, run) == [one for one in kept if one.account_id == agent]
    assert repository.get_by_trading_pair("BTCUSD", run) == [
        one for one in kept if one.trading_pair_code == "BTCUSD"
    ]
    for number in range(1, 9):
        assert repository.get_by_root_id(uid(number), run) == [
            one for one in kept if one.root_id == uid(number)
        ]


@given(steps(orders(spot, "root_id")), PARTIES, RUN_FILTER, STATUSES)
def test_spot_orders(
    script: list[Step], agent: UUID, run: UUID | None, status: OrderStatus
) -> None:
    check_orders(SpotOrderRepository(), script, agent, run, status)


@given(steps(orders(trading, "root_order_id")), PARTIES, RUN_FILTER, STATUSES)
def test_trading_orders(
    script: list[Step], agent: UUID, run: UUID | None, status: OrderStatus
) -> None:
    check_orders(OrderRepository(), script, agent, run, status)


@given(st.lists(st.tuples(TIMES, st.integers(-50, 100)), max_size=30), TIMES)
def test_a_balance_and_what_came_since_make_the_next(
    changes: list[tuple[datetime, int]], cut: datetime
) -> None:
    """Folding in two steps, cut anywhere, is folding at once: nothing twice, nothing lost."""
    transactions, balances = TransactionRepository(), BalanceRepository()
    deposit = transaction(
        timestamp=later(-1), available_balance_change=D(10_000), unavailable_balance_change=D(0)
    )
    transactions.save(deposit)
    for time, amount in changes:
        transactions.save(
            transaction(
                timestamp=time,
                available_balance_change=D(-amount),
                unavailable_balance_change=D(amount + 50),
            )
        )
    account, run = deposit.account_id, deposit.backtest_run_id
    everything = transactions.get_by_account(account)
    until = transactions.get_by_time_range(account, later(-1), cut)
    first = balances.reconcile_balance(account, run, cut, until)
    since = transactions.get_since_timestamp(account, first.timestamp)
    second = balances.reconcile_balance(account, run, later(9), since, first)
    whole = balances.reconcile_balance(account, run, later(9), everything)
    assert second.available_balance == whole.available_balance
    assert second.unavailable_balance == whole.unavailable_balance
