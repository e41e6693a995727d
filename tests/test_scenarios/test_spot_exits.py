"""Spot exits: one order that sells at a stop-loss or a take-profit what was owned already."""

from __future__ import annotations

from typing import Any

import backtest
from backtest.errors import RejectReason
from backtest.models import Bar
from backtest.strategies import Strategy
from tests.harness import D, bar, pair_of, play, refused, rules

OWNED = {"USD": 100, "BTC": 2}


async def _exit(me: Any, volume: Any = 1, **more: Any) -> Any:
    """Sell at 95 or 105, from the first bar's close on."""
    await me.next()
    return await me.sell("BTCUSD", volume, **{"stop_loss": 95, "take_profit": 105, **more})


def test_all_that_is_owned_has_both_prices_and_one_reserve() -> None:
    async def script(me: Any) -> None:
        exit = await _exit(me, 2)
        assert (exit.live.stop_price, exit.live.limit_price) == (95, 105)
        assert me.balance("BTC") == (D(0), D(2))
        assert me.open_orders() == [exit]
        await me.next()
        assert (exit.is_filled, exit.average_price) == (True, 105)

    world = play([bar(0, 100), bar(1, 100, 106, 99, 104)], script, cash=OWNED)
    assert world.entries() == [
        ["RESERVE_MARGIN BTC -2 2"],
        ["FILL_SELL BTC 0 -2", "SPOT_EXCHANGE USD 210 0"],
    ]
    assert world.fills() == ["take_profit SHORT 2 @ 105 high maker"]
    assert world.orders() == ["SHORT 2 FILLED"]
    assert world.balance("USD") == (D(310), D(0))


def test_the_stop_fills_as_a_stop_and_through_a_gap_at_the_open() -> None:
    async def script(me: Any) -> None:
        await _exit(me, 2)
        await me.next()

    world = play([bar(0, 100), bar(1, 100, 101, 94, 96)], script, cash=OWNED)
    assert world.fills() == ["stop_loss SHORT 2 @ 95 low"]
    world = play([bar(0, 100), bar(1, 90, 91, 89, 90)], script, cash=OWNED)
    assert world.fills() == ["stop_loss SHORT 2 @ 90 open"]


def test_both_on_one_bar_are_ambiguous_and_the_worse_is_taken() -> None:
    async def script(me: Any) -> None:
        await _exit(me)
        await me.next()

    bars = [bar(0, 100), bar(1, 100, 106, 94, 100)]
    world = play(bars, script, cash=OWNED)
    assert world.fills() == ["stop_loss SHORT 1 @ 95 low ambiguous"]


def test_each_unit_is_sold_once() -> None:
    async def script(me: Any) -> None:
        exit = await _exit(me, 2)
        await me.next()
        # the bar had 0.5 for sellers, at 105
        assert (exit.filled_volume, exit.leaves) == (D("0.5"), D("1.5"))
        await me.next()
        assert exit.is_filled
        assert exit.average_price == D("97.5")

    bars = [bar(0, 100), bar(1, 100, 106, 99, 104, "0.5"), bar(2, 104, 104, 94, 96)]
    world = play(bars, script, cash=OWNED)
    # 0.5 x 105 + 1.5 x 95 = 52.5 + 142.5 = 195
    assert world.balance("USD") == (D(295), D(0))


def test_it_acts_on_no_bar_that_was_open_already() -> None:
    async def script(me: Any) -> None:
        exit = await _exit(me)
        assert exit.leaves == 1

    world = play([bar(0, 100, 110, 90, 100)], script, cash=OWNED, rules=rules(fill_on="this_close"))
    assert world.fills() == []


def test_it_pays_as_an_order_of_its_own() -> None:
    async def script(me: Any) -> None:
        exit = await _exit(me)
        assert me.balance("USD") == (D(98), D(0))
        await exit.cancel()
        assert me.balance("USD") == (D(97), D(0))
        assert me.balance("BTC") == (D(2), D(0))

    fees = {"create": {"flat_per_trade": "2"}, "cancel": {"flat_per_trade": "1"}}
    play([bar(0, 100)], script, cash=OWNED, rules=rules(fees=fees))


def test_it_can_be_changed_made_smaller_and_split() -> None:
    async def script(me: Any) -> None:
        exit = await _exit(me, 2)
        await exit.modify(stop_loss=96, volume="1.5")
        assert (exit.live.stop_price, me.balance("BTC")) == (96, (D("0.5"), D("1.5")))
        await refused(me, lambda: exit.modify(volume=2), RejectReason.INVALID_VOLUME)
        near, far = await exit.split([1, "0.5"], take_profits=[103, None])
        await me.next()
        assert (near.average_price, far.leaves) == (103, D("0.5"))
        await me.next()
        assert far.average_price == 96

    bars = [bar(0, 100), bar(1, 100, 104, 99, 102), bar(2, 100, 100, 95, 95)]
    world = play(bars, script, cash=OWNED)
    assert world.balance("USD") == (D(100 + 103 + 48), D(0))


def test_one_price_is_enough() -> None:
    async def script(me: Any) -> None:
        exit = await _exit(me, take_profit=None)
        assert (exit.live.stop_price, exit.live.limit_price) == (95, None)

    play([bar(0, 100)], script, cash=OWNED)


def test_what_makes_no_exit_is_refused() -> None:
    async def script(me: Any) -> None:
        await me.next()

        def sell(**more: Any) -> Any:
            return lambda: me.sell("BTCUSD", **{"volume": 1, "stop_loss": 95, **more})

        for more in ({"limit_price": 110}, {"stop_price": 90}, {"trail": 3}):
            await refused(me, sell(**more), RejectReason.NOT_SUPPORTED)
        for terms in ({"time_in_force": "IOC"}, {"expires": "1h"}, {"oco": "x"}):
            await refused(me, sell(**terms), RejectReason.NOT_SUPPORTED)
        await refused(me, sell(stop_loss=101), RejectReason.PROTECTION_SIDE)
        await refused(me, sell(take_profit=99), RejectReason.PROTECTION_SIDE)
        await refused(me, sell(volume=3), RejectReason.INSUFFICIENT_FUNDS)

    play([bar(0, 100)], script, cash=OWNED)


class Selling(Strategy):
    """Buys at the market, and then sells what it has at one of two prices."""

    async def on_bar(self, bar: Bar) -> None:
        held = self.balance("BTC")
        if not self.open_orders():
            if held.available:
                await self.sell(
                    bar.pair,
                    held.available,
                    stop_loss=bar.close - 3,
                    take_profit=bar.close + 3,
                )
            else:
                await self.buy(bar.pair, 1)


def test_a_run_of_exits_verifies_and_tells_their_stories() -> None:
    closes = [100 + (at * 7) % 11 for at in range(60)]
    bars = [bar(at, close, close + 2, close - 2, close) for at, close in enumerate(closes)]
    result = backtest.run(Selling(), data={pair_of("BTCUSD"): bars}, cash="1000 USD", seed=3)
    assert result.verify().ok
    exits = [one for one in result.orders if getattr(one, "entry_order_id", None)]
    assert len(exits) > 5
    assert {one.kind for one in result.fills} == {"entry", "stop_loss", "take_profit"}
    story = result.explain(exits[0].id)
    assert "exit stop-loss 104.00 take-profit 110.00" in story
    for order in result.orders:
        assert result.explain(order.id)


def test_a_target_that_is_marketable_at_the_first_price_it_sees_takes() -> None:
    fees = {"fill": {"percent_of_notional": "0.01", "maker": "0"}}

    async def script(me: Any) -> None:
        await _exit(me)
        await me.next()

    world = play([bar(0, 100), bar(1, 110)], script, cash=OWNED, rules=rules(fees=fees))
    assert world.fills() == ["take_profit SHORT 1 @ 110 open fee 1.1"]

    async def later(me: Any) -> None:
        exit = await _exit(me, take_profit=115)
        await me.next()
        await exit.modify(take_profit=112)
        await me.next()

    world = play([bar(0, 100), bar(1, 110), bar(2, 113)], later, cash=OWNED, rules=rules(fees=fees))
    assert world.fills() == ["take_profit SHORT 1 @ 113 open fee 1.13"]
