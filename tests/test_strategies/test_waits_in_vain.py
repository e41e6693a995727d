"""A strategy that waits for what cannot come, or acts when it is too late, is told so."""

from __future__ import annotations

from typing import Any

import backtest
from backtest.markets import Instrument, Population, Scenario
from backtest.models import Bar, Quote, Trade
from backtest.strategies import Strategy
from backtest.testing import quote

from .playing import logged, market

QUOTES = [quote(at, "99", "101") for at in range(10)]


def notices(strategy: Strategy, data: Any = None) -> list[str]:
    """Those of a run on bars, or on ``data``; what is told of strategies is logged as well."""
    with logged() as logs:
        result = backtest.run(
            strategy, data=data or market(*[100] * 10), pair="BTCUSD", cash="1000 USD"
        )
    told = [one for one in result.notices if one.startswith("strategy ")]
    assert [one["notice"] for one in logs if one["event"] == "run.notice"] == told
    return told


class OnBar(Strategy):
    def on_bar(self, bar: Bar) -> None:
        """Never called on quotes."""


class OnTicks(Strategy):
    def on_quote(self, quote: Quote) -> None:
        """Never called on bars."""

    def on_trade(self, trade: Trade) -> None:
        """Neither."""


def test_a_handler_of_what_the_data_does_not_have() -> None:
    assert notices(OnBar(), QUOTES) == [
        "strategy 'onbar' has on_bar, never called: of BTCUSD there are quotes (on_quote)"
    ]
    assert notices(OnTicks()) == [
        "strategy 'onticks' has on_quote, on_trade, never called: of BTCUSD there are bars (on_bar)"
    ]


def test_who_has_a_handler_for_what_there_is_may_have_others_too() -> None:
    class Both(OnTicks):
        def on_bar(self, bar: Bar) -> None:
            """Called."""

    assert notices(Both()) == notices(OnBar()) == notices(OnTicks(), QUOTES) == []


def test_an_iterator_over_what_the_data_does_not_have() -> None:
    class Looping(Strategy):
        async def run(self) -> None:
            async for _ in self.bars("BTCUSD"):
                pass

    assert notices(Looping()) == []
    assert notices(Looping(), QUOTES) == [
        "strategy 'looping' iterated over bars of BTCUSD, and none came: there are quotes"
    ]


def test_timers_that_call_nothing() -> None:
    class Timed(OnBar):
        def on_start(self) -> None:
            self.set_timer("x", every="1h")

    assert notices(Timed()) == [
        "strategy 'timed' set timers, and has no on_timer that they could call"
    ]


def test_orders_that_are_sent_when_the_data_has_ended() -> None:
    class Late(OnBar):
        def on_stop(self) -> None:
            self.buy("BTCUSD", 1)

    class After(Strategy):
        async def run(self) -> None:
            async for _ in self.bars("BTCUSD"):
                pass
            self.buy("BTCUSD", 1)
            self.sell("BTCUSD", 1)

    said = "commands when the data had ended (in on_stop, or after a loop over it): nothing fills"
    assert notices(Late()) == [f"strategy 'late' sent 1 {said} any more"]
    assert notices(After()) == [f"strategy 'after' sent 2 {said} any more"]


class Greedy(Strategy):
    """Buys more than it can pay for; then it sleeps while quotes come."""

    async def on_quote(self, quote: Quote) -> None:
        self.long("ABMUSD", 1_000_000, leverage=1)
        await self.sleep("1h")


def test_the_report_of_a_market_tells_of_refusals_and_of_what_was_not_seen() -> None:
    scenario = Scenario(
        pairs=Instrument(pair="ABMUSD", reference_price=100, price_increment="0.01"),
        populations=[Population("noise", 40)],
        cash="10000 USD",
        duration="5m",
        seed=3,
    )
    result = scenario.run(Greedy(), cash="1000 USD")
    report = result.report()
    first = next(one for one in result.refusals if one.strategy == "greedy")
    assert first.count >= 1
    assert f"  {first.reason.value}" in report
    assert f"greedy: {first.detail}" in report
    (told,) = result.notices
    assert told.startswith("strategy 'greedy' never saw ")
    assert told.endswith('in on_quote: await self.sleep("1h")')
    assert f"Notices\n  {told}\n" in report
