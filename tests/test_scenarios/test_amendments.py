"""Modify, split and cancel of pending orders: reserve, place in the queue, all or nothing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from backtest.actors import EventKind
from backtest.errors import RejectReason
from backtest.models import ActionType, DecisionAction
from tests.harness import D, bar, play, refused, rules


def test_modify_moves_the_reserve_with_volume_and_price() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, limit_price=90)
        number = order.id
        await order.modify(volume=3)
        assert me.balance("USD") == (D(730), D(270))
        await order.modify(limit_price=80)
        assert me.balance("USD") == (D(760), D(240))
        await order.modify(volume=1, limit_price=85)
        assert me.balance("USD") == (D(915), D(85))
        assert order.id == number
        assert order.leaves == 1

    world = play([bar(0, 100)], script)
    assert world.journal() == [
        "RESERVE_MARGIN USD -180 180",
        "RESERVE_MARGIN USD -90 90",
        "RETURN_MARGIN USD 30 -30",
        "RETURN_MARGIN USD 155 -155",
    ]
    assert world.orders() == [
        "LONG 2 REPLACED REQUESTED",
        "LONG 3 REPLACED REQUESTED",
        "LONG 3 REPLACED REQUESTED",
        "LONG 1 PENDING",
    ]


def test_volume_is_the_total_with_what_has_filled() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, limit_price=100)
        await me.next()
        assert (order.filled_volume, order.leaves) == (1, 2)
        await order.modify(volume=5)
        assert order.leaves == 4
        assert me.balance("USD") == (D(500), D(400))
        await order.modify(volume=2)
        assert order.leaves == 1
        assert me.balance("USD") == (D(800), D(100))
        await order.modify(volume=1)
        assert order.is_done
        assert order.end_reason == "MODIFIED_AWAY"
        assert me.balance("USD") == (D(900), D(0))
        await refused(me, lambda: order.modify(volume=4), RejectReason.ALREADY_DONE)

    world = play([bar(0, 101), bar(1, 100, volume=1)], script)
    assert world.orders() == [
        "LONG 1 FILLED",
        "LONG 2 REPLACED REQUESTED",
        "LONG 4 REPLACED REQUESTED",
        "LONG 1 CANCELLED MODIFIED_AWAY",
    ]


def test_what_ends_so_leaves_its_position_the_protection_that_comes_with_it() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 3, take_profit=120)
        await me.next()
        assert (order.open_volume, order.leaves) == (1, 2)
        await order.modify(volume=1, take_profit=110)
        assert (order.open_volume, order.leaves, order.end_reason) == (1, 0, "MODIFIED_AWAY")
        await me.next()
        assert order.open_volume == 0

    world = play([bar(0, 100), bar(1, 100, volume=1), bar(2, 105, 111)], script)
    assert world.fills()[-1] == "take_profit SHORT 1 @ 110 high maker"


def test_less_than_has_filled_ends_it_though_its_stop_loss_is_passed() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, stop_loss=98)
        await me.next()
        assert (order.filled_volume, order.leaves, me.last_price("BTCUSD")) == (1, 2, 97)
        # What would go on pending must have its stop-loss below the market.
        await refused(me, lambda: order.modify(volume=2), RejectReason.PROTECTION_SIDE)
        await order.modify(volume=1)
        assert order.end_reason == "MODIFIED_AWAY"
        assert me.balance("USD").unavailable == 0

    play([bar(0, 100), bar(1, 100, 100, 97, 97, volume=1)], script)


def _queue(change: Any, *, first_after: bool) -> None:
    """Two buys at 99 and volume for one: does the changed first one stay first?"""

    async def script(me: Any) -> None:
        await me.next()
        one = await me.long("BTCUSD", 2, limit_price=99, stop_loss=50)
        two = await me.long("BTCUSD", 1, limit_price=99, stop_loss=50)
        await change(one)
        await me.next()
        filled = (one.filled_volume, two.filled_volume)
        assert filled == ((1, 0) if first_after else (0, 1))

    play([bar(0, 100), bar(1, 99, volume=1)], script)


def test_less_volume_keeps_the_place_in_the_queue_anything_else_loses_it() -> None:
    _queue(lambda one: one.modify(volume=1), first_after=True)
    _queue(lambda one: one.modify(volume=3), first_after=False)
    _queue(lambda one: one.modify(limit_price="99.00"), first_after=False)
    _queue(lambda one: one.modify(volume=1, limit_price=99), first_after=False)
    _queue(lambda one: one.modify(stop_loss=60), first_after=False)
    _queue(lambda one: one.modify(volume=1, stop_loss=60), first_after=False)
    _queue(lambda one: one.cancel(1), first_after=True)


def test_a_modify_that_cannot_be_afforded_changes_nothing() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 5, limit_price=100)
        other = await me.buy("BTCUSD", 5, limit_price=100)
        await refused(me, lambda: order.modify(volume=6), RejectReason.INSUFFICIENT_FUNDS)
        await refused(me, lambda: order.modify(limit_price=101), RejectReason.INSUFFICIENT_FUNDS)
        assert order.live.limit_price == 100
        assert order.leaves == 5
        await me.next()
        # it kept its place, and its leaves reserve for the price that it has: 2 x 100 + 5 x 100
        assert (order.filled_volume, other.filled_volume) == (3, 0)
        assert me.balance("USD") == (D(1), D(700))
        await me.next()
        assert (order.filled_volume, other.filled_volume) == (5, 1)
        assert me.balance("USD") == (D(1), D(400))

    world = play(
        [bar(0, 101), bar(1, 100, volume=3), bar(2, 100, volume=3)], script, cash={"USD": 1001}
    )
    assert "REPLACED" not in " ".join(world.orders())


def test_a_modified_price_decides_the_fill() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", 1, limit_price=110)
        await me.next()
        assert not order.is_done
        await order.modify(limit_price=104)
        await me.next()
        assert order.average_price == 104

    play(
        [bar(0, 100), bar(1, 100, 105, 100, 100), bar(2, 100, 105, 100, 100)],
        script,
        cash={"BTC": 1},
    )


def test_a_limit_modified_to_be_marketable_reserves_the_taker_fee() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=90)
        assert me.balance("USD").unavailable == D("90.09")  # maker 0.1 %
        await order.modify(limit_price=100)
        assert me.balance("USD").unavailable == D("101")  # taker 1 %
        await me.next()

    fees = {"fill": {"percent_of_notional": "0.01", "maker": "0.001"}}
    world = play([bar(0, 100), bar(1, 100)], script, cash={"USD": 101}, rules=rules(fees=fees))
    assert world.fills() == ["entry LONG 1 @ 100 open fee 1"]
    assert world.balance("USD") == (D(0), D(0))


def test_partial_cancel_returns_its_part_and_keeps_the_place() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, limit_price=99)
        await order.cancel("0.5")
        assert (order.leaves, order.cancelled_volume) == (D("2.5"), D("0.5"))
        assert me.balance("USD") == (D("752.5"), D("247.5"))
        await refused(me, lambda: order.cancel(3), RejectReason.STALE)
        await order.cancel("2.5")
        assert order.is_done
        assert order.end_reason == "REQUESTED"
        await refused(me, lambda: order.cancel(), RejectReason.ALREADY_DONE)

    world = play([bar(0, 100)], script)
    assert world.journal() == [
        "RESERVE_MARGIN USD -297 297",
        "RETURN_MARGIN USD 49.5 -49.5",
        "RETURN_MARGIN USD 247.5 -247.5",
    ]
    assert world.orders() == ["LONG 0.5 CANCELLED REQUESTED", "LONG 2.5 CANCELLED REQUESTED"]
    assert world.balance("USD") == (D(1000), D(0))


def test_a_pending_order_is_split_to_prices_of_their_own() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, limit_price=99)
        low, high = await order.split([1, 2], limit_prices=[95, 98])
        assert order.is_replaced
        # 95 + 196
        assert me.balance("USD") == (D(709), D(291))
        await refused(me, lambda: order.cancel(), RejectReason.ALREADY_DONE)
        await me.next()
        assert (low.filled_volume, high.filled_volume) == (0, 2)
        await low.modify(limit_price=90)
        await me.next()
        assert low.average_price == 90

    world = play([bar(0, 100), bar(1, 99, 99, 97, 97), bar(2, 97, 97, 85, 90)], script)
    assert world.journal()[:2] == ["RESERVE_MARGIN USD -297 297", "RETURN_MARGIN USD 6 -6"]
    assert world.balance("USD") == (D(1000 - 196 - 90), D(0))
    assert world.orders() == [
        "LONG 3 REPLACED REQUESTED",
        "LONG 1 REPLACED REQUESTED",
        "LONG 2 FILLED",
        "LONG 1 FILLED",
    ]


def test_a_split_that_cannot_be_afforded_changes_nothing() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 10, limit_price=100)
        await refused(
            me,
            lambda: order.split([5, 5], limit_prices=[99, 102]),
            RejectReason.INSUFFICIENT_FUNDS,
        )
        assert order.leaves == 10
        await me.next()
        assert order.is_filled

    play([bar(0, 101), bar(1, 100)], script)


def test_parts_of_a_split_order_keep_their_place_and_their_protection() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2, limit_price=99, stop_loss=90)
        other = await me.long("BTCUSD", 1, limit_price=99)
        one, two = await order.split([1, 1])
        await me.next()
        assert (one.filled_volume, two.filled_volume, other.filled_volume) == (1, 1, 0)
        await me.next()
        assert (one.open_volume, two.open_volume) == (0, 0)

    world = play([bar(0, 100), bar(1, 99, volume=2), bar(2, 95, 95, 89, 89, 3)], script)
    assert [line.split()[0] for line in world.fills()][-2:] == ["stop_loss", "stop_loss"]


def test_a_partly_filled_order_is_split_in_its_leaves() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 3, limit_price=99)
        await me.next()
        await refused(me, lambda: order.split([1, 2]), RejectReason.STALE)
        one, two = await order.split([1, 1])
        assert order.is_replaced
        assert order.open_volume == 1
        assert me.position("BTCUSD").volume == 1
        await me.next()
        assert (one.filled_volume, two.filled_volume) == (1, 1)
        assert me.position("BTCUSD").volume == 3
        await me.close_all()
        await me.next()
        assert me.balance("USD") == (D(1003), D(0))

    play([bar(0, 100), bar(1, 99, volume=1), bar(2, 99), bar(3, 100)], script)


def test_the_parts_of_a_stop_are_stops() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, stop_price=105)
        one, two = await order.split([1, 1])
        await one.modify(stop_price=107)
        await me.next()
        assert (one.filled_volume, two.filled_volume) == (0, 1)

    play([bar(0, 100), bar(1, 103, 106, 103, 106)], script)


def test_a_triggered_stop_stays_triggered_in_its_parts() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, stop_price=105)
        await me.next()
        assert order.leaves == 2
        one, two = await order.split([1, 1])
        await me.next()
        # far below the stop, and bought all the same
        assert (one.average_price, two.average_price) == (101, 101)

    play([bar(0, 100), bar(1, 103, 106, 103, 106, 0), bar(2, 101)], script)


def test_a_triggered_stop_loss_stays_triggered_in_the_parts_of_its_position() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2, stop_loss=95)
        await me.next(2)
        one, two = await order.split([1, 1])
        await me.next()
        assert (one.open_volume, two.open_volume) == (0, 0)

    bars = [bar(0, 100), bar(1, 100), bar(2, 97, 97, 94, 96, 0), bar(3, 99)]
    world = play(bars, script)
    assert world.fills()[1:] == ["stop_loss SHORT 1 @ 99 open"] * 2


def test_a_partly_closed_part_of_a_split_keeps_its_place_before_the_other() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 3, take_profit=110)
        await me.next()
        first, second = await order.split([2, 1])
        await me.next()
        assert (first.open_volume, second.open_volume) == (1, 1)
        await me.buy("BTCUSD", 1, limit_price=50)  # the venue lists everything anew
        await me.next()
        assert (first.open_volume, second.open_volume) == (0, 1)

    play([bar(0, 100), bar(1, 100), bar(2, 110, volume=1), bar(3, 110, volume=1)], script)


def test_the_parts_of_a_split_reserve_as_orders_of_their_own() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, limit_price=100)
        one, _ = await order.split([1, 1])
        # 200 + a flat fee of 2 before; each will pay that fee, and reserves 100 + 2
        assert me.balance("USD").unavailable == 204
        await one.cancel("0.001")
        # 0.999 needs 99.90 + 2
        assert me.balance("USD").unavailable == D("203.90")
        await one.cancel()
        assert me.balance("USD").unavailable == 102

    play([bar(0, 110)], script, rules=rules(fees={"fill": {"flat_per_trade": 2}}))


def test_what_the_parts_of_a_split_lack_must_be_available() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, limit_price=100)
        await refused(me, lambda: order.split([1, 1]), RejectReason.INSUFFICIENT_FUNDS)
        assert order.leaves == 2
        assert me.balance("USD") == (D(1), D(202))

    fees = {"fill": {"flat_per_trade": 2}}
    play([bar(0, 110)], script, cash={"USD": 203}, rules=rules(fees=fees))


@pytest.mark.parametrize("verb", ["buy", "long"])
def test_leaves_that_the_reserve_no_longer_covers_are_cancelled(verb: str) -> None:
    """4 at the market reserve 4 x 105; the first fills at 140 and takes 35 from the others."""

    async def script(me: Any) -> None:
        await me.next()
        order = await getattr(me, verb)("BTCUSD", 4)
        await me.next()
        # 280 cover 2.666, which need 279.93; 0.334 are cancelled.
        assert (order.filled_volume, order.leaves) == (D(1), D("2.666"))
        assert order.cancelled_volume == D("0.334")
        assert me.told(EventKind.CANCELLED) == [("cancelled", "INSUFFICIENT_FUNDS")]
        margin = 0 if verb == "buy" else 140
        assert me.balance("USD") == (D("0.07"), D("279.93") + margin)
        await order.cancel("0.666")
        assert me.balance("USD") == (D("70"), D(210) + margin)

    play([bar(0, 100), bar(1, 140, volume=1)], script, cash={"USD": 420})


def test_an_increase_reserves_at_the_price_of_the_day() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2)
        assert me.balance("USD").unavailable == 210  # 2 x 100 x 1.05
        await me.next()
        await order.modify(volume=3)
        assert me.balance("USD").unavailable == 252  # 3 x 80 x 1.05
        await me.next()
        await order.modify(volume=2)
        assert me.balance("USD").unavailable == 168  # less volume is no new order

    play([bar(0, 100), bar(1, 80, volume=0), bar(2, 90, volume=0)], script)


def test_an_older_id_of_the_branch_reaches_its_live_order() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, limit_price=99)
        await order.modify(volume=2)
        await order.modify(limit_price=98)
        middle = me.heard[1].order.id
        assert middle not in (order.id, order.live.id)
        nobody = UUID(int=1)
        account = next(iter(me._client.holdings.accounts.values()))
        me.submit(
            DecisionAction(
                ActionType.CANCEL_SPOT_LIMIT,
                me.now,
                nobody,
                account,
                nobody,
                nobody,
                order_id=middle,
            )
        )
        await order.done()
        assert order.end_reason == "REQUESTED"
        assert me.told()[-1] == ("cancelled", "REQUESTED")

    play([bar(0, 100), bar(1, 100)], script)


def test_cancelling_a_pending_close_keeps_the_position() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1)
        await me.next()
        await order.close(limit_price=110)
        await order.cancel()
        assert me.told(EventKind.CLOSE_CANCELLED) == [("close_cancelled", "REQUESTED")]
        await me.next()
        assert order.open_volume == 1
        await refused(me, lambda: order.cancel(), RejectReason.ALREADY_DONE)

    play([bar(0, 100), bar(1, 100), bar(2, 120)], script)


def test_a_stop_that_was_reached_has_no_stop_price_any_more() -> None:
    # 1 of 3 fills on bar 1; the rest is a market order, and a new stop price would say nothing.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, stop_price=105)
        await order.modify(stop_price=104)
        await me.next()
        assert (order.leaves, order.is_triggered) == (D(2), True)
        await refused(me, lambda: order.modify(stop_price=120), RejectReason.INVALID_ACTION)
        await order.modify(volume=2)
        await me.next()
        assert order.filled_volume == 2

    bars = [bar(0, 100), bar(1, 101, 106, 101, 103, volume=1), bar(2, 103)]
    world = play(bars, script)
    assert world.fills() == ["entry LONG 1 @ 104 high", "entry LONG 1 @ 103 open"]
