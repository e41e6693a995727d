"""What the oracle asks of every fill (I26): it moves value and makes none.

Read from the journal and the prices of the fills alone. Per order (its branch; the exits of a spot
bracket count as one) and account, what its fills so far changed of the quote asset, plus what they
changed of the base at their prices, plus the fees that were paid, is nothing, or up to one step of
the quote asset less. Per position, what its closes brought is what it was sold for less its share
of what it cost, or up to one step less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NoReturn
from uuid import UUID

from backtest.analysis.verify.lines import derived_id

from .segments import segments
from .units import Units, units, whole

__all__ = ["ValueAudit"]

_NOTHING = Fraction(0)
_FEES = frozenset(("FEE_FILL", "FEE_CLOSE"))


class ValueAudit:
    """Follows entries and fills; ``orders`` gives an order's last state by its id, ``names`` the
    accounts' names by theirs."""

    def __init__(
        self,
        broker: Any,
        orders: Callable[[UUID], Any],
        names: Mapping[UUID, str],
        fail: Callable[[str, str], NoReturn],
    ) -> None:
        self.entries: list[Any] = []
        """New ledger entries; put them here before `check`."""
        self._venue = broker.venue
        self._orders = orders
        self._names = names
        self._fail = fail
        self._fills = 0
        self._value: dict[tuple[str, UUID], Fraction] = {}
        """By order or position: what its fills made, less what they should have."""
        self._opened: dict[UUID, tuple[Fraction, int]] = {}
        """By order that opened a position: its price, and its sign."""

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
            self._opened[fill.order_id] = price, fill.direction.sign
            if value or moved[base]:
                self._fail("I26", f"{_told(fill)} makes {float(value)} {quote} of nothing")
            return
        else:
            group, (cost, sign) = self._position_of(fill.order_id)
            size = Fraction(fill.volume) * Fraction(pair.contract_size)
            value += whole(moved[base]) * price - sign * (price - cost) * size
        total = self._value[group] = self._value.get(group, _NOTHING) + value
        if not -Fraction(1, 10**pair.quote.precision) < total <= 0:
            self._fail(
                "I26",
                f"with {_told(fill)} the {group[0]} has made {float(total)} {quote} of nothing",
            )

    def _order_of(self, fill: Any) -> tuple[str, UUID]:
        order = self._orders(fill.order_id)
        entry = order.entry_order_id
        if entry is not None and entry != order.root_id and order.branch_id == order.root_id:
            return "bracket", self._orders(entry).branch_id
        return "order", fill.branch_id

    def _position_of(self, order_id: UUID) -> tuple[tuple[str, UUID], tuple[Fraction, int]]:
        """The position that ``order_id`` is a part of (each part of a split is one), and what
        opened it."""
        order = self._orders(order_id)
        part = None
        while order.id not in self._opened:
            parent = self._orders(order.parent_id)
            if part is None and parent.branch_id != order.branch_id:
                part = order.id
            order = parent
        return ("position", part or order.id), self._opened[order.id]


def _told(fill: Any) -> str:
    return f"fill of {fill.volume} {fill.pair} at {fill.price} ({fill.kind}, {fill.order_id})"
