"""Reduce-only: an order that closes what is open on the other side, and opens nothing."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

import backtest
from backtest.actors import EventKind
from backtest.errors import RejectReason
from backtest.testing import Scripted
from tests.effort import examples
from tests.harness import D, bar, pair_of, play, refused, rules

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
        out = await me.short("BTCUSD", 1, limit_price=120, reduce_only=True)
        await refused(me, lambda: out.modify(take_profit=90), RejectReason.INVALID_ACTION)
        assert out.leaves == 1

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


# -- one path for the account ----------------------------------------------------------------------


def _exits(*orders: dict[str, Any], volume: Any = 1, **more: Any) -> Any:
    """Long from 100 at the second bar, and then reduce-only orders to get out again."""

    async def script(me: Any) -> None:
        await _long(me, volume, **more)
        for order in orders:
            await me.short("BTCUSD", order.pop("volume", volume), **order, reduce_only=True)

    return script


def test_what_the_price_reaches_first_happens_first() -> None:
    async def script(me: Any) -> None:
        await _long(me, 1)
        await me.long("BTCUSD", 1, limit_price=93)
        out = await me.short("BTCUSD", 2, stop_price=95, reduce_only=True)
        await me.next()
        assert (out.filled_volume, out.end_reason) == (1, ENDED)

    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 100, 90, 91)], script)
    # 95 comes before 93: it closes what is there, 1, and the long bought at 93 stays open
    assert world.fills()[1:] == ["netting SHORT 1 @ 95 low", "entry LONG 1 @ 93 low maker"]
    assert world.equity == D(1000) - 5 - 2


@pytest.mark.parametrize("protection", [{}, {"stop_loss": 92}], ids=["liquidation", "stop-loss"])
@pytest.mark.parametrize("order", [{"stop_price": 95}, {"trail": 5}], ids=["stop", "trailing"])
def test_the_nearer_of_a_reduce_only_stop_and_what_ends_the_position(
    protection: Any, order: Any
) -> None:
    # liquidated at 90, with ten times leverage; the price passes 95 before
    script = _exits(dict(order), volume=10, leverage=10, **protection)
    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 100, 85, 91)], script)
    assert world.fills()[1:] == ["netting SHORT 10 @ 95 low"]
    assert world.equity == 950


def test_a_stop_loss_that_is_nearer_goes_first() -> None:
    script = _exits({"stop_price": 95}, volume=10, leverage=10, stop_loss=97)
    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 100, 85, 91)], script)
    assert world.fills()[1:] == ["stop_loss SHORT 10 @ 97 low"]
    assert world.orders() == ["LONG 10 CLOSED stop_loss", "SHORT 10 CANCELLED REDUCE_ONLY"]


@pytest.mark.parametrize("first", [95, 97])
def test_of_two_stops_the_price_decides_and_not_which_was_sent_first(first: int) -> None:
    script = _exits({"stop_price": first}, {"stop_price": 192 - first})
    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 100, 90, 91)], script)
    assert world.fills()[1:] == ["netting SHORT 1 @ 97 low"]


@pytest.mark.parametrize("mode", ["isolated", "cross"])
@pytest.mark.parametrize("close", [96, 98, 100, 103])
def test_exits_on_both_sides_take_the_worse_path_and_say_so(mode: str, close: int) -> None:
    accounts = {"main": {"margin_mode": mode}}
    seen = {}
    for path in ("pessimistic", "open_high_low_close", "open_low_high_close"):
        script = _exits({"limit_price": 102}, {"stop_price": 98}, leverage=10)
        bars = [bar(0, 100), bar(1, 100), bar(2, 100, 103, 96, close)]
        world = play(bars, script, rules=rules(path=path), accounts=accounts)
        seen[path] = world.fills()[1:], world.equity
    stopped = ["netting SHORT 1 @ 98 low ambiguous"], D(998)
    limited = ["netting SHORT 1 @ 102 high maker ambiguous"], D(1002)
    assert seen == {
        "pessimistic": stopped,
        "open_high_low_close": limited,
        "open_low_high_close": stopped,
    }


def test_the_run_names_the_order_that_makes_the_interval() -> None:
    script = _exits({"limit_price": 102}, {"stop_price": 98}, leverage=10)
    bars = [bar(0, 100), bar(1, 100), bar(2, 100, 103, 96, 98)]
    result = backtest.run(Scripted(script=script), data={pair_of(): bars}, cash="1000 USD")
    interval = result.path_interval()
    assert (interval.low, interval.high) == (D(998), D(1002))
    assert [fill.ambiguous for fill in result.fills] == [False, True]
    assert [str(one) for one in interval.orders] == [str(result.fills[1].order_id)]


def test_a_stop_loss_and_a_reduce_only_limit_are_two_sides_of_one_exit() -> None:
    script = _exits({"limit_price": 105}, leverage=10, stop_loss=95)
    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 106, 94, 100)], script)
    assert world.fills()[1:] == ["stop_loss SHORT 1 @ 95 low ambiguous"]
    (other,) = world.records.fills[1].otherwise
    # with the high first the limit would have closed it at 105
    assert (other.kind, other.price, other.volume) == ("netting", 105, 1)


def test_a_loss_is_compared_as_far_as_the_margin_goes() -> None:
    # Margin 10 x 100 / 10. High first: 5 at 104, +20; the other 5 are liquidated at 90, -50.
    # Low first: all 10 are liquidated at 90, -100.
    script = _exits({"limit_price": 104, "volume": 5}, volume=10, leverage=10)
    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 105, 85, 100)], script)
    assert world.fills()[1:] == ["liquidation SHORT 10 @ 90 low ambiguous"]
    assert world.equity == 900


def test_a_fill_or_kill_closes_only_where_there_is_enough_for_it() -> None:
    # Of the 2 the stop at 98 closes 1 on the way down; the kill needs 2, and has them at the open.
    script = _exits(
        {"stop_price": 98, "volume": 1},
        {"limit_price": 99, "time_in_force": "FOK"},
        volume=2,
    )
    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 103, 96, 98)], script)
    assert world.fills()[1:] == ["netting SHORT 2 @ 100 open"]


@pytest.mark.parametrize("mode", ["isolated", "cross", "netting"])
@pytest.mark.parametrize("seed", range(examples(12, soak=250)))
def test_pessimistic_is_the_worse_path_and_what_differs_is_flagged(mode: str, seed: int) -> None:
    chance = Random(f"{mode} {seed}")
    low, high = 100 - chance.randint(1, 8), 100 + chance.randint(1, 8)
    last = bar(2, 100, high, low, chance.randint(low, high))
    long = chance.random() < 0.5
    sign = 1 if long else -1
    exits = [
        (chance.choice(["limit_price", "stop_price"]), chance.randint(1, 7), chance.randint(1, 2))
        for _ in range(chance.randint(1, 4))
    ]
    stop = chance.choice([None, chance.randint(1, 6)])
    protection = {} if stop is None else {"stop_loss": 100 - sign * stop}

    async def script(me: Any) -> None:
        await me.next()
        enter, leave = (me.long, me.short) if long else (me.short, me.long)
        await enter("BTCUSD", 2, leverage=10, **protection)
        await me.next()
        for kind, away, volume in exits:
            price = 100 + sign * away if kind == "limit_price" else 100 - sign * away
            await leave("BTCUSD", volume, leverage=10, reduce_only=True, **{kind: price})

    options = {"netting": True} if mode == "netting" else {"margin_mode": mode}
    equity, fills = {}, {}
    for path in ("open_high_low_close", "open_low_high_close", "pessimistic"):
        bars = [bar(0, 100), bar(1, 100), last]
        world = play(bars, script, rules=rules(path=path), accounts={"main": options})
        equity[path] = world.equity
        fills[path] = {
            (one.closing_order_id or one.branch_id, one.kind, one.price, one.volume): one.ambiguous
            for one in world.records.fills
        }
    high_first, low_first, worse = fills.values()
    assert equity["pessimistic"] == min(equity.values())
    assert worse in (high_first, low_first)
    whole_high, whole_low = (_by_order(one) for one in (high_first, low_first))
    for one in (high_first, low_first):
        for (order, kind, _, _), flagged in one.items():
            what = order, kind
            assert flagged == (whole_high.get(what) != whole_low.get(what))


def _by_order(fills: dict[Any, bool]) -> dict[Any, Any]:
    """What each order, or exit of a position, came to: at which price, and how much."""
    found: dict[Any, Any] = {}
    for order, kind, price, volume in fills:
        before = found.get((order, kind), (price, D(0)))
        found[order, kind] = price, before[1] + volume
    return found
