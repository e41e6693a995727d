"""A scenario of about 300 events in which everything happens: the ground for injected faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backtest.actors import MarketData, System
from backtest.errors import OrderRejected
from backtest.models import Bar
from backtest.strategies import Strategy
from backtest.testing import World, bar, pair_of, rules
from backtest.testing.stage import assemble

__all__ = ["BARS", "Busy", "Patient", "scene"]

PRICES = [100, 101, 103, 99, 97, 98, 104, 106, 101, 95, 96, 100, 102, 99, 103]
BARS = [
    made
    for number, price in enumerate(PRICES)
    for made in (
        bar(number, price, price + 2, price - 2, price + 1, 3),
        bar(number, price // 2, price // 2 + 1, price // 2 - 1, pair="ETHUSD"),
    )
]
RULES = rules(
    fees={
        "create": [{"flat_per_trade": "0.01"}],
        "fill": [{"percent_of_notional": "0.001"}],
        "close": [{"flat_per_trade": "0.02"}],
        "cancel": [{"flat_per_trade": "0.01"}],
        "overnight_filled": [{"percent_of_notional": "0.0001"}],
    },
    rollover_ns=5 * 60 * 10**9,
    maintenance_rate="0.01",
)


class Busy(Strategy):
    """Trades by handlers, some of everything, every bar; remembers nothing it could not lose."""

    async def on_bar(self, bar: Bar) -> None:
        if bar.pair != "BTCUSD":
            return
        what = int(bar.open) % 5
        try:
            if what == 0:
                await self.buy("BTCUSD", "4")  # more than the bar's volume: filled in parts
            elif what == 1:
                await self.long("BTCUSD", 2, leverage=4, stop_loss=96, take_profit=105)
            elif what == 2:
                await self.sell("BTCUSD", "1.5", limit_price=103)
                await self.short("ETHUSD", 1, leverage=20, stop_price=48)
            elif what == 3:
                for order in self.open_orders():
                    await order.cancel()
            else:
                for order in self.open_orders():
                    await order.modify(volume=order.volume + 1)
        except OrderRejected:
            pass

    def on_order(self, event: Any) -> None:
        self.log.debug("heard", kind=event.kind.value)


class Patient(Strategy):
    """Trades in one coroutine, and waits."""

    async def run(self) -> None:
        async for _ in self.bars("ETHUSD"):
            try:
                order = await self.long("ETHUSD", 3, leverage=10)
                if await order.filled(timeout="90s"):
                    parts = await order.split(["1", "2"])
                    await parts[0].close()
                    await self.sleep(30)
                    await parts[1].close(limit_price=55)
            except OrderRejected:
                pass


def scene(
    prepare: Callable[[System], None] | None = None, *kinds: type[Strategy], **settings: Any
) -> World:
    """The scenario, assembled and prepared, not run."""
    market = MarketData(settings.pop("bars", BARS))
    world = assemble(
        market,
        [kind() for kind in kinds or (Busy, Patient)],
        {"main": {"USD": 900, "BTC": 2}, "other": {"USD": 300}},
        RULES,
        [pair_of("BTCUSD"), pair_of("ETHUSD")],
        [["main"], ["other"]],
        (),
    )
    if prepare is not None:
        prepare(world.system)
    return world
