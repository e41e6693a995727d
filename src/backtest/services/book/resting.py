"""An order in the book, and the orders of one price: first come, first served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from backtest.errors import FieldError, FieldTypeError

if TYPE_CHECKING:
    from backtest.services.book.side import Side

__all__ = ["MARKET_BUY", "MARKET_SELL", "Level", "Resting"]

MARKET_BUY: Final = 1 << 62
"""The price of a market order to buy: above every limit."""
MARKET_SELL: Final = 0
"""The price of a market order to sell: below every limit."""


class Resting:
    """One order in a book, or about to be.

    ``price`` is in ticks and ``volume``, the leaves, in lots: plain ``int`` both, ``volume`` above
    zero. ``key`` is the caller's own (what the order stands for); ``owner`` is compared by ``==``
    where an order must not meet one of its owner's, and ``None`` is nobody's. ``sequence`` is when
    it took its place in the book, and ``level`` where; ``None``: it is in no book. The book alone
    changes ``volume``, ``sequence`` and ``level`` while the order is in it.
    """

    __slots__ = ("buy", "key", "level", "next", "owner", "previous", "price", "sequence", "volume")

    def __init__(self, key: Any, owner: Any, buy: bool, price: int, volume: int) -> None:
        self.key = key
        self.owner = owner
        self.buy = buy
        self.price = price
        self.volume = volume
        self.sequence = 0
        self.level: Level | None = None
        # Neighbours in the queue of the level: one link fewer to follow, and one object fewer to
        # make, than with a node around each order.
        self.previous: Resting | None = None
        self.next: Resting | None = None

    @classmethod
    def market(cls, key: Any, owner: Any, buy: bool, volume: int) -> Resting:
        """An order without a limit: it takes what is there, and rests in auctions only."""
        return cls(key, owner, buy, MARKET_BUY if buy else MARKET_SELL, volume)

    @property
    def is_market(self) -> bool:
        """Whether it has no limit."""
        return self.price == (MARKET_BUY if self.buy else MARKET_SELL)

    def check(self) -> None:
        """Raise `FieldTypeError` or `FieldError` unless it could be in a book."""
        if type(self.buy) is not bool:
            raise FieldTypeError("buy", f"must be True or False, not {self.buy!r}")
        for name, value in (("price", self.price), ("volume", self.volume)):
            if type(value) is not int:
                raise FieldTypeError(
                    name,
                    f"must be an int (price in ticks, volume in lots), not {value!r}; divide by "
                    "the pair's increment first",
                )
        if self.volume <= 0:
            raise FieldError("volume", f"must be above zero, not {self.volume}")
        if not 0 < self.price < MARKET_BUY and not self.is_market:
            raise FieldError("price", f"must be above zero and below 2**62, not {self.price}")

    def __repr__(self) -> str:
        side = "buy" if self.buy else "sell"
        price = "market" if self.is_market else self.price
        return f"<{side} {self.volume} at {price}, {self.key!r} of {self.owner!r}>"


class Level:
    """The orders of one price on one side, in the order in which they came.

    ``volume`` is the sum of theirs, ``count`` how many they are, ``head`` the first to be met.
    """

    __slots__ = ("count", "dirty", "head", "price", "rank", "side", "tail", "volume")

    def __init__(self, side: Side, price: int, rank: int) -> None:
        self.side = side
        self.price = price
        self.rank = rank
        self.volume = 0
        self.count = 0
        self.head: Resting | None = None
        self.tail: Resting | None = None
        self.dirty = False

    @property
    def orders(self) -> tuple[Resting, ...]:
        """All of them, first to be met first."""
        return tuple(self)

    def __iter__(self) -> Iterator[Resting]:
        order = self.head
        while order is not None:
            yield order
            order = order.next

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        side = "bid" if self.side.buy else "ask"
        return f"<{side} {self.volume} at {self.price} in {self.count}>"
