"""Bugs to be planted in what fills come to, where one decision and one entry serve both venues."""

from __future__ import annotations

from typing import Any

from backtest.actors.venue.fill_side import FillSide
from backtest.actors.venue.settlement import Settlement
from backtest.money import ZERO, add

__all__ = ["SETTLEMENT_PLANTS"]


def _of_one_order(real: Any) -> Any:
    """All legs of an entry are of the order that comes first in it."""

    def legs(self: FillSide) -> Any:
        all_of_them, first, _ = real(self)
        return all_of_them, first, []

    return legs


def _kept(real: Any) -> Any:
    """The leaves of an order that closed something say that they reserve a step more."""

    def netted(self: Settlement, side: FillSide, balances: Any) -> None:
        side.kept_after_closes = add(side.kept_after_closes, side.book.step)
        real(self, side, balances)

    return netted


def _as_it_was(real: Any) -> Any:
    """A position keeps cost and margin of what was closed of it."""

    def go_on(self: Settlement, lot: Any, closing: Any, rest: Any, pool: Any) -> Any:
        old = lot.position.pool
        return real(self, lot, closing, rest, pool._replace(cost=old.cost, margin=old.margin))

    return go_on


def _opened_twice(real: Any) -> Any:
    """What an order closes of the other side does not count: all of it opens something, too."""

    def nets(self: FillSide, *args: Any) -> Any:
        _, money, sums = real(self, *args)
        return ZERO, money, sums

    return nets


SETTLEMENT_PLANTS: tuple[tuple[str, str, Any, str, Any], ...] = (
    ("one-segment", "all of an entry is told of one order", FillSide, "legs", _of_one_order),
    ("kept-back", "leaves say that they reserve a step more", Settlement, "_netted", _kept),
    ("as-it-was", "a close takes no cost and no margin with it", Settlement, "_go_on", _as_it_was),
    ("opened-twice", "an order opens what it closes, too", FillSide, "_nets", _opened_twice),
)
"""Name, what it does, the class, the method, the change."""
