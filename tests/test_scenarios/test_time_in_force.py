"""How long orders live: to a moment, to the end of the day, or for one look at the market."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from backtest.actors import EventKind
from backtest.errors import FieldError, RejectReason
from backtest.models import ActionType, Instructions, OrderDirection, TimeInForce
from backtest.times import from_ns
from tests.harness import DAY, HOUR, D, M, bar, play, refused, rules

BOTH = {"USD": 1000, "BTC": 5}


def ends(me: Any) -> list[tuple[int, str]]:
    """When in half minutes and why orders ended."""
    return [
        (one.time // (M // 2), one.reason.value)
        for one in me.heard
        if one.kind is EventKind.CANCELLED
    ]


def one(side: str, volume: object = 1, **terms: Any) -> Any:
    """A script: one order after the first bar, then all bars there are."""

    async def script(me: Any) -> None:
        await me.next()
        me.order = await getattr(me, side)("BTCUSD", volume, **terms)
        async for _ in me.stream:
            pass

    return script


# -- good till a moment ----------------------------------------------------------------------------


def test_what_expires_at_a_bars_close_takes_part_in_all_of_it() -> None:
    # Sent at minute 1, good for two minutes: bars 1 and 2 count, bar 2's low fills it.
    bars = [bar(0, 100), bar(1, 100), bar(2, 100, 100, 95, 99), bar(3, 90)]
    world = play(bars, one("buy", limit_price=96, expires="2m"))
    assert world.fills() == ["entry LONG 1 @ 96 low maker"]


def test_it_is_gone_when_its_time_has_come_and_before_the_strategy_decides() -> None:
    # Bar 2 does not reach 94; the order expires at minute 3, at which the strategy sees bar 2: it
    # knows already, and its money is back.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=94, expires=120)
        assert order.live.instructions.time_in_force is TimeInForce.GTD
        await me.next(2)
        assert order.is_done
        assert order.end_reason == "EXPIRED"
        assert me.balance("USD") == (D(1000), D(0))
        await me.next()

    bars = [bar(0, 100), bar(1, 100), bar(2, 100, 100, 95, 99), bar(3, 90)]
    world = play(bars, script)
    assert world.fills() == []
    assert ends(world.strategies["s0"]) == [(6, "EXPIRED")]


def test_what_expires_inside_a_bar_takes_part_at_its_open_only() -> None:
    # Good till 1:30 after minute 1, inside bar 2. Bar 2 opens at 97: not the limit of 96, and its
    # low of 95 does not count any more.
    bars = [bar(0, 100), bar(1, 100), bar(2, 97, 99, 95, 98), bar(3, 90)]
    world = play(bars, one("buy", limit_price=96, expires="90s"))
    assert world.fills() == []
    assert ends(world.strategies["s0"]) == [(6, "EXPIRED")]
    # An open of 95.5 does.
    bars[2] = bar(2, "95.5", 99, 95, 98)
    world = play(bars, one("buy", limit_price=96, expires="90s"))
    assert world.fills() == ["entry LONG 1 @ 95.5 open maker"]


def test_what_was_sent_inside_a_bar_and_expires_inside_it_meets_no_price() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.sleep(20)
        await me.buy("BTCUSD", 1, limit_price=110, expires=20)
        await me.next(2)

    world = play([bar(0, 100), bar(1, 100), bar(2, 100)], script)
    assert world.fills() == []
    assert ends(world.strategies["s0"]) == [(4, "EXPIRED")]


def test_a_stop_that_triggered_expires_with_what_is_left_of_it() -> None:
    # Triggered on bar 1, which trades 1 of 3; good till the end of bar 1.
    bars = [bar(0, 100), bar(1, 100, 106, 100, 104, volume=1), bar(2, 104)]
    world = play(bars, one("buy", 3, stop_price=105, expires="1m"))
    assert world.fills() == ["entry LONG 1 @ 105 high"]
    assert world.orders() == ["LONG 1 FILLED", "LONG 2 CANCELLED EXPIRED"]
    assert world.balance() == (D(895), D(0))


def test_it_expires_in_time_when_no_bar_comes() -> None:
    # Bars of a minute, then none for an hour. Good till minute 10: told at minute 10, although the
    # next bar closes at minute 61. Good till 10:30: a bar of minute 10 may be under way, so 11.
    async def script(me: Any) -> None:
        await me.next(2)
        first = await me.buy("BTCUSD", 1, limit_price=90, expires="8m")
        second = await me.buy("BTCUSD", 1, limit_price=90, expires=8 * 60 + 30)
        assert await first.done()
        assert me.now_ns == 10 * M
        assert await second.done()
        assert me.now_ns == 11 * M
        await me.next()

    world = play([bar(0, 100), bar(1, 100), bar(60, 80)], script)
    assert ends(world.strategies["s0"]) == [(20, "EXPIRED"), (22, "EXPIRED")]
    assert world.fills() == []


def test_a_bar_that_comes_late_in_its_minute_is_waited_for() -> None:
    # The same, but a bar of minute 10 comes: its open counts for what expires inside it.
    async def script(me: Any) -> None:
        await me.next(2)
        order = await me.buy("BTCUSD", 1, limit_price=90, expires=8 * 60 + 30)
        await me.next()
        assert order.average_price == D(89)

    play([bar(0, 100), bar(1, 100), bar(10, 89)], script)


def test_before_the_first_bar_its_open_decides() -> None:
    # Sent before anything happened, good for 30 s: the first bar's open counts, its low does not.
    async def script(me: Any) -> None:
        await me.buy("BTCUSD", 1, limit_price=100, expires=30)
        await me.buy("BTCUSD", 1, limit_price=98, expires=30)
        await me.buy("BTCUSD", 1, limit_price=97, expires="3m")
        await me.next(3)

    world = play([bar(0, 100, 100, 95, 99), bar(1, 99), bar(2, 99)], script)
    assert world.fills() == ["entry LONG 1 @ 100 open", "entry LONG 1 @ 97 low maker"]
    assert ends(world.strategies["s0"]) == [(2, "EXPIRED")]


def test_many_expire_each_in_its_time() -> None:
    async def script(me: Any) -> None:
        await me.next()
        for minutes in (5, 3, 4, 3):
            await me.buy("BTCUSD", "0.1", limit_price=90, expires=timedelta(minutes=minutes))
        await me.next(2)

    world = play([bar(0, 100), bar(1, 100), bar(9, 100)], script)
    assert [time // 2 for time, _ in ends(world.strategies["s0"])] == [4, 4, 5, 6]


def test_an_expiry_can_be_changed() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=90, expires="1m")
        await order.modify(expires="2m")
        plain = await me.buy("BTCUSD", 1, limit_price=91)
        await plain.modify(expires=from_ns(2 * M))
        await me.next()
        assert plain.is_done
        assert not order.is_done
        await me.next()
        assert order.end_reason == "EXPIRED"

    play([bar(0, 100), bar(1, 100), bar(2, 100)], script)


def test_what_has_expired_has_no_second_life() -> None:
    # Good till 1:30, inside bar 1: whether its open fills the order is known at 2:00. Until then it
    # can be cancelled, and nothing else; the refusals leave it as it is.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, limit_price=90, expires=30)
        await me.sleep(40)
        assert not order.is_done
        changes: list[dict[str, Any]] = [
            {"expires": "1h"}, {"limit_price": 95}, {"volume": 1}, {"volume": 3},
        ]  # fmt: skip
        for change in changes:
            await refused(me, partial(order.modify, **change), RejectReason.EXPIRED)
        await refused(me, lambda: order.split([1, 1]), RejectReason.EXPIRED)
        await order.cancel(1)
        await me.next()
        assert order.average_price == D(90)

    world = play([bar(0, 100), bar(1, 90)], script)
    assert world.orders() == ["LONG 1 CANCELLED REQUESTED", "LONG 1 FILLED"]


def test_a_position_keeps_being_protected_when_the_rest_has_expired() -> None:
    # 1 of 2 fills at the open of bar 1; the rest expires inside bar 2, in which the stop-loss of
    # what is open is moved.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2, limit_price=100, expires=90, leverage=2)
        await me.next()
        assert order.open_volume == 1
        await me.sleep(40)
        await order.modify(stop_loss=95)
        await me.next(2)

    bars = [bar(0, 100), bar(1, 100, volume=1), bar(2, 101), bar(3, 94)]
    world = play(bars, script)
    assert world.fills() == ["entry LONG 1 @ 100 open", "stop_loss SHORT 1 @ 94 open"]


def test_leaves_children_and_parts_expire_with_the_order() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 4, limit_price=100, expires="3m")
        await me.next()
        assert order.leaves == 3
        await order.modify(limit_price=90)
        await order.cancel(1)
        parts = await order.split([1, 1])
        await me.next()
        assert [one.is_done for one in parts] == [False, False]
        await me.next()
        assert [one.end_reason for one in parts] == ["EXPIRED", "EXPIRED"]

    bars = [bar(0, 101), bar(1, 100, volume=1), bar(2, 100), bar(3, 100)]
    world = play(bars, script)
    assert world.balance() == (D(900), D(0))


def test_what_expires_at_the_rollover_is_not_charged_for_the_night() -> None:
    # A fee of 1 per volume for pending orders at the rollover, 00:02. One expires then, one lives.
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1, limit_price=90, expires="1m")
        await me.buy("BTCUSD", 1, limit_price=90)
        await me.next(2)
        assert me.balance("USD") == (D(909), D(90))

    world = play(
        [bar(0, 100), bar(1, 100), bar(2, 100)],
        script,
        rules=rules(fees={"overnight_pending": {"flat_per_volume": 1}}, rollover_ns=2 * M),
    )
    assert [line.split()[0] for line in world.journal()].count("FEE_OVERNIGHT") == 1


def test_the_past_and_what_has_no_time_zone_is_refused() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(
            me,
            lambda: me.buy("BTCUSD", 1, limit_price=90, expires=from_ns(M)),
            RejectReason.EXPIRED,
        )
        with pytest.raises(FieldError, match="time zone"):
            me.buy("BTCUSD", 1, limit_price=90, expires=datetime(2030, 1, 1))
        with pytest.raises(FieldError, match="time_in_force"):
            me.buy("BTCUSD", 1, time_in_force="GOOD")
        with pytest.raises(FieldError, match="expires is missing"):
            me.buy("BTCUSD", 1, time_in_force="GTD")
        naive = Instructions(TimeInForce.GTD, datetime(2030, 1, 1))
        await refused(
            me,
            lambda: me.submit(
                me.action(
                    ActionType.CREATE_SPOT_LIMIT,
                    "BTCUSD",
                    volume=D(1),
                    direction=OrderDirection.LONG,
                    price=D(90),
                    instructions=naive,
                )
            ),
            RejectReason.INVALID_ACTION,
        )
        order = await me.buy("BTCUSD", 1, limit_price=90)
        await refused(me, lambda: order.modify(expires=from_ns(M)), RejectReason.EXPIRED)

    play([bar(0, 100), bar(1, 100)], script)


# -- for the day -----------------------------------------------------------------------------------


def test_a_day_order_ends_at_midnight_utc() -> None:
    # Bars of an hour from 22:00. Sent at 23:00: the bar of 23:00 counts, at 00:00 it is over.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=90, time_in_force="DAY")
        other = await me.buy("BTCUSD", 1, limit_price=95, time_in_force="DAY")
        await me.next()
        assert me.now == datetime(1970, 1, 2, tzinfo=UTC)
        assert order.end_reason == "EXPIRED"
        assert other.is_filled
        late = await me.buy("BTCUSD", 1, limit_price=90, time_in_force="DAY")
        await me.next()
        assert not late.is_done

    bars = [
        bar(0, 100, length=HOUR, start=22 * HOUR),
        bar(0, 100, 100, 95, 99, length=HOUR, start=23 * HOUR),
        bar(0, 95, length=HOUR, start=24 * HOUR),
    ]
    play(bars, script)


def test_a_session_may_end_when_it_likes() -> None:
    # The pair's day ends at every fifth minute.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=90, time_in_force="DAY")
        await order.done()
        assert me.now_ns == 5 * M
        late = await me.buy("BTCUSD", 1, limit_price=90, time_in_force="DAY")
        await late.done()
        assert me.now_ns == 10 * M
        await me.next()

    def fifth(ns: int) -> int:
        return (ns // (5 * M) + 1) * 5 * M

    def prepare(system: Any) -> None:
        system.actors["broker"].venue.books["BTCUSD"].day_end = fifth

    play([bar(0, 100), bar(20, 100)], script, prepare=prepare)


def test_a_day_order_pays_for_no_night() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1, limit_price=90, time_in_force="DAY")
        await me.next(2)

    world = play(
        [bar(0, 100, length=HOUR, start=DAY + place * HOUR) for place in (-2, -1, 0)],
        script,
        rules=rules(fees={"overnight_pending": {"flat_per_volume": 1}}),
    )
    assert world.balance() == (D(1000), D(0))


# -- immediate or cancel ---------------------------------------------------------------------------


def test_an_ioc_market_order_takes_what_the_open_has() -> None:
    bars = [bar(0, 100), bar(1, 101, volume=2), bar(2, 99)]
    world = play(bars, one("buy", 5, time_in_force="IOC"))
    assert world.fills() == ["entry LONG 2 @ 101 open"]
    assert world.orders() == ["LONG 2 FILLED", "LONG 3 CANCELLED IMMEDIATE_OR_CANCEL"]
    assert world.balance() == (D(798), D(0))


def test_an_ioc_limit_looks_at_the_open_of_its_first_bar_and_no_further() -> None:
    # Open 101 is above the limit; the low of 99 does not count.
    bars = [bar(0, 100), bar(1, 101, 102, 99, 100), bar(2, 99)]
    world = play(bars, one("buy", limit_price=100, time_in_force="IOC"))
    assert world.fills() == []
    assert ends(world.strategies["s0"]) == [(4, "IMMEDIATE_OR_CANCEL")]
    # An open of 99.5 fills it, as a taker.
    world = play(
        [bar(0, 100), bar(1, "99.5", 102, 99, 100)],
        one("buy", limit_price=100, time_in_force="IOC"),
    )
    assert world.fills() == ["entry LONG 1 @ 99.5 open"]


def test_an_ioc_limit_sent_inside_a_bar_looks_at_its_close() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.sleep(30)
        await me.buy("BTCUSD", 1, limit_price=100, time_in_force="IOC")
        await me.sell("BTCUSD", 1, limit_price=105, time_in_force="IOC")
        await me.next(2)

    world = play([bar(0, 100), bar(1, 101, 107, 99, 100), bar(2, 110)], script, cash=BOTH)
    assert world.fills() == ["entry LONG 1 @ 100 close"]
    assert ends(world.strategies["s0"]) == [(4, "IMMEDIATE_OR_CANCEL")]


def test_an_ioc_market_order_sent_inside_a_bar_waits_for_the_next_open() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.sleep(30)
        await me.buy("BTCUSD", 1, time_in_force="IOC")
        await me.next(2)

    world = play([bar(0, 100), bar(1, 101), bar(2, 102)], script)
    assert world.fills() == ["entry LONG 1 @ 102 open"]


def test_an_ioc_order_at_this_close() -> None:
    # The close that has just been has 2 left.
    bars = [bar(0, 100, volume=2), bar(1, 101)]
    world = play(bars, one("buy", 3, time_in_force="IOC"), rules=rules(fill_on="this_close"))
    assert world.fills() == ["entry LONG 2 @ 100 close"]
    assert ends(world.strategies["s0"]) == [(2, "IMMEDIATE_OR_CANCEL")]


def test_an_ioc_order_at_the_next_close() -> None:
    bars = [bar(0, 100), bar(1, 101, 103, 101, 102, volume=2), bar(2, 101)]
    world = play(bars, one("buy", 3, time_in_force="IOC"), rules=rules(fill_on="next_close"))
    assert world.fills() == ["entry LONG 2 @ 102 close"]
    assert ends(world.strategies["s0"]) == [(4, "IMMEDIATE_OR_CANCEL")]


def test_an_ioc_stop_waits_for_its_stop_and_takes_what_is_there() -> None:
    bars = [bar(0, 100), bar(1, 101), bar(2, 101, 106, 101, 104, volume=2), bar(3, 104)]
    world = play(bars, one("buy", 3, stop_price=105, time_in_force="IOC"))
    assert world.fills() == ["entry LONG 2 @ 105 high"]
    assert ends(world.strategies["s0"]) == [(6, "IMMEDIATE_OR_CANCEL")]


def test_an_ioc_stop_limit_takes_at_the_stop_or_not_at_all() -> None:
    # Stop 105, limit 104: not marketable where the stop is reached, though the close comes to 103.
    bars = [bar(0, 100), bar(1, 101, 106, 101, 103), bar(2, 103)]
    world = play(bars, one("buy", stop_price=105, limit_price=104, time_in_force="IOC"))
    assert world.fills() == []
    assert ends(world.strategies["s0"]) == [(4, "IMMEDIATE_OR_CANCEL")]
    world = play(bars, one("buy", stop_price=105, limit_price=106, time_in_force="IOC"))
    assert world.fills() == ["entry LONG 1 @ 105 high"]


def test_an_ioc_trailing_stop() -> None:
    bars = [bar(0, 100), bar(1, 100, 108, 100, 108), bar(2, 107, 107, 102, 103, volume=1)]
    world = play(
        bars,
        one("sell", 3, trail=5, time_in_force="IOC"),
        cash=BOTH,
        rules=rules(path="open_low_high_close"),
    )
    assert world.fills() == ["entry SHORT 1 @ 103 low"]
    assert world.orders()[1] == "SHORT 2 CANCELLED IMMEDIATE_OR_CANCEL"


def test_a_position_of_an_ioc_order_keeps_its_protection() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 3, stop_loss=95, leverage=2, time_in_force="IOC")
        await me.next(2)

    world = play([bar(0, 100), bar(1, 100, volume=2), bar(2, 94)], script)
    assert world.fills() == ["entry LONG 2 @ 100 open", "stop_loss SHORT 2 @ 94 open"]
    assert world.balance() == (D(988), D(0))


def test_ends_pay_the_cancel_fee_once() -> None:
    # A flat fee of 1 for a cancel: for the rest of an IOC order, for a FOK order, for an expiry.
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 3, time_in_force="IOC")
        await me.buy("BTCUSD", 3, time_in_force="FOK")
        await me.buy("BTCUSD", 1, limit_price=50, expires="1m")
        await me.next()
        assert me.balance("USD") == (D(797), D(0))

    world = play(
        [bar(0, 100), bar(1, 100, volume=2)],
        script,
        rules=rules(fees={"cancel": {"flat_per_trade": 1}}),
    )
    assert [line for line in world.journal() if line.startswith("FEE_CANCEL")] == [
        "FEE_CANCEL USD -1 0"
    ] * 3


# -- fill or kill ----------------------------------------------------------------------------------


def test_a_fok_order_fills_wholly_or_not_at_all() -> None:
    bars = [bar(0, 100), bar(1, 101, volume=2), bar(2, 99, volume=9)]
    world = play(bars, one("buy", 3, time_in_force="FOK"))
    assert world.fills() == []
    assert world.orders() == ["LONG 3 CANCELLED FILL_OR_KILL"]
    assert world.balance() == (D(1000), D(0))
    world = play(bars, one("buy", 2, time_in_force="FOK"))
    assert world.fills() == ["entry LONG 2 @ 101 open"]


def test_a_fok_limit_that_is_not_marketable_is_killed() -> None:
    bars = [bar(0, 100), bar(1, 101, 102, 99, 100)]
    world = play(bars, one("buy", limit_price=100, time_in_force="FOK"))
    assert ends(world.strategies["s0"]) == [(4, "FILL_OR_KILL")]


def test_others_take_from_the_pool_first() -> None:
    # 3 are traded; a market order sent before takes 2 of them, so a FOK of 2 is killed.
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 2)
        await me.buy("BTCUSD", 2, time_in_force="FOK")
        await me.next()

    world = play([bar(0, 100), bar(1, 101, volume=3)], script)
    assert world.fills() == ["entry LONG 2 @ 101 open"]


def test_a_fok_order_that_cannot_be_paid_for_is_killed_whole() -> None:
    # 9 x 105 = 945 reserved of 1000; the open is at 120: 9 x 120 = 1080 cannot be paid, 8 could.
    bars = [bar(0, 100), bar(1, 120)]
    world = play(bars, one("buy", 9, time_in_force="FOK"))
    assert world.fills() == []
    assert world.orders() == ["LONG 9 CANCELLED INSUFFICIENT_FUNDS"]
    # Margin likewise.
    world = play(bars, one("long", 9, time_in_force="FOK"))
    assert world.orders() == ["LONG 9 CANCELLED INSUFFICIENT_FUNDS"]


def test_a_fok_stop_is_killed_where_it_triggers() -> None:
    bars = [bar(0, 100), bar(1, 101, 106, 101, 104, volume=2), bar(2, 104)]
    world = play(bars, one("buy", 3, stop_price=105, time_in_force="FOK"))
    assert world.fills() == []
    assert ends(world.strategies["s0"]) == [(4, "FILL_OR_KILL")]
    world = play(bars, one("buy", 2, stop_price=105, time_in_force="FOK"))
    assert world.fills() == ["entry LONG 2 @ 105 high"]


def test_a_fok_order_at_this_close() -> None:
    bars = [bar(0, 100, volume=2), bar(1, 101)]
    how = rules(fill_on="this_close")
    assert play(bars, one("buy", 3, time_in_force="FOK"), rules=how).fills() == []
    assert play(bars, one("buy", 2, time_in_force="FOK"), rules=how).fills() == [
        "entry LONG 2 @ 100 close"
    ]


def test_an_ioc_order_lives_for_no_time() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=90, time_in_force="IOC")
        await refused(me, lambda: order.modify(expires="1h"), RejectReason.INVALID_ACTION)
        # Before its bar it can be changed like any other.
        await order.modify(limit_price=100)
        await me.next()
        assert order.is_filled

    play([bar(0, 100), bar(1, 100)], script)
