"""A first strategy, as one coroutine: it waits for bars, for fills, and for time to pass.

All waiting is in simulated time: a month goes by in a blink. Live, the same code really waits.

Run it from the project's folder: python examples/first_strategy_async.py
"""

from decimal import Decimal

import anyio

import backtest
from backtest.data import synthetic_bars
from backtest.models import TradingPair
from backtest.strategies import Strategy

PAIR = TradingPair.from_code("BTCUSD", "USD", price_increment=Decimal("0.01"))


class PatientBuyer(Strategy):
    """Bid a little below the market; raise the bid if nobody sells within a day; hold a week."""

    pair: str = "BTCUSD"
    volume: Decimal = Decimal("0.5")
    discount: Decimal = Decimal("0.04")

    def say(self, text: str) -> None:
        print(f"{self.now:%a %d %b %H:%M}  {text}")

    async def run(self) -> None:
        round_price = self.pair_of(self.pair).round_price
        async for bar in self.bars(self.pair, conflate=True):
            bid = round_price(bar.close * (1 - self.discount))
            order = await self.buy(self.pair, self.volume, limit_price=bid)
            self.say(f"market at {bar.close}, bid {bid}")

            while not await order.filled(timeout="1d"):
                price = self.last_price(self.pair) or bid
                bid = round_price((bid + price) / 2)
                await order.modify(limit_price=bid)
                self.say(f"a day without a seller: bid {bid}, market at {price}")
            self.say(f"bought at {order.average_price}; holds it for a week")

            with anyio.move_on_after(7 * 24 * 3600):  # anyio as you know it, on simulated time
                await self.a_crash(order.average_price or bid)
            sale = await self.sell(self.pair, order.filled_volume)
            await sale.filled()
            self.say(f"sold at {sale.average_price}\n")

    async def a_crash(self, paid: Decimal) -> None:
        """Wait until the price is a tenth below what was paid."""
        async for bar in self.bars(self.pair):
            if bar.close < paid * Decimal("0.9"):
                self.say(f"a crash to {bar.close}: no week is worth that")
                return


def main() -> None:
    bars = synthetic_bars(PAIR, 24 * 31, seed=1, bar="1h", volatility=0.006)
    result = backtest.run(PatientBuyer(), data=bars, pair=PAIR, cash="50000 USD", seed=7)
    print(f"Equity at the end: {result.final_equity:.2f} USD, begun with 50000.")


if __name__ == "__main__":
    main()
