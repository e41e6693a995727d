"""Balances in memory: the latest, the one at a time, and reconciling from transactions."""

from __future__ import annotations

import builtins
from decimal import Decimal
from typing import Any

import pytest

from backtest.errors import FieldError, MissingExtra
from backtest.models import Balance, Transaction
from backtest.repositories import BalanceRepository
from tests.generators import ACCOUNT, OTHER, RUN, D, balance, later, transaction, uid


@pytest.fixture
def repository() -> BalanceRepository:
    return BalanceRepository()


def put(repository: BalanceRepository, seconds: float, **fields: Any) -> Balance:
    return repository.save(balance(timestamp=later(seconds), **fields))


def change(available: int | str, unavailable: int | str = 0, **fields: Any) -> Transaction:
    return transaction(
        available_balance_change=D(available), unavailable_balance_change=D(unavailable), **fields
    )


def test_the_latest_is_latest_by_time_not_by_saving(repository: BalanceRepository) -> None:
    two = put(repository, 2)
    put(repository, 1)
    assert repository.get_latest_balance(ACCOUNT) is two
    assert repository.get_latest_balance(ACCOUNT, RUN) is two
    assert repository.get_latest_balance(ACCOUNT, OTHER) is None
    assert repository.get_latest_balance(OTHER) is None


def test_of_equal_times_the_last_saved_is_the_latest(repository: BalanceRepository) -> None:
    put(repository, 1)
    second = put(repository, 1)
    assert repository.get_latest_balance(ACCOUNT) is second
    assert repository.get_balance_at_time(ACCOUNT, later(1)) is second


def test_each_asset_has_its_own_latest(repository: BalanceRepository) -> None:
    dollars = put(repository, 2, asset_code="USD")
    coins = put(repository, 1, asset_code="BTC")
    assert repository.get_latest_balance(ACCOUNT, RUN, "BTC") is coins
    assert repository.get_latest_balance(ACCOUNT, RUN, "USD") is dollars
    assert repository.get_latest_balance(ACCOUNT, asset_code="BTC") is coins
    assert repository.get_latest_balance(ACCOUNT, RUN) is dollars
    assert repository.get_latest_balance(ACCOUNT, RUN, "EUR") is None


def test_the_balance_at_a_time_is_the_one_at_or_before(repository: BalanceRepository) -> None:
    one, three = put(repository, 1), put(repository, 3)
    assert repository.get_balance_at_time(ACCOUNT, later(0.5), RUN) is None
    assert repository.get_balance_at_time(ACCOUNT, later(1), RUN) is one
    assert repository.get_balance_at_time(ACCOUNT, later(2.999), RUN) is one
    assert repository.get_balance_at_time(ACCOUNT, later(3), RUN) is three
    assert repository.get_balance_at_time(ACCOUNT, later(99), RUN) is three
    assert repository.get_balance_at_time(ACCOUNT, later(99), OTHER) is None


def test_history_of_an_account_is_in_order(repository: BalanceRepository) -> None:
    three, one = put(repository, 3), put(repository, 1, asset_code="BTC")
    assert repository.get_by_account(ACCOUNT) == [one, three]
    assert repository.get_by_account(ACCOUNT, RUN, "BTC") == [one]
    assert repository.get_by_account(OTHER) == []


def test_deleting_the_latest_brings_back_the_one_before(repository: BalanceRepository) -> None:
    one, two = put(repository, 1), put(repository, 2)
    assert repository.delete(two.balance_id)
    assert repository.get_latest_balance(ACCOUNT) is one
    assert repository.clear_run(RUN) == 1
    assert repository.get_latest_balance(ACCOUNT) is None


def test_reconciling_folds_the_transactions(repository: BalanceRepository) -> None:
    initial = put(repository, 0)
    made = repository.reconcile_balance(
        account_id=ACCOUNT,
        backtest_run_id=RUN,
        timestamp=later(9),
        transactions=iter([change(-1000, 1000), change("-12.50"), change(300, -300)]),
        initial_balance=initial,
    )
    # free 95000 - 1000 - 12.50 + 300; locked 5000 + 1000 - 300
    assert (made.available_balance, made.unavailable_balance) == (D("94287.50"), D(5_700))
    assert made.timestamp == later(9)
    assert repository.get_latest_balance(ACCOUNT, RUN) is made


def test_reconciling_without_a_balance_starts_from_zero(repository: BalanceRepository) -> None:
    made = repository.reconcile_balance(ACCOUNT, RUN, later(1), [change(100), change(-40, 40)])
    assert (made.available_balance, made.unavailable_balance) == (D(60), D(40))
    assert made.asset_code is None


def test_reconciling_nothing_repeats_the_balance(repository: BalanceRepository) -> None:
    made = repository.reconcile_balance(
        ACCOUNT, RUN, later(1), [], balance(asset_code="BTC", available_balance=D(3))
    )
    assert (made.available_balance, made.unavailable_balance) == (D(3), D(5_000))
    assert made.asset_code == "BTC"
    empty = repository.reconcile_balance(ACCOUNT, RUN, later(1), [])
    assert (empty.total_balance, empty.asset_code) == (D(0), None)


def test_several_assets_at_once_are_refused(repository: BalanceRepository) -> None:
    mixed = [change(1, asset_code="USD"), change(2, asset_code="BTC"), change(4)]
    with pytest.raises(FieldError, match=r"several assets \(BTC, USD, the settlement asset\)"):
        repository.reconcile_balance(ACCOUNT, RUN, later(1), mixed)
    assert repository.count() == 0
    coins = repository.reconcile_balance(ACCOUNT, RUN, later(1), mixed, asset_code="BTC")
    assert (coins.available_balance, coins.asset_code) == (D(2), "BTC")


def test_an_initial_balance_of_another_asset_or_account_is_refused(
    repository: BalanceRepository,
) -> None:
    with pytest.raises(FieldError, match=r"^initial_balance must be in BTC, is in USD"):
        repository.reconcile_balance(
            ACCOUNT, RUN, later(1), [], balance(asset_code="USD"), asset_code="BTC"
        )
    with pytest.raises(FieldError, match=r"^initial_balance must be of account"):
        repository.reconcile_balance(ACCOUNT, RUN, later(1), [], balance(account_id=OTHER))


@pytest.mark.parametrize("field", ["account_id", "backtest_run_id"])
def test_transactions_of_others_are_refused(repository: BalanceRepository, field: str) -> None:
    with pytest.raises(FieldError, match=r"^transactions must be of account"):
        repository.reconcile_balance(ACCOUNT, RUN, later(1), [transaction(**{field: OTHER})])
    assert repository.count() == 0


def test_a_result_below_zero_is_refused_and_not_saved(repository: BalanceRepository) -> None:
    with pytest.raises(ValueError, match=r"^available_balance cannot be negative"):
        repository.reconcile_balance(ACCOUNT, RUN, later(1), [change(10), change("-10.01")])
    assert repository.count() == 0


def test_the_history_is_a_frame_of_exact_amounts(repository: BalanceRepository) -> None:
    pytest.importorskip("pandas")
    put(repository, 2, available_balance=D(7), unavailable_balance=D(1))
    put(repository, 1)
    frame = repository.get_balance_history_df(ACCOUNT, RUN)
    assert list(frame.columns) == [
        "timestamp",
        "available_balance",
        "unavailable_balance",
        "total_balance",
        "utilization_rate",
        "asset_code",
    ]
    assert list(frame["total_balance"]) == [D(100_000), D(8)]
    assert list(frame["utilization_rate"]) == [D(5), D("12.5")]
    assert all(type(one) is Decimal for one in frame["available_balance"])
    assert len(repository.get_balance_history_df(OTHER)) == 0


def test_without_pandas_the_error_says_what_to_install(
    repository: BalanceRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=r"backtest-actors\[pandas\]"):
        repository.get_balance_history_df(ACCOUNT)


def test_ids_do_not_mix(repository: BalanceRepository) -> None:
    one = put(repository, 1, balance_id=uid(1))
    assert repository.get(uid(1)) is one
    assert repository.get_all(RUN) == [one]
    assert repository.get_all(OTHER) == []
