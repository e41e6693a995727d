"""The first strategy to read: two moving averages, spot market orders, one plain handler."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from backtest.errors import FieldError
from backtest.models import Bar
from backtest.strategies.handle import OrderHandle
from backtest.strategies.strategy import Strategy

__all__ = ["SmaCross"]


class SmaCross(Strategy):
    """Hold the base asset while the fast moving average of the closes is above the slow one.

    Parameters: the ``pair``; ``fast`` and ``slow``, the lengths of the two averages in bars; the
    ``volume`` to buy. Orders are sent at a bar's close and fill at the next bar's open. A buy that
    the venue refuses is logged, and the next crossing tries anew.
    """

    pair: str = "BTCUSD"
    fast: int = 10
    slow: int = 30
    volume: Decimal | int | str = "0.1"

    def on_start(self) -> None:
        if not 0 < self.fast < self.slow:
            raise FieldError("fast", f"must be between 0 and slow ({self.slow}), not {self.fast}")
        self.subscribe(self.pair)
        self.size = self.pair_of(self.pair).round_volume(self.volume)
        self.closes: deque[Decimal] = deque()
        self.fast_sum = self.slow_sum = Decimal(0)
        self.entry: OrderHandle | None = None

    def on_bar(self, bar: Bar) -> None:
        # Sums are kept from bar to bar: one value comes in, one goes out.
        closes = self.closes
        closes.append(bar.close)
        self.fast_sum += bar.close
        self.slow_sum += bar.close
        if len(closes) > self.fast:
            self.fast_sum -= closes[-1 - self.fast]
        if len(closes) > self.slow:
            self.slow_sum -= closes.popleft()
        if len(closes) < self.slow:
            return

        fast_mean, slow_mean = self.fast_sum / self.fast, self.slow_sum / self.slow
        if fast_mean > slow_mean and self.entry is None:
            self.entry = self.buy(self.pair, self.size)
        elif fast_mean < slow_mean and self.entry is not None and self.entry.is_answered:
            self.leave(self.entry)  # an unanswered order is on its way still and cannot be changed
            self.entry = None

    def leave(self, entry: OrderHandle) -> None:
        """Sell what ``entry`` bought; what it has not bought yet it need not buy any more."""
        if entry.leaves:
            entry.cancel()
        if entry.filled_volume:
            self.sell(self.pair, entry.filled_volume)
