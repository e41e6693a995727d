"""The double-entry ledger as a data structure. The account actor owns the one of a run.

Posting is: compute the next balances, check every rule, append to the journal, swap. A rule that
fails leaves no trace but a typed error. The journal keeps entries as they came, in compact form;
`Transaction` and `Balance` values are made from it when somebody asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, Inexact, InvalidOperation
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from backtest.errors import AccountError, InsufficientFunds, LedgerError, UnbalancedEntry
from backtest.ids import derived_id
from backtest.models.account import HOUSE
from backtest.models.transaction import Transaction, TransactionType
from backtest.money import ZERO, exact_add, plain
from backtest.services.ledger.descriptions import describe
from backtest.services.ledger.entries import Leg
from backtest.times import format_ns, from_ns

__all__ = [
    "Entry",
    "Ledger",
    "Row",
    "entry_uuid",
    "journal_sha256",
    "part_numbers",
    "transaction_of",
]

Key = TypeVar("Key", UUID, str)
_NOTHING = (ZERO, ZERO)
_new = tuple.__new__


class Entry(NamedTuple):
    """What was posted at once."""

    number: int
    """Its place in the journal, from 1."""
    first: int
    """The sequence number of its first transaction, from 1."""
    time: int
    """When, in nanoseconds."""
    order_id: UUID | None
    """The order it belongs to."""
    cause: int
    """Id of the message that asked for it."""
    why: str
    """What happened, in words."""
    legs: Sequence[Leg]
    parts: Sequence[tuple[int, UUID]] = ()
    """Of an entry of several orders: from which leg on (counted from 0) it is whose. The legs
    before the first part belong to ``order_id``."""

    def order_of(self) -> Iterator[UUID | None]:
        """The order that each leg belongs to, in turn."""
        order_id, parts, place = self.order_id, self.parts, 0
        for at in range(len(self.legs)):
            while place < len(parts) and parts[place][0] <= at:
                order_id = parts[place][1]
                place += 1
            yield order_id

    def segments(self) -> Iterator[tuple[UUID | None, Sequence[Leg]]]:
        """The orders of the entry in turn, each with its legs."""
        order_id, begin = self.order_id, 0
        for at, other in self.parts:
            if at > begin:
                yield order_id, self.legs[begin:at]
            order_id, begin = other, at
        yield order_id, self.legs[begin:] if begin else self.legs


class Row(NamedTuple):
    """One transaction of the journal, flat, as the tables show it."""

    time: int
    sequence: int
    entry: int
    account: str
    asset: str
    kind: TransactionType
    available: Decimal
    unavailable: Decimal
    order_id: UUID | None
    description: str


class Ledger:
    """Accounts, their balances per asset, and the journal that explains them.

    Accounts are known by name; those of `HOUSE` are always there and may go below zero.
    """

    __slots__ = ("_accounts", "_balances", "entries", "transactions")

    def __init__(self, accounts: Iterable[str] = ()) -> None:
        self._balances: dict[str, dict[str, tuple[Decimal, Decimal]]] = {name: {} for name in HOUSE}
        self._accounts: set[str] = set()
        self.entries: list[Entry] = []
        self.transactions = 0
        """How many transactions the journal holds."""
        for name in accounts:
            self.open(name)

    def open(self, name: str) -> None:
        """Open an agent's account. Raises `LedgerError` when there is one of that name."""
        if name in self._balances:
            raise LedgerError(f"there is an account called {name!r} already: choose another name")
        self._balances[name] = {}
        self._accounts.add(name)

    @property
    def accounts(self) -> list[str]:
        """The agents' accounts and the house's, in the order of opening."""
        return [name for name in self._balances if name in self._accounts] + list(HOUSE)

    def balance(self, account: str, asset: str) -> tuple[Decimal, Decimal]:
        """Available and unavailable. Raises `AccountError` for an unknown account."""
        assets = self._balances.get(account)
        if assets is None:
            raise AccountError(
                f"there is no account {account!r}; there are: {', '.join(self._balances)}"
            )
        return assets.get(asset, _NOTHING)

    def balances(self) -> dict[str, dict[str, tuple[Decimal, Decimal]]]:
        """All balances, a copy: account, asset, (available, unavailable)."""
        return {name: dict(self._balances[name]) for name in self.accounts}

    def post(
        self,
        legs: Sequence[Leg],
        *,
        time: int,
        order_id: UUID | None,
        cause: int,
        why: str,
        parts: Sequence[tuple[int, UUID]] = (),
    ) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
        """Post one entry, whole or not at all; the new balances of what it touched.

        ``parts`` say which legs belong to other orders than ``order_id``: see `Entry.parts`.

        Raises `UnbalancedEntry` when the legs do not sum to zero per asset, `InsufficientFunds`
        when an agent's account would go below zero, `AccountError` for an unknown account; time
        that goes back and sums that cannot be held exactly are a `LedgerError`.
        """
        after = self._after_one(legs[0], why) if len(legs) == 1 else self._after(legs, why)
        entries = self.entries
        if entries and time < entries[-1][2]:
            raise LedgerError(
                f"an entry cannot be earlier ({time}) than the last ({entries[-1].time})"
            )
        entries.append(
            _new(
                Entry,
                (len(entries) + 1, self.transactions + 1, time, order_id, cause, why, legs, parts),
            )
        )
        self.transactions += len(legs)
        balances = self._balances
        for key, both in after.items():
            balances[key[0]][key[1]] = both
        return after

    def _after_one(self, leg: Leg, why: str) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
        """`_after` for the most frequent entry of all: one leg, a reserve made or returned."""
        account, asset, _, available, unavailable = leg
        try:
            old = self._balances[account].get(asset, _NOTHING)
            left = exact_add(old[0], available)
            locked = exact_add(old[1], unavailable)
            if exact_add(available, unavailable) or left < ZERO or locked < ZERO:
                return self._after((leg,), why)
        except (KeyError, Inexact, InvalidOperation):
            return self._after((leg,), why)
        return {(account, asset): (left, locked)}

    def _after(
        self, legs: Sequence[Leg], why: str
    ) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
        """The balances as the legs would make them, every rule checked; changes nothing."""
        balances, agents = self._balances, self._accounts
        after: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        sums: dict[str, Decimal] = {}
        try:
            for account, asset, _, available, unavailable in legs:
                key = (account, asset)
                old = after.get(key)
                if old is None:
                    old = balances[account].get(asset, _NOTHING)
                after[key] = (exact_add(old[0], available), exact_add(old[1], unavailable))
                both = exact_add(available, unavailable)
                if both:
                    sums[asset] = exact_add(sums[asset], both) if asset in sums else both
        except KeyError as error:
            raise AccountError(
                f"there is no account {error.args[0]!r}; nothing was posted"
            ) from None
        except Inexact:
            raise LedgerError("an amount has too many digits to be added exactly") from None
        except InvalidOperation:
            raise LedgerError("an amount is infinite or not a number") from None
        if sums:
            for asset, total in sums.items():
                if not total == ZERO:
                    raise UnbalancedEntry(f"the legs in {asset} sum to {total}, not to zero: {why}")
        for (account, asset), (left, locked) in after.items():
            if (left < ZERO or locked < ZERO) and account in agents:
                self._refuse(account, asset, left, locked)
        return after

    def _refuse(self, account: str, asset: str, available: Decimal, unavailable: Decimal) -> None:
        before = self._balances[account].get(asset, _NOTHING)
        if available < ZERO:
            needed = exact_add(before[0], available.copy_negate())
            raise InsufficientFunds(account, asset, before[0], needed, "available")
        needed = exact_add(before[1], unavailable.copy_negate())
        raise InsufficientFunds(account, asset, before[1], needed, "in reserve")

    # -- reading -----------------------------------------------------------------------------------

    def rows(self) -> Iterator[Row]:
        """Every transaction, house accounts included, in the order of posting."""
        for entry in self.entries:
            sequence = entry.first
            for leg, order_id in zip(entry.legs, entry.order_of(), strict=True):
                account, asset, kind, available, unavailable = leg
                yield Row(
                    entry.time,
                    sequence,
                    entry.number,
                    account,
                    asset,
                    kind,
                    available,
                    unavailable,
                    order_id,
                    describe(kind, entry.why),
                )
                sequence += 1

    def fold(self) -> dict[str, dict[str, tuple[Decimal, Decimal]]]:
        """The balances worked out again from the journal alone, from empty."""
        folded: dict[str, dict[str, tuple[Decimal, Decimal]]] = {name: {} for name in self.accounts}
        for entry in self.entries:
            for account, asset, _, available, unavailable in entry.legs:
                old = folded[account].get(asset, _NOTHING)
                folded[account][asset] = (
                    exact_add(old[0], available),
                    exact_add(old[1], unavailable),
                )
        return folded


def entry_uuid(run_id: UUID, number: int) -> UUID:
    """The id of entry ``number`` of a run: a function of both, so it need not be stored."""
    return derived_id(run_id, f"entry/{number}")


def transaction_of(row: Row, run_id: UUID, account_id: UUID) -> Transaction:
    """The `Transaction` value of a journal row."""
    return Transaction(
        account_id=account_id,
        backtest_run_id=run_id,
        timestamp=from_ns(row.time),
        description=row.description,
        available_balance_change=row.available,
        unavailable_balance_change=row.unavailable,
        transaction_type=row.kind,
        order_id=row.order_id,
        transaction_id=derived_id(run_id, f"transaction/{row.sequence}"),
        asset_code=row.asset,
        entry_id=entry_uuid(run_id, row.entry),
        sequence=row.sequence,
    )


def journal_sha256(rows: Iterable[Row], orders: Iterable[Any]) -> str:
    """The hash that stands for a journal, of one line per transaction: order, part, time, account,
    asset, type and amounts; no ids and no sentences.

    ``orders`` are those of the run in the order in which they came to be: they number the rows.
    """
    digest = hashlib.sha256()
    numbers = part_numbers((order.id, order.branch_id) for order in orders)
    for row in rows:
        line = "|".join(
            (
                "" if row.order_id is None else numbers.get(row.order_id, "?"),
                format_ns(row.time),
                row.account,
                row.asset,
                row.kind.value,
                plain(row.available),
                plain(row.unavailable),
            )
        )
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()


def part_numbers(orders: Iterable[tuple[Key, Key]]) -> dict[Key, str]:
    """``"3.2"``, the second part of the third order, by the part's id.

    ``orders`` are the ids of all parts, each with that of its branch, in the order in which they
    came to be.
    """
    counts: dict[Key, list[int]] = {}
    numbers: dict[Key, str] = {}
    for part, branch in orders:
        count = counts.setdefault(branch, [len(counts) + 1, 0])
        count[1] += 1
        numbers[part] = f"{count[0]}.{count[1]}"
    return numbers
