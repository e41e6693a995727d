"""What the ledger refuses by itself, whoever asks: it is then as it was, to the byte."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from backtest.errors import AccountError, InsufficientFunds, LedgerError, UnbalancedEntry
from backtest.models import TransactionType
from backtest.services.ledger.ledger import Ledger, journal_sha256
from tests.harness import D

KIND = TransactionType.ADJUSTMENT


def _leg(account: str, available: str, unavailable: str = "0", asset: str = "USD") -> Any:
    return (account, asset, KIND, Decimal(available), Decimal(unavailable))


def _post(ledger: Ledger, *legs: Any, time: int = 10) -> None:
    ledger.post(list(legs), time=time, order_id=None, cause=0, why="a test")


def _ledger() -> Ledger:
    ledger = Ledger(["main", "other"])
    _post(ledger, _leg("main", "100"), _leg("world", "-100"))
    return ledger


@pytest.mark.parametrize(
    ("legs", "error"),
    [
        # does not sum to zero: one leg, two legs, and in one asset of two
        ([_leg("main", "1")], UnbalancedEntry),
        ([_leg("main", "1"), _leg("market", "-1.01")], UnbalancedEntry),
        ([_leg("main", "-1", "1"), _leg("market", "1", asset="BTC")], UnbalancedEntry),
        # below zero: available, unavailable, another's, by the sum of several legs
        ([_leg("main", "-100.01"), _leg("market", "100.01")], InsufficientFunds),
        ([_leg("main", "-100.01", "100.01")], InsufficientFunds),
        ([_leg("main", "1", "-1")], InsufficientFunds),
        ([_leg("main", "50"), _leg("other", "-50")], InsufficientFunds),
        ([_leg("main", "-60", "60"), _leg("main", "-60", "60")], InsufficientFunds),
        # nobody's account
        ([_leg("nobody", "-1", "1")], AccountError),
        ([_leg("main", "-1"), _leg("nobody", "1")], AccountError),
        # not a number, or more digits than can be added exactly
        ([_leg("main", "NaN"), _leg("world", "NaN")], LedgerError),
        ([_leg("main", "Infinity"), _leg("world", "-Infinity")], LedgerError),
        ([_leg("main", "1e-70"), _leg("world", "-1e-70")], LedgerError),
    ],
)
def test_a_wrong_entry_leaves_no_trace(legs: list[Any], error: type[Exception]) -> None:
    ledger = _ledger()
    before = (ledger.balances(), len(ledger.entries), journal_sha256(ledger.rows(), []))
    with pytest.raises(error):
        _post(ledger, *legs)
    assert (ledger.balances(), len(ledger.entries), journal_sha256(ledger.rows(), [])) == before
    assert ledger.fold() == ledger.balances()


def test_time_does_not_go_back() -> None:
    ledger = _ledger()
    with pytest.raises(LedgerError, match="earlier"):
        _post(ledger, _leg("main", "-1", "1"), time=9)
    assert len(ledger.entries) == 1


def test_rules_are_checked_on_the_state_after_the_whole_entry() -> None:
    ledger = _ledger()
    # below zero in between, not in the end
    _post(ledger, _leg("main", "-150"), _leg("main", "60", "0"), _leg("market", "90"))
    assert ledger.balance("main", "USD") == (D(10), D(0))


def test_house_accounts_may_go_below_zero() -> None:
    ledger = _ledger()
    for house in ("market", "clearing", "fees", "insurance", "world"):
        _post(ledger, _leg("other", "1000"), _leg(house, "-1000"))
        assert ledger.balance(house, "USD")[0] < 0


def test_the_sum_is_exact_over_all_sizes() -> None:
    ledger = Ledger(["main"])
    for amount in ("0.00000001", "100000000000000000000", "0.1", "0.2"):
        _post(ledger, _leg("main", amount), _leg("world", f"-{amount}"))
    assert ledger.balance("main", "USD")[0] == Decimal("100000000000000000000.30000001")
    assert ledger.fold() == ledger.balances()
