"""How much stands before a resting limit order at its price (``queue="conservative"``)."""

from __future__ import annotations

from decimal import Decimal

from backtest.models.market_event import Tick
from backtest.models.quote import Quote
from backtest.money import ZERO, sub
from backtest.services.fills.path import UNSEEN, Working

__all__ = ["QueueAhead"]


class QueueAhead:
    """The places of one pair's resting limits in the market's queues; each keeps its own.

    What stands ahead of a buy at P (a sell is its mirror image) is the bid's size if P is the bid
    when the order comes, nothing if P is above the bid, and not known below it or without sizes: a
    bid that comes to be at P tells it then. It becomes less by what trades at P, by what is asked
    at P, and by what a bid at P is seen to have lost; it is gone when the market trades or asks
    below P, or bids below it. While it is not known nothing fills at P, only beyond.
    """

    __slots__ = ("quote",)

    def __init__(self) -> None:
        self.quote: Quote | None = None
        """The last quote, in force until the next."""

    def arrive(self, working: Working, tick: Tick, *, took: bool = False) -> Decimal | None:
        """What of ``tick`` comes to ``working`` after those ahead of it; None: no bound.

        Called once per tick and resting limit. ``took``: it was marketable on this tick, so that
        what is left of it is the first at its price.
        """
        if took:
            working.ahead = ZERO
            return None
        if working.ahead is UNSEEN:
            working.ahead = self._at_first(working)
        price = working.price
        assert price is not None
        buy = working.buy
        if isinstance(tick, Quote):
            opposite, size = (tick.ask, tick.ask_size) if buy else (tick.bid, tick.bid_size)
            own, own_size = (tick.bid, tick.bid_size) if buy else (tick.ask, tick.ask_size)
            if opposite != price and own == price:
                ahead = working.ahead
                if own_size is not None:
                    working.ahead = own_size if ahead is None else min(ahead, own_size)
                return ZERO
            if own != price and (own < price if buy else own > price) and opposite != price:
                working.ahead = ZERO
        else:
            opposite, size = tick.price, tick.volume
            if opposite == price and tick.aggressor == ("buy" if buy else "sell"):
                return ZERO  # it traded with the other side's queue at this price
        if opposite == price:
            return self._pass_by(working, size)
        if opposite < price if buy else opposite > price:
            working.ahead = ZERO
            return None
        return ZERO

    def _pass_by(self, working: Working, size: Decimal | None) -> Decimal | None:
        """``size`` is dealt at the order's price; what of it those ahead leave."""
        ahead: Decimal | None = working.ahead
        if ahead is not None and not ahead:
            return size
        if ahead is None or size is None:
            return ZERO
        taken = min(ahead, size)
        working.ahead = sub(ahead, taken)
        return sub(size, taken)

    def _at_first(self, working: Working) -> Decimal | None:
        quote, price = self.quote, working.price
        if quote is None or price is None:
            return None
        own, size = (quote.bid, quote.bid_size) if working.buy else (quote.ask, quote.ask_size)
        if own == price:
            return size
        return ZERO if (price > own if working.buy else price < own) else None
