"""What an order that fills whole or not at all would find in the book, were it let in."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors.venue.oco import OcoGroup
from backtest.actors.venue.position import Closing, Lot, branch_of
from backtest.money import ZERO, sub
from backtest.services.book.matching import Meeting, meeting, prevention
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
    there, (_, stops) = 0, prevention(book.self_trade, must_end=False)

    def allows(ticks: int) -> bool:
        return book.allows(book.price_of(ticks))

    def passes(ticks: int) -> bool:
        return passes_protection(working, book.price_of(ticks))

    for level in book.orders.levels(not working.buy):
        for resting in level:
            what = meeting(resting, working.buy, limit, owner, allows, passes)
            if what is Meeting.OWN and not stops:
                continue
            if what is not Meeting.TRADE:
                return there
            own = others.take(resting.key, min(resting.volume, lots - there))
            if own:
                there += own
                met.append((resting.key, book.volume_of(own), book.price_of(resting.price)))
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
