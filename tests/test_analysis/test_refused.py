"""A refused new order has an id, and its short story can be told."""

from __future__ import annotations

import pytest

import backtest
from backtest.data import synthetic_bars
from backtest.errors import OrderRejected, RejectReason
from backtest.models import Bar
from backtest.strategies import Strategy


class TooMuch(Strategy):
    """Orders far more than it can pay for, once."""

    async def on_start(self) -> None:
        self.refusal: OrderRejected | None = None

    async def on_bar(self, bar: Bar) -> None:
        if self.refusal is None:
            with pytest.raises(OrderRejected) as caught:
                await self.buy("BTCUSD", 1_000)
            self.refusal = caught.value


def test_a_refused_order_has_an_id_that_explain_knows() -> None:
    strategy = TooMuch()
    bars = synthetic_bars("BTCUSD", 2, seed=1)
    result = backtest.run(strategy, data=bars, pair="BTCUSD", cash="100 USD")
    assert strategy.refusal is not None
    assert strategy.refusal.reason is RejectReason.INSUFFICIENT_FUNDS
    assert strategy.refusal.order_id is not None
    story = result.explain(strategy.refusal.order_id)
    assert "never came to be" in story
    assert "INSUFFICIENT_FUNDS: main has 100 USD available" in story
    assert result.orders == []
    assert result.ledger.transactions == 2  # the deposit alone
    assert result.verify().ok
