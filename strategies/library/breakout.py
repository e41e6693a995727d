"""Breakout: a leveraged position with stop-loss and take-profit, in asynchronous handlers."""

from __future__ import annotations

from decimal import Decimal

from backtest.errors import FieldError, OrderRejected
from backtest.models import Bar
from backtest.money import decimal_of
from backtest.strategies.handle import OrderHandle
from backtest.strategies.strategy import Strategy

from ._indicators import feed, indicator

__all__ = ["Breakout"]


class Breakout(Strategy):
    """Go with the price when it closes beyond the highest high, or lowest low, of the last bars.

    Parameters: the ``pair``; ``lookback``, how many bars make the channel; the ``volume`` in
    contracts and its ``leverage``; ``stop`` and ``target``, the distances of stop-loss and
    take-profit from the close that broke out (0.02 is 2 %); ``allow_short``.

    One position at a time; the venue closes it at its stop-loss or take-profit, whichever the
    price reaches first. Needs talipp (extra ``indicators``).
    """

    pair: str = "BTCUSD"
    lookback: int = 20
    volume: Decimal | int | str = "0.1"
    leverage: Decimal | int | str = 5
    stop: Decimal | str = "0.02"
    target: Decimal | str = "0.04"  # type: ignore[assignment]
    allow_short: bool = True

    def on_start(self) -> None:
        self.stop_share = decimal_of(self.stop, "stop")
        self.target_share = decimal_of(self.target, "target")
        for name, share in (("stop", self.stop_share), ("target", self.target_share)):
            if not 0 < share < 1:
                raise FieldError(name, f"must be a share between 0 and 1, not {share}")
        self.subscribe(self.pair)
        self.size = self.pair_of(self.pair).round_volume(self.volume)
        self.channel = indicator("DonchianChannels", period=self.lookback)

    async def on_bar(self, bar: Bar) -> None:
        broken = self.breakout(bar)
        if not broken or (broken < 0 and not self.allow_short):
            return
        if self.position(self.pair) or self.open_orders(self.pair):
            return
        try:
            await self.enter(bar.close, long=broken > 0)
        except OrderRejected as refusal:
            self.log_refusal(refusal)

    def breakout(self, bar: Bar) -> int:
        """1 when ``bar`` closes above the channel of the bars before it, -1 below, else 0."""
        from talipp.ohlcv import OHLCV

        before = self.channel[-1] if len(self.channel) else None
        feed(self.channel, OHLCV(*map(float, (bar.open, bar.high, bar.low, bar.close))))
        if before is None:
            return 0
        close = float(bar.close)
        return int(close > before.ub) - int(close < before.lb)

    def enter(self, price: Decimal, *, long: bool) -> OrderHandle:
        """Send the order of a breakout at ``price``, with its protection on the pair's grid."""
        sign = 1 if long else -1
        round_price = self.pair_of(self.pair).round_price
        send = self.long if long else self.short
        return send(
            self.pair,
            self.size,
            leverage=self.leverage,
            stop_loss=round_price(price * (1 - sign * self.stop_share)),
            take_profit=round_price(price * (1 + sign * self.target_share)),
        )
