"""Stop-limit orders: a stop that becomes a limit order at the point of the path that reaches it."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors import EventKind
from backtest.errors import RejectReason
from backtest.models import ActionType, OrderDirection
from tests.harness import D, bar, pair_of, play, refused, rules

BOTH = {"USD": 1000, "BTC": 5}


def buys(volume: object = 1, **prices: Any) -> Any:
    """A script: one stop-limit buy after the first bar, then all bars there are."""

    async def script(me: Any) -> None:
        await me.next()
        me.order = await me.buy("BTCUSD", volume, **prices)
        async for _ in me.stream:
            pass

    return script


def sells(volume: object = 1, **prices: Any) -> Any:
    async def script(me: Any) -> None:
        await me.next()
        me.order = await me.sell("BTCUSD", volume, **prices)
        async for _ in me.stream:
            pass

    return script


def test_a_stop_reached_on_the_way_up_rests_as_a_limit_below() -> None:
    # Stop 105, limit 103. 104 → 102 does not count, the stop was not reached; 102 → 106 reaches it
    # at 105, and 106 → 104 does not come down to 103. The next bar does.
    bars = [bar(0, 100), bar(1, 104, 106, 102, 104), bar(2, 104, 104, 101, 102)]
    world = play(bars, buys(stop_price=105, limit_price=103))
    assert world.fills() == ["entry LONG 1 @ 103 low maker"]
    assert world.strategies["s0"].told()[:3] == [
        ("accepted", None),
        ("triggered", None),
        ("filled", None),
    ]


def test_it_fills_on_the_rest_of_the_bar_that_reached_its_stop() -> None:
    # High first: 104 → 106 reaches 105; 106 → 102 comes down to 103.
    bars = [bar(0, 100), bar(1, 104, 106, 102, 104)]
    world = play(
        bars, buys(stop_price=105, limit_price=103), rules=rules(path="open_high_low_close")
    )
    # Low first it would not have filled on this bar: the fill hangs on the path.
    assert world.fills() == ["entry LONG 1 @ 103 low maker ambiguous"]
    assert world.strategies["s0"].told() == [("accepted", None), ("filled", None)]


def test_a_limit_beyond_the_stop_takes_at_the_stop() -> None:
    # Stop 105, limit 107: marketable where the stop is reached, so it fills at 105.
    world = play([bar(0, 100), bar(1, 104, 108, 103, 106)], buys(stop_price=105, limit_price=107))
    assert world.fills() == ["entry LONG 1 @ 105 high"]


def test_an_open_beyond_the_stop_and_within_the_limit_fills_at_the_open() -> None:
    world = play([bar(0, 100), bar(1, 106, 108, 103, 106)], buys(stop_price=105, limit_price=107))
    assert world.fills() == ["entry LONG 1 @ 106 open"]


def test_an_open_beyond_the_limit_leaves_it_resting() -> None:
    # Open 110 triggers the stop at 105; the limit 107 is reached on the way to the low.
    world = play([bar(0, 100), bar(1, 110, 111, 104, 108)], buys(stop_price=105, limit_price=107))
    assert world.fills() == ["entry LONG 1 @ 107 low maker"]
    # 110 → 111 → 108 never comes down to 107: it waits, and fills at the better open of 106.
    bars = [bar(0, 100), bar(1, 110, 111, 108, 108), bar(2, 106)]
    assert play(bars, buys(stop_price=105, limit_price=107)).fills() == [
        "entry LONG 1 @ 106 open maker"
    ]


def test_once_triggered_it_needs_its_stop_no_more() -> None:
    # Triggered on bar 1; on bar 2 the price is far below the stop and fills the limit at the open.
    bars = [bar(0, 100), bar(1, 105, 106, 105, 105), bar(2, 95, 96, 94, 95)]
    world = play(bars, buys(stop_price=105, limit_price=101))
    assert world.fills() == ["entry LONG 1 @ 95 open maker"]


def test_a_sell_is_the_mirror_of_a_buy() -> None:
    # Stop 95, limit 97: reached falling, then it rests at 97 above the market.
    bars = [bar(0, 100), bar(1, 96, 98, 94, 96), bar(2, 96, 99, 96, 98)]
    world = play(bars, sells(stop_price=95, limit_price=97), cash=BOTH)
    assert world.fills() == ["entry SHORT 1 @ 97 high maker"]
    # Limit 93 below the stop: it takes at the stop; a gap to 94 at the open.
    bars = [bar(0, 100), bar(1, 96, 98, 92, 94)]
    assert play(bars, sells(stop_price=95, limit_price=93), cash=BOTH).fills() == [
        "entry SHORT 1 @ 95 low"
    ]
    bars = [bar(0, 100), bar(1, 94, 98, 92, 94)]
    assert play(bars, sells(stop_price=95, limit_price=93), cash=BOTH).fills() == [
        "entry SHORT 1 @ 94 open"
    ]


def test_it_has_no_slippage_as_a_limit() -> None:
    bars = [bar(0, 100), bar(1, 104, 108, 103, 106)]
    world = play(bars, buys(stop_price=105, limit_price=107), rules=rules(slippage="0.5"))
    assert world.fills() == ["entry LONG 1 @ 105 high"]


def test_penetration_is_asked_of_the_limit_and_not_of_the_stop() -> None:
    # One tick of 0.01: 103 is touched only, on bar 2; bar 3 goes through.
    bars = [
        bar(0, 100), bar(1, 104, 105, 104, 105), bar(2, 105, 105, 103, 104),
        bar(3, 104, 104, 102, 103),
    ]  # fmt: skip
    world = play(bars, buys(stop_price=105, limit_price=103), rules=rules(penetration_ticks=1))
    assert world.fills() == ["entry LONG 1 @ 103 low maker"]
    assert world.records.fills[0].timestamp_ns == 4 * 60 * 10**9


def test_a_buy_reserves_its_limit() -> None:
    # 2 x 103 = 206, then 1 x 107; wherever the stop is.
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 2, stop_price=105, limit_price=103)
        assert me.balance("USD") == (D(794), D(206))
        await me.buy("BTCUSD", 1, stop_price=105, limit_price=107)
        assert me.balance("USD") == (D(687), D(313))

    play([bar(0, 100), bar(1, 100)], script)


def test_fees_are_those_of_what_it_does_at_its_stop() -> None:
    # Takers pay 0.2 %, makers 0.1 %, up to the cent. Limit 103 below the stop rests: 103 + 0.11 in
    # reserve, 0.11 paid. Limit 107 above it takes: 107 + 0.22 in reserve; filled at 105: 0.21.
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1, stop_price=105, limit_price=103)
        assert me.balance("USD") == (D("896.89"), D("103.11"))
        await me.buy("BTCUSD", 1, stop_price=105, limit_price=107)
        assert me.balance("USD") == (D("789.67"), D("210.33"))
        await me.next(2)

    fees = {"fill": {"percent_of_notional": "0.002", "maker": "0.001"}}
    bars = [bar(0, 100), bar(1, 104, 106, 104, 104), bar(2, 104, 104, 102, 103)]
    world = play(bars, script, rules=rules(fees=fees))
    assert world.fills() == [
        "entry LONG 1 @ 105 high fee 0.21",
        "entry LONG 1 @ 103 low fee 0.11 maker",
    ]
    assert world.balance() == (D("791.68"), D(0))


def test_a_short_reserves_the_higher_of_limit_and_last() -> None:
    async def script(me: Any) -> None:
        await me.next()
        # Limit 93 below the last 100: 2 x 100 / 5 = 40.
        await me.short("BTCUSD", 2, stop_price=95, limit_price=93, leverage=5)
        assert me.balance("USD") == (D(960), D(40))
        # Limit 104 above it: 2 x 104 / 5 = 41.60.
        await me.short("BTCUSD", 2, stop_price=95, limit_price=104, leverage=5)
        assert me.balance("USD") == (D("918.40"), D("81.60"))

    play([bar(0, 100), bar(1, 100)], script)


def test_a_trading_order_enters_and_is_stopped_on_the_same_bar() -> None:
    # Long by stop 105, limit 106 (takes at 105), stop-loss 103. Low first: 104 → 102 before the
    # entry; 102 → 107 enters at 105; 107 → 102.5 passes 103.
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, stop_price=105, limit_price=106, stop_loss=103, leverage=5)
        await me.next()
        assert not me.position("BTCUSD")

    world = play(
        [bar(0, 100), bar(1, 104, 107, 102, "102.5")],
        script,
        rules=rules(path="open_low_high_close"),
    )
    assert world.fills() == [
        "entry LONG 1 @ 105 high",
        "stop_loss SHORT 1 @ 103 close",
    ]
    assert world.balance() == (D(998), D(0))


def test_the_pessimistic_path_weighs_what_the_stop_limit_would_do() -> None:
    # Long by stop 105, limit 103, bar 104 / 106 / 102 / 104. High first it enters at 103 and is at
    # +1 by the close; low first it is only triggered, worth 0: so the low came first.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1, stop_price=105, limit_price=103, leverage=5)
        await me.next()
        assert order.is_triggered
        assert not me.position("BTCUSD")

    assert play([bar(0, 100), bar(1, 104, 106, 102, 104)], script).fills() == []


def test_leaves_and_parts_inherit_that_the_stop_was_reached() -> None:
    # Bar 1 triggers (open 105) and rests at 104: 1 of 3 fills on bar 2, which trades 1. The rest
    # is split; both parts fill at 104 or better without seeing the stop again.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, stop_price=105, limit_price=104)
        await me.next()
        assert order.is_triggered
        await me.next()
        assert (order.filled_volume, order.leaves) == (D(1), D(2))
        parts = await order.split(["0.5", "1.5"])
        assert [one.is_triggered for one in parts] == [True, True]
        await me.next()
        assert [one.average_price for one in parts] == [D(103), D(103)]

    bars = [
        bar(0, 100), bar(1, 105, 106, 105, 105), bar(2, 105, 105, 104, 104, volume=1), bar(3, 103),
    ]  # fmt: skip
    world = play(bars, script)
    assert world.fills() == [
        "entry LONG 1 @ 104 low maker",
        "entry LONG 0.5 @ 103 open maker",
        "entry LONG 1.5 @ 103 open maker",
    ]


def test_an_untriggered_one_is_split_with_its_stop() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, stop_price=105, limit_price=107)
        parts = await order.split([1, 1], limit_prices=[107, 104])
        assert [one.live.stop_price for one in parts] == [D(105), D(105)]
        # 107 + 104 = 211 in reserve instead of 214.
        assert me.balance("USD") == (D(789), D(211))
        await me.next(2)

    # Bar 1 stays below the stop; bar 2 goes through it: one takes at 105, one rests at 104.
    world = play([bar(0, 100), bar(1, 101, 104, 100, 103), bar(2, 103, 106, 103, 106)], script)
    assert world.fills() == ["entry LONG 1 @ 105 high"]
    assert world.orders()[1:] == ["LONG 1 FILLED", "LONG 1 PENDING"]


def test_both_prices_can_be_modified_before_the_stop_is_reached() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, stop_price=105, limit_price=106)
        await order.modify(stop_price=103, limit_price=104)
        assert me.balance("USD") == (D(896), D(104))
        await me.next()
        assert order.average_price == D(103)

    world = play([bar(0, 100), bar(1, 101, 104, 101, 104)], script)
    assert world.fills() == ["entry LONG 1 @ 103 high"]


def test_after_the_trigger_only_the_limit_can_be_modified() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, stop_price=105, limit_price=101)
        await me.next()
        assert order.is_triggered
        await refused(me, lambda: order.modify(stop_price=110), RejectReason.INVALID_ACTION)
        await order.modify(limit_price=102)
        await me.next()
        assert order.average_price == D(102)

    bars = [bar(0, 100), bar(1, 105, 106, 105, 105), bar(2, 104, 104, 102, 103)]
    assert play(bars, script).fills() == ["entry LONG 1 @ 102 low maker"]


def test_a_new_limit_keeps_the_trigger() -> None:
    # Triggered at the open of bar 1 and moved to 102, it knows its stop no more: that cannot be
    # changed, now or after the next change.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, stop_price=105, limit_price=101)
        await me.next()
        await order.modify(limit_price=102)
        assert order.is_triggered
        await refused(me, lambda: order.modify(stop_price=110), RejectReason.INVALID_ACTION)
        await order.modify(volume=1, limit_price=103)
        await refused(me, lambda: order.modify(stop_price=110), RejectReason.INVALID_ACTION)
        await me.next()
        assert order.average_price == D(103)

    bars = [bar(0, 100), bar(1, 105, 106, 105, 105), bar(2, 104, 104, 102, 103)]
    assert play(bars, script).fills() == ["entry LONG 1 @ 103 low maker"]


def test_a_volume_decrease_keeps_the_trigger_and_a_cancel_returns_all() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, stop_price=105, limit_price=100)
        await me.next()
        await order.modify(volume=2)
        await order.cancel("0.5")
        assert (order.leaves, order.is_triggered) == (D("1.5"), True)
        await me.next()
        assert order.filled_volume == D("1.5")

    bars = [bar(0, 100), bar(1, 105, 106, 105, 105), bar(2, 99)]
    world = play(bars, script)
    assert world.fills() == ["entry LONG 1.5 @ 99 open maker"]
    assert world.balance() == (D("851.50"), D(0))


def test_accepted_inside_a_bar_only_the_close_can_reach_it() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.sleep(30)
        await me.buy("BTCUSD", 1, stop_price=105, limit_price=106)
        await me.next(2)

    # Bar 1 goes to 110 and closes at 104: not reached. Bar 2 closes at 105.5 after an open of 104.
    bars = [bar(0, 100), bar(1, 104, 110, 103, 104), bar(2, 104, "105.5", 104, "105.5")]
    world = play(bars, script)
    assert world.fills() == ["entry LONG 1 @ 105 high"]
    assert world.records.fills[0].timestamp_ns == 3 * 60 * 10**9


def test_a_position_is_closed_by_a_stop_limit() -> None:
    # Long at 100; close by stop 97, limit 96: reached on bar 2 falling, takes at 97.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2, leverage=5)
        await me.next()
        await order.close(stop_price=97, limit_price=96)
        await me.next()
        assert order.status.name == "CLOSED"

    world = play([bar(0, 100), bar(1, 100), bar(2, 99, 99, 95, 96)], script)
    assert world.fills() == ["entry LONG 2 @ 100 open", "close SHORT 2 @ 97 low"]
    assert world.balance() == (D(994), D(0))


def test_a_close_whose_limit_was_jumped_waits_for_its_price() -> None:
    # Open 90 is beyond stop 97 and limit 96: it rests at 96, which bar 3 reaches.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1, leverage=2)
        await me.next()
        await order.close(stop_price=97, limit_price=96)
        await me.next()
        assert ("triggered", None) in me.told(EventKind.TRIGGERED)
        await me.next()
        assert order.status.name == "CLOSED"

    bars = [bar(0, 100), bar(1, 100), bar(2, 90, 92, 89, 91), bar(3, 92, 97, 92, 95)]
    world = play(bars, script)
    assert world.fills() == ["entry LONG 1 @ 100 open", "close SHORT 1 @ 96 high maker"]


def test_a_stop_closes_a_position_and_a_part_of_it() -> None:
    # Short 2 at 100; half by a stop at 103, the rest by a stop at 105.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.short("BTCUSD", 2, leverage=2)
        await me.next()
        await order.close(1, stop_price=103)
        await order.close(stop_price=105)
        await me.next()
        assert order.status.name == "CLOSED"

    world = play([bar(0, 100), bar(1, 100), bar(2, 101, 106, 101, 104)], script)
    assert world.fills() == [
        "entry SHORT 2 @ 100 open",
        "close LONG 1 @ 103 high",
        "close LONG 1 @ 105 high",
    ]
    assert world.balance() == (D(992), D(0))


@pytest.mark.parametrize(
    ("prices", "reason"),
    [
        ({"stop_price": "105.001", "limit_price": 106}, RejectReason.PRICE_INCREMENT),
        ({"stop_price": 105, "limit_price": "106.001"}, RejectReason.PRICE_INCREMENT),
        ({"stop_price": 105, "limit_price": 2000}, RejectReason.INSUFFICIENT_FUNDS),
    ],
)
def test_what_is_refused(prices: dict[str, Any], reason: RejectReason) -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(me, lambda: me.buy("BTCUSD", 1, **prices), reason)

    play([bar(0, 100), bar(1, 100)], script)


def test_protections_are_tested_against_the_limit() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(
            me,
            lambda: me.long("BTCUSD", 1, stop_price=105, limit_price=103, stop_loss=104),
            RejectReason.PROTECTION_SIDE,
        )

    play([bar(0, 100), bar(1, 100)], script)


def test_the_least_notional_is_that_of_the_limit() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(
            me,
            lambda: me.buy("BTCUSD", 1, stop_price=105, limit_price=103),
            RejectReason.MIN_NOTIONAL,
        )
        await me.buy("BTCUSD", 1, stop_price=105, limit_price=104)

    play([bar(0, 100), bar(1, 100)], script, pairs=[pair_of(min_notional="104")])


def test_it_can_be_sent_as_a_value() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.submit(
            me.action(
                ActionType.CREATE_SPOT_STOP_LIMIT,
                "BTCUSD",
                volume=D(1),
                direction=OrderDirection.LONG,
                price=D(107),
                stop_price=D(105),
            )
        )
        await me.submit(
            me.action(
                ActionType.MODIFY_SPOT_STOP_LIMIT, "BTCUSD", order_id=order.id, stop_price=D(104)
            )
        )
        await me.next()
        assert order.average_price == D(104)

    play([bar(0, 100), bar(1, 103, 105, 103, 105)], script)
