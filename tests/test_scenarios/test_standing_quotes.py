"""A quote is a state: what orders do that come between two quotes, by hand.

Unless told otherwise 100 is bid and 101 asked from second 0 on, and the next quote comes an hour
later, at 120 and 121.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backtest.actors import EventKind
from backtest.errors import RejectReason
from tests.harness import DAY, D, Me, pair_of, play, quote, refused, rules, trade
from tests.test_scenarios.standing import LATER, S, stands, times

# -- what it is ------------------------------------------------------------------------------------


def test_a_market_order_and_a_marketable_limit_meet_what_is_asked_when_they_come() -> None:
    async def script(me: Me) -> None:
        first = await me.buy("BTCUSD", 1)
        second = await me.buy("BTCUSD", 1, limit_price=102)
        # What a command did is there when it returns.
        assert (first.is_filled, second.is_filled) == (True, True)
        assert me.balance("BTC").available == D(2)

    fees = {"fill": {"percent_of_notional": "0.01", "maker": "0.002"}}
    world = stands(script, bid_size=9, ask_size=9, rules=rules(fees=fees))
    # Both take: 1 % of 101 is 1.01.
    assert world.fills() == ["entry LONG 1 @ 101 ask fee 1.01", "entry LONG 1 @ 101 ask fee 1.01"]
    assert times(world) == [30, 30]
    # The quote that was met is that of second 0.
    assert [one.bar_open_ns for one in world.records.fills] == [0, 0]
    assert world.balance() == (D(1000) - 2 * D("102.01"), D(0))
    assert world.strategies["s0"].told() == [("accepted", None), ("filled", None)] * 2


def test_a_sell_of_less_than_a_step_at_the_bid_is_refused() -> None:
    """0.01 at a bid of 99 is 0.99, no whole dollar, though between bid and ask it would be one."""

    async def script(me: Me) -> None:
        await refused(me, lambda: me.sell("BTCUSD", "0.01"), RejectReason.MIN_NOTIONAL)
        await me.sell("BTCUSD", "0.02")

    world = stands(script, bid=99, ask=101, cash={"USD": 1, "BTC": 1}, pairs=[pair_of(precision=0)])
    # 1.98 is rounded down.
    assert (world.balance(), world.balance("BTC")) == ((D(2), D(0)), (D("0.98"), D(0)))


def test_each_fill_is_an_entry_of_its_own_behind_its_acceptance() -> None:
    async def script(me: Me) -> None:
        await me.buy("BTCUSD", 1, limit_price=102)

    assert stands(script).entries() == [
        ["RESERVE_MARGIN USD -102 102"],
        ["FILL_BUY USD 0 -101", "SPOT_EXCHANGE BTC 1 0", "RETURN_MARGIN USD 1 -1"],
    ]


def test_a_sell_and_a_short_meet_what_is_bid() -> None:
    async def script(me: Me) -> None:
        await me.sell("BTCUSD", 1)
        await me.sell("BTCUSD", 1, limit_price=99)
        await me.short("BTCUSD", 1, leverage=2)

    world = stands(script, cash={"USD": 1000, "BTC": 2})
    assert world.fills() == ["entry SHORT 1 @ 100 bid"] * 3
    # 100 + 100 come, 50 is the margin of the short.
    assert world.balance() == (D(1150), D(50))


def test_a_limit_that_is_not_marketable_rests_as_a_maker() -> None:
    async def script(me: Me) -> None:
        order = await me.buy("BTCUSD", 1, limit_price="100.5")
        assert not order.is_filled

    world = stands(script, quote(60, 99, 100))
    assert world.fills() == ["entry LONG 1 @ 100.5 ask maker"]


def test_the_rest_follows_its_time_in_force() -> None:
    async def script(me: Me) -> None:
        market = await me.buy("BTCUSD", 6)
        limit = await me.buy("BTCUSD", 2, limit_price=102)
        assert (market.filled_volume, limit.filled_volume) == (D(4), D(0))

    # 4 are asked. Of the market order 2 are left for the next quote; the limit finds nothing where
    # it would take, and rests at its price: whoever asks 99 meets it there.
    world = stands(script, quote(60, 98, 99), ask_size=4, cash={"USD": 2000})
    assert world.fills() == [
        "entry LONG 4 @ 101 ask",
        "entry LONG 2 @ 99 ask",
        "entry LONG 2 @ 102 ask maker",
    ]
    assert times(world) == [30, 60, 60]


def test_fills_use_up_the_size_for_all_accounts_and_a_new_quote_brings_its_own() -> None:
    def buyer(first: Any, account: str) -> Callable[[Any], Awaitable[None]]:
        async def script(me: Me) -> None:
            await me.sleep(first)
            await me.buy("BTCUSD", 3, account=account)
            await me.sleep(60 - first)  # the quote of second 60 is there
            await me.buy("BTCUSD", 1, account=account)

        return script

    world = play(
        [quote(0, 100, 101, 9, 5), quote(60, 100, 101, 9, "2.5"), LATER],
        buyer(30, "a"),
        buyer(40, "b"),
        cash={"a": {"USD": 1000}, "b": {"USD": 1000}},
        own=[["a"], ["b"]],
    )
    # a takes 3 of 5, b what is left, 2; the rest of b comes with the next quote, which has 2.5
    # then: 1 goes to b, 1 to a, and of b's last order half; the other half with the last quote.
    names = {
        one.account_id: "a" if place == 0 else "b"
        for place, one in enumerate(world.records.orders[:2])
    }
    found = [(names[one.account_id], one.volume, one.price) for one in world.records.fills]
    assert found == [
        ("a", 3, 101),
        ("b", 2, 101),
        ("b", 1, 101),
        ("a", 1, 101),
        ("b", D("0.5"), 101),
        ("b", D("0.5"), 121),
    ]
    assert times(world) == [30, 40, 60, 60, 60, 3600]


def test_both_sides_have_a_size_of_their_own_and_a_share_of_it() -> None:
    async def script(me: Me) -> None:
        await me.buy("BTCUSD", 3)
        await me.sell("BTCUSD", 2)

    world = stands(
        script,
        bid_size=3,
        ask_size=5,
        cash={"USD": 1000, "BTC": 2},
        rules=rules(participation="0.5"),
    )
    assert world.fills()[:2] == ["entry LONG 2.5 @ 101 ask", "entry SHORT 1.5 @ 100 bid"]


# -- reserves --------------------------------------------------------------------------------------


def test_a_market_order_reserves_the_price_that_stands_where_its_size_suffices() -> None:
    async def script(me: Me) -> None:
        # 9.9 x 101 = 999.90; with the buffer of 5 % it would be 1049.90.
        order = await me.buy("BTCUSD", "9.9")
        assert order.is_filled

    world = stands(script, ask_size="9.9")
    assert world.entries()[0] == ["RESERVE_MARGIN USD -999.9 999.9"]


def test_where_the_size_does_not_suffice_it_reserves_with_the_buffer() -> None:
    async def script(me: Me) -> None:
        await refused(me, lambda: me.buy("BTCUSD", "9.9"), RejectReason.INSUFFICIENT_FUNDS)
        # 9 x 101 x 1.05 = 954.45
        await me.buy("BTCUSD", 9)

    world = stands(script, ask_size=5)
    assert world.entries()[0] == ["RESERVE_MARGIN USD -954.45 954.45"]
    assert world.fills()[0] == "entry LONG 5 @ 101 ask"


def test_slippage_comes_on_top_and_it_fills_as_far_as_the_money_goes() -> None:
    async def script(me: Me) -> None:
        order = await me.buy("BTCUSD", 10)
        assert order.end_reason == "INSUFFICIENT_FUNDS"

    # Reserved are 10 x 100, all there is. At 125 that pays for 8.
    world = stands(script, bid=99, ask=100, rules=rules(slippage=25))
    assert world.entries()[0] == ["RESERVE_MARGIN USD -1000 1000"]
    assert world.fills() == ["entry LONG 8 @ 125 ask"]
    assert world.orders() == ["LONG 8 FILLED", "LONG 2 CANCELLED INSUFFICIENT_FUNDS"]


# -- time in force, post-only, groups --------------------------------------------------------------


def test_immediate_orders_have_their_opportunity_at_once() -> None:
    async def script(me: Me) -> None:
        some = await me.buy("BTCUSD", 5, time_in_force="IOC")
        assert (some.filled_volume, some.end_reason) == (D(2), "IMMEDIATE_OR_CANCEL")
        prices: list[dict[str, Any]] = [{}, {"limit_price": 102}]
        for given in prices:
            none = await me.buy("BTCUSD", 1, time_in_force="IOC", **given)
            assert (none.filled_volume, none.is_done) == (D(0), True)
        far = await me.buy("BTCUSD", 1, limit_price=100, time_in_force="IOC")
        assert far.end_reason == "IMMEDIATE_OR_CANCEL"

    world = stands(script, ask_size=2)
    assert world.fills() == ["entry LONG 2 @ 101 ask"]
    assert world.balance()[1] == D(0)


def test_fill_or_kill_looks_at_what_is_left() -> None:
    async def script(me: Me) -> None:
        whole = await me.buy("BTCUSD", 2, time_in_force="FOK")
        assert whole.is_filled
        killed = await me.buy("BTCUSD", 2, time_in_force="FOK")
        assert (killed.filled_volume, killed.end_reason) == (D(0), "FILL_OR_KILL")
        last = await me.buy("BTCUSD", 1, limit_price=102, time_in_force="FOK")
        assert last.is_filled

    world = stands(script, ask_size=3)
    assert world.fills() == ["entry LONG 2 @ 101 ask", "entry LONG 1 @ 101 ask"]


def test_where_nothing_stands_an_immediate_order_waits_for_its_first_quote() -> None:
    async def script(me: Me) -> None:
        order = await me.buy("BTCUSD", 1, time_in_force="IOC")
        assert not order.is_done

    world = stands(script, trade(10, 100), quote(60, 102, 103))
    assert world.fills() == ["entry LONG 1 @ 103 ask"]


def test_a_used_up_quote_still_has_its_price_so_post_only_is_refused() -> None:
    async def script(me: Me) -> None:
        await me.buy("BTCUSD", 1)
        await refused(
            me,
            lambda: me.buy("BTCUSD", 1, limit_price=101, post_only=True),
            RejectReason.WOULD_TAKE,
        )
        order = await me.buy("BTCUSD", 1, limit_price="100.99", post_only=True)
        with pytest.raises(Exception, match="would take"):
            await order.modify(limit_price=101)

    world = stands(script, ask_size=1)
    assert world.fills() == ["entry LONG 1 @ 101 ask"]


def test_a_fill_at_once_cancels_the_partners() -> None:
    async def script(me: Me) -> None:
        low = await me.buy("BTCUSD", 1, limit_price=95, oco="one")
        high = await me.buy("BTCUSD", 1, stop_price=101, oco="one")
        assert (high.is_filled, low.end_reason) == (True, "ONE_CANCELS_OTHER")

    assert stands(script).fills() == ["entry LONG 1 @ 101 ask"]


# -- stops -----------------------------------------------------------------------------------------


def test_a_stop_is_tested_against_the_quote_that_stands() -> None:
    async def script(me: Me) -> None:
        reached = await me.buy("BTCUSD", 1, stop_price=101)
        waits = await me.buy("BTCUSD", 1, stop_price="101.01")
        assert (reached.is_filled, waits.is_filled) == (True, False)
        assert not waits.is_triggered

    world = stands(script)
    assert world.fills() == ["entry LONG 1 @ 101 ask", "entry LONG 1 @ 121 ask"]
    assert times(world) == [30, 3600]


def test_a_stop_that_finds_nothing_left_has_triggered_all_the_same() -> None:
    async def script(me: Me) -> None:
        order = await me.buy("BTCUSD", 2, stop_price=101)
        assert (order.is_triggered, order.filled_volume) == (True, D(1))
        assert me.told(EventKind.TRIGGERED) == [("triggered", None)]

    # What is left of it is a market order, though the price falls again.
    world = stands(script, quote(60, 90, 91), ask_size=1)
    assert world.fills() == ["entry LONG 1 @ 101 ask", "entry LONG 1 @ 91 ask"]


def test_a_stop_limit_takes_or_rests_where_its_stop_is_reached() -> None:
    async def script(me: Me) -> None:
        takes = await me.buy("BTCUSD", 1, stop_price=101, limit_price=103)
        rests = await me.buy("BTCUSD", 1, stop_price=101, limit_price="100.5")
        assert (takes.average_price, rests.is_triggered) == (D(101), True)

    world = stands(script, quote(60, 99, 100))
    assert world.fills() == ["entry LONG 1 @ 101 ask", "entry LONG 1 @ 100.5 ask maker"]


def test_a_trailing_stop_begins_where_it_is_told_and_follows_the_quotes_that_come() -> None:
    async def script(me: Me) -> None:
        reached = await me.sell("BTCUSD", 1, trail=5, stop_price=100)
        far = await me.sell("BTCUSD", 1, trail=5, stop_price=90)
        near = await me.sell("BTCUSD", 1, trail=5)
        assert reached.is_filled
        assert (far.trail_price, near.trail_price) == (D(90), D(95))

    # At a bid of 103 both stand at 98; at 97.5 both are reached.
    world = stands(script, quote(60, 103, 104), quote(61, "97.5", 99), cash={"BTC": 3, "USD": 0})
    assert world.fills() == ["entry SHORT 1 @ 100 bid"] + ["entry SHORT 1 @ 97.5 bid"] * 2


# -- changes ---------------------------------------------------------------------------------------


def test_a_limit_that_is_modified_into_the_market_takes_at_once() -> None:
    async def script(me: Me) -> None:
        order = await me.buy("BTCUSD", 1, limit_price=95)
        await me.sleep(10)
        await order.modify(limit_price=102)
        assert order.average_price == D(101)

    fees = {"fill": {"percent_of_notional": "0.01", "maker": "0"}}
    world = stands(script, rules=rules(fees=fees))
    assert world.fills() == ["entry LONG 1 @ 101 ask fee 1.01"]
    assert times(world) == [40]
    assert world.strategies["s0"].told() == [
        ("accepted", None),
        ("modified", None),
        ("filled", None),
    ]


def test_a_stop_that_is_moved_to_the_market_is_reached_at_once() -> None:
    async def script(me: Me) -> None:
        order = await me.buy("BTCUSD", 1, stop_price=110)
        await order.modify(stop_price="100.5")
        assert order.average_price == D(101)

    assert stands(script).fills() == ["entry LONG 1 @ 101 ask"]


def test_a_smaller_volume_is_no_new_order_and_a_larger_one_meets_what_is_left() -> None:
    async def script(me: Me) -> None:
        order = await me.buy("BTCUSD", 6, limit_price=102)
        assert order.filled_volume == D(5)
        await order.modify(volume="5.5")
        await order.modify(volume=7)
        assert order.filled_volume == D(5)

    # 5 are asked, and used up; the 2 that are left rest at 102.
    world = stands(script, quote(60, 100, 101), ask_size=5)
    assert world.fills() == ["entry LONG 5 @ 101 ask", "entry LONG 2 @ 102 ask maker"]


def test_a_part_of_a_split_at_a_marketable_price_takes_at_once() -> None:
    async def script(me: Me) -> None:
        order = await me.buy("BTCUSD", 3, limit_price=95)
        parts = await order.split([1, 2], limit_prices=[95, 101])
        assert [part.filled_volume for part in parts] == [D(0), D(2)]

    assert stands(script).fills() == ["entry LONG 2 @ 101 ask"]


def test_the_stop_loss_of_a_position_is_tested_when_it_is_moved() -> None:
    async def script(me: Me) -> None:
        order = await me.long("BTCUSD", 1, stop_loss=90)
        # Below the middle, 100.5, on which it is judged; above the bid, which it meets.
        await order.modify(stop_loss="100.4")
        assert not order.open_volume

    assert stands(script).fills() == ["entry LONG 1 @ 101 ask", "stop_loss SHORT 1 @ 100 bid"]


# -- what follows of an entry that filled at once --------------------------------------------------


def test_the_exits_of_an_entry_are_tested_on_their_side_of_the_quote() -> None:
    async def script(me: Me) -> None:
        await me.long("BTCUSD", 1, stop_loss="100.4", take_profit=110)
        await me.long("BTCUSD", 1, stop_loss="99.9", take_profit=110)
        bracket = await me.buy("BTCUSD", 1, stop_loss="100.4", take_profit=110)
        assert bracket.exits[0].is_filled

    world = stands(script, quote(60, 111, 112))
    assert world.fills() == [
        "entry LONG 1 @ 101 ask",
        "stop_loss SHORT 1 @ 100 bid",
        "entry LONG 1 @ 101 ask",
        "entry LONG 1 @ 101 ask",
        "stop_loss SHORT 1 @ 100 bid",
        "take_profit SHORT 1 @ 110 bid maker",
    ]
    assert times(world) == [30] * 5 + [60]


def test_exits_that_begin_with_the_next_event_wait_for_the_next_quote() -> None:
    async def script(me: Me) -> None:
        order = await me.long("BTCUSD", 1, stop_loss="100.4")
        assert order.open_volume == D(1)

    world = stands(script, quote(60, 100, 101), rules=rules(exits_from="next_bar"))
    assert world.fills() == ["entry LONG 1 @ 101 ask", "stop_loss SHORT 1 @ 100 bid"]
    assert times(world) == [30, 60]


def test_an_entry_at_or_beyond_its_own_protection_does_not_happen() -> None:
    async def script(me: Me) -> None:
        # Above the middle, 100.5, on which it is judged, and not above what it would pay.
        order = await me.long("BTCUSD", 1, take_profit="100.9")
        assert order.end_reason == "PROTECTION_PASSED"

    world = stands(script)
    assert world.fills() == []
    assert world.balance() == (D(1000), D(0))


def test_a_position_that_the_spread_leaves_too_little_is_liquidated_at_once() -> None:
    async def script(me: Me) -> None:
        # 101 / 200 = 0.505, up to 0.51: liquidated at 100.49, and 100 is bid.
        order = await me.long("BTCUSD", 1, leverage=200)
        assert not order.open_volume

    world = stands(script, insurance=[("USD", D(10))])
    assert world.fills() == ["entry LONG 1 @ 101 ask", "liquidation SHORT 1 @ 100 bid"]
    # It loses its margin; of the loss of 1 the insurance bears 0.49.
    assert world.balance() == (D("999.49"), D(0))
    assert world.ledger.balance("insurance", "USD")[0] == D("9.51")


def test_a_cross_margin_account_is_called_when_the_spread_leaves_too_little() -> None:
    async def script(me: Me) -> None:
        # Margin 1005 x 101 / 101 = 1005 of 1010; at the mark of 100.5 it has lost 502.5.
        await me.long("BTCUSD", 1005, leverage=101)
        assert not me.position("BTCUSD")

    # Maintenance is 1 % of 1005 x 100.5 = 1010.03, and 1010 - 502.5 is less.
    world = stands(
        script,
        cash={"USD": 1010},
        rules=rules(maintenance_rate="0.01"),
        accounts={"main": {"margin_mode": "cross"}},
        insurance=[("USD", D(1000))],
    )
    assert world.fills() == ["entry LONG 1005 @ 101 ask", "liquidation SHORT 1005 @ 100 bid"]
    assert world.balance() == (D(5), D(0))


# -- closes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "close",
    [{}, {"limit_price": 100}, {"limit_price": 99}, {"stop_price": 100}, {"stop_price": "100.5"}],
)
def test_a_close_meets_what_is_bid(close: dict[str, Any]) -> None:
    async def script(me: Me) -> None:
        order = await me.long("BTCUSD", 2)
        await order.close(1, **close)
        assert order.open_volume == D(1)

    world = stands(script)
    assert world.fills() == ["entry LONG 2 @ 101 ask", "close SHORT 1 @ 100 bid"]
    assert world.balance() == (D(1000) - 1 - 101, D(101))


def test_a_close_of_several_fills_is_one_and_its_rest_waits() -> None:
    async def script(me: Me) -> None:
        order = await me.long("BTCUSD", 3)  # 2 at once, 1 at second 60
        await me.sleep(60)
        await order.close()
        assert order.open_volume == D("1.5")

    world = stands(
        script,
        quote(60, 100, 101, "1.5", 2),
        quote(120, 98, 99),
        ask_size=2,
    )
    assert world.fills() == [
        "entry LONG 2 @ 101 ask",
        "entry LONG 1 @ 101 ask",
        "close SHORT 1.5 @ 100 bid",
        "close SHORT 0.5 @ 98 bid",
        "close SHORT 1 @ 98 bid",
    ]
    assert times(world) == [30, 60, 90, 120, 120]


def test_reduce_only_closes_at_once_and_opens_nothing() -> None:
    async def script(me: Me) -> None:
        await me.long("BTCUSD", 2)
        order = await me.short("BTCUSD", 5, reduce_only=True)
        assert (order.filled_volume, order.end_reason) == (D(2), "REDUCE_ONLY")
        assert not me.position("BTCUSD")

    world = stands(script)
    assert world.fills() == ["entry LONG 2 @ 101 ask", "netting SHORT 2 @ 100 bid"]


def test_a_netting_account_turns_round_at_once() -> None:
    async def script(me: Me) -> None:
        await me.long("BTCUSD", 2)
        await me.short("BTCUSD", 3)
        assert me.position("BTCUSD").volume == D(-1)

    world = stands(script, accounts={"main": {"netting": True}})
    assert world.fills() == [
        "entry LONG 2 @ 101 ask",
        "netting SHORT 2 @ 100 bid",
        "entry SHORT 1 @ 100 bid",
    ]


def test_what_is_owned_is_sold_at_once_where_its_stop_is_reached() -> None:
    async def script(me: Me) -> None:
        order = await me.sell("BTCUSD", 1, stop_loss="100.4", take_profit=110)
        assert order.is_filled

    world = stands(script, cash={"USD": 0, "BTC": 1})
    assert world.fills() == ["stop_loss SHORT 1 @ 100 bid"]


# -- charges ---------------------------------------------------------------------------------------

NIGHTS = {"overnight_filled": {"flat_per_trade": "3"}}


def test_a_night_is_charged_before_a_close_and_not_on_what_is_opened_after_it() -> None:
    evening = DAY // S - 30

    async def script(me: Me) -> None:
        await me.sleep(10)
        old = await me.long("BTCUSD", 1)
        await me.sleep(40)  # twenty seconds after midnight
        await old.close()
        await me.long("BTCUSD", 1)

    world = play(
        [quote(evening, 100, 101), quote(evening + 3600, 100, 101)],
        script,
        rules=rules(fees=NIGHTS),
    )
    # 3 for the night of the first, though nothing was quoted since; none for the second.
    assert world.balance() == (D(1000) - 3 - 1 - 101, D(101))
    assert [one for one in world.journal() if "OVERNIGHT" in one] == ["FEE_OVERNIGHT USD -3 0"]
    # Equity at the end of the day knows nothing of it: 1000 with 1 at 101, marked at 100.50.
    broker: Any = world.system.actors["broker"]
    (before,) = (equity for time, equity in broker.venue.valuation.samples if time <= DAY)
    assert before == D("999.50")


def test_a_position_whose_margin_paid_the_night_is_tested_against_what_stands() -> None:
    evening = DAY // S - 30

    async def script(me: Me) -> None:
        await me.sleep(10)
        order = await me.long("BTCUSD", 1, leverage=50)  # 2.02 of margin, 0 available
        await me.sleep(40)  # twenty seconds after midnight
        await me.sell("BTCUSD", "0.001")  # the first that happens on this day
        assert not order.open_volume

    # The night takes 1.5 of the margin: liquidated at 101 - 0.52 = 100.48, where 100 is bid.
    world = play(
        [quote(evening, 100, 101), quote(evening + 3600, 100, 101)],
        script,
        cash={"USD": "2.02", "BTC": 1},
        rules=rules(fees={"overnight_filled": {"flat_per_trade": "1.5"}}),
        insurance=[("USD", D(10))],
    )
    assert world.fills() == [
        "entry LONG 1 @ 101 ask",
        "liquidation SHORT 1 @ 100 bid",
        "entry SHORT 0.001 @ 100 bid",
    ]
    # It loses 1, of which 0.52 are its own.
    assert world.balance() == (D("0.10"), D(0))
    assert world.ledger.balance("insurance", "USD")[0] == D("9.52")


def test_a_cross_margin_account_that_paid_the_night_is_tested_at_once() -> None:
    evening = DAY // S - 30

    async def script(me: Me) -> None:
        await me.sleep(10)
        await me.long("BTCUSD", 1, leverage=10, limit_price=100)  # 10 of 11 are margin
        await me.sleep(40)  # twenty seconds after midnight
        order = await me.buy("BTCUSD", 1, limit_price="0.5")  # the first thing on this day
        assert order.end_reason == "MARGIN_CALL"
        assert not me.position("BTCUSD")

    # The night takes 6: 5 are left, which are 5 % of 100. It was called an hour later, at 90.
    world = play(
        [quote(evening, 100, 100), quote(evening + 3600, 90, 90)],
        script,
        cash={"USD": 11},
        rules=rules(maintenance_rate="0.05", fees={"overnight_filled": {"flat_per_trade": "6"}}),
        accounts={"main": {"margin_mode": "cross"}},
        insurance=[("USD", D(10))],
    )
    assert world.fills() == ["entry LONG 1 @ 100 ask", "liquidation SHORT 1 @ 100 bid"]
    assert world.balance() == (D(5), D(0))
    assert world.ledger.balance("insurance", "USD")[0] == D(10)
