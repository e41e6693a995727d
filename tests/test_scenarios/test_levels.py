"""Leaving a position at several levels: splits, targets of their own, closes that can be named."""

from __future__ import annotations

from typing import Any

import backtest
from backtest.actors import EventKind
from backtest.errors import OrderRejected, RejectReason
from backtest.models import Bar
from backtest.strategies import Strategy
from tests.effort import every
from tests.harness import D, bar, pair_of, play, refused
from tests.random_trading import random_bars

TWO_PARTS = [bar(0, 101), bar(1, 100, volume=1), bar(2, 98, volume=2)]
"""A limit at 100 for 3 fills 1 at 100 and 2 at 98."""


async def _in_two_parts(me: Any, **more: Any) -> Any:
    await me.next()
    order = await me.long("BTCUSD", 3, limit_price=100, **more)
    await me.next(2)
    assert [part.volume for part in order.parts.values()] == [1, 2]
    return order


def test_what_filled_in_several_parts_is_shared_out_exactly() -> None:
    async def script(me: Any) -> None:
        order = await _in_two_parts(me)
        assert me.balance("USD") == (D(704), D(296))
        one, two = await order.split([D("1.5"), D("1.5")])
        assert (order.is_replaced, order.split_into, order.open_volume) == (True, [one, two], 0)
        assert [part.volume for part in one.parts.values()] == [1, D("0.5")]
        assert [part.volume for part in two.parts.values()] == [D("1.5")]
        # half of the cost and the margin of 296 each; of that 1 : 0.5
        held = [D("98.67"), D("49.33")]
        assert [part.margin_reserved for part in one.parts.values()] == held
        assert [part.margin_reserved for part in two.parts.values()] == [148]
        assert one.filled_volume == D("1.5")
        assert round(one.average_price * 3, 12) == 296
        assert me.balance("USD") == (D(704), D(296))
        assert me.position("BTCUSD").volume == 3
        await one.close()
        await me.next()
        assert (one.open_volume, two.open_volume) == (0, D("1.5"))
        # 1.5 x 110 - 148
        assert me.balance("USD") == (D(704 + 148 + 17), D(148))

    world = play([*TWO_PARTS, bar(3, 110)], script)
    assert world.orders() == [
        "LONG 1 REPLACED REQUESTED",
        "LONG 2 REPLACED REQUESTED",
        "LONG 1 CLOSED close",
        "LONG 0.5 CLOSED close",
        "LONG 1.5 FILLED",
    ]


def test_each_part_can_have_a_target_of_its_own() -> None:
    async def script(me: Any) -> None:
        order = await _in_two_parts(me, stop_loss=90, take_profit=130)
        near, mid, far = await order.split([1, 1, 1], take_profits=[105, 110, None])
        await me.next()
        assert [one.open_volume for one in (near, mid, far)] == [0, 1, 1]
        await mid.modify(take_profit=108)
        await me.next()
        assert [one.open_volume for one in (near, mid, far)] == [0, 0, 1]
        (part,) = far.parts.values()
        assert (part.stop_loss, part.take_profit) == (90, 130)
        await me.next()
        assert not me.position("BTCUSD")

    bars = [*TWO_PARTS, bar(3, 98, 106), bar(4, 106, 109), bar(5, 89)]
    world = play(bars, script)
    assert world.fills()[2:] == [
        "take_profit SHORT 1 @ 105 high maker",
        "take_profit SHORT 1 @ 108 high maker",
        "stop_loss SHORT 1 @ 89 open",
    ]
    # each a third of 296: 6.33, 9.33 and -9.67, rounded down
    assert world.balance("USD") == (D("1005.99"), D(0))


def test_targets_can_be_added_where_there_were_none_and_count_from_now_on() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2)
        await me.next()
        one, two = await order.split([1, 1], take_profits=[105, 110])
        await me.next()
        assert (one.open_volume, two.open_volume) == (0, 1)

    bars = [bar(0, 100), bar(1, 100, 120, 100, 100), bar(2, 100, 107, 100, 107)]
    world = play(bars, script)
    assert world.fills()[1:] == ["take_profit SHORT 1 @ 105 high maker"]


def test_the_parts_of_a_pending_order_can_have_targets_too() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2, limit_price=98, stop_loss=90)
        await refused(
            me, lambda: order.split([1, 1], take_profits=[97, 110]), RejectReason.PROTECTION_SIDE
        )
        one, two = await order.split([1, 1], limit_prices=[98, 97], take_profits=[100, 105])
        assert me.balance("USD").unavailable == 195
        await me.next()
        assert [part.take_profit for part in (*one.parts.values(), *two.parts.values())] == [
            100,
            105,
        ]
        await me.next()
        assert (one.open_volume, two.open_volume) == (0, 1)

    world = play([bar(0, 100), bar(1, 98, 98, 96, 96), bar(2, 96, 101)], script)
    assert world.balance("USD") == (D(905), D(97))


def test_targets_of_a_spot_bracket() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, limit_price=98, stop_loss=90)
        one, two = await order.split([1, 1], take_profits=[100, 105])
        await me.next()
        assert [part.exits[0].live.limit_price for part in (one, two)] == [100, 105]
        low, high = await two.exits[0].split([D("0.5"), D("0.5")], take_profits=[102, None])
        assert [part.live.limit_price for part in (low, high)] == [102, 105]
        await refused(
            me,
            lambda: high.split([D("0.25"), D("0.25")], limit_prices=[99, 99], take_profits=[1, 1]),
            RejectReason.INVALID_ACTION,
        )
        sale = await me.sell("BTCUSD", "0.1", limit_price=200, account="main")
        await refused(
            me,
            lambda: sale.split([D("0.05"), D("0.05")], take_profits=[90, 90]),
            RejectReason.NOT_SUPPORTED,
        )
        await me.next()
        assert [one.exits[0].leaves, low.leaves, high.leaves] == [0, 0, D("0.5")]

    bars = [bar(0, 100), bar(1, 98), bar(2, 98, 103)]
    play(bars, script, cash={"USD": 1000, "BTC": "0.1"})


def test_splits_of_positions_that_make_no_sense() -> None:
    async def script(me: Any) -> None:
        order = await _in_two_parts(me)
        await refused(me, lambda: order.split([1, 1]), RejectReason.STALE)
        await refused(me, lambda: order.split([3]), RejectReason.INVALID_VOLUME)
        await refused(
            me, lambda: order.split([1, 2], take_profits=[105]), RejectReason.INVALID_PRICE
        )
        await refused(
            me, lambda: order.split([1, 2], take_profits=[105, 98]), RejectReason.PROTECTION_SIDE
        )
        await refused(
            me, lambda: order.split([1, 2], limit_prices=[105, 110]), RejectReason.INVALID_ACTION
        )
        close = order.close(2, limit_price=120)
        await close
        await refused(me, lambda: order.split([1, 2]), RejectReason.STALE)
        await close.cancel()
        await order.split([1, 2])

    play(TWO_PARTS, script)


def test_a_triggered_stop_loss_stays_triggered_in_every_piece() -> None:
    async def script(me: Any) -> None:
        order = await _in_two_parts(me, stop_loss=95)
        await me.next()
        one, two = await order.split([D("0.5"), D("2.5")])
        await me.next()
        assert (one.open_volume, two.open_volume) == (0, 0)

    world = play([*TWO_PARTS, bar(3, 98, 98, 94, 97, 0), bar(4, 99)], script)
    assert world.fills()[2:] == [
        "stop_loss SHORT 0.5 @ 99 open",
        "stop_loss SHORT 0.5 @ 99 open",
        "stop_loss SHORT 2 @ 99 open",
    ]


def test_one_of_several_closes_can_be_cancelled() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 3)
        await me.next()
        near = order.close(1, limit_price=105)
        far = order.close(1, limit_price=110)
        assert await near is order
        await far
        await near.cancel()
        assert me.told(EventKind.CLOSE_CANCELLED) == [("close_cancelled", "REQUESTED")]
        await refused(me, lambda: near.cancel(), RejectReason.ALREADY_DONE)
        await me.next()
        assert order.open_volume == 2
        await refused(me, lambda: far.cancel(), RejectReason.ALREADY_DONE)

    world = play([bar(0, 100), bar(1, 100), bar(2, 104, 111)], script)
    assert world.fills()[1:] == ["close SHORT 1 @ 110 high maker"]


def test_a_close_over_several_positions_is_one_and_cancel_of_the_order_takes_the_rest() -> None:
    async def script(me: Any) -> None:
        order = await _in_two_parts(me)
        both = order.close(2, limit_price=105)
        other = order.close("0.5", limit_price=106)
        await both
        await other
        await both.cancel()
        await order.cancel()
        await refused(me, lambda: order.cancel(), RejectReason.ALREADY_DONE)
        await me.next()
        assert order.open_volume == 3

    play([*TWO_PARTS, bar(3, 120)], script)


def test_a_partly_filled_order_is_modified_in_price_and_protection_at_once() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 3, limit_price=100, stop_loss=90)
        await me.next()
        assert (order.filled_volume, order.leaves) == (1, 2)
        await refused(
            me, lambda: order.modify(limit_price=97, stop_loss=101), RejectReason.PROTECTION_SIDE
        )
        await order.modify(limit_price=97, stop_loss=95)
        (part,) = order.parts.values()
        assert (part.stop_loss, order.live.limit_price, order.live.stop_loss) == (95, 97, 95)
        await me.next()
        assert order.open_volume == 0

    world = play([bar(0, 101), bar(1, 100, volume=1), bar(2, 99, 99, 94, 94)], script)
    # what was open at 100 is stopped at 95, and so is what 97 bought on the way
    assert world.fills()[1:] == [
        "stop_loss SHORT 1 @ 95 low",
        "entry LONG 2 @ 97 low maker",
        "stop_loss SHORT 2 @ 95 low",
    ]
    assert world.balance("USD") == (D(1000 - 5 - 4), D(0))


class Scaling(Strategy):
    """Enters in parts, shares the position out to three targets, closes and changes its mind."""

    async def run(self) -> None:
        pair = self.pair_of("BTCUSD")
        async for one in self.bars("BTCUSD"):
            try:
                stop = pair.round_price(one.close / 2)
                order = await self.long("BTCUSD", 18, limit_price=one.close, stop_loss=stop)
                await order.filled(timeout="5m")
                if not order.is_done:
                    await order.cancel()
                third = order.open_volume // 3
                near, _, far = await order.split(
                    [third, third, order.open_volume - third - third],
                    take_profits=[None, None, pair.round_price(one.close * 2)],
                )
                kept = near.close(limit_price=pair.round_price(one.close * D("1.01")))
                gone = far.close(limit_price=pair.round_price(one.close * D("1.02")))
                await gone.cancel()
                await kept
            except OrderRejected:
                continue


def test_a_run_of_it_proves_and_explains_itself() -> None:
    bars: list[Bar] = [one for one in random_bars(11, 300) if one.pair == "BTCUSD"]
    result = backtest.run(
        Scaling(), data={pair_of("BTCUSD", volume_increment="1"): bars}, cash="100000 USD"
    )
    assert result.verify().ok
    assert len(result.orders) > 40
    assert all(result.explain(one.id) for one in result.orders[: 40 : every(5)])


def test_protection_that_no_bar_has_seen_yet_waits_in_the_parts_too() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2, stop_loss=90)
        await me.next()
        await me.sleep(30)
        # Inside the bar that falls to 94 and closes at 99: the new stop counts at its close only.
        await order.modify(stop_loss=95)
        one, two = await order.split([1, 1])
        await me.next()
        assert (one.open_volume, two.open_volume) == (1, 1)
        await me.next()
        assert (one.open_volume, two.open_volume) == (0, 0)

    bars = [bar(0, 100), bar(1, 100), bar(2, 100, 100, 94, 99), bar(3, 94)]
    world = play(bars, script)
    assert world.fills()[1:] == ["stop_loss SHORT 1 @ 94 open"] * 2


def test_splitting_what_is_pending_and_then_what_is_open_gives_each_its_own_parts() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 6, limit_price=100)
        await me.next()
        # 2 of 6 filled: the pending 4 are split first, then the open 2.
        pending = await order.split([1, 3])
        assert [one.leaves for one in pending] == [1, 3]
        opened = await order.split([D("0.5"), D("1.5")])
        assert [one.open_volume for one in opened] == [D("0.5"), D("1.5")]
        assert order.split_into == [*pending, *opened]

    play([bar(0, 101), bar(1, 100, volume=2)], script)
