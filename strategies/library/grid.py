"""A grid of limit orders: driven by what happens to its orders."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors import EventKind, OrderEvent
from backtest.errors import FieldError
from backtest.models import Bar, OrderDirection
from backtest.money import decimal_of, plain
from backtest.strategies.strategy import Strategy

__all__ = ["Grid"]


class Grid(Strategy):
    """Buy at fixed levels below the first price, and sell each purchase one level higher.

    Parameters: the ``pair``; ``levels``, how many orders to buy wait below the first close;
    ``spacing``, the distance between levels as a share of that close (0.005 is 0.5 %); the
    ``volume`` at each level.

    Whenever a buy fills (wholly or in part), as much is offered one level above; whenever that is
    sold, the buy is placed again. `on_order` does it all: after the first bar no bar is looked at.
    A level that the account cannot pay for is refused, logged, and left out.
    """

    pair: str = "BTCUSD"
    levels: int = 5
    spacing: Decimal | str = "0.005"
    volume: Decimal | int | str = "0.01"

    def on_start(self) -> None:
        share = decimal_of(self.spacing, "spacing")
        if self.levels < 1 or not 0 < share * self.levels < 1:
            raise FieldError("spacing", "times levels must be between 0 and 1: prices are positive")
        self.share = share
        self.subscribe(self.pair)
        self.prices: list[Decimal] = []
        self.round_trips = Decimal(0)

    def on_bar(self, bar: Bar) -> None:
        if self.prices:
            return
        pair = self.pair_of(self.pair)
        steps = range(self.levels + 1)
        self.prices = [pair.round_price(bar.close * (1 - self.share * step)) for step in steps]
        if len(set(self.prices)) <= self.levels:
            raise FieldError(
                "spacing", f"is finer than the price increment {plain(pair.price_increment)}"
            )
        size = pair.round_volume(self.volume)
        for price in self.prices[1:]:
            self.buy(self.pair, size, limit_price=price)

    def on_order(self, event: OrderEvent) -> None:
        if event.kind is not EventKind.FILLED or event.order is None or event.fill is None:
            return
        # The level is known by the order's limit: the fill itself may have had a better price.
        level = self.prices.index(event.order.limit_price)  # type: ignore[arg-type]
        if event.order.direction is OrderDirection.LONG:
            self.sell(self.pair, event.fill.volume, limit_price=self.prices[level - 1])
        else:
            self.round_trips += event.fill.volume
            self.buy(self.pair, event.fill.volume, limit_price=self.prices[level + 1])
