"""Cash, data and strategies as people give them: what is understood, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import backtest
from backtest import BacktestRunner
from backtest.data import MemoryBars
from backtest.errors import ConfigError
from backtest.models import Asset, TradingPair, TradingRules
from backtest.repositories.context import BacktestContext
from backtest.runs.config import cash_of, pair_of, read_rules
from backtest.strategies import Strategy
from tests.harness import bar, quote

D = Decimal


class Buys(Strategy):
    async def on_bar(self, bar: Any) -> None:
        if self.balance("USD").available > D(150):
            await self.buy("BTCUSD", 1)


BARS = MemoryBars([bar(n, 100) for n in range(4)], "BTCUSD")


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("100 USD", {"main": {"USD": D(100)}}),
        (["100 USD", "2 BTC"], {"main": {"USD": D(100), "BTC": D(2)}}),
        ({"USD": 100, "BTC": "0.5"}, {"main": {"USD": D(100), "BTC": D("0.5")}}),
        ({"a": "1 USD", "b": {"BTC": 2}}, {"a": {"USD": D(1)}, "b": {"BTC": D(2)}}),
    ],
)
def test_ways_to_write_cash(given: Any, means: Any) -> None:
    assert cash_of(given) == means


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "cash is empty: give an amount and an asset"),
        ([], r"cash must be like '100000 USD', not \[\]"),
        (100_000, "cash must be like '100000 USD', not 100000"),
        ("USD", "cash must be an amount and an asset, like '100000 USD', not 'USD'"),
        (["1 USD", 7], "cash must be an amount and an asset, like '100000 USD', not 7"),
        (["1 USD", "2 USD"], "cash in USD is given twice"),
        ("1e5 USD", "without an exponent|must be an amount and an asset"),
        ({"USD": -1}, "cash in USD cannot be negative, is -1"),
        ({"": "1 USD"}, "an account needs a name, not ''"),
        ({"fees": "1 USD"}, "'fees' is a house account: choose another name"),
    ],
)
def test_what_is_no_cash(given: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        cash_of(given)


def test_the_parts_of_a_pair() -> None:
    book = read_rules(None)
    for code, parts in (
        ("BTC/EUR", ("BTC", "EUR")),  # a sign tells, whatever the cash
        ("ETHUSD", ("ETH", "USD")),
        ("ETHBTC", ("ETH", "BTC")),
    ):
        pair = pair_of(code, ["USD", "BTC"], book)
        assert (pair.base.code, pair.quote.code) == parts
    for code in ("ETHJPY", "USD"):
        with pytest.raises(ConfigError, match=f"cannot tell the quote asset of pair '{code}'"):
            pair_of(code, ["USD", "BTC"], book)
    with pytest.raises(ConfigError, match="rules must be TradingRules, a mapping or the path"):
        read_rules(5)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"strategies": []}, "there is no strategy to run"),
        ({"strategies": Buys}, r"Buys is a class: give an instance, Buys\(\)"),
        ({"strategies": {"a": 5}}, "a is not a Strategy but a int"),
        ({"data": {}}, "there is no data: give at least one pair"),
        ({"data": {"BTCUSD": BARS}, "pair": "BTCUSD"}, "or one pair beside it, not both"),
        ({"data": "bars.csv"}, "which pair is the data of"),
        ({"cash": {"a": "1 USD", "b": "1 USD"}}, "which of the accounts a, b does strategy 'buys'"),
        ({"accounts": {"buys": "c"}}, "strategy 'buys' is to trade on account 'c', but cash is"),
    ],
)
def test_what_is_refused_before_the_run(given: dict[str, Any], says: str) -> None:
    settings: dict[str, Any] = {"data": BARS, "strategies": Buys(), "cash": "1000 USD"}
    with pytest.raises(ConfigError, match=says):
        BacktestRunner(**(settings | given)).run()


def test_a_pairs_commission_and_fees_take_the_place_of_those_of_all_pairs() -> None:
    share: Any = {"percent_of_notional": "0.001"}
    night: Any = {"overnight_filled": {"percent_of_notional": "0.0001"}}
    rules: Any = {"fees": {"fill": share, **night}, "pairs": {"BTCUSD": {"commission": "0.002"}}}
    own = read_rules(rules).rules("BTCUSD")
    assert own == TradingRules.from_mapping({"commission": "0.002", "fees": night})
    assert read_rules(rules).rules("ETHUSD") == TradingRules.from_mapping({"fees": rules["fees"]})
    rules = {"commission": "0.002", "pairs": {"BTCUSD": {"fees": {"fill": share}}}}
    own = read_rules(rules).rules("BTCUSD")
    assert own == TradingRules.from_mapping({"fees": {"fill": share}})  # closing is free, then
    # Fees of other stages leave the commission as it is; both at once are a contradiction still.
    rules = {"commission": "0.002", "pairs": {"BTCUSD": {"fees": night}}}
    own = read_rules(rules).rules("BTCUSD")
    assert own == TradingRules.from_mapping({"commission": "0.002", "fees": night})
    both: Any = {"commission": "0.002", "fees": {"fill": share}}
    with pytest.raises(ConfigError, match=r"fees\.fill says otherwise: give one of them"):
        read_rules({"pairs": {"BTCUSD": both}})


def test_an_asset_has_one_precision() -> None:
    """Of two, one account's dollars would be rounded to cents by one pair only."""
    cents = TradingPair("BTCUSD", "BTC", Asset("USD", 2))
    finer = TradingPair("ETHUSD", "ETH", "USD")
    other = [bar(n, 100, pair="ETHUSD") for n in range(4)]
    given: dict[str, Any] = {"strategies": Buys(), "cash": "1000 USD"}
    with pytest.raises(ConfigError, match=r"USD has 2 digits .* by pair BTCUSD, and 8 by pair ETH"):
        BacktestRunner(**given, data={cents: BARS, finer: other}).run()
    rules = {"assets": {"USD": {"precision": 2}}}
    with pytest.raises(
        ConfigError, match=r"USD has 2 digits .* by the rules, and 8 by pair ETHUSD"
    ):
        BacktestRunner(**given, data={finer: other}, rules=rules).run()
    assert BacktestRunner(**given, data={cents: BARS}, rules=rules).run().verify().ok


def test_a_strategy_runs_once_and_under_one_name() -> None:
    one = Buys()
    with pytest.raises(ConfigError, match="the same strategy object is given twice"):
        BacktestRunner(data=BARS, strategies={"a": one, "b": one}, cash="1000 USD").run()
    result = BacktestRunner(data=BARS, strategies=[Buys(), Buys()], cash="100 USD").run()
    assert sorted(result.strategies) == ["buys", "buys-2"]
    used = result.strategies["buys"]
    with pytest.raises(ConfigError, match="strategy 'buys' has run already: make a new one"):
        BacktestRunner(data=BARS, strategies=used, cash="1000 USD").run()


def test_a_context_counts_what_it_holds_and_forgets_it() -> None:
    result = BacktestRunner(
        data=BARS,
        strategies=Buys(),
        cash="250 USD",
        rules={"fees": {"fill": {"percent_of_notional": "0.01"}}},
    ).run()
    context = result.context
    told = context.get_statistics()
    # 250 buys one at 100 and leaves 149, which is too little for the strategy.
    assert (told["spot_orders"], told["trading_orders"]) == (1, 0)
    assert told["orders_by_status"] == {"FILLED": 1}
    assert told["fees_paid"] == {"USD": D(1)}
    assert isinstance(context, BacktestContext)
    context.reset_runtime_state()
    assert context.get_statistics() == {
        "spot_orders": 0,
        "trading_orders": 0,
        "orders_by_status": {},
        "transactions": 0,
        "transactions_by_type": {},
        "balances": 0,
        "fees_paid": {},
    }


def test_bars_quotes_and_trades_name_their_pair() -> None:
    bars = [bar(number, 100) for number in range(3)]
    for data in (bars, tuple(bars), BARS, [BARS]):
        assert list(backtest.run(Strategy(), data=data, cash="100 USD").pairs) == ["BTCUSD"]
    ticks = [quote(0, 1, 2), quote(1, 1, 2)]
    assert list(backtest.run(Strategy(), data=ticks, cash="100 USD").pairs) == ["BTCUSD"]
    with pytest.raises(ConfigError, match="which pair is the data of"):
        backtest.run(Strategy(), data=[], cash="100 USD")
