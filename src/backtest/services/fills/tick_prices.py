"""What a tick says of prices: where an order meets it, and at what it marks."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from backtest.models.bar import Bar, trusted_bar
from backtest.models.market_event import MarketEvent, Tick
from backtest.models.quote import Quote
from backtest.money import to_step
from backtest.services.fills.path import Point

__all__ = ["flat_bar", "mark_of", "meets", "point_of"]


def meets(event: MarketEvent, buy: bool) -> Decimal:
    """The price at which an order would meet the market now: of a quote a buy meets the ask and a
    sell the bid; of a trade, and of a bar's close, both meet the price.

    >>> quote = Quote("EURUSD", 0, Decimal("1.1213"), Decimal("1.1215"))
    >>> meets(quote, True), meets(quote, False)
    (Decimal('1.1215'), Decimal('1.1213'))
    """
    if isinstance(event, Quote):
        return event.ask if buy else event.bid
    return event.close if isinstance(event, Bar) else event.price


def point_of(event: MarketEvent, buy: bool) -> Point:
    """Where a buy or a sell meets ``event``: at its ask or its bid, the trade, or the close."""
    if isinstance(event, Quote):
        return "ask" if buy else "bid"
    return "close" if isinstance(event, Bar) else "trade"


def mark_of(event: MarketEvent, price_increment: Decimal) -> Decimal:
    """At what positions and holdings are marked after ``event``.

    A bar's close; a trade's price; of a quote the middle, rounded half-even to the price increment
    where that lies between bid and ask, as it does if they are on the grid. Else all of its digits.

    >>> mark_of(Quote("EURUSD", 0, Decimal("1.12"), Decimal("1.15")), Decimal("0.01"))
    Decimal('1.14')
    >>> mark_of(Quote("EURUSD", 0, Decimal("1.12"), Decimal("1.13")), Decimal("0.1"))
    Decimal('1.125')
    """
    if isinstance(event, Quote):
        middle = to_step(event.mid, price_increment, ROUND_HALF_EVEN)
        return middle if event.bid <= middle <= event.ask else event.mid
    return event.close if isinstance(event, Bar) else event.price


def flat_bar(tick: Tick, buy: bool) -> Bar:
    """What ``tick`` offers to a buy, or to a sell, as a bar of no length that never moved: for
    fill policies, which know bars."""
    price = meets(tick, buy)
    if isinstance(tick, Quote):
        volume = tick.ask_size if buy else tick.bid_size
    else:
        volume = tick.volume
    time = tick.time_ns
    return trusted_bar(tick.pair, time, time, price, price, price, price, volume)
