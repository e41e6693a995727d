"""Trailing stops: the level follows the price, at the end of each segment of the path, one way."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors import EventKind
from backtest.actors.protocol import Create
from backtest.errors import RejectReason
from backtest.models import ActionType, Instructions, OrderDirection
from tests.harness import D, M, bar, play, refused, rules

BOTH = {"USD": 1000, "BTC": 5}


def trailing(side: str, volume: object = 1, **terms: Any) -> Any:
    """A script: one trailing stop after the first bar; the level is noted after every bar."""

    async def script(me: Any) -> None:
        await me.next()
        me.order = await getattr(me, side)("BTCUSD", volume, **terms)
        me.levels = [me.order.trail_price]
        async for _ in me.stream:
            me.levels.append(me.order.trail_price)

    return script


def test_a_sell_follows_the_price_up_and_never_down() -> None:
    # From 100: 95. Bar 1 up to 108: 103. Bar 2 stays above it with a high of 107: still 103.
    # Bar 3 falls through it.
    bars = [
        bar(0, 100), bar(1, 104, 108, 104, 107), bar(2, 107, 107, 104, 105),
        bar(3, 105, 106, 101, 102),
    ]  # fmt: skip
    world = play(bars, trailing("sell", trail=5), cash=BOTH)
    assert world.strategies["s0"].levels == [D(95), D(103), D(103), None]
    assert world.fills() == ["entry SHORT 1 @ 103 low"]


def test_a_buy_follows_the_price_down_and_never_up() -> None:
    # From 100: 104. Bar 1 down to 93: 97. Bar 2 up to 96: still 97. Bar 3 rises through it.
    bars = [
        bar(0, 100), bar(1, 96, 96, 93, 94), bar(2, 94, 96, 94, 96), bar(3, 96, 99, 95, 98),
    ]  # fmt: skip
    world = play(bars, trailing("buy", trail=4))
    assert world.strategies["s0"].levels == [D(104), D(97), D(97), None]
    assert world.fills() == ["entry LONG 1 @ 97 high"]


def test_the_level_moves_at_the_end_of_a_segment_only() -> None:
    # Open 100, high 110, low 100, close 106, trail 5. High first: on 100 → 110 the level stays
    # where it is (95), at 110 it moves to 105; 110 → 100 falls through 105.
    bars = [bar(0, 100), bar(1, 100, 110, 100, 106)]
    world = play(
        bars, trailing("sell", trail=5), cash=BOTH, rules=rules(path="open_high_low_close")
    )
    assert world.fills() == ["entry SHORT 1 @ 105 low ambiguous"]
    # Low first: 100 → 100 leaves it, 100 → 110 moves it at the end, 110 → 106 does not reach 105.
    world = play(
        bars, trailing("sell", trail=5), cash=BOTH, rules=rules(path="open_low_high_close")
    )
    assert world.fills() == []
    assert world.strategies["s0"].levels == [D(95), D(105)]


def test_the_open_is_a_segment_of_its_own() -> None:
    # Level 95. The open 108 moves it to 103; 108 → 109 → 102 falls through 103 (and 104, where the
    # high moved it to): the high first, so 104.
    bars = [bar(0, 100), bar(1, 108, 109, 102, 105)]
    world = play(
        bars, trailing("sell", trail=5), cash=BOTH, rules=rules(path="open_high_low_close")
    )
    assert world.fills() == ["entry SHORT 1 @ 104 low ambiguous"]
    # Low first: the open alone had moved it.
    world = play(
        bars, trailing("sell", trail=5), cash=BOTH, rules=rules(path="open_low_high_close")
    )
    assert world.fills() == ["entry SHORT 1 @ 103 low ambiguous"]


def test_a_gap_through_the_level_fills_at_the_open() -> None:
    world = play([bar(0, 100), bar(1, 90, 91, 88, 90)], trailing("sell", trail=5), cash=BOTH)
    assert world.fills() == ["entry SHORT 1 @ 90 open"]
    world = play([bar(0, 100), bar(1, 111, 112, 109, 110)], trailing("buy", trail=4))
    assert world.fills() == ["entry LONG 1 @ 111 open"]


def test_slippage_is_that_of_a_stop() -> None:
    bars = [bar(0, 100), bar(1, 97, 98, 90, 91)]
    world = play(bars, trailing("sell", trail=5), cash=BOTH, rules=rules(slippage="0.25"))
    assert world.fills() == ["entry SHORT 1 @ 94.75 low"]


def test_percent_is_of_the_price_it_follows_and_rounds_against_the_trader() -> None:
    # 3 % below 100 is 97; of 101.11 it is 98.0767, so 98.07 for a sell (down). A buy 3 % above
    # 99.99 is 102.9897, so 102.99 (up).
    bars = [bar(0, 100), bar(1, "101.11", "101.11", 100, 100)]
    world = play(bars, trailing("sell", trail_percent=3), cash=BOTH)
    assert world.strategies["s0"].levels == [D(97), D("98.07")]
    bars = [bar(0, 100), bar(1, 100, 100, "99.99", 100)]
    world = play(bars, trailing("buy", trail_percent=3))
    assert world.strategies["s0"].levels == [D(103), D("102.99")]


def test_it_may_begin_at_a_price() -> None:
    # Begins at 90, follows once the price is above 95.
    bars = [bar(0, 100), bar(1, 94, 94, 91, 92), bar(2, 96, 97, 96, 97)]
    world = play(bars, trailing("sell", trail=5, stop_price=90), cash=BOTH)
    assert world.strategies["s0"].levels == [D(90), D(90), D(92)]


def test_accepted_inside_a_bar_it_sees_the_close_only() -> None:
    # Sent 30 s into bar 1: its high of 120 does not move the level, its close of 103 does.
    async def script(me: Any) -> None:
        await me.next()
        await me.sleep(30)
        order = await me.sell("BTCUSD", 1, trail=5)
        assert order.trail_price == D(95)
        await me.next()
        assert order.trail_price == D(98)

    play([bar(0, 100), bar(1, 100, 120, 90, 103)], script, cash=BOTH)


def test_the_owner_is_told_of_every_move() -> None:
    bars = [bar(0, 100), bar(1, 104, 108, 104, 107), bar(2, 107, 107, 104, 105)]
    world = play(bars, trailing("sell", trail=5), cash=BOTH)
    moved = [one for one in world.strategies["s0"].heard if one.kind is EventKind.TRAILED]
    assert [(one.level, one.order.stop_price, one.time) for one in moved] == [
        (D(103), D(103), 2 * M)
    ]
    assert world.records.orders[0].stop_price == D(103)


def heard(world: Any) -> list[Any]:
    """Kind and level of what the owner heard of trailing stops and fills, in order."""
    kinds = (EventKind.TRAILED, EventKind.TRIGGERED, EventKind.FILLED, EventKind.CLOSED)
    events = [one for one in world.strategies["s0"].heard if one.kind in kinds]
    return [(one.kind.value, one.level) for one in events]


def test_the_owner_is_told_of_a_move_on_the_very_bar_of_the_fill() -> None:
    # Low first: at 94 the level of the buy moves from 106 to 100, which is met on the way to 101;
    # of 2 there is 1.
    bars = [bar(0, 100), bar(1, 100, 101, 94, 97, 1), bar(2, 97)]

    async def two(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, trail=6)
        await me.next()
        assert order.trail_price == D(100)

    assert heard(play(bars, two)) == [
        ("trailed", D(100)),
        ("filled", None),
        ("triggered", None),
        ("filled", None),
    ]


def test_the_owner_is_told_of_the_last_move_of_a_close() -> None:
    # High first: at 110 the level of the close moves from 95 to 105, which the way down meets.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1)
        await me.next()
        await order.close(trail=5)
        await me.next()

    bars = [bar(0, 100), bar(1, 100), bar(2, 100, 110, 100, 106)]
    world = play(bars, script, rules=rules(path="open_high_low_close"))
    assert heard(world) == [("filled", None), ("trailed", D(105)), ("closed", None)]


def test_a_filled_order_keeps_the_level_at_which_it_was_reached() -> None:
    bars = [bar(0, 100), bar(1, 108, 109, 102, 105)]
    world = play(
        bars, trailing("sell", trail=5), cash=BOTH, rules=rules(path="open_high_low_close")
    )
    assert world.records.orders[0].stop_price == D(104)


def test_a_buy_reserves_its_first_level_with_the_buffer_and_keeps_it() -> None:
    # 104 x 1.05 = 109.20; the level falls to 97, the reserve stays.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, trail=4)
        assert me.balance("USD") == (D("781.60"), D("218.40"))
        await me.next()
        assert order.trail_price == D(97)
        assert me.balance("USD") == (D("781.60"), D("218.40"))
        await me.next()
        assert me.balance("USD") == (D(806), D(0))

    play([bar(0, 100), bar(1, 96, 96, 93, 94), bar(2, 96, 98, 96, 98)], script)


def test_a_short_reserves_the_level_with_the_buffer_or_the_last_price() -> None:
    # Level 95, x 1.05 = 99.75, the last price 100 is more: 2 x 100 / 5.
    async def script(me: Any) -> None:
        await me.next()
        await me.short("BTCUSD", 2, trail=5, leverage=5)
        assert me.balance("USD") == (D(960), D(40))

    play([bar(0, 100), bar(1, 100)], script)


def test_a_triggered_one_without_volume_is_a_market_order_from_then_on() -> None:
    # Bar 1 falls through 95 and trades 1 of 3; bar 2 opens at 99, above the level: all the same.
    bars = [bar(0, 100), bar(1, 97, 98, 94, 96, volume=1), bar(2, 99, 101, 98, 100, volume=5)]
    world = play(bars, trailing("sell", 3, trail=5), cash=BOTH)
    assert world.fills() == ["entry SHORT 1 @ 95 low", "entry SHORT 2 @ 99 open"]
    assert [kind for kind, _ in world.strategies["s0"].told()] == [
        "accepted", "filled", "triggered", "filled",
    ]  # fmt: skip


def test_it_enters_a_position_that_its_stop_loss_ends_on_the_same_bar() -> None:
    # Long when the price turns up by 3. Bar 1, low first: 100 → 95 moves the level to 98 at its
    # end; 95 → 101 reaches 98; 101 → 96 passes the stop-loss at 97.
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, trail=3, stop_loss=97, leverage=5)
        await me.next()

    world = play(
        [bar(0, 100), bar(1, 100, 101, 95, 96)], script, rules=rules(path="open_low_high_close")
    )
    assert world.fills() == [
        "entry LONG 1 @ 98 high ambiguous",
        "stop_loss SHORT 1 @ 97 close ambiguous",
    ]
    assert world.balance() == (D(999), D(0))


def test_the_pessimistic_path_of_a_trailing_entry() -> None:
    # Short when the price turns down by 5: bar 100 / 110 / 100 / 103. High first: sold at 105, at
    # +2 by the close of 103. Low first: nothing, for 110 → 103 falls through 105 too: sold at 105.
    world = play([bar(0, 100), bar(1, 100, 110, 100, 103)], trailing("short", trail=5, leverage=5))
    assert world.fills() == ["entry SHORT 1 @ 105 low"]
    # With a close of 107 low first sells nothing (0), high first sells at 105 (-2): the worse.
    world = play([bar(0, 100), bar(1, 100, 110, 100, 107)], trailing("short", trail=5, leverage=5))
    assert world.fills() == ["entry SHORT 1 @ 105 low ambiguous"]


def test_a_position_is_closed_by_a_trailing_stop() -> None:
    # Long at 100; trail 4 from 100: 96. Bar 2 up to 107: 103; bar 3 falls through it.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2, leverage=2)
        await me.next()
        await order.close(trail=4)
        assert order.trail_price == D(96)
        await me.next()
        assert order.trail_price == D(103)
        await me.next()
        assert order.status.name == "CLOSED"
        assert order.trail_price is None

    bars = [bar(0, 100), bar(1, 100), bar(2, 104, 107, 104, 106), bar(3, 106, 106, 102, 102)]
    world = play(bars, script)
    assert world.fills() == ["entry LONG 2 @ 100 open", "close SHORT 2 @ 103 low"]
    assert world.balance() == (D(1006), D(0))


def test_a_trailing_close_of_a_short_races_with_its_stop_loss() -> None:
    # Short at 100, stop-loss 110, trailing 5 (105). Bar 2 down to 94: the level is 99. Bar 3 rises
    # to 112: 99 comes first, and nothing is left for the stop-loss.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.short("BTCUSD", 1, leverage=2, stop_loss=110)
        await me.next()
        await order.close(trail_percent=5)
        assert order.trail_price == D(105)
        await me.next()
        assert order.trail_price == D("98.70")
        await me.next()

    bars = [bar(0, 100), bar(1, 100), bar(2, 98, 98, 94, 95), bar(3, 96, 112, 95, 111)]
    world = play(bars, script)
    # 94 x 1.05 = 98.70
    assert world.fills() == ["entry SHORT 1 @ 100 open", "close LONG 1 @ 98.7 high"]
    assert world.balance() == (D("1001.30"), D(0))


def test_a_cancelled_trailing_close_is_gone() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1, leverage=2)
        await me.next()
        await order.close(trail=4)
        await order.cancel()
        assert order.trail_price is None
        await me.next()
        assert order.open_volume == 1

    play([bar(0, 100), bar(1, 100), bar(2, 90)], script)


def test_another_trail_begins_anew_from_the_last_price() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", 1, trail=5)
        await me.next()
        assert order.trail_price == D(103)  # 108 - 5
        await order.modify(trail=2)
        assert order.trail_price == D(105)  # 107 - 2
        await order.modify(trail_percent=10)
        assert order.trail_price == D("96.30")  # 107 - 10.7
        await order.modify(stop_price=100)
        assert order.trail_price == D(100)
        await me.next()

    world = play(
        [bar(0, 100), bar(1, 104, 108, 104, 107), bar(2, 101, 101, 99, 99)], script, cash=BOTH
    )
    assert world.fills() == ["entry SHORT 1 @ 100 low"]


def test_parts_and_leaves_go_on_from_the_level_that_was_reached() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", 3, trail=5)
        await me.next()
        assert order.trail_price == D(103)
        await order.cancel(1)
        parts = await order.split([1, 1])
        assert [one.trail_price for one in parts] == [D(103), D(103)]
        await me.next()
        assert [one.trail_price for one in parts] == [D(104), D(104)]
        await me.next()
        assert [one.average_price for one in parts] == [D(104), D(104)]

    bars = [
        bar(0, 100), bar(1, 104, 108, 104, 107), bar(2, 107, 109, 106, 107),
        bar(3, 107, 107, 100, 101),
    ]  # fmt: skip
    play(bars, script, cash=BOTH)


def test_a_volume_increase_keeps_the_level() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", 1, trail=5)
        await me.next()
        await order.modify(volume=2)
        assert (order.leaves, order.trail_price) == (D(2), D(103))
        await me.next()

    world = play([bar(0, 100), bar(1, 104, 108, 104, 107), bar(2, 102)], script, cash=BOTH)
    assert world.fills() == ["entry SHORT 2 @ 102 open"]


def test_it_can_be_sent_as_a_value() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.submit(
            me.action(
                ActionType.CREATE_TRADE_TRAILING_STOP,
                "BTCUSD",
                volume=D(1),
                direction=OrderDirection.SHORT,
                instructions=Instructions(trail=D(5)),
            )
        )
        assert order.trail_price == D(95)
        await me.submit(
            me.action(
                ActionType.MODIFY_TRADE_TRAILING_STOP,
                "BTCUSD",
                order_id=order.id,
                instructions=Instructions(trail_percent=D(1)),
            )
        )
        assert order.trail_price == D(99)

    play([bar(0, 100), bar(1, 100)], script)


@pytest.mark.parametrize(
    ("side", "terms", "reason"),
    [
        ("sell", {"trail": "0.001"}, RejectReason.PRICE_INCREMENT),
        ("sell", {"trail": 100}, RejectReason.INVALID_PRICE),
        ("sell", {"trail": 1, "stop_price": "99.999"}, RejectReason.PRICE_INCREMENT),
        ("buy", {"trail": 1, "post_only": True}, RejectReason.INVALID_ACTION),
    ],
)
def test_what_is_refused(side: str, terms: dict[str, Any], reason: RejectReason) -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(me, lambda: getattr(me, side)("BTCUSD", 1, **terms), reason)

    play([bar(0, 100), bar(1, 100)], script, cash=BOTH)


def test_without_a_price_there_is_nothing_to_trail() -> None:
    async def script(me: Any) -> None:
        await refused(me, lambda: me.sell("BTCUSD", 1, trail=5), RejectReason.NO_PRICE_YET)
        await me.sell("BTCUSD", 1, trail=5, stop_price=90)

    play([bar(0, 100), bar(1, 100)], script, cash=BOTH)


def test_what_does_not_trail_cannot_be_made_to() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", 1, stop_price=90)
        await refused(me, lambda: order.modify(trail=5), RejectReason.INVALID_ACTION)
        position = await me.long("BTCUSD", 1)
        await me.next()
        await refused(me, lambda: position.modify(trail=5), RejectReason.ALREADY_DONE)
        await refused(
            me, lambda: position.close(limit_price=90, trail=5), RejectReason.INVALID_ACTION
        )

    play([bar(0, 100), bar(1, 100)], script, cash=BOTH)


def test_a_distance_and_a_percentage_are_one_too_many() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", 1, trail=5)
        position = await me.long("BTCUSD", 1)
        await me.next()
        both = {"trail": 5, "trail_percent": 5}
        await refused(me, lambda: order.modify(**both), RejectReason.INVALID_ACTION)
        await refused(me, lambda: position.close(**both), RejectReason.INVALID_ACTION)

    play([bar(0, 100), bar(1, 100)], script, cash=BOTH)


def test_only_a_trailing_stop_trails() -> None:
    # What a strategy's calls cannot say, a message can.
    async def script(me: Any) -> None:
        await me.next()
        await me._host.link("broker").send(
            Create(
                9, "main", "BTCUSD", True, "market", OrderDirection.SHORT, D(1), None, None,
                instructions=Instructions(trail=D(5)),
            )
        )  # fmt: skip
        await me.sleep(1)
        assert me.told() == [("rejected", "INVALID_ACTION")]

    play([bar(0, 100), bar(1, 100)], script, cash=BOTH)


def test_a_close_that_came_too_late_is_not_told_of_as_moved() -> None:
    # The take-profit at 105 closes all on bar 2; the trailing close, which the open of 103 had
    # moved, is gone with the position.
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1, take_profit=105)
        await me.next()
        await order.close(trail=4)
        await me.next()
        assert order.trail_price is None

    world = play([bar(0, 100), bar(1, 100), bar(2, 103, 106, 103, 106)], script)
    assert world.strategies["s0"].told(EventKind.TRAILED) == []
    assert world.fills()[1] == "take_profit SHORT 1 @ 105 high maker"


def test_a_partner_that_was_cancelled_is_not_told_of_as_moved() -> None:
    # The limit at 105 fills on the way up, and cancels its trailing partner, which had moved.
    async def script(me: Any) -> None:
        await me.next()
        await me.sell("BTCUSD", 1, limit_price=105, oco="exit")
        await me.sell("BTCUSD", 1, trail=4, oco="exit")
        await me.next()

    world = play([bar(0, 100), bar(1, 103, 106, 103, 106)], script, cash=BOTH)
    assert world.strategies["s0"].told(EventKind.TRAILED) == []
    assert world.orders() == ["SHORT 1 FILLED", "SHORT 1 CANCELLED ONE_CANCELS_OTHER"]


def test_the_level_reached_first_wins_among_partners() -> None:
    # Low first: 100 falls to 96, where the trailing stop stands; the limit never comes.
    async def script(me: Any) -> None:
        await me.next()
        await me.sell("BTCUSD", 1, limit_price=105, oco="exit")
        await me.sell("BTCUSD", 1, trail=4, oco="exit")
        await me.next()

    world = play(
        [bar(0, 100), bar(1, 100, 106, 95, 100)],
        script,
        cash=BOTH,
        rules=rules(path="open_low_high_close"),
    )
    assert world.fills() == ["entry SHORT 1 @ 96 low ambiguous"]


def test_what_is_left_of_a_reached_one_keeps_its_level_when_it_loses_its_place() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", 2, trail=5)
        await me.next()
        # 105 - 5 = 100 was reached on the way down, where there was 1 to sell
        assert (order.is_triggered, order.leaves, order.live.stop_price) == (True, 1, 100)
        await order.modify(volume=3)
        await me.next()
        assert order.is_filled
        assert EventKind.TRAILED.value not in [kind for kind, _ in me.told()[-2:]]

    bars = [bar(0, 100), bar(1, 100, 105, 99, 99, 1), bar(2, 98)]
    world = play(bars, script, cash={"BTC": 3}, rules=rules(path="open_high_low_close"))
    assert world.records.orders[-1].stop_price == 100
    assert all(one.stop_price == 100 for one in world.records.orders[1:])
