"""What trades are made from: executions and charges, in order, whoever tells of them.

A run in memory tells of them (`backtest.analysis.trades.of_record`), and so do its files, when they
are verified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from attrs import define, field, frozen

from backtest.money import ZERO, add, sub

__all__ = ["Charge", "Costs", "Execution", "History", "Opening", "PairTerms", "Step"]


class PairTerms(NamedTuple):
    """What there is to know of a pair."""

    base: str
    quote: str
    step: Decimal
    """The smallest amount of the quote asset."""
    contract_size: Decimal


class Execution(NamedTuple):
    """A fill."""

    entry: str
    """The id of the ledger's entry."""
    order: str
    root: str
    branch: str
    closing: str
    account: str
    strategy: str
    pair: str
    order_kind: str
    kind: str
    is_long: bool
    """The side that traded here: a close of a long is none."""
    price: Decimal
    volume: Decimal
    notional: Decimal
    fee: Decimal
    pnl: Decimal | None
    cost: Decimal | None
    """Of a close: what it won, and what it took of the cost of its position."""
    time: int
    start: int
    """From when on bars lie wholly after it."""
    end: int
    """Until when bars lie wholly before it."""

    @property
    def is_spot(self) -> bool:
        return self.order_kind == "spot"

    @property
    def opens(self) -> bool:
        """Whether it opens a position; which of the two a spot order does, its account tells."""
        return self.kind == "entry"


class Charge(NamedTuple):
    """What was booked for an order beside what its fills came to."""

    entry: str
    account: str
    pair: str
    order: str
    root: str
    what: str
    """``fees``, ``financing`` or ``insured``."""
    amount: Decimal
    """What was paid; of ``insured``, what was received."""


class Opening(NamedTuple):
    """What an account owned of the base of a pair at the start, at the first mark."""

    account: str
    pair: str
    volume: Decimal
    price: Decimal


Step = tuple[Execution | None, Sequence[Charge]]
"""An execution with the charges of its own entry and order, or charges alone."""


@frozen(kw_only=True)
class History:
    """A run as its trades see it."""

    executions: Sequence[Execution]
    charges: Sequence[Charge]
    numbers: Mapping[str, int]
    """The order of the entries, by id. One in which no money moved may be missing."""
    pairs: Mapping[str, PairTerms]
    marks: Mapping[str, Decimal]
    """Last prices by pair."""
    opening: Sequence[Opening]
    netting: frozenset[str]
    """The accounts that have one position in a pair."""
    chains: Mapping[str, str]
    """The chain of each branch."""
    start_ns: int
    end_ns: int

    def steps(self) -> Iterator[Step]:
        """Executions and charges in the order in which they were booked."""
        own: dict[tuple[str, str], list[Charge]] = {
            (one.entry, one.order): [] for one in self.executions
        }
        others: list[tuple[int, Charge]] = []
        for charge in self.charges:
            mine = own.get((charge.entry, charge.order))
            if mine is None:
                others.append((self.numbers[charge.entry], charge))
            else:
                mine.append(charge)
        at = 0
        for one in self.executions:
            number = self.numbers.get(one.entry)
            while number is not None and at < len(others) and others[at][0] < number:
                yield None, (others[at][1],)
                at += 1
            yield one, own.pop((one.entry, one.order), ())
        for _, charge in others[at:]:
            yield None, (charge,)


@define
class Costs:
    """What a volume has cost beside its price: fees, financing, and what was insured of it."""

    fees: Decimal = field(default=ZERO)
    financing: Decimal = field(default=ZERO)
    insured: Decimal = field(default=ZERO)

    def book(self, charge: Charge) -> None:
        setattr(self, charge.what, add(getattr(self, charge.what), charge.amount))

    def take(self, other: Costs) -> None:
        """All of ``other`` is of this, too."""
        self.fees = add(self.fees, other.fees)
        self.financing = add(self.financing, other.financing)
        self.insured = add(self.insured, other.insured)

    def less(self, other: Costs) -> Costs:
        return Costs(
            sub(self.fees, other.fees),
            sub(self.financing, other.financing),
            sub(self.insured, other.insured),
        )

    @property
    def paid(self) -> Decimal:
        """What all of it comes to."""
        return sub(add(self.fees, self.financing), self.insured)
