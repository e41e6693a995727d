"""What was sold, matched with what was bought: lots, oldest first or at average cost.

Spot orders are matched per account and pair. What a pair's own purchases and the opening balance
did not bring in and is sold all the same came through another pair: it is a lot of the other side.
Positions are closed as the venue closed them: within the order chain, oldest first.

Nothing is lost by rounding. A part takes its share by volume, the last the remainder; so the gains
of all trades, open ones at the last price, are what their accounts gained.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from attrs import define, field

from backtest.analysis.trades.chains import Chains, share, share_of_costs
from backtest.analysis.trades.history import Charge, Costs, Execution, History, Opening, PairTerms
from backtest.money import ZERO, add, div, mul, round_half_even, sub

__all__ = ["FINE", "Lot", "Matching", "Piece"]

FINE = Decimal("1e-24")
"""To so much averages and shares of exact products are rounded."""


class Origin(NamedTuple):
    """Where a lot came from."""

    root: str
    branch: str
    strategy: str
    reason: str


@define(eq=False)
class Lot:
    """What is open of one entry; with average cost, of all entries since nothing was open."""

    is_long: bool
    time: int
    start: int
    volume: Decimal
    value: Decimal
    """What it was bought, or sold, for."""
    price: Decimal | None
    """The price of it; None where it is an average."""
    step: Decimal
    """To what its value is divided."""
    costs: Costs
    origins: dict[Origin, None] = field(factory=dict)


@define(eq=False)
class Piece:
    """A part of a lot and what closed it; nothing closed what is still open."""

    lot: Lot
    closed_by: Execution | None
    volume: Decimal
    entry_value: Decimal
    entry_price: Decimal
    exit_value: Decimal
    costs: Costs
    pair: str
    account: str
    order_kind: str
    origins: tuple[Origin, ...]

    @property
    def gross(self) -> Decimal:
        """What it won, without fees."""
        if self.lot.is_long:
            return sub(self.exit_value, self.entry_value)
        return sub(self.entry_value, self.exit_value)


@define(eq=False)
class _Book:
    pair: str
    account: str
    order_kind: str
    lots: list[Lot] = field(factory=list)


class Matching:
    """Matches a history by ``method``; in ``pieces`` stands what came of it."""

    def __init__(self, history: History, method: str) -> None:
        self._history = history
        self._pools = method == "average"
        self._books: dict[object, _Book] = {}
        self._in_use: dict[tuple[str, str], dict[_Book, None]] = {}
        """Books of positions of each account and pair, while they hold lots."""
        self._chains = Chains(history)
        self.pieces: list[Piece] = []
        self.untraded = self._chains.untraded
        """Charges of order chains that never filled, by account and asset: they are of no trade."""
        for opening in history.opening:
            self._own(opening)
        for execution, charges in history.steps():
            if execution is not None:
                self._execute(execution, charges)
            else:
                for charge in charges:
                    if self._chains.is_of_position(charge):
                        self._charge(charge)
        for book in self._books.values():
            for lot in book.lots:
                self._mark(book, lot)

    # -- books -------------------------------------------------------------------------------------

    def _key(self, account: str, pair: str, is_spot: bool, root: str) -> object:
        if is_spot or (self._pools and account in self._history.netting):
            return account, pair, is_spot
        return root

    def _book(self, one: Execution) -> _Book:
        key = self._key(one.account, one.pair, one.is_spot, one.root)
        book = self._books.get(key)
        if book is None:
            book = self._books[key] = _Book(one.pair, one.account, one.order_kind)
        return book

    def _own(self, one: Opening) -> None:
        """What an account has at the start was bought then, at the first mark."""
        book = self._books[one.account, one.pair, True] = _Book(one.pair, one.account, "spot")
        start, cost = self._history.start_ns, mul(one.volume, one.price)
        lot = Lot(True, start, start, one.volume, cost, one.price, FINE, Costs())
        lot.origins[Origin("", "", "", "opening_balance")] = None
        book.lots.append(lot)

    # -- executions --------------------------------------------------------------------------------

    def _execute(self, one: Execution, charges: Sequence[Charge]) -> None:
        terms, book = self._history.pairs[one.pair], self._book(one)
        costs = self._chains.share_of(one)
        costs.fees = add(costs.fees, one.fee)
        for charge in charges:
            costs.book(charge)
        left, value = one.volume, _value(one, terms)
        if one.is_spot or not one.opens:
            left, value, costs = self._close(book, one, terms, value, costs)
        if left:
            self._open(book, one, terms, left, value, costs)

    def _close(
        self, book: _Book, one: Execution, terms: PairTerms, value: Decimal, costs: Costs
    ) -> tuple[Decimal, Decimal, Costs]:
        """Close what is open on the other side, oldest first; what is left over of ``one``."""
        left, step = one.volume, terms.step if one.is_spot else FINE
        while left and book.lots and book.lots[0].is_long is not one.is_long:
            lot = book.lots[0]
            part = min(left, lot.volume)
            own_value = share(value, part, left, step)
            own_costs = share_of_costs(costs, part, left, terms.step)
            price = _price(lot, terms)
            entry_value, entry_costs = _taken(lot, part, terms.step, one if self._pools else None)
            left, value, costs = sub(left, part), sub(value, own_value), costs.less(own_costs)
            self.pieces.append(
                Piece(
                    lot, one, part, entry_value, price, own_value, _sum(entry_costs, own_costs),
                    book.pair, book.account, book.order_kind, tuple(lot.origins),
                )
            )  # fmt: skip
            if not lot.volume:
                del book.lots[0]
        if not book.lots:
            self._in_use.get((book.account, book.pair), {}).pop(book, None)
        return left, value, costs

    def _open(
        self,
        book: _Book,
        one: Execution,
        terms: PairTerms,
        volume: Decimal,
        value: Decimal,
        costs: Costs,
    ) -> None:
        origin = Origin(one.root, one.branch, one.strategy, "order")
        if self._pools and book.lots:
            lot = book.lots[0]
            lot.price = lot.price if lot.price == one.price else None
            lot.volume, lot.value = add(lot.volume, volume), add(lot.value, value)
            lot.costs.take(costs)
        else:
            step = terms.step if one.is_spot else FINE
            lot = Lot(one.is_long, one.time, one.start, volume, value, one.price, step, costs)
            book.lots.append(lot)
            if not one.is_spot:
                self._in_use.setdefault((book.account, book.pair), {})[book] = None
        lot.origins.setdefault(origin)

    # -- charges and marks -------------------------------------------------------------------------

    def _charge(self, charge: Charge) -> None:
        """A charge of a position is of all its lots, by volume."""
        if charge.account in self._history.netting:
            books = list(self._in_use.get((charge.account, charge.pair), ()))
        else:
            books = [self._books[charge.root]]
        lots = [lot for book in books for lot in book.lots]
        whole = ZERO
        for lot in lots:
            whole = add(whole, lot.volume)
        left, step = charge.amount, self._history.pairs[charge.pair].step
        for lot in lots:
            part = share(left, lot.volume, whole, step)
            lot.costs.book(charge._replace(amount=part))
            left, whole = sub(left, part), sub(whole, lot.volume)

    def _mark(self, book: _Book, lot: Lot) -> None:
        terms = self._history.pairs[book.pair]
        mark = self._history.marks[book.pair]
        value = mul(mul(mark, lot.volume), terms.contract_size)
        self.pieces.append(
            Piece(
                lot, None, lot.volume, lot.value, _price(lot, terms), value, lot.costs,
                book.pair, book.account, book.order_kind, tuple(lot.origins),
            )
        )  # fmt: skip


def _value(one: Execution, terms: PairTerms) -> Decimal:
    """What an execution exchanged, so that its close wins what was posted."""
    if one.is_spot:
        return one.notional
    if one.opens or one.cost is None or one.pnl is None:
        return mul(mul(one.volume, terms.contract_size), one.price)
    # A long was sold for what it had cost and won; a short was bought back for that less.
    return sub(one.cost, one.pnl) if one.is_long else add(one.cost, one.pnl)


def _price(lot: Lot, terms: PairTerms) -> Decimal:
    if lot.price is not None:
        return lot.price
    return round_half_even(div(lot.value, mul(lot.volume, terms.contract_size)), FINE)


def _taken(
    lot: Lot, part: Decimal, step: Decimal, pooled: Execution | None
) -> tuple[Decimal, Costs]:
    """Take ``part`` off a lot: its share of the value and of the costs. At average cost a position
    takes what its venue took."""
    value = share(lot.value, part, lot.volume, lot.step)
    if pooled is not None and pooled.cost is not None:
        value = pooled.cost
    costs = share_of_costs(lot.costs, part, lot.volume, step)
    lot.volume, lot.value, lot.costs = (
        sub(lot.volume, part), sub(lot.value, value), lot.costs.less(costs),
    )  # fmt: skip
    return value, costs


def _sum(one: Costs, other: Costs) -> Costs:
    total = Costs()
    total.take(one)
    total.take(other)
    return total
