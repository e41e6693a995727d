"""Uncrossing: the one price at which an auction trades most, and who meets whom at it.

The price follows the four principles that the Australian exchange publishes for its opening and
closing auctions (ASX, "Opening and closing prices": maximum executable volume, minimum surplus,
market pressure, reference price), over every price step between the lowest and the highest limit.
docs/order-book.md compares them with those of other exchanges.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from backtest.errors import FieldError, FieldTypeError
from backtest.services.book.book import OrderBook
from backtest.services.book.resting import Resting

__all__ = ["Equilibrium", "Uncrossing", "book_equilibrium", "equilibrium", "uncross"]


class Equilibrium(NamedTuple):
    """Where an auction would trade if it ended now.

    ``price`` is in ticks, ``None`` where nothing can trade; ``volume`` what trades there, in lots;
    ``surplus`` what is left over at that price: above zero of buyers, below zero of sellers.
    """

    price: int | None
    volume: int
    surplus: int


class Uncrossing(NamedTuple):
    """An auction's outcome: all fills are ``(buyer, seller, volume)`` at the one ``price``."""

    price: int | None
    volume: int
    fills: list[tuple[Resting, Resting, int]]


NOTHING = Equilibrium(None, 0, 0)


def equilibrium(
    bids: Iterable[tuple[int, int]],
    asks: Iterable[tuple[int, int]],
    reference: int,
    *,
    market_bids: int = 0,
    market_asks: int = 0,
) -> Equilibrium:
    """The price of an auction with ``(price, volume)`` to buy and to sell, in any order.

    1. The greatest volume that can trade: at price *p* the lesser of what is bid at *p* or higher
       and what is offered at *p* or lower.
    2. Of several such prices: the least surplus.
    3. Of several such: the highest if the surplus is of buyers at each, the lowest if of sellers.
    4. Else the nearest to ``reference`` of those where no surplus is, or of the two where the
       surplus turns from buyers to sellers.

    ``market_bids`` and ``market_asks`` are volumes without a limit; where there are no limits at
    all they meet at ``reference``. The price lies between the lowest and the highest limit.
    """
    if type(reference) is not int:
        raise FieldTypeError("reference", f"must be an int (ticks), not {reference!r}")
    if reference <= 0:
        raise FieldError("reference", f"must be above zero, not {reference}")
    demand_at: dict[int, int] = {}
    supply_at: dict[int, int] = {}
    for price, volume in bids:
        demand_at[price] = demand_at.get(price, 0) + volume
    for price, volume in asks:
        supply_at[price] = supply_at.get(price, 0) + volume
    limits = sorted(demand_at.keys() | supply_at.keys())
    if not limits:
        volume = min(market_bids, market_asks)
        return Equilibrium(reference, volume, market_bids - market_asks) if volume else NOTHING
    # Stretches of prices with the same demand and supply: each limit, and what lies between two.
    stretches: list[tuple[int, int, int, int]] = []
    demand = market_bids + sum(demand_at.values())
    supply = market_asks
    above = limits[0]
    for limit in limits:
        if limit > above:
            stretches.append((above, limit - 1, min(demand, supply), demand - supply))
        supply += supply_at.get(limit, 0)
        stretches.append((limit, limit, min(demand, supply), demand - supply))
        demand -= demand_at.get(limit, 0)
        above = limit + 1
    most = max(volume for _, _, volume, _ in stretches)
    if most == 0:
        return NOTHING
    least = min(abs(surplus) for _, _, volume, surplus in stretches if volume == most)
    candidates = [
        (low, high, surplus)
        for low, high, volume, surplus in stretches
        if volume == most and abs(surplus) == least
    ]
    price, surplus = _choose(candidates, reference)
    return Equilibrium(price, most, surplus)


def _choose(candidates: Sequence[tuple[int, int, int]], reference: int) -> tuple[int, int]:
    """Principles three and four: ``(price, surplus)`` of one price of ``(low, high, surplus)``.

    Candidates come by price, so surpluses of buyers come before surpluses of sellers.
    """
    low, _, first = candidates[0]
    _, high, last = candidates[-1]
    if first == 0:
        return min(max(reference, low), high), 0
    if last > 0:
        return high, last
    if first < 0:
        return low, first
    # The surplus turns without being nothing anywhere: the two prices are neighbours.
    turn = max(high for _, high, surplus in candidates if surplus > 0)
    return (turn, first) if reference <= turn else (turn + 1, last)


def book_equilibrium(book: OrderBook, reference: int) -> Equilibrium:
    """The indicative price of an auction, from the levels of ``book``: cheap enough to publish."""
    bids, asks = book.depth()
    return equilibrium(
        [(price, volume) for price, volume, _ in bids],
        [(price, volume) for price, volume, _ in asks],
        reference,
        market_bids=book.market_volume(True),
        market_asks=book.market_volume(False),
    )


def uncross(bids: Iterable[Resting], asks: Iterable[Resting], reference: int) -> Uncrossing:
    """The price of the auction (`equilibrium`) and its fills; changes nothing.

    Each side trades in the order of market orders, then price, then `Resting.sequence`, until
    ``volume`` is used up: on the side with the surplus it is the latest at the worst price that get
    less, or nothing. Give it ``book.orders(True)`` and ``book.orders(False)``, and `OrderBook.take`
    from both of each fill. Orders of one owner can meet: exchanges prevent that between auctions,
    not in them.
    """
    buyers, sellers = _ranked(bids, True), _ranked(asks, False)
    price, volume, _ = equilibrium(
        [(order.price, order.volume) for order in buyers if not order.is_market],
        [(order.price, order.volume) for order in sellers if not order.is_market],
        reference,
        market_bids=sum(order.volume for order in buyers if order.is_market),
        market_asks=sum(order.volume for order in sellers if order.is_market),
    )
    fills: list[tuple[Resting, Resting, int]] = []
    left = volume
    buying, selling = iter(buyers), iter(sellers)
    wanted = offered = 0
    while left:
        # Neither runs out first: volume is no more than what either side has at that price.
        if not wanted:
            buyer = next(buying)
            wanted = buyer.volume
        if not offered:
            seller = next(selling)
            offered = seller.volume
        size = min(wanted, offered, left)
        fills.append((buyer, seller, size))
        wanted -= size
        offered -= size
        left -= size
    return Uncrossing(price, volume, fills)


def _ranked(orders: Iterable[Resting], buy: bool) -> list[Resting]:
    """The orders of a side as they are met; each is checked, as none need be in a book."""
    found = list(orders)
    for order in found:
        order.check()
        if order.buy is not buy:
            raise FieldError("buy", f"must be {buy} on this side: {order!r} is on the other")
    found.sort(key=lambda order: (-order.price if buy else order.price, order.sequence))
    return found
