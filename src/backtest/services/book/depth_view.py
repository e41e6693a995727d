"""What a reader of depth has: a book rebuilt from a snapshot and updates, and no update missed."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Generic, TypeVar

from backtest.errors import DepthGap

__all__ = ["DepthView"]

Number = TypeVar("Number", int, Decimal)


class DepthView(Generic[Number]):
    """The levels of a book as of update ``sequence``, from ``(price, volume, orders)`` of each.

    Whole numbers or `Decimal` both do: nothing is computed with them.

    >>> view = DepthView(4, [(99, 5, 1)], [(101, 7, 2)])
    >>> view.apply(5, [(True, 100, 3, 1), (False, 101, 0, 0)])
    True
    >>> view.depth()
    (((100, 3, 1), (99, 5, 1)), ())
    """

    __slots__ = ("_asks", "_bids", "sequence")

    def __init__(
        self,
        sequence: int,
        bids: Iterable[tuple[Number, Number, int]],
        asks: Iterable[tuple[Number, Number, int]],
    ) -> None:
        self.sequence = sequence
        self._bids: dict[Number, tuple[Number, int]] = {}
        self._asks: dict[Number, tuple[Number, int]] = {}
        for side, levels in ((self._bids, bids), (self._asks, asks)):
            for price, volume, orders in levels:
                side[price] = (volume, orders)

    def apply(self, sequence: int, changes: Iterable[tuple[bool, Number, Number, int]]) -> bool:
        """Take in update ``sequence``; false (and nothing done) if the snapshot had it already.

        `DepthGap`, with nothing done, where one between is missing.
        """
        if sequence <= self.sequence:
            return False
        if sequence != self.sequence + 1:
            raise DepthGap(self.sequence + 1, sequence)
        for buy, price, volume, orders in changes:
            side = self._bids if buy else self._asks
            if volume:
                side[price] = (volume, orders)
            else:
                # A level may have come and gone between two updates: it was never told of.
                side.pop(price, None)
        self.sequence = sequence
        return True

    def best(self, buy: bool) -> Number | None:
        """The best price of that side."""
        if buy:
            return max(self._bids, default=None)
        return min(self._asks, default=None)

    def depth(
        self, levels: int = 0
    ) -> tuple[tuple[tuple[Number, Number, int], ...], tuple[tuple[Number, Number, int], ...]]:
        """Bids and asks, each ``(price, volume, orders)`` of the best levels (0: all)."""
        return _best(self._bids, True, levels), _best(self._asks, False, levels)


def _best(
    side: dict[Number, tuple[Number, int]], buy: bool, levels: int
) -> tuple[tuple[Number, Number, int], ...]:
    prices = sorted(side, reverse=buy)
    return tuple((at, side[at][0], side[at][1]) for at in (prices[:levels] if levels else prices))
