"""Orders against the market's trades, by hand."""

from __future__ import annotations

from typing import Any

from backtest.models import Trade
from backtest.strategies import Strategy
from backtest.testing import tick_by_tick
from tests.harness import D, Me, play, quote, rules, trade


async def wait(stream: Any, count: int = 1) -> Any:
    for _ in range(count - 1):
        await anext(stream)
    return await anext(stream)


def test_buys_and_sells_meet_the_price_of_the_next_trade() -> None:
    async def script(me: Me) -> None:
        trades = me.trades("BTCUSD")
        first = await wait(trades)
        assert (first.price, first.aggressor) == (D(100), "buy")
        await me.buy("BTCUSD", 2)
        await wait(trades)
        assert me.last_price("BTCUSD") == D(101)
        await me.sell("BTCUSD", 2)
        await wait(trades)

    world = play([trade(1, 100, 1, "buy"), trade(2, 101), trade(3, 105)], script)
    assert world.fills() == ["entry LONG 2 @ 101 trade", "entry SHORT 2 @ 105 trade"]
    assert world.balance() == (D(1000) - 202 + 210, D(0))


def test_the_volume_of_a_trade_is_shared_and_each_side_has_it() -> None:
    async def script(me: Me) -> None:
        trades = me.trades("BTCUSD")
        await wait(trades)
        await me.buy("BTCUSD", 3)
        await me.buy("BTCUSD", 1, limit_price="110")
        await me.short("BTCUSD", 2)
        await wait(trades, 2)

    world = play([trade(1, 100), trade(2, 100, "3.5"), trade(3, 102, 9)], script)
    assert world.fills() == [
        "entry LONG 3 @ 100 trade",
        "entry SHORT 2 @ 100 trade",
        "entry LONG 0.5 @ 100 trade",
        "entry LONG 0.5 @ 110 trade maker",
    ]


def test_a_limit_stop_loss_and_take_profit() -> None:
    async def script(me: Me) -> None:
        trades = me.trades("BTCUSD")
        await wait(trades)
        await me.long("BTCUSD", 1, limit_price="98", stop_loss="95", take_profit="104")
        await wait(trades, 4)
        await me.long("BTCUSD", 1, limit_price="100", stop_loss="95")
        await wait(trades, 3)

    world = play(
        [
            trade(1, 100),
            trade(2, "98.01"),
            trade(3, 97),  # 98, at which it rested
            trade(4, 103),
            trade(5, 105),  # 104, at which it rested
            trade(6, 99),  # 100
            trade(7, "94.5"),  # past 95: at what there is
            trade(8, 90),
        ],
        script,
    )
    assert world.fills() == [
        "entry LONG 1 @ 98 trade maker",
        "take_profit SHORT 1 @ 104 trade maker",
        "entry LONG 1 @ 100 trade maker",
        "stop_loss SHORT 1 @ 94.5 trade",
    ]
    assert world.balance() == (D(1000) + 6 - D("5.5"), D(0))


def test_where_there_are_quotes_trades_neither_mark_nor_meet_market_orders() -> None:
    async def script(me: Me) -> None:
        quotes, trades = me.quotes("BTCUSD"), me.trades("BTCUSD")
        await wait(quotes)
        market = await me.buy("BTCUSD", 1)
        limit = await me.buy("BTCUSD", 1, limit_price="99")
        await wait(trades)
        assert (market.is_filled, limit.is_filled) == (False, True)
        assert me.last_price("BTCUSD") == D("99.5")
        await wait(quotes)
        assert market.is_filled

    # Nothing is asked at first: what stands has a price, and no size.
    world = play([quote(1, 99, 100, 5, 0), trade(2, "98.5", 4), quote(3, 99, 101)], script)
    assert world.fills() == ["entry LONG 1 @ 99 trade maker", "entry LONG 1 @ 101 ask"]


def test_on_trade_and_conflation() -> None:
    seen: list[Any] = []

    class Slow(Strategy):
        def on_start(self) -> None:
            self.subscribe("BTCUSD", conflate=True)

        async def on_trade(self, trade: Trade) -> None:
            seen.append(trade.price)
            await self.sleep("2500ms")

    play([trade(n, 100 + n) for n in range(1, 7)], kinds=[Slow])
    # Busy from second 1 to 3.5: of 102 and 103 the latter is kept; from 3.5 to 6: 104, 105, 106.
    assert seen == [D(101), D(103), D(106)]


def test_a_volume_policy_is_asked_about_the_tick() -> None:
    async def script(me: Me) -> None:
        trades = me.trades("BTCUSD")
        await wait(trades)
        await me.buy("BTCUSD", 3)
        await wait(trades)

    world = play([trade(1, 100), trade(2, 100, 8)], script, rules=rules(participation="0.25"))
    assert world.fills() == ["entry LONG 2 @ 100 trade"]


def test_a_market_that_a_test_moves_tick_by_tick() -> None:
    async def script(me: Any, market: Any) -> None:
        await market.quote(99, 100, bid_size=3, ask_size="0.5")
        order = await me.buy("BTCUSD", 1)
        assert order.filled_volume == D("0.5")
        await market.quote(98, 99, 3, "0.4", after="10s")
        assert order.filled_volume == D("0.9")
        await market.trade(98, 2, "sell")  # quotes say what market orders meet
        assert order.filled_volume == D("0.9")
        await market.quote(100, 101)
        assert order.average_price == (D("0.5") * 100 + D("0.4") * 99 + D("0.1") * 101)

    world = tick_by_tick(script)
    assert [one.timestamp_ns // 10**9 for one in world.records.fills] == [1, 11, 13]
