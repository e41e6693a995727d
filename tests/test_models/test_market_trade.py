"""Trades between agents: who rested, who came in, and for how much."""

from __future__ import annotations

from decimal import Decimal, localcontext
from uuid import UUID

from backtest.models import MarketTrade
from backtest.models.trade import Aggressor


def trade(aggressor: Aggressor | None) -> MarketTrade:
    return MarketTrade(
        time_ns=60_000_000_000,
        pair="STOCK",
        price=Decimal("99.97"),
        volume=Decimal(30),
        aggressor=aggressor,
        buyer="anna",
        seller="bert",
        buyer_order=UUID(int=4),
        seller_order=UUID(int=9),
        entry=12,
    )


def test_a_buyer_who_came_in_met_a_seller_who_rested() -> None:
    assert trade("buy").taker == "anna"
    assert trade("buy").maker == "bert"


def test_a_seller_who_came_in_met_a_buyer_who_rested() -> None:
    assert trade("sell").taker == "bert"
    assert trade("sell").maker == "anna"


def test_in_an_auction_nobody_rested_longer_than_the_other() -> None:
    assert trade(None).taker is None
    assert trade(None).maker is None


def test_the_notional_is_exact_whatever_the_callers_decimal_context() -> None:
    with localcontext() as context:
        context.prec = 2
        assert trade("buy").notional == Decimal("2999.10")  # 99.97 x 30
