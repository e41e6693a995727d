"""`assert_ledger_ok` accepts every honest run, and names what is wrong with a broken one."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import backtest
from backtest.models import TransactionType
from backtest.services.ledger.entries import create_order, deposit
from backtest.services.ledger.ledger import Entry, Ledger
from backtest.strategies import SmaCross
from backtest.testing import LedgerBroken, assert_ledger_ok, bar, play
from tests.harness import D


def _ledger() -> Ledger:
    ledger = Ledger(["main"])
    for number, legs in enumerate(
        (deposit("main", "USD", D(100)), create_order("main", "USD", D(40)))
    ):
        ledger.post(legs, time=number, order_id=None, cause=0, why=f"entry {number}")
    return ledger


def _add(ledger: Ledger, *amounts: str, account: str = "main", time: int = 9) -> None:
    legs = [(account, "USD", TransactionType.ADJUSTMENT, D(one), D(0)) for one in amounts]
    number, first = len(ledger.entries) + 1, ledger.transactions + 1
    ledger.entries.append(Entry(number, first, time, None, 0, "by hand", legs))
    ledger.transactions += len(legs)


def _set(ledger: Ledger, available: str, unavailable: str) -> None:
    ledger._balances["main"]["USD"] = (D(available), D(unavailable))


def test_honest_ones_pass() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1)
        await me.next()

    ledger = _ledger()
    assert_ledger_ok(ledger)
    assert_ledger_ok(Ledger())
    world = play([bar(0, 100), bar(1, 101)], script)
    assert_ledger_ok(world)
    assert_ledger_ok(world.system)
    assert_ledger_ok(world.system.actors["account"])
    data = [bar(n, 100 + n % 7) for n in range(40)]
    result = backtest.run(SmaCross(fast=2, slow=5), data=data, pair="BTCUSD", cash="1000 USD")
    assert_ledger_ok(result)


def _shrink(ledger: Ledger) -> None:
    ledger.transactions -= 1


def _below_zero(ledger: Ledger) -> None:
    _add(ledger, "-70", "70")
    _add(ledger, "70", "-70")


def _nan(ledger: Ledger) -> None:
    _add(ledger, "0")
    ledger.entries[-1].legs[0] = (*ledger.entries[-1].legs[0][:3], Decimal("NaN"), D(0))  # type: ignore[index]


@pytest.mark.parametrize(
    ("breach", "problem"),
    [
        (lambda ledger: _set(ledger, "60.01", "40"), "main has .* the journal folds to"),
        (lambda ledger: ledger._balances["main"].clear(), "main has None USD"),
        (lambda ledger: _add(ledger, "1"), r"entry 3 \(by hand\) sums to 1.0 USD"),
        (lambda ledger: _add(ledger, "0", time=-1), "entry 3 is of -1, earlier than"),
        (lambda ledger: _add(ledger), "entry 3 is empty"),
        (_shrink, "2 transactions are counted, 3 are there"),
        (lambda ledger: ledger.entries.pop(0), "stands at 1"),
        (lambda ledger: _add(ledger, "-61", "0"), r"after entry 3 main has \[-1.0, 40.0\] USD"),
        (_nan, "entry 3 moves"),
        (lambda ledger: _add(ledger, "0", account="ghost"), "ghost has None USD"),
    ],
)
def test_every_breach_is_named(breach: Callable[[Ledger], Any], problem: str) -> None:
    ledger = _ledger()
    breach(ledger)
    with pytest.raises(LedgerBroken, match=problem) as caught:
        assert_ledger_ok(ledger)
    assert caught.value.problems


def test_a_run_whose_tables_do_not_verify() -> None:
    data = [bar(n, 100 + n % 7) for n in range(40)]
    result = backtest.run(SmaCross(fast=2, slow=5), data=data, pair="BTCUSD", cash="1000 USD")
    result.records.fills.pop()
    with pytest.raises(LedgerBroken, match="verify: "):
        assert_ledger_ok(result)


def test_what_has_no_ledger() -> None:
    with pytest.raises(TypeError, match="list has no ledger"):
        assert_ledger_ok([])
