"""A leveraged position: margin, stop-loss, take-profit and liquidation, on bars made for it.

Run it from the project's folder: python examples/leveraged_with_stop.py
"""

from decimal import Decimal

import backtest
from backtest.actors import EventKind, OrderEvent
from backtest.models import Bar
from backtest.strategies import Strategy

MINUTE = 60 * 10**9
UP = [100, 101, 103, 106, 111, 112]
DOWN = [100, 101, 99, 97, 94, 90]
GAP = [100, 101, 99, 85, 84, 84]
"""Closes of one-minute bars; in the last, the fourth bar opens far below the third."""


def bars(closes: list[int]) -> list[Bar]:
    made = []
    for number, close in enumerate(closes):
        before = closes[max(number - 1, 0)]
        first = Decimal(close if abs(close - before) > 10 else before)  # a gap: no trade between
        last, ends = Decimal(close), (number + 1) * MINUTE
        high, low = max(first, last), min(first, last)
        made.append(Bar("BTCUSD", number * MINUTE, ends, first, high, low, last, None))
    return made


class Leveraged(Strategy):
    """Open one long of 50 contracts at the first close, and watch what becomes of it."""

    leverage: int = 10
    stop_loss: str | None = "96"

    async def run(self) -> None:
        async for _ in self.bars("BTCUSD"):
            break
        order = await self.long(
            "BTCUSD", 50, leverage=self.leverage, stop_loss=self.stop_loss, take_profit="110"
        )
        self.say("accepted")
        await order.closed()

    def on_bar(self, bar: Bar) -> None:
        position = self.position("BTCUSD")
        if position:
            self.say(f"price {bar.close}: unrealised {position.unrealised_pnl}")

    def on_order(self, event: OrderEvent) -> None:
        if event.kind in (EventKind.FILLED, EventKind.CLOSED, EventKind.LIQUIDATED) and event.fill:
            fill = event.fill
            result = "" if fill.realised_pnl is None else f", realised {fill.realised_pnl:.2f}"
            self.say(f"{fill.kind} at {fill.price:.2f}{result}")

    def say(self, what: str) -> None:
        free, margin = self.balance("USD")
        print(f"  {self.now:%H:%M} {what:38} free {free:>7.2f}, margin {margin:>6.2f}")


def main() -> None:
    bold = Leveraged(leverage=20, stop_loss=None)
    for title, closes, strategy in (
        ("The price rises to the take-profit at 110", UP, Leveraged()),
        ("It falls to the stop-loss at 96", DOWN, Leveraged()),
        ("It opens at 85, far below the stop: that is the price one gets", GAP, Leveraged()),
        ("No stop, leverage 20: liquidated at 95, the margin is gone", DOWN, bold),
    ):
        print(title)
        result = backtest.run(strategy, data=bars(closes), pair="BTCUSD", cash="2000 USD")
        print(f"  ends with {result.final_equity:.2f} USD of 2000\n")


if __name__ == "__main__":
    main()
