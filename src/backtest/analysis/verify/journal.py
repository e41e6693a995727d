"""One walk along the journal: is it whole, does it balance, does it fold to the balances?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

from backtest.analysis.tables.exact import amount, text_of
from backtest.analysis.tables.tables import Row
from backtest.analysis.verify.between import Between
from backtest.analysis.verify.kinds import kinds
from backtest.analysis.verify.lines import FillLine, Leg, Material, derived_id, legs_of
from backtest.analysis.verify.value import Value
from backtest.analysis.verify.verification import Check, Finding
from backtest.models import TransactionType
from backtest.services.ledger.descriptions import TRADES, describe, traded

__all__ = ["HOUSE", "Journal", "journal_checks"]

_FILLING = frozenset(
    {"FILL_BUY", "FILL_SELL", "SPOT_EXCHANGE", "FEE_FILL", "CLOSE_PNL", "FEE_CLOSE"}
)
"""Kinds of transactions that come of fills, and of nothing else."""
_ORDER = Leg._fields.index("order")
_HASHED = (0, 4, 5, 6, 7, 8)
"""The columns of a transaction that the journal's hash is made of, after order and part."""


class Journal:
    """Walks the transactions once; what it adds up is there for the other checks."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._run_id = material.run_id
        self.whole = Finding("the journal is whole and in order")
        self.balanced = Finding("every entry sums to zero per asset")
        self.solvent = Finding("no agent's account is below zero")
        self.folds = Finding("the journal folds to the balances")
        self.booked = Finding("every fill is booked, and nothing else")
        self.between = Between(material)
        """What agents traded with each other."""
        self.value = Value(material)
        """What fills came to."""
        self.shared: dict[str, tuple[str, ...]] = {}
        """By entry of several orders: which they are."""
        self.held: dict[tuple[str, str], tuple[int, int]] = {}
        """Account and asset to available and unavailable, folded from empty."""
        self.by_order: dict[str, dict[tuple[str, str], tuple[int, int]]] = {}
        """By order, kind and asset: what the agents' accounts received in all, and in reserve."""
        self.came_in: dict[str, int] = {}
        """By asset, what came in through the world."""
        self.causes: dict[str, str] = {}
        """By entry: the message that caused it."""
        self.opening: set[str] = set()
        """Entries that belong to no order."""
        self.entries = 0
        self.rows = 0
        self.last_time = ""
        self._last_entry = 0
        self._digest = hashlib.sha256()
        self._parts = _parts(material)
        self._balances = iter(material.tables.rows("balances"))
        self._fills = material.fills
        self._next_fill = 0

    @property
    def sha256(self) -> str:
        """The hash of the journal as it was read."""
        return self._digest.hexdigest()

    # -- the walk ----------------------------------------------------------------------------------

    def walk(self) -> None:
        """Read every transaction."""
        for _, rows in groupby(self._material.tables.rows("transactions"), key=itemgetter(2)):
            legs = [self._leg(row) for row in rows]
            self._order(legs)
            self._balance(legs)
            kinds(legs, self.whole, self.balanced)
            self._fold(legs)
            self._gather(legs)
            self._book(legs)
            self.entries += 1
        self._end()

    def _leg(self, row: Row) -> Leg:
        self.rows += 1
        part = self._parts.get(row[9], "?") if row[9] else ""
        self._digest.update("|".join([part, *(row[at] for at in _HASHED)]).encode())
        self._digest.update(b"\n")
        try:
            leg = legs_of(row)
        except ValueError as error:
            raise ValueError(f"transactions, row {self.rows}: {error}") from None
        if leg.sequence != str(self.rows):
            self.whole.wrong(f"row {self.rows} has sequence {leg.sequence}")
        return leg

    def _order(self, legs: Sequence[Leg]) -> None:
        first = legs[0]
        number = int(first.entry)
        if number <= self._last_entry:
            self.whole.wrong(f"entry {number} comes after entry {self._last_entry}")
        self._skip_to(number)
        if first.entry_id != derived_id(self._run_id, f"entry/{number}"):
            self.whole.wrong(f"entry {number} has an id of another entry or run, {first.entry_id}")
        if first.time < self.last_time:
            self.whole.wrong(f"entry {number} is earlier ({first.time}) than the one before it")
        self.last_time = first.time
        self.causes[first.entry] = first.cause
        if not first.order:
            self.opening.add(first.entry)
        same = (first.time, first.entry_id, first.cause)
        orders = {first.order: None}
        for leg in legs:
            if (leg.time, leg.entry_id, leg.cause) != same:
                self.whole.wrong(f"entry {number} is not of one time and cause")
            orders[leg.order] = None
        known = self._material.order_by_id
        for order in orders:
            if order and order not in known:
                self.whole.wrong(f"entry {number} belongs to order {order}, which is unknown")
        if len(orders) > 1:
            self._order_several(first.entry, tuple(orders), legs)

    def _skip_to(self, number: int) -> None:
        """Entry ``number`` comes next: in those between it and the last no money moved."""
        for missing in range(self._last_entry + 1, number):
            # An entry in which no money moved (a fill at the price it had reserved for, free of
            # charge) has no transactions; the fill that it booked must be there.
            entry_id = derived_id(self._run_id, f"entry/{missing}")
            fills = self._fills_of(entry_id)
            if not fills:
                self.whole.wrong(f"entry {missing} is missing")
                break  # it may be a number of twenty digits
            for fill in fills:
                self._no_money(fill)
        self._last_entry = number

    def _order_several(self, entry: str, orders: tuple[str, ...], legs: Sequence[Leg]) -> None:
        """An entry of several orders: the legs of each in one piece, on its own account. That all
        of them have to do with it is told by the events."""
        self.shared[entry] = orders
        pieces = [order for order, _ in groupby(leg.order for leg in legs)]
        if len(pieces) != len(orders) or "" in orders:
            self.whole.wrong(f"entry {entry} does not keep the legs of each of its orders together")
        known, agents = self._material.order_by_id, self._material.agents
        for leg in legs:
            order = known.get(leg.order)
            if leg.account in agents and order is not None and leg.account != order.account:
                self.whole.wrong(
                    f"entry {entry} moves money of {leg.account} for order {leg.order}, which is "
                    f"{order.account}'s"
                )

    def _balance(self, legs: Sequence[Leg]) -> None:
        sums: dict[str, int] = {}
        for leg in legs:
            sums[leg.asset] = sums.get(leg.asset, 0) + leg.available + leg.unavailable
            if leg.account == "world":
                self.came_in[leg.asset] = (
                    self.came_in.get(leg.asset, 0) - leg.available - leg.unavailable
                )
        for asset, total in sums.items():
            if total:
                self.balanced.wrong(f"entry {legs[0].entry} sums to {text_of(total)} {asset}")

    def _fold(self, legs: Sequence[Leg]) -> None:
        held, agents = self.held, self._material.agents
        touched: dict[tuple[str, str], None] = {}
        for leg in legs:
            key = (leg.account, leg.asset)
            available, unavailable = held.get(key, (0, 0))
            held[key] = (available + leg.available, unavailable + leg.unavailable)
            if leg.account in agents:
                touched[key] = None
            elif leg.account not in HOUSE:
                self.whole.wrong(f"entry {leg.entry} names the unknown account {leg.account!r}")
        first = legs[0]
        for key in touched:
            both = held[key]
            if both[0] < 0 or both[1] < 0:
                self.solvent.wrong(
                    f"after entry {first.entry}, {key[0]} has {text_of(both[0])} {key[1]} "
                    f"available and {text_of(both[1])} in reserve"
                )
            expected = (first.time, first.entry, first.entry_id, *key, *map(text_of, both))
            found = next(self._balances, None)
            if found != expected:
                told = "missing" if found is None else ",".join(found)
                self.folds.wrong(
                    f"after entry {first.entry} the journal gives {','.join(expected)}, "
                    f"the table of balances: {told}"
                )

    def _gather(self, legs: Sequence[Leg]) -> None:
        for order, own in groupby(legs, key=itemgetter(_ORDER)):
            if not order:
                continue
            sums = self.by_order.setdefault(order, {})
            for leg in own:
                if leg.account in self._material.agents:
                    key = (leg.kind, leg.asset)
                    total, reserved = sums.get(key, (0, 0))
                    sums[key] = (
                        total + leg.available + leg.unavailable,
                        reserved + leg.unavailable,
                    )

    # -- fills, in the order of their entries ------------------------------------------------------

    def _fills_of(self, entry_id: str) -> list[FillLine]:
        """The next fills, as many as are this entry's."""
        begin = self._next_fill
        while (
            self._next_fill < len(self._fills) and self._fills[self._next_fill].entry_id == entry_id
        ):
            self._next_fill += 1
        return self._fills[begin : self._next_fill]

    def _no_money(self, fill: FillLine) -> None:
        if fill.order_kind != "trading" or fill.kind != "entry" or fill.fee:
            self.booked.wrong(f"{_of(fill)} is not in the journal")

    def _book(self, legs: Sequence[Leg]) -> None:
        first = legs[0]
        fills = self._fills_of(first.entry_id)
        self.between.entry(legs, fills)
        if not fills:
            for leg in legs:
                if leg.kind in _FILLING and leg.account not in ("clearing", "fees"):
                    self.booked.wrong(f"entry {first.entry} books a {leg.kind}, but no fill")
                    break
            return
        by_order: dict[str, list[Leg]] = {}
        for leg in legs:
            by_order.setdefault(leg.order, []).append(leg)
        if len(fills) == 1 and not _is_described(first, fills[0]):
            self.booked.wrong(f"{_of(fills[0])} is described as {first.description!r}")
        self.value.entry(by_order, fills)
        for fill in fills:
            own = by_order.pop(fill.order, None)
            if own is None or first.time != fill.time:
                self.booked.wrong(
                    f"{_of(fill)} names entry {first.entry}, of {first.order} at {first.time}"
                )
            self._book_one(fill, own or ())
        for order, own in by_order.items():
            if any(leg.kind in _FILLING and leg.account in self._material.agents for leg in own):
                self.booked.wrong(f"entry {first.entry} books for order {order}, but no fill")

    def _book_one(self, fill: FillLine, legs: Sequence[Leg]) -> None:
        """What the legs of its order book for a fill."""
        found: dict[tuple[str, str], int] = {}
        for leg in legs:
            if leg.account in self._material.agents:
                if leg.account != fill.account:
                    self.booked.wrong(
                        f"{_of(fill)} is booked on {leg.account}, not on {fill.account}"
                    )
                if leg.kind in _FILLING:
                    key = (leg.kind, leg.asset)
                    found[key] = found.get(key, 0) + leg.available + leg.unavailable
        expected = {key: units for key, units in self._expected(fill).items() if units}
        found = {key: units for key, units in found.items() if units}
        if found != expected:
            self.booked.wrong(
                f"{_of(fill)} should book {_told(expected)}, the journal has {_told(found)}"
            )

    def _expected(self, fill: FillLine) -> dict[tuple[str, str], int]:
        """What a fill must bring the account, by kind and asset."""
        pair = self._material.pairs[fill.pair]
        if fill.order_kind == "spot":
            if fill.direction == "LONG":
                return {
                    ("FILL_BUY", pair.quote): -fill.notional,
                    ("SPOT_EXCHANGE", pair.base): fill.volume,
                    ("FEE_FILL", fill.fee_asset): -fill.fee,
                }
            return {
                ("FILL_SELL", pair.base): -fill.volume,
                ("SPOT_EXCHANGE", pair.quote): fill.notional,
                ("FEE_FILL", fill.fee_asset): -fill.fee,
            }
        if fill.kind == "entry":
            return {("FEE_FILL", fill.fee_asset): -fill.fee}
        return {("CLOSE_PNL", pair.quote): fill.pnl, ("FEE_CLOSE", fill.fee_asset): -fill.fee}

    # -- the end -----------------------------------------------------------------------------------

    def _end(self) -> None:
        while self._next_fill < len(self._fills):
            fill = self._fills[self._next_fill]
            following = self._fills_of(derived_id(self._run_id, f"entry/{self._last_entry + 1}"))
            if following:
                self._last_entry += 1
                for one in following:
                    self._no_money(one)
                continue
            self.booked.wrong(
                f"fill {self._next_fill + 1} (order {fill.order} at {fill.time}) names entry "
                f"{fill.entry_id}, which is not in the journal at its place"
            )
            break
        for row in self._balances:
            self.folds.wrong(f"the table of balances has a row of no entry: {','.join(row)}")
        self._compare_final()
        self.between.finish()
        self.value.finish()
        self.whole.right = f"{self.rows} transactions in {self.entries} entries"
        self.balanced.right = f"{self.entries} entries"
        self.solvent.right = f"{len(self._material.agents)} accounts, after each entry"
        self.folds.right = "after each entry and at the end, house accounts included"
        self.booked.right = f"{len(self._fills)} fills"

    def _compare_final(self) -> None:
        told = {
            (account, asset): (amount(both["available"]), amount(both["unavailable"]))
            for account, assets in self._material.facts["balances"].items()
            for asset, both in assets.items()
        }
        names = {*self._material.agents, *HOUSE}
        self.folds.differ(
            "the accounts with balances",
            sorted({one for one, _ in told} | names),
            sorted({*self._material.facts["balances"]}),
        )
        for key in sorted({*self.held} - {*told}):
            self.folds.wrong(f"the balance of {key[0]} in {key[1]} is not told")
        for key in sorted({*told, *self.held}):
            found, folded = told.get(key, (0, 0)), self.held.get(key, (0, 0))
            if found != folded:
                self.folds.wrong(
                    f"{key[0]} ends with {text_of(found[0])} {key[1]} available and "
                    f"{text_of(found[1])} in reserve, the journal folds to {text_of(folded[0])} "
                    f"and {text_of(folded[1])}"
                )


HOUSE = frozenset({"market", "clearing", "fees", "insurance", "world"})
"""The accounts that are nobody's."""


def _parts(material: Material) -> dict[str, str]:
    """The number of each order and part (``"3.2"``) by its id, from the table of orders."""
    branches: dict[str, list[str]] = {}
    for order in material.orders:
        branches.setdefault(order.branch, []).append(order.id)
    return {
        part: f"{number}.{place}"
        for number, parts in enumerate(branches.values(), 1)
        for place, part in enumerate(parts, 1)
    }


def journal_checks(journal: Journal) -> Iterator[Check]:
    """The checks that the walk made."""
    for finding in (
        journal.whole,
        journal.balanced,
        journal.solvent,
        journal.folds,
        journal.booked,
        journal.value.finding,
        *journal.between.findings,
    ):
        yield finding.done()


def _is_described(leg: Leg, fill: FillLine) -> bool:
    """Whether the description of a transaction is the one that ``fill`` makes."""
    if leg.kind not in TransactionType.__members__:
        return False  # another check's to tell
    kind = TransactionType(leg.kind)
    volume, price = Decimal(text_of(fill.volume)), Decimal(text_of(fill.price))
    return any(leg.description == describe(kind, traded(one, volume, price)) for one in TRADES)


def _of(fill: FillLine) -> str:
    return f"the fill of order {fill.order} at {fill.time}"


def _told(sums: dict[tuple[str, str], int]) -> str:
    return (
        ", ".join(f"{kind} {text_of(units)} {asset}" for (kind, asset), units in sums.items())
        or "nothing"
    )
