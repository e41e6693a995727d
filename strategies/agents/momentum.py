"""Agents that read the future out of the last prices: on with them, or back."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from math import sqrt

from backtest.errors import FieldError
from backtest.models import Depth
from backtest.money import ZERO, add, decimal_of, mul, sub
from backtest.strategies.handle import Number

from .agent import Agent, Duration, middle_of

__all__ = ["MeanReversion", "Momentum"]


class Momentum(Agent):
    """Buys while the short moving average of the middle price is above the long one, else sells.

    Parameters, beside those of `Agent`: ``every``, the time between its looks at the market;
    ``fast`` and ``slow``, over how many looks the averages are taken; ``size``, the volume of each
    order; ``random_first``: the first look comes at a random moment of the first ``every``, so that
    a crowd of them does not act as one.

    At every look after the first ``slow`` it sends a limit order at the other side's best price and
    cancels what was left of the one before; when both averages are equal it does nothing. Without
    a ``limit`` it goes on until its money ends. The momentum agents of D. Byrd, M. Hybinette and
    T. Balch, "ABIDES", 2020, compare averages of 20 and 50 looks likewise.
    """

    every: Duration = "60s"
    fast: int = 20
    slow: int = 50
    size: Number = 1
    random_first: bool = True

    def on_start(self) -> None:
        super().on_start()
        if not 0 < self.fast < self.slow:
            raise FieldError("fast", f"must be from 1 to slow - 1, not {self.fast}")
        self.order_size = decimal_of(self.size, "size")
        self.prices: deque[Decimal] = deque()
        self.fast_sum = self.slow_sum = ZERO
        self.pause = self.wake_first(self.every, self.random_first)

    def on_timer(self, name: str) -> None:
        self.wake(self.pause)
        self.withdraw_resting()
        self.look()

    def act(self, depth: Depth) -> None:
        price = middle_of(depth)
        side = 0 if price is None else self.side(price)
        if side:
            self.place(side > 0, self.order_size, depth.best_ask if side > 0 else depth.best_bid)

    def side(self, price: Decimal) -> int:
        """Take in a price: 1 to buy, −1 to sell, 0 to wait."""
        prices = self.prices
        prices.append(price)
        self.slow_sum = add(self.slow_sum, price)
        self.fast_sum = add(self.fast_sum, price)
        if len(prices) > self.fast:
            self.fast_sum = sub(self.fast_sum, prices[-self.fast - 1])
        if len(prices) > self.slow:
            self.slow_sum = sub(self.slow_sum, prices.popleft())
        if len(prices) < self.slow:
            return 0
        # fast_sum / fast against slow_sum / slow, without a division that would have to round.
        fast = mul(self.fast_sum, Decimal(self.slow))
        slow = mul(self.slow_sum, Decimal(self.fast))
        return (fast > slow) - (fast < slow)


class MeanReversion(Agent):
    """Sells what is dear and buys what is cheap beside the average of the last middle prices.

    With z = (price − average) / standard deviation over ``window`` looks (one every ``every``): at
    z ≤ −``entry`` it buys ``size``, at z ≥ ``entry`` it sells, each by a limit at the other side's
    best price; nearer than ``exit`` it goes back to what it had at the start. ``random_first`` is
    that of `Momentum`. It is the band rule of J. Bollinger, taken by a counter-trend trader.
    """

    every: Duration = "60s"
    window: int = 30
    entry: float = 2.0
    exit: float = 0.5
    size: Number = 1
    random_first: bool = True

    def on_start(self) -> None:
        super().on_start()
        if self.window < 2 or not 0 <= self.exit < self.entry:
            raise FieldError(
                "entry", "must be above exit, which is not negative; window at least 2"
            )
        self.order_size = decimal_of(self.size, "size")
        self.prices: deque[float] = deque(maxlen=self.window)
        self.pause = self.wake_first(self.every, self.random_first)

    def on_timer(self, name: str) -> None:
        self.wake(self.pause)
        self.withdraw_resting()
        self.look()

    def act(self, depth: Depth) -> None:
        price = middle_of(depth)
        score = None if price is None else self.score(float(price))
        if score is None:
            return
        if abs(score) >= self.entry:
            buy = score < 0
            self.place(buy, self.order_size, depth.best_ask if buy else depth.best_bid)
        elif abs(score) <= self.exit:
            held = self.inventory
            if held:
                buy = held < 0
                self.place(buy, abs(held), depth.best_ask if buy else depth.best_bid)

    def score(self, price: float) -> float | None:
        """z of a new price among the last ones and itself; None until there are enough, and where
        they are all the same."""
        prices = self.prices
        prices.append(price)
        count = len(prices)
        if count < self.window:
            return None
        mean = 0.0
        for one in prices:
            mean += one
        mean /= count
        squares = 0.0
        for one in prices:
            squares += (one - mean) * (one - mean)
        if squares <= 0.0:
            return None
        return (price - mean) / sqrt(squares / (count - 1))
