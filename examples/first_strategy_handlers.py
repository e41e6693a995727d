"""A first strategy, as handlers: buy a dip, sell the recovery. Plain methods, called by events.

Run it from the project's folder: python examples/first_strategy_handlers.py
"""

from decimal import Decimal

import backtest
from backtest.actors import EventKind, OrderEvent
from backtest.data import synthetic_bars
from backtest.models import Bar, TradingPair
from backtest.strategies import OrderHandle, Strategy

PAIR = TradingPair.from_code("BTCUSD", "USD", price_increment=Decimal("0.01"))


class BuyTheDip(Strategy):
    """Buy when the price is ``dip`` below its high so far, sell at ``gain`` above what was paid."""

    pair: str = "BTCUSD"
    dip: Decimal = Decimal("0.03")
    gain: Decimal = Decimal("0.02")
    volume: Decimal = Decimal("0.5")

    def on_start(self) -> None:
        self.high = Decimal(0)
        self.entry: OrderHandle | None = None
        print(f"{self.now:%d %b %H:%M}  starts with {self.balance('USD').available} USD")

    def on_bar(self, bar: Bar) -> None:
        self.high = max(self.high, bar.high)
        if self.entry is None and bar.close < self.high * (1 - self.dip):
            # Sent at once, filled at the next bar's open at the earliest: this bar is history.
            self.entry = self.buy(self.pair, self.volume)

    def on_order(self, event: OrderEvent) -> None:
        if event.kind is EventKind.REJECTED:
            print(f"{self.now:%d %b %H:%M}  refused: {event.detail}")
        if event.kind is not EventKind.FILLED or event.fill is None or self.entry is None:
            return
        fill = event.fill
        word = "bought" if fill.direction.name == "LONG" else "sold"
        print(f"{self.now:%d %b %H:%M}  {word:6} {fill.volume} at {fill.price}")
        if fill.branch_id != self.entry.id:
            self.entry = None  # that was the sale: look for the next dip, from a new high
            self.high = fill.price
        elif self.entry.is_filled:
            target = self.pair_of(self.pair).round_price(fill.price * (1 + self.gain))
            self.sell(self.pair, self.volume, limit_price=target)

    def on_stop(self) -> None:
        print(f"{self.now:%d %b %H:%M}  the data ends")


def main() -> None:
    bars = synthetic_bars(PAIR, 24 * 30, seed=4, bar="1h", volatility=0.006)
    result = backtest.run(BuyTheDip(), data=bars, pair=PAIR, cash="50000 USD", seed=7)
    held = result.balances["main"]
    print(f"\nEnds with {sum(held['USD'].values()):.2f} USD and {sum(held['BTC'].values())} BTC,")
    print(f"worth {result.final_equity:.2f} USD at the last close; it began with 50000.")


if __name__ == "__main__":
    main()
