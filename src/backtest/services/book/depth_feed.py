"""The best levels of a book, told as updates: what somebody who wants ten levels is sent."""

from __future__ import annotations

from backtest.services.book.book import OrderBook
from backtest.services.book.levels import BookSnapshot, BookUpdate, DepthTuple

__all__ = ["DepthFeed"]


class DepthFeed:
    """Updates of the best ``levels`` levels of each side (0: all), numbered by themselves.

    A level that others push out of the best is told as gone, one that moves up as new: who applies
    the updates to a snapshot has the best levels and no others. One feed serves any number of
    readers; `OrderBook.changes`, which tells of the whole book, is cheaper where it is that.
    """

    __slots__ = ("_asks", "_bids", "_book", "levels", "sequence")

    def __init__(self, book: OrderBook, levels: int = 0) -> None:
        self._book = book
        self.levels = levels
        self.sequence = 0
        self._bids, self._asks = book.depth(levels)

    def update(self) -> BookUpdate | None:
        """What changed since the last one; ``None`` when nothing did."""
        bids, asks = self._book.depth(self.levels)
        if bids == self._bids and asks == self._asks:
            return None
        changes = (*_changes(True, self._bids, bids), *_changes(False, self._asks, asks))
        self._bids, self._asks = bids, asks
        self.sequence += 1
        return BookUpdate(self.sequence, changes)

    def snapshot(self) -> BookSnapshot:
        """The levels as last told: the next update continues it."""
        return BookSnapshot(self.sequence, self._bids, self._asks)


def _changes(buy: bool, old: DepthTuple, new: DepthTuple) -> list[tuple[bool, int, int, int]]:
    """Levels that are gone, then levels that are new or other, best first."""
    if old == new:
        return []
    now = {price: (volume, orders) for price, volume, orders in new}
    then = {price: (volume, orders) for price, volume, orders in old}
    told = [(buy, price, 0, 0) for price in then if price not in now]
    told += [(buy, price, *now[price]) for price in now if then.get(price) != now[price]]
    return told
