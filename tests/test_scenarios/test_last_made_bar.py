"""The last bar that a strategy makes of finer ones, or of ticks: whole, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

import backtest
from backtest.models import Bar, MarketEvent, Quote, Trade
from backtest.strategies import Strategy
from backtest.times import MINUTE, SECOND
from tests.generators import D


def minute(number: int) -> Bar:
    return at(number * MINUTE, MINUTE, D(100 + number))


def at(start: int, length: int, price: Decimal) -> Bar:
    return Bar("BTCUSD", start, start + length, price, price, price, price, D(1))


def made(data: Sequence[MarketEvent], what: str, **given: Any) -> list[tuple[Any, ...]]:
    """The bars of two minutes that a strategy makes: minute of the open, prices, volume."""
    got: list[tuple[Any, ...]] = []
    settings = dict(given)

    class Maker(Strategy):
        busy: bool = False

        async def on_bar(self, bar: Bar) -> None:
            if self.busy and bar.close_ns == 5 * MINUTE:
                await self.sleep("1h")

        async def run(self) -> None:
            async for bar in self.bars("BTCUSD", length="2m", resample=what):
                got.append((bar.open_ns // MINUTE, bar.open, bar.close, bar.volume))

    Maker.computation_delay = settings.pop("thinking", 0)
    strategy = Maker(busy=settings.pop("busy", False))
    backtest.run(strategy, data=list(data), pair="BTCUSD", cash="1 USD", **settings)
    return got


WHOLE = [(0, D(100), D(101), D(2)), (2, D(102), D(103), D(2)), (4, D(104), D(105), D(2))]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"latency": {"market_data": "7s"}},
        {"latency": {"market_data": "70s"}},  # the whole of the last bar is on its way
        {"latency": "130s"},
        {"busy": True},  # the last minute waits in its inbox
        {"thinking": "50s"},  # or for it to have done thinking
    ],
    ids=lambda settings: " ".join(settings) or "none",
)
def test_what_was_on_its_way_at_the_end_belongs_to_it(settings: dict[str, Any]) -> None:
    """The data end at minute 6, and so does the last bar: it comes then, with both its minutes."""
    assert made([minute(n) for n in range(6)], "bars", **settings) == WHOLE


@pytest.mark.parametrize("latency", [None, {"market_data": "7s"}, "130s"], ids=str)
def test_a_bar_whose_close_the_data_do_not_reach_does_not_come(latency: Any) -> None:
    assert made([minute(n) for n in range(5)], "bars", latency=latency) == WHOLE[:2]


@pytest.mark.parametrize("latency", [None, {"market_data": "7s"}, "130s"], ids=str)
def test_of_ticks(latency: Any) -> None:
    trades = [Trade("BTCUSD", at * SECOND, D(at), D(1)) for at in (10, 119, 130, 239, 240)]
    wanted = [(0, D(10), D(119), D(2)), (2, D(130), D(239), D(2))]
    assert made(trades, "trades", latency=latency) == wanted
    quotes = [Quote("BTCUSD", at * SECOND, D(at), D(at)) for at in (10, 119, 130, 239, 240)]
    assert made(quotes, "quotes", latency=latency) == [(*bar[:3], None) for bar in wanted]


@pytest.mark.parametrize("latency", [None, {"market_data": "7s"}], ids=str)
def test_of_several_lengths_it_is_made_of_one(latency: Any) -> None:
    """Half minutes come first at one time: of them it is made, not of the minutes beside them."""
    half = MINUTE // 2
    halves = [at(n * half, half, D(1)) for n in range(8)]
    coarser = [minute(n) for n in range(4)]
    volumes: list[Any] = []

    class Maker(Strategy):
        async def run(self) -> None:
            async for bar in self.bars("BTCUSD", length="2m", resample="bars"):
                volumes.append(bar.volume)

    backtest.run(Maker(), data=[halves, coarser], pair="BTCUSD", cash="1 USD", latency=latency)
    assert volumes == [D(4), D(4)]


def test_a_busy_strategy_that_wants_the_latest_makes_bars_of_all() -> None:
    """Its handler is spared the minutes that passed meanwhile; the bars are made of each."""
    got: list[Any] = []
    handled: list[int] = []

    class Maker(Strategy):
        def on_start(self) -> None:
            self.subscribe("BTCUSD", conflate=True)

        async def on_bar(self, bar: Bar) -> None:
            handled.append(bar.open_ns // MINUTE)
            await self.sleep("3m")

        async def run(self) -> None:
            async for bar in self.bars("BTCUSD", length="2m", resample="bars"):
                got.append((bar.open_ns // MINUTE, bar.open, bar.close, bar.volume))

    bars = [minute(n) for n in range(6)]
    backtest.run(Maker(), data=bars, pair="BTCUSD", cash="1 USD")
    assert handled == [0, 3]
    assert got == WHOLE
