"""Volumes and prices that text writes with an exponent are written out wherever they are told."""

from __future__ import annotations

from decimal import Decimal

import backtest
from backtest.data import synthetic_bars
from backtest.models import Bar
from backtest.strategies import Strategy
from backtest.testing import bar

SMALL = "0.00000099"


class Crumbs(Strategy):
    """Trades almost nothing in every way: Decimal writes such a volume as 9.9E-7."""

    async def on_bar(self, bar: Bar) -> None:
        self.buy(bar.pair, SMALL)
        order = await self.long(bar.pair, SMALL, leverage=2)
        await order.filled()
        await order.close()


def test_a_run_with_tiny_fills_verifies_and_says_them_without_an_exponent() -> None:
    result = backtest.run(
        Crumbs(), data=synthetic_bars("BTCUSD", 20, seed=3), cash="1000 USD", netting=False
    )
    assert result.fills
    result.verify().raise_for_problems()
    told = {one.description.partition(": ")[2] for one in result.transactions}
    assert any(one.startswith(f"filled {SMALL} at ") for one in told)
    assert any(one.startswith(f"closed {SMALL} at ") for one in told)
    assert not [one for one in told if "E-" in one]


def test_a_large_price_in_few_digits_is_written_out_too() -> None:
    large = Decimal("1E+5")

    class Once(Strategy):
        def on_bar(self, bar: Bar) -> None:
            if not self.holding(bar.pair):
                self.buy(bar.pair, "0.001")

    bars = [bar(0, large), bar(1, large)]
    result = backtest.run(Once(), data=bars, pair="BTCUSD", cash="1000 USD")
    assert {one.price for one in result.fills} == {large}
    result.verify().raise_for_problems()
