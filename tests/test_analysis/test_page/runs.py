"""Runs whose pages tests look at: one with all there is, one in which every name is hostile."""

from __future__ import annotations

from decimal import Decimal

import backtest
from backtest.analysis.result import RunResult
from backtest.data import synthetic_bars
from backtest.errors import OrderRejected
from backtest.models import Bar
from backtest.strategies import Strategy

__all__ = ["HOSTILE", "Clock", "by_the_clock", "hostile_run"]

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028'\"&{{body}}"
"""Ends a script, opens a picture, breaks a line of JavaScript, names a place of the template."""
_CENT = Decimal("0.01")


class Clock(Strategy):
    """Opens a long and a short in turn, every so many bars, with a stop and a target; closes what
    is left half-way to the next; and once asks for more than it can pay."""

    every: int = 20

    async def on_bar(self, bar: Bar) -> None:
        self.seen = getattr(self, "seen", 0) + 1
        if self.seen % self.every == 0:
            is_long = self.seen // self.every % 2 == 0
            near, far = (Decimal("0.996"), Decimal("1.004"))
            order = self.long if is_long else self.short
            stop, target = (near, far) if is_long else (far, near)
            self.order = await order(
                bar.pair,
                "0.1",
                leverage=5,
                stop_loss=(bar.close * stop).quantize(_CENT),
                take_profit=(bar.close * target).quantize(_CENT),
            )
        elif self.seen % self.every == self.every // 2 and self.seen > self.every:
            if self.order.open_volume:
                await self.order.close()
        if self.seen == self.every + 1:
            try:
                await self.buy(bar.pair, 1_000_000)
            except OrderRejected:
                self.refused = True


def by_the_clock(bars: int = 1_500, every: int = 20, bar: str = "1h") -> RunResult:
    """A run of two months of hours, with fees and some seventy trades."""
    rules = {
        "fees": {
            "fill": {"percent_of_notional": "0.001"},
            "close": {"percent_of_notional": "0.001"},
        },
        "maintenance_rate": "0.01",
    }
    return backtest.run(
        Clock(every=every),
        data=synthetic_bars("BTCUSD", bars, bar=bar, seed=7),
        cash="100000 USD",
        rules=rules,
        seed=7,
    )


def hostile_run() -> RunResult:
    """A run whose strategy, account and file are called what no page should take for code."""
    name = HOSTILE.replace("\u2028", "")
    result = backtest.run(
        strategies={name: Clock(every=20)},
        data=synthetic_bars("BTCUSD", 200, bar="1h", seed=7),
        cash={name: ["100000 USD"]},
        accounts={name: [name]},
        seed=7,
    )
    result.files = {"BTCUSD": [HOSTILE]}
    result.notices = [HOSTILE]
    return result
