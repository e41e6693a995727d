"""The bank beside each world: what it does to the account actor, and what only it finds."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal as D
from fractions import Fraction
from typing import Any

import attrs
import pytest

from backtest.actors.protocol import Posted
from backtest.errors import InsufficientFunds
from backtest.models import TransactionType
from backtest.testing.audit.oracle import InvariantBroken
from backtest.testing.simulation import run_seed
from backtest.testing.simulation.bank import Bank, run_bank
from backtest.testing.simulation.storage import run_storage
from tests.plants.bank_plants import BANK_PLANTS, STORAGE_PLANTS
from tests.plants.plants import PLANTS
from tests.plants.table import look_for

BUGS = [
    *((name, "bank") for name, *_ in BANK_PLANTS),
    *((name, "storage") for name, *_ in STORAGE_PLANTS),
]


def test_no_sum_changes_whatever_strikes() -> None:
    fired: Counter[str] = Counter()
    for seed in range(60):
        outcome = run_bank(seed, 2_000)
        assert not outcome.problem, f"seed {seed}: {outcome.problem}"
        assert outcome.events >= 200
        assert outcome.checks > outcome.entries > 2
        fired.update(outcome.fired)
    struck = {kind for kind, count in fired.items() if count}
    assert struck == {"delay", "hang", "crash_before", "crash_after", "crash_loop"}


def test_the_same_seed_hears_the_same() -> None:
    assert run_bank(4, 2_000) == run_bank(4, 2_000)
    assert run_bank(4, 2_000).sha256 != run_bank(5, 2_000).sha256


def test_it_is_part_of_every_seed_and_can_be_left_out() -> None:
    whole, less = run_seed(3, 300), run_seed(3, 300, frozenset(("bank",)))
    assert whole.transfers > 0
    assert less.transfers == 0
    assert whole.sha256 != less.sha256
    assert (whole.writes > 0, less.writes) == (True, 0)
    without_storage = run_seed(3, 300, frozenset(("storage",)))
    assert (without_storage.transfers, without_storage.writes) == (whole.transfers, 0)
    # The world beside it is what it was.
    assert (whole.events, whole.entries, whole.kinds) == (less.events, less.entries, less.kinds)


@pytest.mark.parametrize(("name", "finder"), BUGS)
def test_a_bug_that_nothing_else_finds(
    name: str, finder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = look_for(name)
    assert find.found_by == finder
    plant = PLANTS[name]
    monkeypatch.setitem(PLANTS, name, attrs.evolve(plant, without=plant.without | {finder}))
    assert not look_for(name, seeds=find.seeds + 1).found_by


def test_on_a_disk_that_fails_the_old_books_are_left_or_the_new_ones() -> None:
    journal = run_bank(0, 2_000).journal
    ended: Counter[str] = Counter()
    for seed in range(60):
        outcome = run_storage(seed, journal)
        assert not outcome.problem, f"seed {seed}: {outcome.problem}"
        ended.update([outcome.told.partition(": ")[2].partition(" to ")[0]])
    # Where only what tidies up fails, all is written all the same.
    assert ended["cannot write"] > ended["written"] > 0


# -- the checks, one by one: what must not pass for right ------------------------------------------


def _bank() -> Bank:
    """A bank whose first two clients have 10 each; nothing is under way."""
    bank = Bank(1, 100, frozenset(("fault",)))
    for name in bank.names:
        _post(bank, ("world", -D(10)), (name, D(10)), words="opening balance")
    bank.total = Fraction(10 * len(bank.names))
    return bank


def _post(bank: Bank, *changes: tuple[str, D], words: str) -> tuple[Any, Posted]:
    legs = tuple((name, "USD", TransactionType.ADJUSTMENT, by, D(0)) for name, by in changes)
    ledger = bank.account.ledger
    touched = ledger.post(legs, time=bank.system.now, order_id=None, cause=0, why=words)
    return legs, Posted(len(ledger.entries), touched)


def _balances(bank: Bank) -> dict[tuple[str, str], tuple[D, D]]:
    return {(name, "USD"): bank.account.ledger.balance(name, "USD") for name in bank.names}


def test_a_transfer_is_what_was_asked_for_and_left_what_is_told() -> None:
    bank = _bank()
    one, other = bank.names[:2]
    legs, answer = _post(bank, (one, -D(3)), (other, D(3)), words="a/1")
    bank.acknowledged("a/1", legs, answer)
    with pytest.raises(InvariantBroken, match="a/2 was acknowledged as entry"):
        bank.acknowledged("a/2", legs, answer)
    with pytest.raises(InvariantBroken, match="other legs than it was asked with"):
        bank.acknowledged("a/1", legs[::-1], answer)
    told = {**answer.balances, (one, "USD"): (D(10), D(0))}
    with pytest.raises(InvariantBroken, match="other balances than it left"):
        bank.acknowledged("a/1", legs, Posted(answer.entry, told))
    with pytest.raises(InvariantBroken, match="a/1 was refused, and posted"):
        bank.refused("a/1", InsufficientFunds(one, "USD", D(7), D(8), "available"))
    with pytest.raises(InvariantBroken, match="a/3 was refused, and could be paid"):
        bank.refused("a/3", InsufficientFunds(one, "USD", D(7), D(7), "available"))


def test_what_is_posted_twice_or_makes_money_is_seen() -> None:
    bank = _bank()
    one, other = bank.names[:2]
    for _ in range(2):
        _post(bank, (one, -D(3)), (other, D(3)), words="a/1")
    with pytest.raises(InvariantBroken, match="a/1 was posted twice"):
        bank.entries()
    bank = _bank()
    _post(bank, ("world", -D(1)), (one, D(1)), words="a/1")
    with pytest.raises(InvariantBroken, match=f"there is {10 * len(bank.names) + 1} after entry"):
        bank.entries()


def test_a_read_is_of_one_moment_between_asking_and_hearing() -> None:
    bank = _bank()
    one, other = bank.names[:2]
    before, since = _balances(bank), bank.entries()
    _post(bank, (one, -D(3)), (other, D(3)), words="a/1")
    after = _balances(bank)
    bank.read(since, before)
    bank.read(since, after)
    with pytest.raises(InvariantBroken, match="what is read adds up to"):
        bank.read(since, {**after, (one, "USD"): before[one, "USD"]})
    with pytest.raises(InvariantBroken, match="what is read never was"):
        bank.read(bank.entries(), before)  # of before it was asked for
    # It adds up, and nobody ever had it.
    with pytest.raises(InvariantBroken, match="what is read never was"):
        bank.read(since, {**after, (one, "USD"): (D(5), D(0)), (other, "USD"): (D(15), D(0))})


def test_balances_that_are_not_the_journals_are_seen_at_the_end() -> None:
    bank = _bank()
    bank.finish()
    bank.account.ledger._balances[bank.names[0]]["USD"] = (D(9), D(1))
    with pytest.raises(InvariantBroken, match="the balances at the end are not"):
        bank.finish()
