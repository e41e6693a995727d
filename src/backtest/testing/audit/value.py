"""What the oracle asks of every fill (I26): it moves value and makes none.

Read from the journal and the prices of the fills alone. Per order (its branch; the exits of a spot
bracket count as one) and account, what its fills so far changed of the quote asset, plus what they
changed of the base at their prices, plus the fees that were paid, is nothing, or up to one step of
the quote asset less. Per position, what its closes brought is what it was sold for less its share
of what it cost, or up to one step less.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any, NoReturn
from uuid import UUID

from backtest.analysis.verify.lines import derived_id

from .segments import segments
from .units import Units, units, whole

__all__ = ["ValueAudit"]

_NOTHING = Fraction(0)
_NOISE = Fraction(1, 10**20)
"""Shares of a cost that have no end are cut off far behind the point."""
_FEES = frozenset(("FEE_FILL", "FEE_CLOSE"))


class ValueAudit:
    """Follows entries and fills; ``orders`` gives an order's last state by its id, ``names`` the
    accounts' names by theirs, ``netting`` the ids of those that have one position in a pair."""

    def __init__(
        self,
        broker: Any,
        orders: Callable[[UUID], Any],
        names: Mapping[UUID, str],
        netting: Collection[UUID],
        fail: Callable[[str, str], NoReturn],
    ) -> None:
        self.entries: list[Any] = []
        """New ledger entries; put them here before `check`."""
        self._venue = broker.venue
        self._orders = orders
        self._names = names
        self._netting = netting
        self._fail = fail
        self._fills = 0
        self._value: dict[tuple[str, UUID], Fraction] = {}
        """By order: what its fills made, less what they should have."""
        self._positions: dict[object, _Position] = {}
        """By branch; of a netting account by that and pair."""

    def check(self) -> None:
        """Look at what is new."""
        fills = self._venue.records.fills
        told: dict[tuple[str, UUID], Any] = {}
        while self._fills < len(fills):
            fill = fills[self._fills]
            self._fills += 1
            told[str(fill.entry_id), fill.order_id] = fill
        if told:
            for entry in self.entries:
                entry_id = derived_id(self._venue.run_id, f"entry/{entry.number}")
                for order_id, legs in segments(entry):
                    fill = told.pop((entry_id, order_id), None)
                    if fill is not None:
                        self._check_fill(fill, legs)
        self.entries.clear()
        for fill in told.values():
            self._fail("I26", f"{_told(fill)} moved nothing: no entry has its legs")

    def _check_fill(self, fill: Any, legs: Sequence[Any]) -> None:
        pair = self._venue.books[fill.pair].pair
        quote, base = pair.quote.code, pair.base.code
        account = self._names[fill.account_id]
        moved: dict[str, Units] = {quote: 0, base: 0}
        for owner, asset, kind, available, unavailable in legs:
            change = units(available) + units(unavailable)
            if owner == account:
                moved[asset] = moved.get(asset, 0) + change
            elif owner == "fees" and kind.name in _FEES:
                # What the account paid counts as had; what the insurance paid for it does not.
                moved[asset] += change
            elif owner == "insurance":
                moved[asset] += change
        price = Fraction(fill.price)
        value = whole(moved[quote])
        if fill.order_kind == "spot":
            group = self._order_of(fill)
            value += whole(moved[base]) * price
        elif fill.realised_pnl is None:
            size = Fraction(fill.volume) * Fraction(pair.contract_size)
            self._position_of(fill).open(size, price, fill.direction.sign)
            if value or moved[base]:
                self._fail("I26", f"{_told(fill)} makes {float(value)} {quote} of nothing")
            return
        else:
            size = Fraction(fill.volume) * Fraction(pair.contract_size)
            position = self._position_of(fill)
            value += whole(moved[base]) * price - position.close(size, price)
            total = position.made = position.made + value
            self._check("position", total, fill, pair)
            if not position.size:
                position.made = _NOTHING
            return
        total = self._value[group] = self._value.get(group, _NOTHING) + value
        self._check(group[0], total, fill, pair)

    def _check(self, what: str, total: Fraction, fill: Any, pair: Any) -> None:
        if not -Fraction(1, 10**pair.quote.precision) - _NOISE < total <= _NOISE:
            self._fail(
                "I26",
                f"with {_told(fill)} the {what} has made {float(total)} {pair.quote.code} of "
                "nothing",
            )

    def _order_of(self, fill: Any) -> tuple[str, UUID]:
        order = self._orders(fill.order_id)
        entry = order.entry_order_id
        if entry is not None and entry != order.root_id and order.branch_id == order.root_id:
            return "bracket", self._orders(entry).branch_id
        return "order", fill.branch_id

    def _position_of(self, fill: Any) -> _Position:
        """The position that a fill opens, adds to or closes: of a netting account the one in the
        pair, else that of the branch. A part of a split has its price of the whole."""
        order = self._orders(fill.order_id)
        if fill.account_id in self._netting:
            return self._positions.setdefault((fill.account_id, fill.pair), _Position())
        branch = order.branch_id
        position = self._positions.get(branch)
        if position is None:
            position = self._positions[branch] = _Position()
            while order.parent_id is not None and fill.realised_pnl is not None:
                order = self._orders(order.parent_id)
                whole = self._positions.get(order.branch_id)
                if whole is not None and whole is not position:
                    position.sign, position.price = whole.sign, whole.price
                    break
        return position


class _Position:
    """What is open, from the fills alone."""

    def __init__(self) -> None:
        self.sign = 0
        self.size = self.price = _NOTHING
        self.made = _NOTHING
        """What its closes made, less what they should have."""

    def open(self, size: Fraction, price: Fraction, sign: int) -> None:
        """So much more was opened."""
        if not self.size:
            self.sign = sign
        cost = self.size * self.price + size * price
        self.size += size
        self.price = cost / self.size

    def close(self, size: Fraction, price: Fraction) -> Fraction:
        """So much less is open: what that is worth."""
        self.size -= size
        return self.sign * (price - self.price) * size


def _told(fill: Any) -> str:
    return f"fill of {fill.volume} {fill.pair} at {fill.price} ({fill.kind}, {fill.order_id})"
