"""Reduce-only: an order that closes what is open on the other side, and opens nothing."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors import EventKind
from backtest.errors import RejectReason
from tests.harness import D, bar, play, refused, rules

ENDED = "REDUCE_ONLY"


async def _long(me: Any, *volumes: Any, **more: Any) -> list[Any]:
    """Long positions, opened at the second bar."""
    await me.next()
    orders = [await me.long("BTCUSD", volume, **more) for volume in volumes]
    await me.next()
    return orders


def test_it_closes_the_other_side_at_its_price_and_reserves_nothing() -> None:
    async def script(me: Any) -> None:
        (order,) = await _long(me, 2)
        assert me.balance("USD") == (D(800), D(200))
        out = await me.short("BTCUSD", 2, limit_price=110, reduce_only=True)
        assert me.balance("USD") == (D(800), D(200))
        await me.next()
        assert (out.is_filled, out.filled_volume, out.average_price) == (True, 2, 110)
        assert (out.status.name, out.open_volume) == ("CLOSED", 0)
        assert order.open_volume == 0
        assert not me.position("BTCUSD")
        assert me.told()[-2:] == [("netted", None), ("closed", None)]

    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 111)], script)
    # 200 margin back and 2 x 10 gained, booked for the position; nothing for the order
    assert world.entries() == [
        ["RESERVE_MARGIN USD -210 210"],
        ["RETURN_MARGIN USD 10 -10"],
        ["RETURN_MARGIN USD 200 -200", "CLOSE_PNL USD 20 0"],
    ]
    assert world.fills() == ["entry LONG 2 @ 100 open", "netting SHORT 2 @ 110 high maker"]
    assert world.orders() == ["LONG 2 CLOSED netting", "SHORT 2 CLOSED offset"]
    assert world.balance("USD") == (D(1020), D(0))


def test_what_is_more_than_the_other_side_is_cancelled() -> None:
    async def script(me: Any) -> None:
        await _long(me, 1)
        out = await me.short("BTCUSD", 3, reduce_only=True)
        await me.next()
        assert (out.filled_volume, out.cancelled_volume, out.end_reason) == (1, 2, ENDED)
        assert not me.position("BTCUSD")

    world = play([bar(0, 100), bar(1, 100), bar(2, 105)], script)
    assert world.orders() == [
        "LONG 1 CLOSED netting",
        "SHORT 1 CLOSED offset",
        f"SHORT 2 CANCELLED {ENDED}",
    ]
    assert world.balance("USD") == (D(1005), D(0))


def test_the_oldest_position_is_closed_first_and_in_part() -> None:
    async def script(me: Any) -> None:
        first, second = await _long(me, 1, 2)
        out = await me.short("BTCUSD", "1.5", reduce_only=True)
        await me.next()
        assert out.is_filled
        assert (first.open_volume, second.open_volume) == (0, D("1.5"))
        # half of the second's margin of 200, times 1.5 / 2
        assert me.balance("USD").unavailable == 150

    world = play([bar(0, 100), bar(1, 100), bar(2, 110)], script)
    assert world.fills()[2:] == ["netting SHORT 1 @ 110 open", "netting SHORT 0.5 @ 110 open"]
    # 1000 + 15 gained, 150 in margin
    assert world.balance("USD") == (D(865), D(150))


def test_without_the_other_side_it_is_refused() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(me, lambda: me.long("BTCUSD", 1, reduce_only=True), RejectReason.REDUCE_ONLY)
        await me.long("BTCUSD", 1)
        await me.next()
        # a position on its own side is no reason
        await refused(me, lambda: me.long("BTCUSD", 1, reduce_only=True), RejectReason.REDUCE_ONLY)
        await refused(
            me,
            lambda: me.short("BTCUSD", 1, reduce_only=True, stop_loss=120),
            RejectReason.INVALID_ACTION,
        )

    play([bar(0, 100), bar(1, 100)], script)


def test_when_the_position_has_gone_meanwhile_it_is_cancelled_at_its_fill() -> None:
    async def script(me: Any) -> None:
        (order,) = await _long(me, 1, stop_loss=95)
        out = await me.short("BTCUSD", 1, limit_price=110, reduce_only=True)
        await me.next()
        assert order.open_volume == 0
        assert out.leaves == 1
        await me.next()
        assert (out.filled_volume, out.end_reason) == (0, ENDED)

    world = play([bar(0, 100), bar(1, 100), bar(2, 95), bar(3, 111)], script)
    assert world.balance("USD") == (D(995), D(0))


def test_a_partial_fill_cuts_it_down_to_what_is_there() -> None:
    async def script(me: Any) -> None:
        (order,) = await _long(me, 3)
        out = await me.short("BTCUSD", 5, limit_price=110, reduce_only=True)
        await me.next()
        # 2 of 5 filled; 1 is left to close, so 2 of the 3 left are in excess
        assert (out.filled_volume, out.leaves, out.cancelled_volume) == (2, 1, 2)
        assert order.open_volume == 1
        await me.next()
        assert (out.filled_volume, out.leaves) == (3, 0)

    world = play([bar(0, 100), bar(1, 100), bar(2, 110, volume=2), bar(3, 112)], script)
    assert world.fills()[1:] == ["netting SHORT 2 @ 110 open", "netting SHORT 1 @ 112 open maker"]
    assert world.balance("USD") == (D(1032), D(0))


def test_it_pays_the_close_fee_once_if_flat_and_no_fill_fee() -> None:
    async def script(me: Any) -> None:
        await _long(me, 1, 1)
        await me.short("BTCUSD", 2, reduce_only=True)
        await me.next()

    fees = {
        "create": {"flat_per_trade": 2},
        "fill": {"flat_per_trade": 1},
        "close": {"flat_per_trade": 3},
    }
    world = play([bar(0, 100), bar(1, 100), bar(2, 110)], script, rules=rules(fees=fees))
    # three orders created, two filled, and one order that closed both
    assert [line for line in world.journal() if "FEE" in line] == [
        "FEE_CREATE USD -2 0",
        "FEE_CREATE USD -2 0",
        "FEE_FILL USD -1 0",
        "FEE_FILL USD -1 0",
        "FEE_CREATE USD -2 0",
        "FEE_CLOSE USD -3 0",
    ]
    assert world.balance("USD") == (D(1000 - 6 - 2 - 3 + 20), D(0))


def test_it_can_be_sent_with_nothing_available_at_all() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 20, leverage=2, limit_price=100)
        await me.next()
        assert me.balance("USD") == (D(0), D(1000))
        out = await me.short("BTCUSD", 20, reduce_only=True)
        await me.next()
        assert out.is_filled

    world = play([bar(0, 101), bar(1, 100), bar(2, 90)], script)
    assert world.balance("USD") == (D(800), D(0))


def test_protection_and_pending_closes_vanish_with_the_position() -> None:
    async def script(me: Any) -> None:
        (order,) = await _long(me, 1, stop_loss=90, take_profit=120)
        await order.close(limit_price=115)
        await me.short("BTCUSD", 1, reduce_only=True)
        await me.next()
        assert me.told(EventKind.CLOSE_CANCELLED) == [("close_cancelled", "ALREADY_DONE")]
        await me.next(2)

    bars = [bar(0, 100), bar(1, 100), bar(2, 105), bar(3, 125), bar(4, 80)]
    world = play(bars, script)
    assert len(world.fills()) == 2
    assert world.balance("USD") == (D(1005), D(0))


@pytest.mark.parametrize("first", ["stop", "limit"])
def test_a_stop_loss_and_a_reduce_only_order_race_for_the_same_volume(first: str) -> None:
    async def script(me: Any) -> None:
        (order,) = await _long(me, 1, stop_loss=95)
        out = await me.short("BTCUSD", 1, limit_price=105, reduce_only=True)
        await me.next()
        assert order.open_volume == 0
        assert out.is_filled is (first == "limit")
        assert out.end_reason == (None if first == "limit" else ENDED)

    path = "open_low_high_close" if first == "stop" else "open_high_low_close"
    world = play(
        [bar(0, 100), bar(1, 100), bar(2, 100, 106, 94, 100)], script, rules=rules(path=path)
    )
    assert len(world.fills()) == 2


def test_modify_and_split_keep_it_reserving_nothing() -> None:
    async def script(me: Any) -> None:
        await _long(me, 3)
        out = await me.short("BTCUSD", 1, limit_price=120, reduce_only=True)
        await out.modify(volume=3)
        await out.modify(limit_price=115)
        one, two = await out.split([1, 2], limit_prices=[110, 112])
        assert me.balance("USD") == (D(700), D(300))
        await me.next()
        assert (one.average_price, two.average_price) == (110, 112)
        assert not me.position("BTCUSD")

    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 113)], script)
    assert world.balance("USD") == (D(1034), D(0))


def test_where_only_longs_are_allowed_a_short_may_still_reduce() -> None:
    async def script(me: Any) -> None:
        await _long(me, 1)
        out = await me.short("BTCUSD", 1, reduce_only=True)
        await me.next()
        assert out.is_filled

    play([bar(0, 100), bar(1, 100), bar(2, 100)], script, rules=rules(allowed_directions="long"))


def test_it_reduces_the_account_whoever_opened_the_position() -> None:
    async def first(me: Any) -> None:
        (order,) = await _long(me, 1)
        await me.next()
        assert order.open_volume == 0
        assert me.balance("USD") == (D(1010), D(0))

    async def second(me: Any) -> None:
        await me.next(2)
        out = await me.short("BTCUSD", 1, reduce_only=True)
        await me.next()
        assert out.is_filled

    play([bar(0, 100), bar(1, 100), bar(2, 110)], first, second)


def test_a_partner_is_cancelled_when_it_reduces() -> None:
    async def script(me: Any) -> None:
        await _long(me, 1)
        target = await me.short("BTCUSD", 1, limit_price=110, reduce_only=True, oco="out")
        stop = await me.short("BTCUSD", 1, stop_price=95, reduce_only=True, oco="out")
        await me.next()
        assert target.is_filled
        assert stop.end_reason == "ONE_CANCELS_OTHER"

    world = play([bar(0, 100), bar(1, 100), bar(2, 110)], script)
    assert world.balance("USD") == (D(1010), D(0))
