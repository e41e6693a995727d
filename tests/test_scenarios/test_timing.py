"""Which price of which bar counts for an order, and when its fill is booked."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.models import FeeStage
from tests.harness import D, M, bar, pair_of, play, rules

BOTH = [pair_of("BTCUSD"), pair_of("ETHUSD")]


def test_next_open_is_the_default() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1)
        assert not order.is_done
        await me.next()
        assert order.average_price == 101

    world = play([bar(0, 100), bar(1, 101, 110, 95, 105)], script)
    (fill,) = world.records.fills
    # booked at the close of its bar; the fill says where on the bar it was
    assert (fill.timestamp_ns, fill.bar_open_ns, fill.point) == (2 * M, M, "open")


def test_this_close_fills_at_once_as_an_event_of_its_own() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1)
        assert await order.filled(timeout=1)
        assert me.now_ns == M
        assert order.average_price == 103
        await order.done()
        position = await me.long("BTCUSD", 1)
        await position.filled()
        await position.close()
        assert await position.closed(timeout=1)
        assert me.now_ns == M

    world = play(
        [bar(0, 100, 105, 95, 103), bar(1, 110)], script, rules=rules(fill_on="this_close")
    )
    assert [one.timestamp_ns for one in world.records.fills] == [M, M, M]
    assert world.fills()[0] == "entry LONG 1 @ 103 close"
    assert world.balance("USD") == (D(897), D(0))


def test_this_close_has_the_volume_that_the_bar_has_left() -> None:
    async def script(me: Any) -> None:
        await me.next()
        first = await me.buy("BTCUSD", 3)
        await me.sleep(0)
        assert (first.filled_volume, first.leaves) == (2, 1)
        second = await me.buy("BTCUSD", 1)
        await me.sleep(0)
        assert second.filled_volume == 0
        await me.next()
        # the rest of both fills at the next open, by acceptance
        assert round(first.average_price, 6) == D("105.333333")  # (2 x 103 + 110) / 3
        assert second.average_price == 110
        third = await me.buy("BTCUSD", 1)
        await me.sleep(0)
        assert third.filled_volume == 0  # that bar's volume is used up as well

    bars = [bar(0, 100, 105, 95, 103, 2), bar(1, 110, volume=2), bar(2, 110, volume=0)]
    play(bars, script, rules=rules(fill_on="this_close"))


def test_this_close_knows_the_volume_of_a_bar_that_met_no_order() -> None:
    async def script(me: Any) -> None:
        await me.next(2)
        order = await me.buy("BTCUSD", 5)
        await me.sleep(1)
        assert order.filled_volume == 1
        await me.next()
        # a bar without volume fills nothing, not even at its close
        order = await me.sell("BTCUSD", 1)
        await me.sleep(1)
        assert order.filled_volume == 0

    bars = [bar(0, 100, volume=9), bar(1, 100, volume=1), bar(2, 100, volume=0), bar(3, 100)]
    play(bars, script, rules=rules(fill_on="this_close"))


@pytest.mark.parametrize("inside", [False, True])
def test_the_rest_of_a_stop_fills_at_the_next_open_whatever_fills_at_closes(inside: bool) -> None:
    async def script(me: Any) -> None:
        await me.next()
        if inside:  # of the next bar only the close counts: it is reached there, as it is before
            await me.sleep(30)
        await me.buy("BTCUSD", 3, stop_price=105)
        await me.next(3)

    bars = [
        bar(0, 100),
        bar(1, 100, 106, 99, 106, volume=1),
        bar(2, 107, 110, 95, 108),
        bar(3, 104),
    ]
    fills = play(bars, script, rules=rules(fill_on="next_close")).fills()
    assert fills[1:] == ["entry LONG 2 @ 107 open"]


def test_next_close_waits_for_the_close_of_the_next_bar() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1)
        await me.next()
        assert order.average_price == 105

    world = play(
        [bar(0, 100), bar(1, 101, 110, 95, 105)], script, rules=rules(fill_on="next_close")
    )
    assert world.fills() == ["entry LONG 1 @ 105 close"]


def test_a_market_order_from_a_timer_waits_for_an_open_after_it() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.sleep(30)
        order = await me.buy("BTCUSD", 1)
        await me.next()
        assert not order.is_done  # bar 1 opened half a minute before
        await me.next()
        assert order.average_price == 120

    play([bar(0, 100), bar(1, 101, 125, 101, 110), bar(2, 120)], script)


def test_a_limit_from_a_timer_sees_the_close_of_its_bar_only() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.sleep(30)
        deep = await me.buy("BTCUSD", 1, limit_price=95)
        near = await me.buy("BTCUSD", 1, limit_price=99)
        stop = await me.buy("BTCUSD", 1, stop_price=105)
        await me.next()
        # the bar went from 100 to 106 and 94 and closed at 98: before or after the orders came?
        assert not deep.is_done
        assert not stop.is_done
        assert near.average_price == 98
        await me.next()
        assert deep.average_price == 95

    play([bar(0, 100), bar(1, 100, 106, 94, 98), bar(2, 97, 97, 90, 91)], script)


def test_an_order_after_another_pairs_finer_bar_waits_for_its_own_next_open() -> None:
    async def script(me: Any) -> None:
        async for one in me.bars("ETHUSD"):
            if one.close_ns == 3 * M:
                order = await me.buy("BTCUSD", 1)
            if one.close_ns == 5 * M:
                assert not order.is_done  # BTCUSD's bar opened at minute 1
            if one.close_ns == 10 * M:
                assert order.average_price == 130

    # BTCUSD: a bar of a minute that gives it a price, one of four minutes, one of five
    coarse = [
        bar(0, 100),
        bar(0, 101, 140, 101, 120, start=M, length=4 * M),
        bar(0, 130, start=5 * M, length=5 * M),
    ]
    ether = [bar(n, 10, pair="ETHUSD") for n in range(10)]
    bars = sorted([*coarse, *ether], key=lambda one: (one.close_ns, one.pair))
    world = play(bars, script, pairs=BOTH)
    assert world.fills() == ["entry LONG 1 @ 130 open"]


def test_two_pairs_at_one_time_trade_before_strategies_decide_once() -> None:
    async def script(me: Any) -> None:
        btc = await me.next()
        assert btc.close_ns == M
        one = await me.buy("BTCUSD", 1)
        two = await me.buy("ETHUSD", 1)
        await me.next()
        # both were filled before this strategy saw either bar
        assert one.is_filled
        assert two.is_filled

    bars = []
    for n in range(2):
        bars += [bar(n, 100, pair="BTCUSD"), bar(n, 10, pair="ETHUSD")]

    async def other(me: Any) -> None:
        await me.next()
        await me.sleep(0)

    world = play(bars, script, other, pairs=BOTH)
    assert world.balance("USD") == (D(890), D(0))


def test_an_order_before_the_first_bar_meets_it_whole() -> None:
    async def script(me: Any) -> None:
        order = await me.buy("BTCUSD", 1, limit_price=99)
        await me.next()
        assert order.average_price == 99

    play([bar(0, 100, 101, 98, 100)], script)


def test_later_timers_do_not_fire_and_pending_orders_stay() -> None:
    later: list[str] = []

    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1)
        await me.next()
        assert order.is_filled
        await me.buy("BTCUSD", 1)
        await me.sleep(60)
        later.append("too late")

    world = play([bar(0, 100), bar(1, 100)], script, finishes=False)
    assert later == []
    assert world.orders() == ["LONG 1 FILLED", "LONG 1 PENDING"]
    assert world.balance("USD") == (D(795), D(105))
    assert world.equity == 1000


def test_stages_of_fees_are_all_reached() -> None:
    # every stage has its scenario in test_fees.py; this fails when a new one is added without
    assert {one.value for one in FeeStage} == {
        "CREATE",
        "FILL",
        "CLOSE",
        "CANCEL",
        "OVERNIGHT_PENDING",
        "OVERNIGHT_FILLED",
    }
