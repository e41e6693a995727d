"""Slippage, paths and volumes of a user's own, from strategy to ledger; latency by link."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import backtest
from backtest.actors import FixedLatency, LinkLatencies, UniformLatency
from backtest.errors import ConfigError
from backtest.models import Bar, Fills, Participation, TradingRules, VolumeShareSlippage
from backtest.strategies import Strategy
from tests.harness import D, M, bar, play


class Spread:
    """Half a fixed spread."""

    def slip(self, price: Decimal, buy: bool, volume: Decimal, bar: Bar) -> Decimal:
        return D("0.25")


class AlwaysHighFirst:
    def high_first(self, bar: Bar) -> bool | None:
        return True


async def buy_and_sell(me: Any) -> None:
    await me.next()
    await me.buy("BTCUSD", 2)
    await me.next()
    await me.sell("BTCUSD", 2)
    await me.next()


def test_a_slippage_of_ones_own_reaches_the_ledger() -> None:
    # Bought 2 at 100 + 0.25, sold 2 at 101 - 0.25: 1000 - 200.50 + 201.50 = 1001.
    bars = [bar(0, 100), bar(1, 100, 101, 99, 100), bar(2, 101, 102, 100, 101)]
    world = play(bars, buy_and_sell, rules=TradingRules(fills=Fills(slippage=Spread())))
    assert world.fills() == ["entry LONG 2 @ 100.25 open", "entry SHORT 2 @ 100.75 open"]
    assert world.balance() == (D(1001), D(0))


def test_volume_share_with_a_participation_limit() -> None:
    # Volume 100, participation 0.1: 10 of the 15 fill, at 10 + 10 x 1 x 0.1² = 10.10; the other 5
    # on the next bar, a share of 0.05: 10 x 0.0025 = 0.025 -> 10.03.
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 15)
        await me.next(2)

    rules = TradingRules(
        fills=Fills(
            slippage=VolumeShareSlippage(limit="0.1", impact="1"), volume=Participation("0.1")
        )
    )
    bars = [bar(n, 10, 11, 9, 10, 100) for n in range(3)]
    world = play(bars, script, rules=rules)
    assert world.fills() == ["entry LONG 10 @ 10.1 open", "entry LONG 5 @ 10.03 open"]
    assert world.balance() == (D("848.85"), D(0))  # 1000 - 101 - 50.15


def test_a_path_of_ones_own_decides_for_the_account() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, stop_loss=97, take_profit=104)
        await me.next(2)

    bars = [bar(0, 100), bar(1, 100), bar(2, 100, 105, 95, 102)]
    world = play(bars, script, rules=TradingRules(fills=Fills(path=AlwaysHighFirst())))
    assert world.fills()[1] == "take_profit SHORT 1 @ 104 high maker ambiguous"
    fill = world.records.fills[1]
    assert fill.otherwise == (("stop_loss", D(97), D(1)),)
    assert world.balance() == (D(1004), D(0))


class Clocked(Strategy):
    """Buys once at the market, and notes when it heard of what."""

    def on_start(self) -> None:
        self.heard: list[tuple[str, int]] = []

    async def on_bar(self, bar: Bar) -> None:
        self.heard.append(("bar", int(self.now.timestamp() * 1000)))
        if len(self.heard) == 1:
            self.buy("BTCUSD", 1)

    def on_order(self, event: Any) -> None:
        self.heard.append((event.kind.value, int(self.now.timestamp() * 1000)))


def clocked(latency: Any) -> tuple[list[tuple[str, int]], Any]:
    strategy = Clocked()
    bars = [bar(n, 100, length=M) for n in range(4)]
    result = backtest.run(strategy, data=bars, pair="BTCUSD", cash="1000 USD", latency=latency)
    return strategy.heard, result


def test_each_link_has_a_latency_of_its_own() -> None:
    # Bars close at 60, 120, 180, 240 s and are heard of 5 ms later; the order takes 20 ms and is
    # accepted at 60.025, which is heard of at 60.035; it fills on the bar that opens at 120, which
    # closes at 180: heard of 10 ms after that, the bar itself 5 ms after.
    heard, result = clocked({"orders": "20ms", "market_data": "5ms", "order_events": "10ms"})
    assert heard == [
        ("bar", 60_005),
        ("accepted", 60_035),
        ("bar", 120_005),
        ("bar", 180_005),
        ("filled", 180_010),
    ]  # The last bar is on its way when the data end: nobody hears of it.
    assert result.config["latency"] == {
        "orders": "20ms",
        "market_data": "5ms",
        "order_events": "10ms",
    }


def test_no_latency_on_a_link_is_none() -> None:
    heard, _ = clocked({"order_events": "10ms"})
    assert heard[:3] == [("bar", 60_000), ("accepted", 60_010), ("bar", 120_000)]
    heard, _ = clocked(LinkLatencies(market_data=FixedLatency(5_000_000)))
    assert heard[:2] == [("bar", 60_005), ("accepted", 60_005)]


def test_a_latency_is_named_with_its_parameters() -> None:
    _, result = clocked(UniformLatency(0, 10))
    assert result.config["latency"] == "UniformLatency(0, 10)"
    _, result = clocked(LinkLatencies(orders=FixedLatency(7)))
    assert result.config["latency"] == {"orders": "FixedLatency(7)"}


def test_an_unknown_link_is_refused() -> None:
    with pytest.raises(ConfigError, match="no link is called 'quotes'; known: orders, market_data"):
        clocked({"quotes": "1ms"})
