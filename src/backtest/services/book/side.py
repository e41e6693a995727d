"""One side of an order book: its levels by price, and the best of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from backtest.services.book.resting import MARKET_BUY, MARKET_SELL, Level, Resting

__all__ = ["Side"]


class Side:
    """The levels of the bids or of the asks; a level is here while it has orders.

    ``best`` is the level that is met first. ``changed`` holds the prices whose level changed since
    they were last asked for; it is no longer than the prices that were ever used.
    """

    # Levels are kept in order by a sorted list of ranks, the best last, beside the dict. The other
    # way is a heap with lazy deletion: it cannot tell the ten best levels without sorting all, and
    # needs sweeping. Where a level comes or goes here, only the ranks better than it move (eight
    # bytes each, in one memmove), and activity is near the best.
    __slots__ = ("best", "buy", "changed", "levels", "market", "ranks")

    def __init__(self, buy: bool) -> None:
        self.buy = buy
        self.best: Level | None = None
        self.market: Level | None = None
        self.levels: dict[int, Level] = {}
        self.ranks: list[int] = []
        self.changed: dict[int, None] = {}

    def open(self, price: int) -> Level:
        """A new level (that of the market orders: also an old one); an order must follow."""
        if price == (MARKET_BUY if self.buy else MARKET_SELL):
            level = self.market
            if level is None:
                level = self.market = Level(self, price, MARKET_BUY)
                level.dirty = True  # no limit, no depth: it is never among the changed
            return level
        rank = price if self.buy else -price
        level = self.levels[price] = Level(self, price, rank)
        ranks = self.ranks
        if not ranks or rank > ranks[-1]:
            ranks.append(rank)
            self.best = level
        else:
            ranks.insert(bisect_left(ranks, rank), rank)
        return level

    def close(self, level: Level) -> None:
        """Take a level away whose last order is gone."""
        level.head = level.tail = None
        level.volume = level.count = 0
        if level is self.market:
            self.market = None
            return
        if not level.dirty:
            self.changed[level.price] = None
        del self.levels[level.price]
        ranks = self.ranks
        if level is self.best:
            ranks.pop()
            if ranks:
                rank = ranks[-1]
                self.best = self.levels[rank if self.buy else -rank]
            else:
                self.best = None
        else:
            del ranks[bisect_left(ranks, level.rank)]

    def in_order(self) -> Iterator[Level]:
        """The levels, best first, without that of the market orders."""
        levels, buy = self.levels, self.buy
        for rank in reversed(self.ranks):
            yield levels[rank if buy else -rank]

    def orders(self) -> Iterator[Resting]:
        """The orders as they would be met: market orders, then by price, then by time."""
        if self.market is not None:
            yield from self.market
        for level in self.in_order():
            yield from level

    def depth(self, levels: int) -> tuple[tuple[int, int, int], ...]:
        """``(price, volume, orders)`` of the best ``levels`` levels, 0 for all; best first."""
        ranks, found, buy = self.ranks, self.levels, self.buy
        told = []
        for rank in reversed(ranks[-levels:]):
            level = found[rank if buy else -rank]
            told.append((level.price, level.volume, level.count))
        return tuple(told)
