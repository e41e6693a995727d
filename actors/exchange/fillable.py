"""What an order that fills whole or not at all would find in the book, were it let in."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors.venue.oco import OcoGroup
from backtest.actors.venue.position import Closing, Lot, branch_of
from backtest.money import ZERO, sub
from backtest.services.book.book import SelfTrade
from backtest.services.fills.walk import Working

from .market import MarketBook
from .pending import passes_protection
from .trades import Trades

__all__ = ["fillable"]


def fillable(
    book: MarketBook,
    working: Working,
    owner: int,
    limit: int | None,
    lots: int,
    trades: Trades,
) -> int:
    """How much of ``lots`` the order of ``owner`` could take, at ``limit`` or better.

    No more than it reaches before something ends it: the band, an order of its owner, its own
    stop-loss or take-profit. Of those whom it would meet only what they still are once the others
    before them have filled, and of them as of itself only what they could pay for.
    """
    met: list[tuple[Working, Decimal, Decimal]] = []
    others = _Others(book)
    there, stops = 0, book.self_trade is not SelfTrade.CANCEL_OLDEST
    for level in book.orders.levels(not working.buy):
        if limit is not None and (level.price > limit if working.buy else level.price < limit):
            break
        price = book.price_of(level.price)
        if not book.allows(price) or passes_protection(working, price):
            break
        for resting in level:
            if resting.owner == owner:
                if stops:
                    return there
                continue
            own = others.take(resting.key, min(resting.volume, lots - there))
            if own:
                there += own
                met.append((resting.key, book.volume_of(own), price))
            if there == lots:
                return lots if trades.can_pay(book, working, met) else 0
    return there


class _Others:
    """What is left of those who rest, as one after the other of them fills."""

    def __init__(self, book: MarketBook) -> None:
        self._book = book
        self._filled: dict[OcoGroup, int] = {}
        """By group the member that has filled: the others are cancelled."""
        self._held: dict[Lot, Decimal] = {}
        """What is left of lots that something has closed a part of."""

    def take(self, working: Working, lots: int) -> int:
        """How many of ``lots`` there are of ``working``; they are taken."""
        book = self._book
        if type(working) is Closing:
            return book.lots(self._close(working.lot, book.volume_of(lots)))
        branch = branch_of(working)
        if branch.oco is not None:
            if self._filled.setdefault(branch.oco, branch.oco_member) != branch.oco_member:
                return 0
        if branch.nets:
            volume = left = book.volume_of(lots)
            for position in book.facing(branch.account, working.buy):
                for lot in position.lots:
                    left = sub(left, self._close(lot, left))
            if branch.reduces:
                return book.lots(sub(volume, left))
        return lots

    def _close(self, lot: Lot, volume: Decimal) -> Decimal:
        """How much of ``volume`` can be closed of a lot."""
        left = self._held.get(lot, lot.volume)
        closed = max(ZERO, min(volume, left))
        self._held[lot] = sub(left, closed)
        return closed
