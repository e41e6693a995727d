"""Spot brackets: a buy whose every fill puts what it bought up for sale at two prices."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import backtest
from backtest.actors import EventKind
from backtest.errors import OrderRejected, RejectReason
from backtest.models import Bar, Quote, SpotOrder
from backtest.strategies import Strategy
from tests.harness import D, bar, pair_of, play, refused, rules


async def _bracket(me: Any, volume: Any = 2, **more: Any) -> Any:
    """Buy at the first bar's close, to be sold at 95 or 110."""
    await me.next()
    return await me.buy("BTCUSD", volume, **{"stop_loss": 95, "take_profit": 110, **more})


async def _entered(me: Any, volume: Any = 2, **more: Any) -> Any:
    """The exit of such an order that filled on the next bar."""
    entry = await _bracket(me, volume, **more)
    await me.next()
    (exit,) = entry.exits
    return exit


def test_what_is_bought_goes_into_the_reserve_of_the_exit_in_the_same_entry() -> None:
    async def script(me: Any) -> None:
        entry = await _bracket(me)
        assert entry.exits == []
        assert me.balance("USD") == (D(790), D(210))
        await me.next()
        (exit,) = entry.exits
        assert (entry.is_filled, exit.leaves, exit.entry) == (True, 2, entry)
        assert (exit.live.stop_price, exit.live.limit_price) == (95, 110)
        assert exit.live.entry_order_id == entry.id
        assert me.balance("BTC") == (D(0), D(2))
        assert me.open_orders() == [exit]
        await me.next()
        assert exit.is_filled
        assert (exit.average_price, exit.filled_volume) == (110, 2)
        assert me.balance("BTC") == (D(0), D(0))

    # 100 x 1.05 x 2 = 210 in reserve, 200 paid; sold for 2 x 110
    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 111)], script)
    assert world.entries() == [
        ["RESERVE_MARGIN USD -210 210"],
        [
            "FILL_BUY USD 0 -200",
            "SPOT_EXCHANGE BTC 2 0",
            "RETURN_MARGIN USD 10 -10",
            "RESERVE_MARGIN BTC -2 2",
        ],
        ["FILL_SELL BTC 0 -2", "SPOT_EXCHANGE USD 220 0"],
    ]
    assert world.fills() == ["entry LONG 2 @ 100 open", "take_profit SHORT 2 @ 110 high maker"]
    assert world.orders() == ["LONG 2 FILLED", "SHORT 2 FILLED"]
    assert world.balance("USD") == (D(1020), D(0))


def test_the_stop_can_come_on_the_rest_of_the_bar_of_the_entry() -> None:
    async def script(me: Any) -> None:
        exit = await _entered(me)
        assert exit.is_filled
        assert me.told() == [
            ("accepted", None),
            ("filled", None),
            ("accepted", None),
            ("filled", None),
        ]

    world = play([bar(0, 100), bar(1, 100, 101, 94, 96)], script)
    assert world.fills() == ["entry LONG 2 @ 100 open", "stop_loss SHORT 2 @ 95 low"]
    assert world.balance("USD") == (D(990), D(0))


def test_both_legs_on_one_bar_the_worse_is_taken_and_flagged() -> None:
    async def script(me: Any) -> None:
        await _entered(me)

    # High first: 110, +20. Low first: 95, -10.
    bars = [bar(0, 100), bar(1, 100, 111, 94, 100)]
    world = play(bars, script)
    assert world.fills() == ["entry LONG 2 @ 100 open", "stop_loss SHORT 2 @ 95 low ambiguous"]
    world = play(bars, script, rules=rules(path="open_high_low_close"))
    assert world.fills()[1] == "take_profit SHORT 2 @ 110 high maker ambiguous"


def test_both_legs_on_a_later_bar() -> None:
    async def script(me: Any) -> None:
        await _entered(me)
        await me.next()

    # 95 is -5 against the close of 100, 110 is +10.
    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 111, 94, 100)], script)
    assert world.fills()[1] == "stop_loss SHORT 2 @ 95 low ambiguous"


def test_a_limit_entry_is_stopped_on_what_is_left_of_its_segment() -> None:
    async def script(me: Any) -> None:
        await _entered(me, limit_price=98, stop_loss=97)

    # Whichever extreme is first: down through 98 and 97.
    world = play([bar(0, 100), bar(1, 100, 105, 96, 104)], script)
    assert world.fills() == ["entry LONG 2 @ 98 low maker", "stop_loss SHORT 2 @ 97 low"]
    assert world.balance("USD") == (D(998), D(0))


def test_the_legs_of_a_pending_entry_die_with_it() -> None:
    async def script(me: Any) -> None:
        entry = await _bracket(me, limit_price=98)
        await me.next()
        await entry.cancel()
        assert entry.exits == []
        await me.next()

    # 111 and 94 are passed while the entry waits and after it is gone: nothing to sell.
    bars = [bar(0, 100), bar(1, 105, 111, 105, 105), bar(2, 105, 105, 90, 90)]
    world = play(bars, script)
    assert world.orders() == ["LONG 2 CANCELLED REQUESTED"]
    assert world.balance("USD") == (D(1000), D(0))


def test_each_part_of_the_entry_has_an_exit_of_its_own() -> None:
    async def script(me: Any) -> None:
        entry = await _bracket(me, 3, limit_price=100, stop_loss=90)
        await me.next()
        assert (entry.leaves, [one.leaves for one in entry.exits]) == (2, [1])
        assert me.balance("BTC") == (D(0), D(1))
        await me.next()
        # a gap over the take-profit: the open
        assert entry.exits[0].average_price == 111
        assert entry.leaves == 2
        await me.next()
        assert entry.is_filled
        assert [one.leaves for one in entry.exits] == [0, 2]
        await me.next()
        assert entry.exits[1].average_price == 89

    bars = [
        bar(0, 100),
        bar(1, 100, volume=1),
        bar(2, 111, volume=5),
        bar(3, 99, volume=5),
        bar(4, 89, volume=5),
    ]
    world = play(bars, script)
    # -100 + 111 - 2 x 99 + 2 x 89
    assert world.balance("USD") == (D(991), D(0))
    assert world.orders() == ["LONG 1 FILLED", "LONG 2 FILLED", "SHORT 1 FILLED", "SHORT 2 FILLED"]


def test_a_part_of_one_leg_reduces_the_other() -> None:
    async def script(me: Any) -> None:
        exit = await _entered(me)
        await me.next()
        assert (exit.filled_volume, exit.leaves) == (D("0.5"), D("1.5"))
        assert me.balance("BTC") == (D(0), D("1.5"))
        await me.next()
        assert exit.is_filled

    bars = [bar(0, 100), bar(1, 100), bar(2, 110, volume="0.5"), bar(3, 100, 100, 94, 94, 5)]
    world = play(bars, script)
    assert world.fills()[1:] == [
        "take_profit SHORT 0.5 @ 110 open maker",
        "stop_loss SHORT 1.5 @ 95 low",
    ]
    # 1000 - 200 + 55 + 142.50
    assert world.balance("USD") == (D("997.5"), D(0))


def test_a_stop_that_found_no_volume_sells_at_the_next_open_wherever_that_is() -> None:
    async def script(me: Any) -> None:
        exit = await _entered(me)
        await me.next()
        assert exit.leaves == 2
        assert me.told(EventKind.TRIGGERED) == [("triggered", None)]
        await me.next()
        assert exit.average_price == 112

    bars = [bar(0, 100), bar(1, 100), bar(2, 100, 100, 94, 100, 0), bar(3, 112)]
    world = play(bars, script)
    assert world.fills()[1] == "stop_loss SHORT 2 @ 112 open"


def test_an_entry_that_gaps_beyond_its_stop_does_not_happen() -> None:
    async def script(me: Any) -> None:
        entry = await _bracket(me)
        await me.next()
        assert (entry.end_reason, entry.exits) == ("PROTECTION_PASSED", [])
        assert me.balance("USD") == (D(1000), D(0))

    play([bar(0, 100), bar(1, 95)], script)


def test_protection_on_the_wrong_side_is_refused() -> None:
    async def script(me: Any) -> None:
        await me.next()
        side = RejectReason.PROTECTION_SIDE
        await refused(me, lambda: me.buy("BTCUSD", 1, stop_loss=100), side)
        await refused(me, lambda: me.buy("BTCUSD", 1, take_profit=99), side)
        await refused(me, lambda: me.buy("BTCUSD", 1, limit_price=90, stop_loss=95), side)
        await refused(
            me, lambda: me.buy("BTCUSD", 1, stop_loss="90.001"), RejectReason.PRICE_INCREMENT
        )

    play([bar(0, 100)], script)


def test_what_the_money_allows_has_its_exit() -> None:
    async def script(me: Any) -> None:
        entry = await _bracket(me, 5, take_profit=500)
        await me.next()
        # 1000 at 300 each: 3.333 for 999.90
        (exit,) = entry.exits
        assert (entry.end_reason, exit.leaves) == ("INSUFFICIENT_FUNDS", D("3.333"))
        assert me.balance("USD") == (D("0.1"), D(0))
        assert me.balance("BTC") == (D(0), D("3.333"))

    play([bar(0, 100), bar(1, 300)], script)


def test_a_cancelled_exit_gives_the_base_back() -> None:
    async def script(me: Any) -> None:
        exit = await _entered(me)
        await exit.cancel("0.5")
        assert me.balance("BTC") == (D("0.5"), D("1.5"))
        await exit.cancel()
        assert me.balance("BTC") == (D(2), D(0))
        await refused(me, lambda: exit.cancel(), RejectReason.ALREADY_DONE)
        await me.next()
        assert me.balance("BTC") == (D(2), D(0))

    world = play([bar(0, 100), bar(1, 100), bar(2, 94)], script)
    assert world.orders() == [
        "LONG 2 FILLED",
        "SHORT 0.5 CANCELLED REQUESTED",
        "SHORT 1.5 CANCELLED REQUESTED",
    ]


def test_both_prices_of_an_exit_can_be_modified() -> None:
    async def script(me: Any) -> None:
        exit = await _entered(me)
        await exit.modify(stop_price=97, limit_price=105)
        assert (exit.live.stop_price, exit.live.limit_price) == (97, 105)
        await exit.modify(take_profit=104)
        await exit.modify(stop_loss=96)
        assert (exit.live.stop_price, exit.live.limit_price) == (96, 104)
        await refused(me, lambda: exit.modify(stop_price=100), RejectReason.PROTECTION_SIDE)
        await refused(me, lambda: exit.modify(limit_price=99), RejectReason.PROTECTION_SIDE)
        await refused(me, lambda: exit.modify(volume=3), RejectReason.INVALID_VOLUME)
        await refused(
            me, lambda: exit.modify(stop_price=90, stop_loss=91), RejectReason.INVALID_ACTION
        )
        await refused(me, lambda: exit.modify(), RejectReason.NOTHING_TO_CHANGE)
        await me.next()
        assert exit.average_price == 104

    world = play([bar(0, 100), bar(1, 100), bar(2, 100, 104, 97, 100)], script)
    assert world.orders() == [
        "LONG 2 FILLED",
        "SHORT 2 REPLACED REQUESTED",
        "SHORT 2 REPLACED REQUESTED",
        "SHORT 2 REPLACED REQUESTED",
        "SHORT 2 FILLED",
    ]


def test_a_leg_can_be_taken_away_but_not_both() -> None:
    async def script(me: Any) -> None:
        exit = await _entered(me)
        await exit.modify(clear=["stop_loss"])
        assert (exit.live.stop_price, exit.live.limit_price) == (None, 110)
        await refused(me, lambda: exit.modify(clear=["take_profit"]), RejectReason.INVALID_ACTION)
        await me.next()
        assert exit.leaves == 2
        await exit.modify(stop_price=80)
        await me.next()
        assert exit.average_price == 79

    bars = [bar(0, 100), bar(1, 100), bar(2, 94, 94, 90, 90), bar(3, 79)]
    play(bars, script)


def test_less_volume_of_an_exit_frees_the_rest() -> None:
    async def script(me: Any) -> None:
        exit = await _entered(me)
        await exit.modify(volume="1.5")
        assert me.balance("BTC") == (D("0.5"), D("1.5"))
        await me.next()
        assert exit.leaves == D("0.5")
        # 1.2 in all, of which 1 is sold
        await exit.modify(volume="1.2")
        assert me.balance("BTC") == (D("0.8"), D("0.2"))
        await exit.modify(volume=1)
        assert exit.end_reason == "MODIFIED_AWAY"
        assert me.balance("BTC") == (D(1), D(0))

    play([bar(0, 100), bar(1, 100), bar(2, 110, volume=1)], script)


def test_several_take_profits_by_splitting() -> None:
    async def script(me: Any) -> None:
        entry = await _bracket(me)
        await me.next()
        near, far = await entry.exits[0].split([D("1.5"), D("0.5")], limit_prices=[105, 120])
        assert entry.exits[1:] == [near, far]
        assert entry.exits[0].is_replaced
        assert me.balance("BTC") == (D(0), D(2))
        await me.next()
        assert (near.average_price, far.leaves) == (105, D("0.5"))
        await me.next()
        assert far.average_price == 95

    bars = [bar(0, 100), bar(1, 100), bar(2, 100, 112), bar(3, 100, 100, 94, 94)]
    world = play(bars, script)
    assert world.fills()[1:] == [
        "take_profit SHORT 1.5 @ 105 high maker",
        "stop_loss SHORT 0.5 @ 95 low",
    ]
    # 1000 - 200 + 157.50 + 47.50
    assert world.balance("USD") == (D(1005), D(0))


def test_a_split_on_the_wrong_side_or_of_another_sum_is_refused() -> None:
    async def script(me: Any) -> None:
        exit = await _entered(me)
        await refused(me, lambda: exit.split([1, "0.5"]), RejectReason.STALE)
        await refused(
            me, lambda: exit.split([1, 1], limit_prices=[90, 120]), RejectReason.PROTECTION_SIDE
        )
        await me.next()
        assert exit.average_price == 110

    play([bar(0, 100), bar(1, 100), bar(2, 110)], script)


def test_a_triggered_stop_stays_triggered_in_the_parts() -> None:
    async def script(me: Any) -> None:
        exit = await _entered(me)
        await me.next()
        one, two = await exit.split([1, 1])
        await me.next()
        assert (one.average_price, two.average_price) == (101, 101)

    play([bar(0, 100), bar(1, 100), bar(2, 100, 100, 94, 100, 0), bar(3, 101)], script)


def test_an_exit_pays_for_its_fill_and_for_nothing_else() -> None:
    async def script(me: Any) -> None:
        exit = await _entered(me)
        await exit.cancel(1)
        await me.next()

    fees = {
        "create": {"flat_per_trade": 3},
        "fill": {"percent_of_notional": "0.01"},
        "cancel": {"flat_per_trade": 5},
        "overnight_pending": {"flat_per_trade": 7},
    }
    bars = [bar(0, 100), bar(1, 100), bar(2, 110)]
    world = play(bars, script, rules=rules(fees=fees, rollover_ns=bars[2].open_ns - 1))
    # 3 to order, 1 % of 200 to buy, 1 % of 110 to sell one; nothing for creating, cancelling or
    # keeping the exit
    assert [line for line in world.journal() if "FEE" in line] == [
        "FEE_CREATE USD -3 0",
        "FEE_FILL USD 0 -2",
        "FEE_FILL USD -1.1 0",
    ]
    assert world.balance("USD") == (D(1000 - 3 - 202 + 110) - D("1.1"), D(0))


def test_one_leg_is_enough() -> None:
    async def stop(me: Any) -> None:
        exit = await _entered(me, take_profit=None)
        assert (exit.live.stop_price, exit.live.limit_price) == (95, None)
        await me.next()
        assert exit.average_price == 95

    async def target(me: Any) -> None:
        exit = await _entered(me, stop_loss=None)
        await me.next()
        assert exit.average_price == 110

    bars = [bar(0, 100), bar(1, 100), bar(2, 100, 120, 90, 100)]
    assert play(bars, stop).fills()[1] == "stop_loss SHORT 2 @ 95 low"
    assert play(bars, target).fills()[1] == "take_profit SHORT 2 @ 110 high maker"


def test_protection_of_a_pending_entry_can_be_modified() -> None:
    async def script(me: Any) -> None:
        entry = await _bracket(me, 2, limit_price=100, stop_loss=90)
        await me.next()
        await entry.modify(stop_loss=96)
        await refused(me, lambda: entry.modify(stop_loss=101), RejectReason.PROTECTION_SIDE)
        await me.next()
        first, second = entry.exits
        # what was bought before keeps its stop: it is an order of its own
        assert (first.live.stop_price, second.live.stop_price) == (90, 96)
        await me.next()
        assert (first.leaves, second.leaves) == (1, 0)

    bars = [bar(0, 101), bar(1, 100, volume=1), bar(2, 100), bar(3, 98, 98, 95, 98)]
    play(bars, script)


def test_an_entry_can_be_split_with_its_protection() -> None:
    async def script(me: Any) -> None:
        entry = await _bracket(me, 2, limit_price=98)
        one, two = await entry.split([1, 1], limit_prices=[97, 98])
        await me.next()
        assert [part.exits[0].leaves for part in (one, two)] == [1, 1]
        await me.next()
        assert [part.exits[0].average_price for part in (one, two)] == [95, 95]

    world = play([bar(0, 100), bar(1, 98, 98, 96, 96), bar(2, 96, 96, 94, 94)], script)
    # 97 + 98 paid, 2 x 95 back
    assert world.balance("USD") == (D(995), D(0))


def test_a_spot_sell_has_no_protection() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", 1, limit_price=110)
        await refused(me, lambda: order.modify(stop_loss=90), RejectReason.NOT_SUPPORTED)

    play([bar(0, 100)], script, cash={"BTC": 1})


def test_at_this_close_the_exit_acts_from_the_next_bar_on() -> None:
    async def script(me: Any) -> None:
        await me.next()
        entry = await me.buy("BTCUSD", 1, stop_loss=95, take_profit=110)
        await entry.done()
        assert entry.exits[0].leaves == 1
        await me.next()
        assert entry.exits[0].average_price == 95

    bars = [bar(0, 100, 120, 90, 100), bar(1, 100, 100, 95, 100)]
    play(bars, script, rules=rules(fill_on="this_close"))


def test_close_all_gives_the_base_back() -> None:
    async def script(me: Any) -> None:
        exit = await _entered(me)
        await me.close_all(spot=False)
        assert exit.end_reason == "REQUESTED"
        assert me.balance("BTC") == (D(2), D(0))

    play([bar(0, 100), bar(1, 100)], script)


def test_the_partners_of_a_bracket_are_cancelled_and_its_exit_is_not_one_of_them() -> None:
    async def script(me: Any) -> None:
        entry = await _bracket(me, limit_price=98, oco="a")
        other = await me.buy("BTCUSD", 1, stop_price=110, oco="a")
        await me.next()
        assert other.end_reason == "ONE_CANCELS_OTHER"
        (exit,) = entry.exits
        assert exit.live.instructions.oco is None
        await me.next()
        assert exit.average_price == 95

    play([bar(0, 100), bar(1, 98), bar(2, 95)], script)


class Bracketing(Strategy):
    """Buys on every tenth bar, to be sold a little below or above."""

    async def on_bar(self, bar: Bar) -> None:
        if bar.close_ns // 60_000_000_000 % 10 == 1:
            pair = self.pair_of(bar.pair)
            handle = await self.buy(
                bar.pair,
                "1.5",
                limit_price=pair.round_price(bar.close),
                stop_loss=pair.round_price(bar.close * D("0.96")),
                take_profit=pair.round_price(bar.close * D("1.04")),
            )
            await handle.filled(timeout="3m")
            if handle.exits and handle.exits[0].leaves > 1:
                with suppress(OrderRejected):  # it may be stopped on the bar of its entry
                    await handle.exits[0].split(["1", handle.exits[0].leaves - 1])


def _swinging() -> list[Bar]:
    prices = [100 + (7 * number) % 5 - (number % 3) for number in range(120)]
    return [
        bar(number, price, price + 2, price - 2, price, 1 + number % 2)
        for number, price in enumerate(prices)
    ]


def test_a_run_with_brackets_proves_and_explains_itself() -> None:
    result = backtest.run(
        Bracketing(), data={pair_of("BTCUSD"): _swinging()}, cash="10000 USD", seed=3
    )
    assert result.verify().ok
    exits = [one for one in result.orders if isinstance(one, SpotOrder) and one.entry_order_id]
    assert {one.status.name for one in exits} >= {"FILLED", "REPLACED"}
    story = result.explain(exits[0].id)
    assert str(exits[0].entry_order_id) in story
    assert "stop-loss" in story
    entry = result.explain(str(exits[0].entry_order_id))
    assert str(exits[0].id) in entry


def test_a_forged_link_is_found() -> None:
    result = backtest.run(
        Bracketing(), data={pair_of("BTCUSD"): _swinging()}, cash="10000 USD", seed=3
    )
    orders = result.records.orders
    place = next(n for n, one in enumerate(orders) if getattr(one, "entry_order_id", None))
    orders[place] = type(orders[place])(
        **{**orders[place].__dict__, "entry_order_id": orders[place].id}
    )
    assert not result.verify().ok


def _quote(second: int, bid: int, ask: int) -> Quote:
    return Quote("BTCUSD", 60_000_000_000 + second * 1_000_000_000, D(bid), D(ask))


def test_on_quotes_an_exit_sells_to_the_bid() -> None:
    async def script(me: Any) -> None:
        await me.next()
        entry = await me.buy("BTCUSD", 1, stop_loss=95, take_profit=110)
        await entry.filled()
        (exit,) = entry.exits
        await exit.done()
        assert entry.average_price == 102
        # The ask of 111 is nothing to a seller; the bid of 110 is.
        assert exit.average_price == 110

    ticks = [_quote(1, 100, 102), _quote(2, 109, 111), _quote(3, 110, 112), _quote(4, 80, 82)]
    world = play([bar(0, 100), *ticks], script)
    assert world.balance("USD") == (D(1008), D(0))


def test_on_quotes_one_partner_fills_and_a_netting_order_closes_first() -> None:
    async def script(me: Any) -> None:
        await me.next()
        long = await me.long("BTCUSD", 1, limit_price=99, oco="a")
        other = await me.long("BTCUSD", 1, stop_price=105, oco="a")
        await long.filled()
        await other.done()
        assert other.end_reason == "ONE_CANCELS_OTHER"
        out = await me.short("BTCUSD", 2, limit_price=104)
        await out.filled()
        assert me.position("BTCUSD").volume == -1

    ticks = [_quote(1, 97, 98), _quote(2, 100, 101), _quote(3, 105, 106), _quote(4, 105, 106)]
    world = play([bar(0, 100), *ticks], script, accounts={"main": {"netting": True}})
    assert [line.split(" @ ")[0] for line in world.fills()] == [
        "entry LONG 1",
        "netting SHORT 1",
        "entry SHORT 1",
    ]


def test_an_exit_neither_trails_nor_expires() -> None:
    async def script(me: Any) -> None:
        exit = await _entered(me)
        await refused(me, lambda: exit.modify(trail=5), RejectReason.INVALID_ACTION)
        await refused(me, lambda: exit.modify(expires="1h"), RejectReason.INVALID_ACTION)

    play([bar(0, 100), bar(1, 100)], script)


def test_an_exit_with_one_leg_gets_targets_by_splitting() -> None:
    async def script(me: Any) -> None:
        exit = await _entered(me, take_profit=None)
        await exit.modify(stop_loss=97)
        one, two = await exit.split([1, 1], take_profits=[105, None])
        assert (one.live.stop_price, one.live.limit_price) == (97, 105)
        assert (two.live.stop_price, two.live.limit_price) == (97, None)
        await me.next()
        assert (one.average_price, two.leaves) == (105, 1)
        await me.next()
        assert two.average_price == 97

    bars = [bar(0, 100), bar(1, 100), bar(2, 100, 106), bar(3, 98, 98, 96, 96)]
    world = play(bars, script)
    # 1000 - 200 + 105 + 97
    assert world.balance("USD") == (D(1002), D(0))
