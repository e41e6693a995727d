"""Mean reversion by RSI: the strategy as one coroutine."""

from __future__ import annotations

from decimal import Decimal

from backtest.errors import FieldError, OrderRejected
from backtest.strategies.handle import OrderHandle
from backtest.strategies.strategy import Strategy

from ._indicators import feed, indicator

__all__ = ["RsiReversion"]


class RsiReversion(Strategy):
    """Buy when the relative strength index says "oversold", sell when it has recovered.

    Parameters: the ``pair``; ``period`` of the RSI in bars; buy below ``low``, sell above ``high``
    (0 to 100); the ``volume`` to buy.

    Written as ``async def run``: the order of the code is the order of events. Needs talipp (extra
    ``indicators``).
    """

    pair: str = "BTCUSD"
    period: int = 14
    low: int = 30
    high: int = 55
    volume: Decimal | int | str = "0.1"

    async def run(self) -> None:
        if not 0 <= self.low < self.high <= 100:
            raise FieldError("low", f"must be at least 0 and below high ({self.high})")
        rsi = indicator("RSI", period=self.period)
        size = self.pair_of(self.pair).round_volume(self.volume)
        held = Decimal(0)
        self.busy_until = 0
        async for bar in self.bars(self.pair):
            strength = feed(rsi, float(bar.close))
            if strength is None or bar.close_ns < self.busy_until:
                continue  # too early to tell, or a bar of the past that came while an order filled
            try:
                if strength < self.low and not held:
                    held += await self.traded(self.buy(self.pair, size))
                elif strength > self.high and held:
                    held -= await self.traded(self.sell(self.pair, held))
            except OrderRejected as refusal:
                # Too little money, say: nothing was traded, and the next bar is another chance.
                self.log_refusal(refusal)

    async def traded(self, order: OrderHandle) -> Decimal:
        """Wait until ``order`` is done; what it traded. A thin market may take several bars."""
        await order.accepted()
        await order.done()
        self.busy_until = self.now_ns
        return order.filled_volume
