"""A limit order book: orders by price, then by time, and how they meet.

Prices and volumes are whole numbers, ticks and lots. It holds no money and knows no actor.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NoReturn

from backtest.errors import BookError, FieldError, FieldTypeError, NotInBook, WouldCross
from backtest.services.book.levels import BookSnapshot, BookUpdate, DepthTuple
from backtest.services.book.resting import MARKET_BUY, MARKET_SELL, Level, Resting
from backtest.services.book.side import Side

__all__ = [
    "MARKET_BUY",
    "MARKET_SELL",
    "BookSnapshot",
    "BookUpdate",
    "Level",
    "OrderBook",
    "Resting",
    "SelfTrade",
]


class SelfTrade(StrEnum):
    """What happens where an order would meet one of its owner's."""

    CANCEL_NEWEST = "cancel_newest"
    """What is left of the incoming order is cancelled; the resting one stays."""
    CANCEL_OLDEST = "cancel_oldest"
    """The resting order is cancelled; the incoming one goes on."""
    CANCEL_BOTH = "cancel_both"
    """Both are cancelled."""


_MODES: Final = tuple(mode.value for mode in SelfTrade)


class OrderBook:
    """Orders of one market by price, then by time; never crossed but in an auction.

    Adding an order at a known price, cancelling one anywhere and taking from the first in line cost
    the same whatever the book holds.
    """

    __slots__ = ("_arrivals", "_asks", "_auction", "_bids", "sequence")

    def __init__(self) -> None:
        self._bids: Final = Side(True)
        self._asks: Final = Side(False)
        self._arrivals = 0
        self._auction = False
        self.sequence = 0
        """The number of the last update that was asked for with `changes`."""

    # What it shows -------------------------------------------------------------------------------

    @property
    def best_bid(self) -> int | None:
        """The highest limit to buy."""
        level = self._bids.best
        return None if level is None else level.price

    @property
    def best_ask(self) -> int | None:
        """The lowest limit to sell."""
        level = self._asks.best
        return None if level is None else level.price

    @property
    def in_auction(self) -> bool:
        """Whether orders are collected only, and may cross."""
        return self._auction

    def best(self, buy: bool) -> Level | None:
        """The best level of that side (``True``: of the bids)."""
        return self._bids.best if buy else self._asks.best

    def front(self, buy: bool) -> Resting | None:
        """The order of that side that is met first."""
        level = self._bids.best if buy else self._asks.best
        return None if level is None else level.head

    def level(self, buy: bool, price: int) -> Level | None:
        """The level of that side at ``price``."""
        return (self._bids if buy else self._asks).levels.get(price)

    def levels(self, buy: bool) -> Iterator[Level]:
        """The levels of that side, best first."""
        return (self._bids if buy else self._asks).in_order()

    def orders(self, buy: bool) -> Iterator[Resting]:
        """The orders of that side as they are met (in an auction market orders first)."""
        return (self._bids if buy else self._asks).orders()

    def market_volume(self, buy: bool) -> int:
        """The volume of that side's market orders, which wait in auctions only."""
        level = (self._bids if buy else self._asks).market
        return 0 if level is None else level.volume

    def __len__(self) -> int:
        """How many orders are in the book."""
        return sum(
            sum(level.count for level in side.levels.values())
            + (0 if side.market is None else side.market.count)
            for side in (self._bids, self._asks)
        )

    def __contains__(self, resting: Resting) -> bool:
        level = resting.level
        return level is not None and (level.side is self._bids or level.side is self._asks)

    def available(self, buy: bool, limit: int | None, cap: int) -> int:
        """The volume that an incoming order could take, at most ``cap``.

        It is an order to buy or to sell (``buy``) at ``limit`` or better; ``None``: at the market.
        Orders of its own owner count, too. For fill-or-kill: take only if this is all of it.
        """
        found = 0
        for level in (self._asks if buy else self._bids).in_order():
            if limit is not None and (level.price > limit if buy else level.price < limit):
                break
            found += level.volume
            if found >= cap:
                return cap
        return found

    def depth(self, levels: int = 0) -> tuple[DepthTuple, DepthTuple]:
        """Bids and asks, each ``(price, volume, orders)`` of the best levels (0: all), best first.

        Market orders, which wait in auctions only, are in no level of it.
        """
        return self._bids.depth(levels), self._asks.depth(levels)

    def snapshot(self, levels: int = 0) -> BookSnapshot:
        """The depth, with the number of the last update: the next one continues it."""
        return BookSnapshot(self.sequence, self._bids.depth(levels), self._asks.depth(levels))

    def changes(self) -> BookUpdate | None:
        """The levels that changed since this was last asked; ``None`` when none did.

        Each update's ``sequence`` is one above the last one's. Bids come first, best first.
        """
        bids, asks = self._bids, self._asks
        if not bids.changed and not asks.changed:
            return None
        told: list[tuple[bool, int, int, int]] = []
        for side in (bids, asks):
            buy, levels = side.buy, side.levels
            for price in sorted(side.changed, reverse=buy):
                level = levels.get(price)
                if level is None:
                    told.append((buy, price, 0, 0))
                else:
                    level.dirty = False
                    told.append((buy, price, level.volume, level.count))
            side.changed.clear()
        self.sequence += 1
        return BookUpdate(self.sequence, tuple(told))

    # What changes it -----------------------------------------------------------------------------

    def add(self, resting: Resting) -> None:
        """Let it rest, last in its level; `WouldCross` where it would meet the other side."""
        price, volume = resting.price, resting.volume
        if (
            type(price) is not int
            or type(volume) is not int
            or volume <= 0
            or not 0 < price < MARKET_BUY
            or resting.level is not None
        ):
            _check_new(resting)
            if not self._auction:  # all is well with it, so it is a market order
                raise BookError(f"{resting!r}: market orders rest in auctions only; match it")
        if resting.buy:
            side, other = self._bids, self._asks.best
            crosses = other is not None and price >= other.price
        else:
            side, other = self._asks, self._bids.best
            crosses = other is not None and price <= other.price
        if crosses and not self._auction:
            raise WouldCross(
                f"{resting!r} would meet {other!r}: match it first, then add what is left, or "
                "collect orders in an auction"
            )
        level = side.levels.get(price)
        if level is None:
            level = side.open(price)
        self._arrivals = resting.sequence = self._arrivals + 1
        resting.level = level
        last = level.tail
        if last is None:
            level.head = resting
        else:
            last.next = resting
            resting.previous = last
        level.tail = resting
        level.volume += volume
        level.count += 1
        if not level.dirty:
            level.dirty = True
            side.changed[price] = None

    def add_before(self, resting: Resting, anchor: Resting) -> None:
        """Let it rest directly before ``anchor``, at its price: for the parts of a split order."""
        level = anchor.level
        if level is None or ((side := level.side) is not self._bids and side is not self._asks):
            _not_here(anchor)
        _check_new(resting)
        if resting.price != anchor.price or resting.buy is not anchor.buy:
            raise BookError(f"{resting!r} cannot stand before {anchor!r}: give the same price")
        before = anchor.previous
        resting.level, resting.sequence = level, anchor.sequence
        resting.next, resting.previous = anchor, before
        anchor.previous = resting
        if before is None:
            level.head = resting
        else:
            before.next = resting
        level.volume += resting.volume
        level.count += 1
        if not level.dirty:
            level.dirty = True
            side.changed[level.price] = None

    def remove(self, resting: Resting) -> None:
        """Take it out of the book, wherever it stands; it keeps its volume."""
        level = resting.level
        if level is None or ((side := level.side) is not self._bids and side is not self._asks):
            _not_here(resting)
        before, after = resting.previous, resting.next
        resting.level = resting.previous = resting.next = None
        if before is None:
            if after is None:
                side.close(level)
                return
            level.head = after
            after.previous = None
        else:
            before.next = after
            if after is None:
                level.tail = before
            else:
                after.previous = before
        level.volume -= resting.volume
        level.count -= 1
        if not level.dirty:
            level.dirty = True
            side.changed[level.price] = None

    def reduce(self, resting: Resting, volume: int) -> None:
        """Leave ``volume`` of it, above zero and no more than there is; it keeps its place."""
        level = resting.level
        if level is None or ((side := level.side) is not self._bids and side is not self._asks):
            _not_here(resting)
        if type(volume) is not int or not 0 < volume <= resting.volume:
            _refuse_volume(resting, volume, "an increase loses its place: remove it and add anew")
        level.volume += volume - resting.volume
        resting.volume = volume
        if not level.dirty:
            level.dirty = True
            side.changed[level.price] = None

    def take(self, resting: Resting, volume: int) -> None:
        """``volume`` of it was matched: it leaves the book when nothing is left."""
        level = resting.level
        if level is None or ((side := level.side) is not self._bids and side is not self._asks):
            _not_here(resting)
        left = resting.volume
        if type(volume) is not int or not 0 < volume <= left:
            _refuse_volume(resting, volume, "take what there is")
        if volume == left:
            self.remove(resting)
            resting.volume = 0
            return
        resting.volume = left - volume
        level.volume -= volume
        if not level.dirty:
            level.dirty = True
            side.changed[level.price] = None

    def match(
        self, taker: Resting, self_trade: str = SelfTrade.CANCEL_NEWEST
    ) -> tuple[list[tuple[Resting, int]], list[tuple[Resting, int]]]:
        """Let an incoming order meet the other side, best price first, first come first.

        Gives the fills, ``(resting order, volume)`` at the resting order's price, and what
        self-trade prevention cancelled, ``(order, volume)``, the taker itself included.
        ``taker.volume`` is what is left then: `add` it, or drop it. A taker made by
        `Resting.market` has no limit. Whose owner is ``None`` meets everybody.
        """
        left, price = taker.volume, taker.price
        if (
            type(price) is not int
            or type(left) is not int
            or left <= 0
            or not 0 < price < MARKET_BUY
            or taker.level is not None
        ):
            _check_new(taker)
        if self_trade not in _MODES:
            raise BookError(f"self_trade must be one of {', '.join(_MODES)}, not {self_trade!r}")
        if self._auction:
            raise BookError("orders do not match one by one in an auction: uncross, then resume")
        side, limit = (self._asks, -price) if taker.buy else (self._bids, price)
        owner = taker.owner
        fills: list[tuple[Resting, int]] = []
        prevented: list[tuple[Resting, int]] = []
        level = side.best
        while left and level is not None and level.rank >= limit:
            maker = level.head
            assert maker is not None  # a level without orders is gone
            if owner is not None and maker.owner == owner:
                if self_trade != SelfTrade.CANCEL_NEWEST:
                    self.remove(maker)
                    prevented.append((maker, maker.volume))
                    maker.volume = 0
                if self_trade != SelfTrade.CANCEL_OLDEST:
                    prevented.append((taker, left))
                    left = 0
                level = side.best
                continue
            there = maker.volume
            if there > left:
                fills.append((maker, left))
                maker.volume = there - left
                level.volume -= left
                left = 0
            else:
                fills.append((maker, there))
                left -= there
                maker.volume = 0
                after = maker.next
                maker.level = maker.next = None
                if after is None:
                    side.close(level)
                    level = side.best
                    continue
                level.head = after
                after.previous = None
                level.volume -= there
                level.count -= 1
            if not level.dirty:
                level.dirty = True
                side.changed[level.price] = None
        taker.volume = left
        return fills, prevented

    # Auctions ------------------------------------------------------------------------------------

    def begin_auction(self) -> None:
        """From now on orders are collected: they may cross, and market orders may rest."""
        self._auction = True

    def resume(self) -> None:
        """Trade on. `BookError` while orders cross or market orders wait: uncross them first."""
        bid, ask = self._bids.best, self._asks.best
        if bid is not None and ask is not None and bid.price >= ask.price:
            raise WouldCross(f"{bid!r} crosses {ask!r}: take the fills of uncross() first")
        for market in (self._bids.market, self._asks.market):
            if market is not None:
                raise BookError(
                    f"{market.count} market orders still wait, first {market.head!r}: market "
                    "orders rest in auctions only; remove what found nobody"
                )
        self._auction = False


def _not_here(resting: Resting) -> NoReturn:
    raise NotInBook(f"{resting!r} is not in this book: it was filled or removed, or never added")


def _check_new(resting: Resting) -> None:
    """Raise unless it could be in a book, and is in none."""
    resting.check()
    if resting.level is not None:
        raise BookError(f"{resting!r} is in a book already")


def _refuse_volume(resting: Resting, volume: object, hint: str) -> NoReturn:
    if type(volume) is not int:
        raise FieldTypeError("volume", f"must be an int (lots), not {volume!r}")
    raise FieldError(
        "volume", f"must be above zero and at most {resting.volume}, not {volume}; {hint}"
    )
