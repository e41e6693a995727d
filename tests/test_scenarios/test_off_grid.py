"""Data need not lie on the grid of a pair: orders do, fills may not; worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from attrs import evolve

import backtest
from backtest.errors import ConfigError, RejectReason
from backtest.models import Bar, Quote, Trade, TradingPair
from backtest.strategies import Strategy
from tests.harness import D, M, Me, bar, pair_of, play, quote, refused, rules, trade
from tests.random_trading import Wildest, random_bars, run_wild
from tests.test_analysis.test_no_fill import wild_run
from tests.test_scenarios.test_random_ticks import market
from tests.test_scenarios.test_random_ticks import run as run_ticks

# -- on bars: increments are 0.01, prices have five digits -----------------------------------------


def test_fills_are_at_the_prices_of_the_data() -> None:
    # A market order and a limit that the open betters have the open, as it is. 100.12345 x 2 =
    # 200.2469, which cents make 200.25 of.
    async def script(me: Me) -> None:
        await me.next()
        await me.buy("BTCUSD", 2)
        await me.buy("BTCUSD", 1, limit_price="100.13")
        await me.sell("BTCUSD", 1, limit_price="100.12")
        await me.next()

    cash = {"USD": 1000, "BTC": 1}
    world = play([bar(0, 100), bar(1, "100.12345")], script, cash=cash)
    assert world.fills() == [
        "entry LONG 2 @ 100.12345 open",
        "entry LONG 1 @ 100.12345 open",
        "entry SHORT 1 @ 100.12345 open",
    ]


def test_orders_lie_on_the_grid() -> None:
    async def script(me: Me) -> None:
        seen = await me.next()
        assert seen.close == D("100.12345")
        limited = partial(me.buy, "BTCUSD", 1, limit_price=seen.close)
        stopped = partial(me.buy, "BTCUSD", 1, stop_price=seen.close)
        for send in (limited, stopped):
            await refused(me, send, RejectReason.PRICE_INCREMENT)
        limit = me.pair_of("BTCUSD").round_price(seen.close)
        assert limit == D("100.12")
        order = await me.buy("BTCUSD", 1, limit_price=limit)
        await me.next()
        assert order.average_price == D("100.12")

    play([bar(0, "100.12345"), bar(1, "100.12999", "100.13", "100.119", "100.12")], script)


def test_a_stop_that_is_gapped_slips_from_the_open_to_the_grid() -> None:
    # The open of 105.12345 and 0.10 more are 105.22345: 105.23 on the grid, against the buyer. Its
    # bar's high is 105.22555, and slippage does not take the price beyond that.
    async def script(me: Me) -> None:
        await me.next()
        await me.buy("BTCUSD", 1, stop_price=104)
        await me.next()

    how = rules(slippage="0.10")
    wide, narrow = D(110), D("105.22555")
    for high, price in ((wide, "105.23"), (narrow, "105.22555")):
        bars = [bar(0, 100), bar(1, "105.12345", high, 100, 101)]
        assert play(bars, script, rules=how).fills() == [f"entry LONG 1 @ {price} open"]


def test_a_trailing_stop_trails_on_the_grid() -> None:
    # 3 below 108.12345 are 105.12345: 105.12, down, against the seller. 105.125 does not reach it.
    async def script(me: Me) -> None:
        await me.next()
        await me.sell("BTCUSD", 1, trail=3)
        await me.next(2)

    bars = [bar(0, 100), bar(1, 100, "108.12345", 100, "108.12345"), bar(2, "105.125", 106, 105)]
    world = play(bars, script, cash={"BTC": 1, "USD": 0}, rules=rules(path="open_high_low_close"))
    assert world.fills() == ["entry SHORT 1 @ 105.12 low ambiguous"]


def test_margin_liquidation_and_profit_of_a_fill_off_the_grid() -> None:
    # Long 1 at 100.12345 with leverage 10: margin 10.012345, up to 10.02. The liquidation price is
    # 100.12345 - 10.02 = 90.10345, down to 90.10. The low of 90.101 is not there, 90.1 is: a loss
    # of 10.02345, which cents make 10.02 or 10.03 of; no more than the margin of 10.02 is lost.
    async def script(me: Me) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1, leverage=10)
        await me.next()
        assert order.liquidation_price == D("90.10")
        await me.next()
        assert order.open_volume == 1
        await me.next()
        assert order.open_volume == 0

    bars = [
        bar(0, 100),
        bar(1, "100.12345"),
        bar(2, 100, 100, "90.101", 100),
        bar(3, 100, 100, "90.09999", 100),
    ]
    world = play(bars, script)
    assert world.fills()[-1] == "liquidation SHORT 1 @ 90.1 low"
    assert world.balance() == (D("989.98"), D(0))


# -- on quotes and trades --------------------------------------------------------------------------


def test_a_mark_never_leaves_the_quote_that_it_is_the_middle_of() -> None:
    # On a grid of 0.01 the middle of 1.00005 and 1.00007 would be 1.00; it is 1.00006. Long 100 at
    # 1.00007: 0.001 down.
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await anext(quotes)
        await me.long("BTCUSD", 100)
        await anext(quotes)
        await anext(quotes)

    quotes = [quote(second, "1.00005", "1.00007") for second in (1, 2, 3)]
    world = play(quotes, script)
    assert world.fills() == ["entry LONG 100 @ 1.00007 ask"]
    assert world.venue.books["BTCUSD"].last == D("1.00006")


def test_a_trade_marks_at_its_price() -> None:
    async def script(me: Me) -> None:
        trades = me.trades("BTCUSD")
        await anext(trades)
        await me.buy("BTCUSD", 1)
        await anext(trades)

    world = play([trade(1, "1.00005"), trade(2, "1.00007")], script)
    assert world.fills() == ["entry LONG 1 @ 1.00007 trade"]
    assert world.venue.books["BTCUSD"].last == D("1.00007")


# -- increments that nobody gave -------------------------------------------------------------------


class Idle(Strategy):
    pass


def increment(first: Any, **more: Any) -> Decimal:
    """The price increment of a run whose data begins with ``first``."""
    data = [evolve(first, open_ns=M, close_ns=2 * M)] if isinstance(first, Bar) else []
    settings = {"data": [first, *data], "pair": "BTCUSD", "cash": "1 USD", **more}
    return backtest.run(Idle(), **settings).pairs["BTCUSD"].price_increment


@pytest.mark.parametrize(
    ("price", "step"),
    [
        ("100", "1E-8"),
        ("0.001", "1E-8"),
        ("0.00099999", "1E-15"),  # 0.000999990000000: twelve digits from the first that counts
        ("0.0000012345", "1E-17"),
        ("0.00000012345", "1E-18"),  # and no more than 18 places
        ("1E-15", "1E-18"),
    ],
)
def test_a_tiny_price_has_an_increment_that_fits_it(price: str, step: str) -> None:
    assert increment(bar(0, price)) == D(step)
    assert increment(quote(1, price, price)) == D(step)
    assert increment(trade(1, price)) == D(step)
    assert increment(bar(0, price), rules={"pairs": {"BTCUSD": {"price_increment": "0.5"}}}) == D(
        "0.5"
    )
    assert increment(bar(0, price), pair=TradingPair("BTCUSD", "BTC", "USD")) == D("1E-8")


def test_an_increment_from_the_data() -> None:
    wanted = {"pairs": {"BTCUSD": {"price_increment": "data"}}}
    assert increment(bar(0, 100, "100.50", "99.125", "100.000"), rules=wanted) == D("0.001")
    assert increment(bar(0, "1.0", 200, "1.0", 150), rules=wanted) == D(1)
    assert increment(quote(1, "1.10", "1.1005"), rules=wanted) == D("0.0001")
    several = [[bar(0, "1.1")], [quote(1, "1.11", "1.12")], [bar(0, 1, length=5 * M)]]
    result = backtest.run(Idle(), data=several, pair="BTCUSD", cash="1 USD", rules=wanted)
    assert result.pairs["BTCUSD"].price_increment == D("0.01")
    assert result.config["pairs"]["BTCUSD"]["price_increment"] == "0.01"


class ReadOnce:
    """Bars that can be read once."""

    pair, bar_ns = "BTCUSD", M

    def __init__(self) -> None:
        self._bars = iter([bar(0, "0.0000012345"), bar(1, "0.0000012345")])

    def __iter__(self) -> ReadOnce:
        return self

    def __next__(self) -> Bar:
        return next(self._bars)

    def digest(self) -> str:
        return "once"


def test_what_can_be_read_only_once_is_not_read_for_an_increment() -> None:
    assert increment(None, data=ReadOnce()) == D("1E-8")
    wanted = {"pairs": {"BTCUSD": {"price_increment": "data"}}}
    with pytest.raises(ConfigError, match="can be read only once: give the increment"):
        increment(None, data=ReadOnce(), rules=wanted)


def test_other_words_than_data_are_none() -> None:
    with pytest.raises(ConfigError, match="price_increment must be a number, not 'tick'"):
        increment(bar(0, 1), rules={"pairs": {"BTCUSD": {"price_increment": "tick"}}})
    with pytest.raises(ConfigError, match="volume_increment must be a number, not 'data'"):
        increment(bar(0, 1), rules={"pairs": {"BTCUSD": {"volume_increment": "data"}}})


def test_a_limit_among_tiny_prices() -> None:
    class Bids(Strategy):
        async def run(self) -> None:
            bars = self.bars("PEPEUSD")
            await anext(bars)
            order = await self.buy("PEPEUSD", 10**9, limit_price="0.00000123449999")
            await anext(bars)
            assert order.average_price == D("0.00000123449999")

    price = D("0.0000012345")
    bars = [bar(0, price, pair="PEPEUSD"), bar(1, price, price, price / 2, price, pair="PEPEUSD")]
    result = backtest.run(Bids(), data=bars, pair="PEPEUSD", cash="10000 USD")
    # 1234.49999 paid; a billion is worth 1234.50.
    assert result.final_equity == D("10000.00001")


# -- anything at any time --------------------------------------------------------------------------

FACTORS = {"BTCUSD": D("1.0000137191"), "ETHUSD": D("0.99998713")}


def moved(event: Any) -> Any:
    """``event`` with prices and volumes on no grid."""
    factor = FACTORS[event.pair]

    def size(volume: Decimal | None) -> Decimal | None:
        return None if volume is None else volume * D("1.000000713")

    if isinstance(event, Quote):
        bid_size, ask_size = size(event.bid_size), size(event.ask_size)
        bid, ask = event.bid * factor, event.ask * factor
        return evolve(event, bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size)
    if isinstance(event, Trade):
        return evolve(event, price=event.price * factor, volume=size(event.volume))
    prices = {name: getattr(event, name) * factor for name in ("open", "high", "low", "close")}
    return evolve(event, **prices, volume=size(event.volume))


@pytest.mark.parametrize("first", [0, 5])
def test_the_oracle_agrees_off_the_grid(first: int) -> None:
    fills: list[Any] = []
    for seed in range(first, first + 5):
        fills += run_wild(seed, [moved(one) for one in random_bars(seed)]).records.fills
        fills += run_ticks(seed, [moved(one) for one in market(seed)]).records.fills
    assert {one.price % D("0.01") == 0 for one in fills} == {True, False}
    assert {one.kind for one in fills} >= {"entry", "stop_loss", "liquidation", "close"}
    assert pair_of().price_increment == D("0.01")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_off_the_grid_is_verified_and_explained(seed: int) -> None:
    result, _ = wild_run(seed, Wildest, [moved(one) for one in random_bars(seed)])
    assert result.verify().ok
    assert any(one.price % D("0.01") for one in result.fills)
    for number in range(1, 9):
        assert "please report this run" not in result.explain(number)
    assert result.journal_sha256 in result.report()
