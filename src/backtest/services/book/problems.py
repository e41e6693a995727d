"""What must hold of an order book at any time, found by looking at all of it."""

from __future__ import annotations

from collections.abc import Iterator

from backtest.services.book.book import Level, OrderBook

__all__ = ["book_problems"]


def book_problems(book: OrderBook) -> list[str]:
    """A sentence for each thing that is wrong with ``book``: for tests and simulations.

    Looked at are: it is not crossed (but in an auction) and holds no market orders then; levels
    come best first, each once and none empty; the volume and count of a level are those of its
    orders; its orders stand as they came, and each knows its level.
    """
    found: list[str] = []
    bid, ask = book.best_bid, book.best_ask
    if not book.in_auction:
        if bid is not None and ask is not None and bid >= ask:
            found.append(f"crossed: bid {bid}, ask {ask}")
        if book.market_volume(True) or book.market_volume(False):
            found.append("market orders rest outside an auction")
    for buy, best in ((True, bid), (False, ask)):
        levels = list(book.levels(buy))
        prices = [level.price for level in levels]
        if prices != sorted(set(prices), reverse=buy):
            found.append(f"levels out of order: {prices}")
        if best != (prices[0] if prices else None):
            found.append(f"best is {best}, levels begin with {prices[:1]}")
        for level in levels:
            if book.level(buy, level.price) is not level:
                found.append(f"{level!r} is not what the book has at its price")
            found += _of_level(level, buy)
    return found


def _of_level(level: Level, buy: bool) -> Iterator[str]:
    orders = level.orders
    if not orders:
        yield f"{level!r} is empty"
    if level.volume != sum(order.volume for order in orders) or level.count != len(orders):
        yield f"{level!r} holds {sum(o.volume for o in orders)} in {len(orders)}"
    # Not strictly: the parts of a split order stand where it stood, and came when it came.
    came = [order.sequence for order in orders]
    if came != sorted(came):
        yield f"{level!r} has orders out of turn: {came}"
    for order in orders:
        if order.level is not level or order.price != level.price or order.buy is not buy:
            yield f"{order!r} stands in {level!r}"
        if order.volume <= 0:
            yield f"{order!r} has no volume"
