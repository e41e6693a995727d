"""What an order that comes into a book meets, and what becomes of the rest of it: decided alone.

Whoever asks carries it out. What rests is whatever stands in front of the other side, what comes is
known by its side, its limit in ticks and its owner.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from backtest.services.book.book import OrderBook, SelfTrade
from backtest.services.book.resting import Resting

__all__ = ["Meeting", "Rest", "gives_way", "later_of_crossed", "meeting", "prevention", "rest"]


class Meeting(Enum):
    """What there is for an order in front of the other side."""

    NOBODY = "nobody"
    """Nobody is there, or not within its limit."""
    BAND = "band"
    """A trade would be beyond the band: the market halts."""
    OWN = "own"
    """The two are one owner's."""
    PASSED = "passed"
    """A fill would be at or beyond its own stop-loss or take-profit."""
    TRADE = "trade"


class Rest(Enum):
    """What becomes of what is left of an order that has met all it could."""

    ENDS = "ends"
    """Its first opportunity was its last."""
    COLLECTED = "collected"
    """It waits in the book for the auction, whatever it would meet."""
    DUST = "dust"
    """It could bring not one step of the quote asset more."""
    RESTS = "rests"
    WAITS = "waits"
    """It must be carried out, and waits for whoever comes."""
    UNMET = "unmet"
    """There is nobody more to meet, and it does not rest: it is cancelled."""


def meeting(
    front: Resting | None,
    buy: bool,
    limit: int | None,
    owner: int,
    allows: Callable[[int], bool],
    passes: Callable[[int], bool],
) -> Meeting:
    """What ``front``, the first of the other side, is for an order of ``owner``.

    ``allows`` says of a price whether the band does, ``passes`` whether it is at or beyond the
    order's own protection. Its own orders are none that it fills against, so that their price is
    tested by the band alone.
    """
    if front is None:
        return Meeting.NOBODY
    price = front.price
    if limit is not None and (price > limit if buy else price < limit):
        return Meeting.NOBODY
    if not allows(price):
        return Meeting.BAND
    if front.owner == owner:
        return Meeting.OWN
    return Meeting.PASSED if passes(price) else Meeting.TRADE


def rest(
    *, immediate: bool, continuous: bool, is_dust: bool, is_limit: bool, must_end: bool
) -> Rest:
    """What becomes of what is left of an order; ``continuous``: the market trades continuously."""
    if immediate:
        return Rest.ENDS
    if not continuous:
        return Rest.COLLECTED
    if is_dust:
        return Rest.DUST
    if is_limit:
        return Rest.RESTS
    return Rest.WAITS if must_end else Rest.UNMET


def prevention(mode: SelfTrade, must_end: bool) -> tuple[bool, bool]:
    """Of two orders of one owner: whether the one that rests is cancelled, and whether the one
    that comes is. One that ``must_end`` goes on, whatever the mode."""
    if must_end:
        mode = SelfTrade.CANCEL_OLDEST
    return mode is not SelfTrade.CANCEL_NEWEST, mode is not SelfTrade.CANCEL_OLDEST


def gives_way(
    buyer: Resting, seller: Resting, must_end: Callable[[Resting], bool]
) -> tuple[Resting, bool]:
    """Which of two orders of one owner the auction does not deal with, and whether it comes in
    anew: the newer is cancelled, but none that ``must_end``; of two such the older comes anew."""
    newer, older = (buyer, seller) if buyer.sequence > seller.sequence else (seller, buyer)
    if not must_end(newer):
        return newer, False
    return older, must_end(older)


def later_of_crossed(orders: OrderBook) -> Resting | None:
    """Of the best two of a book the one that came later, while they would trade."""
    bid, ask = orders.front(True), orders.front(False)
    if bid is None or ask is None or bid.price < ask.price:
        return None
    return bid if bid.sequence > ask.sequence else ask
