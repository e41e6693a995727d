"""A strategy of yours in a crowd: forty who know what a share is worth, three hundred who do not.

    python examples/strategy_in_a_crowd.py

It buys the falls and sells the rises of its own last look, among makers, value traders and noise,
in one order book; what it does moves the price for all of them.
"""

from __future__ import annotations

from decimal import Decimal

from backtest.markets import Instrument, Population, Scenario
from backtest.models import Asset, TradingPair
from backtest.strategies import Strategy

ABM = TradingPair(
    "ABMUSD", "ABM", Asset("USD", 2), price_increment=Decimal("0.01"), volume_increment=Decimal(1)
)


class Contrarian(Strategy):
    """Every minute: against the last move, a hundred shares at most."""

    async def run(self) -> None:
        before = None
        while True:
            await self.sleep("1m")
            price = (await self.depth("ABMUSD")).last
            held = self.position("ABMUSD").volume if self.position("ABMUSD") else 0
            if price is not None and before is not None:
                if price < before and held < 100:
                    self.long("ABMUSD", 20)
                elif price > before and held > -100:
                    self.short("ABMUSD", 20)
            before = price


crowd = Scenario(
    pairs=Instrument(pair=ABM, reference_price=100, fundamental={"volatility": 0.02}),
    populations=[
        Population("market_maker", 2, parameters={"reference": 100, "every": "10s", "limit": 500}),
        Population("value", 40, parameters={"every": "60s", "size": 20}),
        Population("noise", 300, parameters={"every": "120s", "size": 10}),
    ],
    cash="1000000 USD",
    latency={"spread": 500, "base": "20us"},  # everybody lives within 500 km of the exchange
    duration="10m",
    seed=7,
)

if __name__ == "__main__":
    result = crowd.run(Contrarian(), cash="50000 USD")
    print(result.report())
    assert result.verify().ok
