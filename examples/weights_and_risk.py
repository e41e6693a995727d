"""Sizes in percent: two pairs kept at their weights, and positions that risk one percent each.

Run it from the project's folder: python examples/weights_and_risk.py
"""

from decimal import Decimal

import backtest
from backtest.data import synthetic_bars
from backtest.models import Bar, TradingRules
from backtest.strategies import Strategy


class Average:
    """An exponential average. Any object with ``add`` can be used; talipp's indicators, too."""

    is_ready, value, seen = False, 0.0, 0

    def add(self, price: float) -> None:
        self.value += (price - self.value) * (0.04 if self.value else 1)
        self.seen += 1
        self.is_ready = self.seen >= 48


class Tilted(Strategy):
    """Holds 45 % of what is above its average and 20 % of what is not; looks once a day."""

    def on_start(self) -> None:
        self.averages = {pair: self.use(Average(), pair) for pair in self.pairs}
        self.set_timer("day", every="1d")

    async def on_timer(self, name: str) -> None:
        if not all(one.is_ready for one in self.averages.values()):
            return
        weights = {}
        for pair, average in self.averages.items():
            above = self.history(pair, 1, "close")[0] > average.value
            weights[pair] = "45%" if above else "20%"
        worth = self.equity()
        orders = await self.target_weights(weights)
        side = {"LONG": "buy", "SHORT": "sell"}
        sent = [f"{side[one.direction.name]} {one.volume:.4f} {one.pair}" for one in orders]
        print(f"  {self.now:%m-%d} worth {worth:9.2f}: {', '.join(sent)}")


class Careful(Strategy):
    """Goes long at the highest close of a day; a stop four ranges below risks 1 %."""

    pair: str = "BTCUSD"

    def on_bar(self, bar: Bar) -> None:
        day = self.history(self.pair, 24)
        if len(day) < 24 or self.position(self.pair) or self.open_orders(self.pair):
            return
        if bar.close < max(one.close for one in day):
            return
        spread = sum((one.high - one.low for one in day), Decimal(0)) / 24
        price = self.pair_of(bar.pair).round_price
        stop, goal = price(bar.close - 4 * spread), price(bar.close + 6 * spread)
        order = self.long(self.pair, risk="1%", leverage=3, stop_loss=stop, take_profit=goal)
        loss = order.volume * (bar.close - stop)
        print(f"  {self.now:%m-%d} long {order.volume:.4f}, stop {stop:.2f}: {loss:.2f} to lose")


def main() -> None:
    data = {
        "BTCUSD": synthetic_bars("BTCUSD", 480, 11, bar="1h", price=40_000, volatility=0.008),
        "ETHUSD": synthetic_bars("ETHUSD", 480, 12, bar="1h", price=2_500, volatility=0.011),
    }
    rules = TradingRules(commission="0.001", maintenance_rate=Decimal("0.005"))
    print("Weights, looked at once a day")
    result = backtest.run(Tilted(), data=data, cash="10000 USD", rules=rules)
    print(f"  ends with {result.final_equity:.2f} USD of 10000\n\nOne percent at risk")
    result = backtest.run(Careful(), data=data["BTCUSD"], cash="10000 USD", rules=rules)
    print(f"  ends with {result.final_equity:.2f} USD of 10000")


if __name__ == "__main__":
    main()
