"""Transactions in memory: every question, and where times begin and end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from backtest.models import Transaction, TransactionType
from backtest.repositories import TransactionRepository
from tests.generators import ACCOUNT, OTHER, RUN, D, later, transaction, uid


@pytest.fixture
def repository() -> TransactionRepository:
    return TransactionRepository()


def put(repository: TransactionRepository, seconds: float, **fields: object) -> Transaction:
    return repository.save(transaction(timestamp=later(seconds), **fields))


def test_saving_returns_its_argument_and_stores_it(repository: TransactionRepository) -> None:
    one = transaction()
    assert repository.save(one) is one
    assert repository.get(one.transaction_id) is one
    assert repository.exists(one.transaction_id)
    assert repository.count() == 1


def test_what_is_missing_is_none(repository: TransactionRepository) -> None:
    assert repository.get(uid(1)) is None
    assert not repository.exists(uid(1))
    assert not repository.delete(uid(1))
    assert repository.get_all() == []
    assert repository.get_by_account(ACCOUNT) == []
    assert repository.get_since_timestamp(ACCOUNT, later(0)) == []
    assert repository.get_by_time_range(ACCOUNT, later(0)) == []


def test_lists_are_sorted_by_time_whatever_the_order_of_saving(
    repository: TransactionRepository,
) -> None:
    three, one, two = (put(repository, seconds) for seconds in (3, 1, 2))
    assert repository.get_all() == [one, two, three]
    assert repository.get_by_account(ACCOUNT) == [one, two, three]
    assert repository.get_by_type(TransactionType.RESERVE_MARGIN) == [one, two, three]


def test_equal_times_keep_the_order_saved(repository: TransactionRepository) -> None:
    last = put(repository, 9)
    same = [put(repository, 5) for _ in range(4)]
    assert repository.get_by_account(ACCOUNT) == [*same, last]


def test_lists_are_new(repository: TransactionRepository) -> None:
    one = put(repository, 1)
    reads: list[Callable[[], list[Transaction]]] = [
        lambda: repository.get_all(),
        lambda: repository.get_by_account(ACCOUNT),
        lambda: repository.get_by_type(TransactionType.RESERVE_MARGIN),
        lambda: repository.get_since_timestamp(ACCOUNT, later(0)),
    ]
    for read in reads:
        read().clear()
        assert read() == [one]


def test_since_means_after(repository: TransactionRepository) -> None:
    put(repository, 1)
    at = put(repository, 2)
    after = put(repository, 2.000001)
    assert repository.get_since_timestamp(ACCOUNT, later(2)) == [after]
    assert repository.get_since_timestamp(ACCOUNT, later(1.5)) == [at, after]
    assert repository.get_since_timestamp(ACCOUNT, later(3)) == []


def test_a_range_includes_both_ends(repository: TransactionRepository) -> None:
    _, two, three, four = (put(repository, seconds) for seconds in (1, 2, 3, 4))
    assert repository.get_by_time_range(ACCOUNT, later(2), later(3)) == [two, three]
    assert repository.get_by_time_range(ACCOUNT, later(2)) == [two, three, four]
    assert repository.get_by_time_range(ACCOUNT, later(3), later(2)) == []


def test_accounts_and_runs_are_kept_apart(repository: TransactionRepository) -> None:
    mine = put(repository, 1)
    other_run = put(repository, 2, backtest_run_id=OTHER)
    theirs = put(repository, 3, account_id=OTHER)
    assert repository.get_by_account(ACCOUNT) == [mine, other_run]
    assert repository.get_by_account(ACCOUNT, RUN) == [mine]
    assert repository.get_by_account(OTHER, RUN) == [theirs]
    assert repository.get_since_timestamp(ACCOUNT, later(0), OTHER) == [other_run]
    assert repository.get_by_time_range(ACCOUNT, later(0), None, OTHER) == [other_run]
    assert repository.get_all(RUN) == [mine, theirs]
    assert (repository.count(), repository.count(RUN), repository.count(uid(9))) == (3, 2, 0)


def test_orders_and_types_are_found(repository: TransactionRepository) -> None:
    fee = put(repository, 2, order_id=uid(1), transaction_type=TransactionType.FEE_FILL)
    lock = put(repository, 1, order_id=uid(1))
    put(repository, 3)
    assert repository.get_by_order(uid(1)) == [lock, fee]
    assert repository.get_by_order(uid(1), OTHER) == []
    assert repository.get_by_order(uid(2)) == []
    assert repository.get_by_type(TransactionType.FEE_FILL, RUN) == [fee]
    assert repository.get_by_type(TransactionType.FEE_FILL, OTHER) == []


def test_saving_a_known_id_replaces_it(repository: TransactionRepository) -> None:
    put(repository, 1, transaction_id=uid(1))
    moved = put(
        repository, 5, transaction_id=uid(1), account_id=OTHER, available_balance_change=D(-1)
    )
    assert repository.get_all() == [moved]
    assert repository.get_by_account(ACCOUNT) == []
    assert repository.get_by_account(OTHER) == [moved]


def test_deleting_takes_it_out_of_every_answer(repository: TransactionRepository) -> None:
    one = put(repository, 1, order_id=uid(1))
    two = put(repository, 1, order_id=uid(1))
    assert repository.delete(one.transaction_id)
    assert not repository.delete(one.transaction_id)
    assert repository.get_by_account(ACCOUNT, RUN) == [two]
    assert repository.get_by_order(uid(1)) == [two]
    assert repository.get_all() == [two]


def test_clearing_a_run_says_how_many_and_leaves_the_others(
    repository: TransactionRepository,
) -> None:
    for seconds in range(5):
        put(repository, seconds, backtest_run_id=RUN if seconds % 2 else OTHER)
    assert repository.clear_run(RUN) == 2
    assert repository.clear_run(RUN) == 0
    assert repository.count() == 3
    assert repository.get_by_account(ACCOUNT, RUN) == []
    assert len(repository.get_by_account(ACCOUNT)) == 3
    repository.clear()
    assert (repository.count(), repository.get_by_account(ACCOUNT)) == (0, [])


def test_naive_times_are_compared_as_utc(repository: TransactionRepository) -> None:
    aware = put(repository, 10)
    naive = repository.save(transaction(timestamp=datetime(2024, 1, 1, 0, 0, 5)))
    assert repository.get_by_account(ACCOUNT) == [naive, aware]
    assert repository.get_since_timestamp(ACCOUNT, datetime(2024, 1, 1, 0, 0, 5)) == [aware]


def test_what_cannot_be_stored_leaves_no_trace(repository: TransactionRepository) -> None:
    one = put(repository, 1, transaction_id=uid(1))
    with pytest.raises(AttributeError):
        repository.save("no transaction")  # type: ignore[arg-type]
    assert repository.get_all() == repository.get_by_account(ACCOUNT) == [one]
