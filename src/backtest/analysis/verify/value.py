"""A fill moves value and makes none: what each order and each position came to, by the journal.

Per order (its branch; the exits of a spot bracket count as one) and account, what its fills changed
of the quote asset, plus what they changed of the base at their prices, plus the fees that they
paid, is nothing, or up to one step of the quote asset less: rounding is cumulative and against the
account. Per position, what its closes brought is what it was sold for less its share of what it
cost, or up to one step less.
"""

from __future__ import annotations

from collections.abc import Sequence

from backtest.analysis.tables.exact import ONE_UNIT, text_of
from backtest.analysis.verify.lines import FillLine, Leg, Material, PairFacts
from backtest.analysis.verify.verification import Finding

__all__ = ["Value"]

_FEES = frozenset({"FEE_FILL", "FEE_CLOSE"})
_SQUARE = ONE_UNIT * ONE_UNIT
_NOISE = ONE_UNIT // 10**20 * _SQUARE
"""Shares of a cost that have no end are cut off far behind the point."""
"""The number 1 in units of a price times a volume."""


class Value:
    """Adds up what fills make, entry by entry."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self.finding = Finding("fills move value and make none")
        self._made: dict[tuple[str, str], int] = {}
        """By order or position: what its fills made in all, times `ONE_UNIT` twice over."""

    def entry(self, by_order: dict[str, list[Leg]], fills: Sequence[FillLine]) -> None:
        """Look at the legs of one entry, by order, and at the fills that it books."""
        for fill in fills:
            self._fill(fill, by_order.get(fill.order, ()))

    def _fill(self, fill: FillLine, legs: Sequence[Leg]) -> None:
        pair = self._material.pairs[fill.pair]
        moved = {pair.quote: 0, pair.base: 0}
        for leg in legs:
            change = leg.available + leg.unavailable
            own = leg.account == fill.account
            if own or leg.account == "insurance" or (leg.account == "fees" and leg.kind in _FEES):
                # A fee that was paid counts as had; what the insurance paid of it does not.
                moved[leg.asset] = moved.get(leg.asset, 0) + change
        value = moved[pair.quote] * _SQUARE + moved[pair.base] * fill.price * ONE_UNIT
        if fill.order_kind != "spot":
            self._position(fill, value, pair)
            return
        self._add(fill, ("order", self._order_of(fill)), value, pair)

    def _position(self, fill: FillLine, value: int, pair: PairFacts) -> None:
        if fill.kind == "entry":
            if value:
                self.finding.wrong(
                    f"{_of(fill)} makes {_shown(value)} {pair.quote} where a position is opened"
                )
            return
        closed = self._material.positions.closes.get((fill.entry_id, fill.order))
        if closed is None:
            self.finding.wrong(f"{_of(fill)} closes a position that no fill has opened")
            return
        position = ("position", str(closed.position))
        self._add(fill, position, value - closed.won * _SQUARE, pair)

    def _order_of(self, fill: FillLine) -> str:
        """The order that a fill belongs to: its branch, or the entry whose bracket it is of."""
        order = self._material.order_by_id.get(fill.order)
        if order is not None and order.entry_order and order.branch == order.root:
            entry = self._material.order_by_id.get(order.entry_order)
            if entry is not None and entry.id != order.root:
                return f"exits of {entry.branch}"
        return fill.branch

    def _add(self, fill: FillLine, group: tuple[str, str], value: int, pair: PairFacts) -> None:
        total = self._made[group] = self._made.get(group, 0) + value
        if not -pair.quote_step * _SQUARE - _NOISE < total <= _NOISE:
            self.finding.wrong(
                f"with {_of(fill)}, {group[0]} {group[1]} has made {_shown(total)} {pair.quote} of "
                "nothing"
            )

    def finish(self) -> None:
        """All entries have been looked at."""
        self.finding.right = f"{len(self._made)} orders and positions, to a step of the quote asset"


def _of(fill: FillLine) -> str:
    return f"the fill of order {fill.order} at {fill.time}"


def _shown(value: int) -> str:
    """A value as text; below the smallest unit it is cut off."""
    sign = "-" if value < 0 else ""
    return f"{sign}{text_of(abs(value) // _SQUARE)}"
