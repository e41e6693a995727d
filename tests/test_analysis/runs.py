"""Runs that the tests of analysis and command line look at: one small, one busy."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import backtest
from backtest.analysis.result import RunResult
from backtest.data import synthetic_pairs
from backtest.errors import FieldError, OrderRejected
from backtest.models import Asset, Bar, TradingPair
from backtest.strategies import OrderHandle, Strategy
from backtest.times import HOUR

__all__ = ["Busy", "busy_run", "hourly", "small_run"]

START = 473_352 * HOUR
"""1 January 2024, 00:00 UTC."""


def hourly(pair: str, *rows: tuple[str, str, str, str]) -> list[Bar]:
    """Hourly bars without volume: open, high, low, close."""
    return [
        Bar(pair, START + at * HOUR, START + (at + 1) * HOUR, *(D(one) for one in row))
        for at, row in enumerate(rows)
    ]


class Small(Strategy):
    """Two bitcoin bought and sold in halves; between them a bet with leverage 2."""

    pair: str = "BTCUSD"

    async def on_bar(self, bar: Bar) -> None:
        self.seen = getattr(self, "seen", 0) + 1
        if self.seen == 1:
            await self.buy(self.pair, 2)
        elif self.seen == 2:
            self.bet = await self.long(self.pair, 1, leverage=2)
        elif self.seen == 3:
            await self.sell(self.pair, 1)
        elif self.seen == 4:
            await self.bet.close()
        elif self.seen == 5:
            await self.sell(self.pair, 1)


def small_run() -> RunResult:
    """Six hours worked out by hand in `test_metrics`."""
    bars = hourly(
        "BTCUSD",
        ("100", "100", "100", "100"),
        ("102", "110", "100", "108"),
        ("110", "120", "108", "120"),
        ("115", "116", "112", "114"),
        ("112", "113", "90", "90"),
        ("95", "96", "94", "95"),
    )
    rules = {
        "fees": {
            "fill": {"percent_of_notional": "0.001"},
            "close": {"percent_of_notional": "0.001"},
        }
    }
    pair = TradingPair("BTCUSD", "BTC", Asset("USD", 2))
    return backtest.run(Small(), data={pair: bars}, cash="1000 USD", rules=rules, seed=1)


class Busy(Strategy):
    """Does everything that can be done to an order, by chance: its own, seeded chance."""

    async def on_bar(self, bar: Bar) -> None:
        self.handles: list[OrderHandle] = getattr(self, "handles", [])[-30:]
        for _ in range(self.random.randrange(3)):
            try:
                await self.act(bar)
            except (OrderRejected, FieldError):
                pass  # what is refused is part of the story, too

    async def act(self, bar: Bar) -> None:
        """One order, or one change to one."""
        pair, chance = self.pair_of(bar.pair), self.random
        price = pair.round_price(bar.close * D(chance.randrange(985, 1016)) / 1000)
        volume = D(chance.randrange(1, 300)) / 100
        prices: dict[str, Any] = ({}, {"limit_price": price}, {"stop_price": price})[
            chance.randrange(3)
        ]
        choice = chance.randrange(12)
        if choice < 2:
            order = self.buy if choice == 0 else self.sell
            self.handles.append(await order(bar.pair, volume, **prices))
        elif choice < 5:
            sign = 1 if choice < 4 else -1
            near = prices.get("limit_price") or prices.get("stop_price") or bar.close
            send = self.long if sign > 0 else self.short
            stop, goal = near * (1 - sign * D("0.01")), near * (1 + sign * D("0.015"))
            self.handles.append(
                await send(
                    bar.pair,
                    volume,
                    leverage=chance.choice((1, 5, 40)),
                    stop_loss=pair.round_price(stop),
                    take_profit=pair.round_price(goal),
                    **prices,
                )
            )
        elif self.handles:
            await self.change(chance.choice(self.handles), choice, volume, price)

    async def change(self, handle: OrderHandle, choice: int, volume: D, price: D) -> None:
        """One change to ``handle``."""
        if choice == 5:
            await handle.cancel()
        elif choice == 6:
            await handle.cancel(volume=D("0.01"))
        elif choice == 7:
            await handle.modify(limit_price=price)
        elif choice == 8:
            await handle.modify(volume=volume)
        elif choice == 9:
            whole = handle.leaves or handle.filled_volume
            part = (whole / 3).quantize(D("0.01"))
            self.handles += await handle.split([part, whole - part])
        elif choice == 10:
            await handle.close()
        else:
            await handle.close(volume=D("0.01"), limit_price=price)


def busy_run(seed: int = 5, bars: int = 60) -> RunResult:
    """Two strategies, three accounts, two pairs, fees at every stage, partial fills."""
    pairs = [
        TradingPair(code, code[:3], Asset("USD", 2), D("0.01"), D("0.01"))
        for code in ("BTCUSD", "ETHUSD")
    ]
    sources = synthetic_pairs(
        pairs,
        bars,
        seed=seed,
        price={"BTCUSD": 300, "ETHUSD": 50},
        volatility=0.006,
        jump_rate=0.02,
        jump_size=0.08,
        volume=20,
        bar="1h",
    )
    rules = {
        "fees": {
            "create": {"flat_per_volume": "0.01"},
            "fill": {"percent_of_notional": "0.001", "maker": "-0.0002"},
            "close": {"percent_of_notional": "0.001"},
            "cancel": {"flat_per_trade": "0.05"},
            "overnight_filled": {"percent_of_notional": "0.0005"},
        },
        "participation": "0.05",
        "maintenance_rate": "0.01",
    }
    return backtest.run(
        {"one": Busy(), "two": Busy()},
        data=dict(zip(pairs, sources, strict=True)),
        cash={"a": "3000 USD", "b": ["2000 USD", "5 BTC"], "c": "1000 USD"},
        accounts={"one": ["a", "b"], "two": ["b", "c"]},
        rules=rules,
        seed=seed,
        insurance_fund={"USD": "50"},
    )
