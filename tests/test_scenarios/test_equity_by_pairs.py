"""Equity in the cash asset: by which pairs what is owned is valued, wherever it is told.

One flat bar of each pair, cash of nothing: equity is what the rest is worth, worked out by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

import backtest
from backtest.analysis.market.accounts import account_results
from backtest.analysis.result import RunResult
from backtest.models import Asset, Bar, TradingPair
from backtest.strategies import Strategy
from backtest.times import DAY

D = Decimal
PAIRS = {
    "ETHUSD": TradingPair("ETHUSD", "ETH", "USD"),
    "ETHBTC": TradingPair("ETHBTC", "ETH", "BTC"),
    "BTCUSD": TradingPair("BTCUSD", "BTC", "USD"),
    "USDJPY": TradingPair("USDJPY", "USD", "JPY"),
    "EURJPY": TradingPair("EURJPY", "EUR", "JPY"),
}


def flat(pair: str, *prices: str, first: int = 1) -> list[Bar]:
    """Daily bars of one price each."""
    return [
        Bar(pair, number * DAY, (number + 1) * DAY, *(D(price),) * 4)
        for number, price in enumerate(prices, first)
    ]


class Idle(Strategy):
    pass


def run(data: Mapping[str, list[Bar]], strategy: Strategy | None = None, **cash: str) -> RunResult:
    by_pair: Any = {PAIRS[code]: bars for code, bars in data.items()}
    result = backtest.run(strategy or Idle(), data=by_pair, cash=cash)
    result.verify().raise_for_problems()
    return result


@pytest.mark.parametrize("order", list(permutations(("ETHUSD", "ETHBTC", "BTCUSD"))))
def test_the_order_of_the_pairs_changes_nothing(order: tuple[str, ...]) -> None:
    # 1 ETH at 1600 directly; 0.05 BTC of 30 000, which were 1500, are not asked.
    prices = {"ETHUSD": "1600", "ETHBTC": "0.05", "BTCUSD": "30000"}
    result = run({code: flat(code, prices[code]) for code in order}, USD="0", ETH="1")
    assert result.final_equity == D(1600)
    assert result.summary["start_equity"] == D(1600)
    assert result.valuation.samples[-1][1] == D(1600)


def test_a_direct_price_counts_from_when_there_is_one() -> None:
    # Before the first bar nothing. Day 1: 0.05 x 30 000 = 1500. Day 2 has a price of ETHUSD: 1600.
    result = run(
        {
            "ETHBTC": flat("ETHBTC", "0.05", "0.05"),
            "BTCUSD": flat("BTCUSD", "30000", "30000"),
            "ETHUSD": flat("ETHUSD", "1600", first=2),
        },
        USD="0",
        ETH="1",
    )
    assert [equity for _, equity in result.valuation.samples] == [0, D(1500), D(1600)]
    assert result.final_equity == D(1600)


def test_yen_are_worth_their_share_of_a_dollar() -> None:
    # 12 345 JPY at 150 a dollar are 82.30; 10 000 are 66.666..., with eight digits 66.66666666.
    result = run({"USDJPY": flat("USDJPY", "150")}, USD="100", JPY="12345")
    assert result.final_equity == D("182.3")
    result = run({"USDJPY": flat("USDJPY", "150")}, USD="100", JPY="10000")
    assert result.final_equity == D("166.66666666")
    assert "worth 66.66666666 USD" in result.report()
    assert result.summary["unpriced_assets"] == []


def test_euros_go_through_yen() -> None:
    # 3 EUR x 160 / 150 = 3.20 USD.
    result = run(
        {"EURJPY": flat("EURJPY", "160"), "USDJPY": flat("USDJPY", "150")}, USD="1", EUR="3"
    )
    assert result.final_equity == D("4.2")


class Yen(Strategy):
    """Goes long 1 dollar for yen on the first bar, with yen as margin."""

    async def on_bar(self, bar: Bar) -> None:
        if not self.position("USDJPY") and not self.open_orders():
            await self.long("USDJPY", 1, leverage=10)


def test_what_a_position_wins_in_yen_is_valued_with_the_yen_it_is_won_beside() -> None:
    # Entered at 150, now 160: 10 JPY won; 1000 + 10 JPY at 160 are 6.3125 USD. Start: 1000 / 150 =
    # 6.66666666, rounded down.
    result = run({"USDJPY": flat("USDJPY", "150", "150", "160")}, Yen(), USD="0", JPY="1000")
    assert result.final_equity == D("6.3125")
    assert result.summary["start_equity"] == D("6.66666666")
    assert result.summary["profit"] == D("-0.35416666")


def test_the_result_of_an_account_is_valued_like_the_run() -> None:
    # Two accounts of the run above: together they are the run, each rounded down by itself.
    cash: Any = {"a": {"USD": "1"}, "b": {"JPY": "10000"}, "c": {"JPY": "10000"}}
    pair = PAIRS["USDJPY"]
    result = backtest.run(
        {name: Idle() for name in cash}, data={pair: flat("USDJPY", "150", "125")}, cash=cash
    )
    # 20 000 / 125 = 160; at the first price 133.33333333.
    assert result.final_equity == D(161)
    told = [(one.start_equity, one.final_equity, one.pnl) for one in account_results(result)]
    assert told == [(D(1), D(1), D(0)), *[(D("66.66666666"), D(80), D(0))] * 2]


def test_cash_has_the_finest_of_the_precisions_that_pairs_give_it() -> None:
    pair = TradingPair("USDJPY", Asset("USD", 2), "JPY")
    result = backtest.run(
        Idle(), data={pair: flat("USDJPY", "150")}, cash={"USD": "1", "JPY": "10000"}
    )
    assert result.final_equity == D("67.66")
    assert result.verify().ok
