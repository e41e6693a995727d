"""Trades and quotes for the tests of what a market shows."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from backtest.analysis.market.samples import BestQuote
from backtest.models import MarketTrade
from backtest.models.trade import Aggressor
from backtest.times import SECOND

PAIR = "STOCK"


def trade(
    second: float,
    price: str,
    volume: int,
    aggressor: Aggressor | None = "buy",
    buyer: str = "anna",
    seller: str = "bert",
    order: int = 0,
) -> MarketTrade:
    """A trade; ``order`` is the number of the order that came in."""
    ids = UUID(int=1_000_000), UUID(int=order)
    bought, sold = ids if aggressor == "sell" else ids[::-1]
    return MarketTrade(
        round(second * SECOND),
        PAIR,
        Decimal(price),
        Decimal(volume),
        aggressor,
        buyer,
        seller,
        bought,
        sold,
        order,
    )


def quote(second: float, bid: str | None, ask: str | None) -> BestQuote:
    """A best quote."""
    return BestQuote(
        round(second * SECOND),
        None if bid is None else Decimal(bid),
        None if ask is None else Decimal(ask),
    )
