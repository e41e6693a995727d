"""How many orders an account may have pending of a pair: a rule of the venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import backtest
from backtest.data import synthetic_bars
from backtest.errors import FieldError, FieldTypeError, OrderRejected, RejectReason
from backtest.models import Bar, TradingRules
from backtest.strategies import Strategy
from tests.harness import D, bar, play, refused, rules
from tests.market_harness import Does

from .test_market_trades import PAIR
from .test_market_trades import play as play_market

R = RejectReason.MAX_OPEN_ORDERS


def test_one_order_more_than_the_rule_allows_is_refused() -> None:
    async def script(me: Any) -> None:
        await me.next()
        first = await me.buy("BTCUSD", 1, limit_price=50)
        await me.long("BTCUSD", 1, limit_price=50)
        refusal = await refused(me, lambda: me.buy("BTCUSD", 1, limit_price=50), R)
        assert refusal.detail.startswith(
            "main has 2 orders pending in BTCUSD, and max_open_orders is 2: cancel some"
        )
        await refused(me, lambda: me.sell("BTCUSD", 1), R)
        await first.cancel()
        await me.buy("BTCUSD", 1, limit_price=50)

    world = play(
        [bar(0, 100)], script, cash={"USD": 1000, "BTC": 1}, rules=rules(max_open_orders=2)
    )
    assert len(world.orders()) == 3


def test_what_filled_makes_room() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1)
        await refused(me, lambda: me.buy("BTCUSD", 1), R)
        await me.next()
        await me.buy("BTCUSD", 1)

    play([bar(0, 100), bar(1, 100)], script, rules=rules(max_open_orders=1))


def test_pairs_and_accounts_are_counted_apart() -> None:
    async def script(me: Any) -> None:
        await me.next()
        for pair in ("BTCUSD", "ETHUSD"):
            for account in ("main", "other"):
                await me.buy(pair, 1, limit_price=50, account=account)
                await refused(me, lambda: me.buy(pair, 1, limit_price=50, account=account), R)  # noqa: B023

    play(
        [bar(0, 100), bar(0, 100, pair="ETHUSD")],
        script,
        cash={"main": {"USD": 1000}, "other": {"USD": 1000}},
        own=[("main", "other")],
        rules=rules(max_open_orders=1),
    )


def test_a_split_makes_as_many_orders_as_it_has_parts() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, limit_price=50)
        await refused(me, lambda: order.split([1, 1, 1]), R)
        await order.split([1, 2])  # one becomes two

    play([bar(0, 100)], script, rules=rules(max_open_orders=2))


def test_closes_are_counted_apart_so_that_one_can_always_get_out() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 3)
        await me.next()
        await me.buy("BTCUSD", 1, limit_price=50)
        await refused(me, lambda: me.buy("BTCUSD", 1, limit_price=50), R)
        close = order.close(1, limit_price=150)
        await close
        await refused(me, lambda: order.close(1, limit_price=160), R)
        await close.modify(limit_price=155)  # no order more
        await close.cancel()
        await order.close()

    play([bar(0, 100), bar(1, 100)], script, rules=rules(max_open_orders=1))


def test_none_switches_it_off_and_nothing_else_does() -> None:
    assert TradingRules().max_open_orders == 10_000
    assert TradingRules.from_mapping({"max_open_orders": "none"}).max_open_orders is None
    with pytest.raises(FieldError, match="max_open_orders must be positive"):
        TradingRules(max_open_orders=0)
    with pytest.raises(FieldTypeError, match="max_open_orders must be an int, not Decimal"):
        TradingRules(max_open_orders=Decimal(5))  # type: ignore[arg-type]


class Flood(Strategy):
    """Bids at each bar, far below, and never looks back."""

    def on_bar(self, bar: Bar) -> None:
        for _ in range(10):
            self.buy(bar.pair, "0.01", limit_price=1)


def test_a_flood_over_many_bars_ends_and_the_report_counts_it() -> None:
    bars = synthetic_bars("BTCUSD", 30, seed=1)
    result = backtest.run(
        Flood(), data=bars, cash="1000 USD", rules=TradingRules(max_open_orders=25)
    )
    # 10 orders on each of 30 bars, of which 25 may wait.
    (told,) = result.refusals
    assert (told.reason, told.count) == (R, 275)
    assert "275  MAX_OPEN_ORDERS" in result.report()
    assert result.verify().ok


def test_a_loop_that_awaits_each_order_ends() -> None:
    class Awaits(Strategy):
        async def on_bar(self, bar: Bar) -> None:
            while True:
                await self.buy(bar.pair, "0.01", limit_price=1)

    with pytest.raises(OrderRejected, match=r"main has 300 orders pending in BTCUSD"):
        backtest.run(
            Awaits(),
            data=synthetic_bars("BTCUSD", 3, seed=1),
            cash="1000 USD",
            rules=TradingRules(max_open_orders=300),
        )


def test_where_agents_trade_with_each_other_it_holds_too() -> None:
    async def maker(me: Does) -> None:
        await me.buy(PAIR, 1, limit_price="98")
        await me.buy(PAIR, 1, limit_price="99")
        with pytest.raises(OrderRejected) as caught:
            await me.buy(PAIR, 1, limit_price="97")
        assert caught.value.reason is R
        assert (await me.depth(PAIR)).best_bid == D(99)

    market, _ = play_market(
        {"maker": maker}, rules=TradingRules(trading_allowed=False, max_open_orders=2), spot=True
    )
    assert market.balance("maker") == (D("9803.00"), D("197.00"))
