"""The ledger's invariants, for any finished run, by arithmetic that is not the ledger's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from backtest.errors import BacktestError
from backtest.models import HOUSE

__all__ = ["LedgerBroken", "assert_ledger_ok", "ledger_problems"]

_NOTHING = Fraction(0)

Key = tuple[str, str]


class LedgerBroken(BacktestError, AssertionError):
    """A ledger does not hold what it promises; ``problems`` is a sentence for each breach."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


def assert_ledger_ok(run: Any) -> None:
    """Raise `LedgerBroken` unless the ledger of ``run`` is consistent.

    ``run`` is what `play` or `backtest.run` gave, a `System` that ran or failed, an account actor,
    or a `Ledger`. Entries are numbered without a gap and in the order of time, each sums to zero
    per asset, all amounts are finite decimals, no agent's account was below zero after any entry,
    and the journal folded from empty gives the live balances. The result of `backtest.run` must
    verify, too.
    """
    problems = list(ledger_problems(_ledger_of(run)))
    verify = getattr(run, "verify", None)
    if verify is not None and not problems:
        problems += [f"verify: {problem}" for problem in verify().problems]
    if problems:
        raise LedgerBroken(problems)


def ledger_problems(ledger: Any) -> Iterator[str]:
    """A sentence for each invariant that ``ledger`` breaks."""
    money: dict[Key, tuple[Fraction, Fraction]] = {}
    transactions, last = 0, None
    for place, entry in enumerate(ledger.entries, 1):
        if entry.number != place or entry.first != transactions + 1:
            yield f"entry {entry.number} (from transaction {entry.first}) stands at {place}"
        if last is not None and entry.time < last:
            yield f"entry {entry.number} is of {entry.time}, earlier than the one before it"
        transactions, last = transactions + len(entry.legs), entry.time
        yield from _apply(entry, money)
    if ledger.transactions != transactions:
        yield f"{ledger.transactions} transactions are counted, {transactions} are there"
    yield from _compare(ledger.balances(), money)


def _apply(entry: Any, money: dict[Key, tuple[Fraction, Fraction]]) -> Iterator[str]:
    """Fold one entry into ``money``; what is wrong with it."""
    sums: dict[str, Fraction] = {}
    touched: dict[Key, None] = {}
    if not entry.legs:
        yield f"entry {entry.number} is empty"
    for account, asset, _, *amounts in entry.legs:
        if not all(type(one) is Decimal and one.is_finite() for one in amounts):
            yield f"entry {entry.number} moves {amounts} {asset} of {account}"
            continue
        available, unavailable = (Fraction(one) for one in amounts)
        old = money.get((account, asset), (_NOTHING, _NOTHING))
        money[account, asset] = (old[0] + available, old[1] + unavailable)
        sums[asset] = sums.get(asset, _NOTHING) + available + unavailable
        touched[account, asset] = None
    for asset, total in sums.items():
        if total:
            yield f"entry {entry.number} ({entry.why}) sums to {float(total)} {asset}"
    for account, asset in touched:
        if account not in HOUSE and min(money[account, asset]) < 0:
            amounts = [float(one) for one in money[account, asset]]
            yield f"after entry {entry.number} {account} has {amounts} {asset}"


def _compare(balances: Any, money: dict[Key, tuple[Fraction, Fraction]]) -> Iterator[str]:
    live = {
        (account, asset): both
        for account, assets in balances.items()
        for asset, both in assets.items()
    }
    for key in {**money, **live}:
        folded, both = money.get(key), live.get(key)
        if both is None or folded != (Fraction(both[0]), Fraction(both[1])):
            amounts = None if folded is None else [float(one) for one in folded]
            yield f"{key[0]} has {both} {key[1]}, the journal folds to {amounts}"


def _ledger_of(run: Any) -> Any:
    actors = getattr(run, "actors", None)
    owner = actors["account"] if isinstance(actors, dict) else run
    ledger = getattr(owner, "ledger", owner)
    if not (hasattr(ledger, "entries") and hasattr(ledger, "balances")):
        raise TypeError(
            f"{type(run).__name__} has no ledger: give a result, a World, a System or a Ledger"
        )
    return ledger
