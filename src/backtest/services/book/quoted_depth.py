"""What history knows of an order book: its last quote."""

from __future__ import annotations

from decimal import Decimal

from backtest.models.depth import Depth, DepthLevel, trusted_depth, trusted_level
from backtest.models.quote import Quote

__all__ = ["depth_of_quote"]


def depth_of_quote(pair: str, time_ns: int, quote: Quote | None, last: Decimal | None) -> Depth:
    """What history knows of a book at ``time_ns``: one level a side, of the last quote; none of a
    side where there was nothing to be had, and none at all without a quote. ``last`` is the mark.

    >>> quote = Quote("EURUSD", 0, Decimal("1.12"), Decimal("1.13"), Decimal(5), Decimal(0))
    >>> depth = depth_of_quote("EURUSD", 7, quote, Decimal("1.12"))
    >>> depth.best_bid, depth.best_ask
    (Decimal('1.12'), None)
    """
    bids: tuple[DepthLevel, ...] = ()
    asks: tuple[DepthLevel, ...] = ()
    if quote is not None:
        if quote.bid_size is None or quote.bid_size:
            bids = (trusted_level(quote.bid, quote.bid_size, 0),)
        if quote.ask_size is None or quote.ask_size:
            asks = (trusted_level(quote.ask, quote.ask_size, 0),)
    return trusted_depth(pair, time_ns, 0, bids, asks, last)
