"""One-cancels-other: any fill of one cancels the others at once; they share one path."""

from __future__ import annotations

from typing import Any

from backtest.actors import EventKind
from backtest.errors import RejectReason
from tests.harness import D, bar, pair_of, play, refused, rules

ENDED = "ONE_CANCELS_OTHER"


async def _bracket(me: Any, volume: Any = 1) -> tuple[Any, Any]:
    """Sell above or below, whichever comes first."""
    above = await me.sell("BTCUSD", volume, limit_price=110, oco="exit")
    below = await me.sell("BTCUSD", volume, stop_price=90, oco="exit")
    return above, below


def test_the_fill_of_one_cancels_the_other_and_returns_its_reserve() -> None:
    async def script(me: Any) -> None:
        await me.next()
        above, below = await _bracket(me)
        # each reserves for itself
        assert me.balance("BTC") == (D(0), D(2))
        await me.next()
        assert above.is_filled
        assert (below.is_done, below.end_reason) == (True, ENDED)
        assert me.balance("BTC") == (D(1), D(0))
        assert me.told()[-2:] == [("filled", None), ("cancelled", ENDED)]

    world = play([bar(0, 100), bar(1, 100, 111, 99, 105)], script, cash={"BTC": 2})
    assert world.fills() == ["entry SHORT 1 @ 110 high maker"]
    assert world.orders() == ["SHORT 1 FILLED", f"SHORT 1 CANCELLED {ENDED}"]
    assert world.journal() == [
        "RESERVE_MARGIN BTC -1 1",
        "RESERVE_MARGIN BTC -1 1",
        "FILL_SELL BTC 0 -1",
        "SPOT_EXCHANGE USD 110 0",
        "RETURN_MARGIN BTC 1 -1",
    ]


def test_when_one_bar_reaches_both_the_pessimistic_path_takes_the_worse() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await _bracket(me)
        await me.next()

    # High first sells at 110, which beats the close of 100 by 10; low first sells at 90, 10 worse.
    world = play([bar(0, 100), bar(1, 100, 112, 88, 100)], script, cash={"BTC": 2})
    assert world.fills() == ["entry SHORT 1 @ 90 low ambiguous"]
    assert world.orders() == [f"SHORT 1 CANCELLED {ENDED}", "SHORT 1 FILLED"]


def test_a_fixed_path_decides_and_flags_what_the_other_would_change() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await _bracket(me)
        await me.next()

    bars = [bar(0, 100), bar(1, 100, 112, 88, 100)]
    high = play(bars, script, cash={"BTC": 2}, rules=rules(path="open_high_low_close"))
    assert high.fills() == ["entry SHORT 1 @ 110 high maker ambiguous"]
    low = play(bars, script, cash={"BTC": 2}, rules=rules(path="open_low_high_close"))
    assert low.fills() == ["entry SHORT 1 @ 90 low ambiguous"]


def test_a_gap_over_one_leaves_no_doubt() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await _bracket(me)
        await me.next()

    # Opens at 120, beyond the limit, on either path; the low of 88 comes too late.
    world = play([bar(0, 100), bar(1, 120, 121, 88, 100)], script, cash={"BTC": 2})
    assert world.fills() == ["entry SHORT 1 @ 120 open"]


def test_a_partial_fill_cancels_the_other_too_and_the_rest_waits_alone() -> None:
    async def script(me: Any) -> None:
        await me.next()
        above, below = await _bracket(me)
        await me.next()
        assert (above.filled_volume, above.leaves) == (D("0.4"), D("0.6"))
        assert below.end_reason == ENDED
        # 2 - 0.4 sold; 0.6 in reserve for the rest, 1 given back
        assert me.balance("BTC") == (D(1), D("0.6"))
        await me.next()
        assert above.leaves == D("0.6")
        await me.next()
        assert above.is_filled

    bars = [bar(0, 100), bar(1, 110, volume="0.4"), bar(2, 100, 100, 80, 85), bar(3, 115)]
    world = play(bars, script, cash={"BTC": 2})
    assert world.fills() == [
        "entry SHORT 0.4 @ 110 open",
        "entry SHORT 0.6 @ 115 open maker",
    ]
    assert world.balance("USD") == (D(44 + 69), D(0))


def test_no_volume_is_no_fill_and_the_other_has_its_turn() -> None:
    async def script(me: Any) -> None:
        await me.next()
        buyer = await me.buy("BTCUSD", 1, limit_price=95, oco="either")
        seller = await me.sell("BTCUSD", 1, limit_price=105, oco="either")
        first = await me.buy("BTCUSD", 1)
        await me.next()
        # The bar's one unit for buyers went to the market order at the open: 95 found none.
        assert first.is_filled
        assert (buyer.filled_volume, buyer.end_reason) == (0, ENDED)
        assert seller.average_price == 105

    # Low first: 95 is reached, then 105. A buy at 95 is worth +5 at the close of 100, a sale at
    # 105 +5 as well, so the path is that of the oldest of them, a buyer: low first.
    bars = [bar(0, 100), bar(1, 100, 106, 94, 100, 1)]
    world = play(bars, script, cash={"USD": 1000, "BTC": 1})
    assert world.fills() == [
        "entry LONG 1 @ 100 open",
        "entry SHORT 1 @ 105 high maker ambiguous",
    ]


def test_partners_on_another_pair_are_cancelled_within_the_same_event() -> None:
    async def script(me: Any) -> None:
        await me.next()
        one = await me.buy("BTCUSD", 1, limit_price=95, oco="either")
        two = await me.buy("ETHUSD", 10, limit_price=9, oco="either")
        assert me.balance("USD") == (D(1000 - 95 - 90), D(185))
        await me.next()
        assert one.is_filled
        assert two.end_reason == ENDED
        assert me.balance("USD") == (D(906), D(0))

    # The ETHUSD bar of the same close time comes second: its order is gone by then.
    bars = [
        bar(0, 100),
        bar(0, 10, pair="ETHUSD"),
        bar(1, 94),
        bar(1, 8, pair="ETHUSD"),
    ]
    world = play(bars, script, pairs=[pair_of("BTCUSD"), pair_of("ETHUSD")])
    assert world.fills() == ["entry LONG 1 @ 94 open"]


def test_a_breakout_to_both_sides_enters_once_and_on_the_worse_side() -> None:
    async def script(me: Any) -> None:
        await me.next()
        up = await me.long("BTCUSD", 1, stop_price=105, oco="break")
        down = await me.short("BTCUSD", 1, stop_price=95, oco="break")
        # 105 x 1.05 = 110.25 and, for the short, the last price of 100 (above 95 x 1.05 = 99.75)
        assert me.balance("USD").unavailable == D("210.25")
        await me.next()
        assert up.end_reason == ENDED
        assert me.position("BTCUSD").volume == -1
        assert down.average_price == 95

    # High first: long at 105, worth 104 at the close, -1. Low first: short at 95, -9.
    world = play([bar(0, 100), bar(1, 100, 106, 94, 104)], script)
    assert world.fills() == ["entry SHORT 1 @ 95 low ambiguous"]
    assert world.balance("USD") == (D(905), D(95))


def test_an_entry_of_a_group_is_stopped_on_the_rest_of_its_bar() -> None:
    async def script(me: Any) -> None:
        await me.next()
        up = await me.long("BTCUSD", 1, stop_price=105, stop_loss=101, oco="break")
        down = await me.short("BTCUSD", 1, stop_price=95, oco="break")
        await me.next()
        assert down.end_reason == ENDED
        assert not me.position("BTCUSD")
        assert up.open_volume == 0

    bars = [bar(0, 100), bar(1, 100, 106, 94, 104)]
    world = play(bars, script, rules=rules(path="open_high_low_close"))
    # On the other path neither happens: the short at 95 comes first.
    assert world.fills() == [
        "entry LONG 1 @ 105 high ambiguous",
        "stop_loss SHORT 1 @ 101 low ambiguous",
    ]
    assert world.balance("USD") == (D(996), D(0))
    # Pessimistic: long at 105 stopped at 101 is -4, short at 95 is -9 at the close of 104.
    world = play(bars, _short_instead)
    assert world.fills() == ["entry SHORT 1 @ 95 low ambiguous"]


async def _short_instead(me: Any) -> None:
    await me.next()
    up = await me.long("BTCUSD", 1, stop_price=105, stop_loss=101, oco="break")
    await me.short("BTCUSD", 1, stop_price=95, oco="break")
    await me.next()
    assert up.end_reason == ENDED


def test_a_cancelled_member_leaves_and_the_label_is_free_when_all_are_done() -> None:
    async def script(me: Any) -> None:
        await me.next()
        above, below = await _bracket(me)
        await above.cancel()
        assert not below.is_done
        await me.next()
        # 111 is above the cancelled limit: nothing happens
        assert not below.is_done
        await me.next()
        assert below.average_price == 90
        again, _ = await _bracket(me)
        await me.next()
        assert again.average_price == 110

    bars = [bar(0, 100), bar(1, 100, 111, 100), bar(2, 95, 100, 89, 100), bar(3, 100, 110)]
    world = play(bars, script, cash={"BTC": 3})
    assert world.orders() == [
        "SHORT 1 CANCELLED REQUESTED",
        "SHORT 1 FILLED",
        "SHORT 1 FILLED",
        f"SHORT 1 CANCELLED {ENDED}",
    ]


def test_who_joins_after_a_partial_fill_is_refused() -> None:
    async def script(me: Any) -> None:
        await me.next()
        above, _ = await _bracket(me)
        await me.next()
        await refused(
            me,
            lambda: me.sell("BTCUSD", 1, stop_price=90, oco="exit"),
            RejectReason.ONE_CANCELS_OTHER,
        )
        await above.cancel()
        await me.sell("BTCUSD", 1, stop_price=90, oco="exit")

    play([bar(0, 100), bar(1, 110, volume="0.4")], script, cash={"BTC": 2})


def test_three_members_across_kinds() -> None:
    async def script(me: Any) -> None:
        await me.next()
        spot = await me.buy("BTCUSD", 1, limit_price=90, oco="a")
        long = await me.long("BTCUSD", 1, limit_price=92, leverage=2, oco="a")
        short = await me.short("BTCUSD", 1, limit_price=110, leverage=2, oco="a")
        # 90 + 46 + 55
        assert me.balance("USD").unavailable == 191
        await me.next()
        assert long.average_price == 92
        assert spot.end_reason == short.end_reason == ENDED
        assert me.balance("USD") == (D(954), D(46))

    world = play([bar(0, 100), bar(1, 95, 95, 85, 95)], script)
    # falling to 85 it passes 92 before 90
    assert world.fills() == ["entry LONG 1 @ 92 low maker"]


def test_an_entry_beyond_its_own_protection_is_no_fill() -> None:
    async def script(me: Any) -> None:
        await me.next()
        gone = await me.long("BTCUSD", 1, limit_price=95, stop_loss=90, oco="a")
        stays = await me.buy("BTCUSD", 1, limit_price=85, oco="a")
        await me.next()
        assert gone.end_reason == "PROTECTION_PASSED"
        assert not stays.is_done
        await me.next()
        assert stays.average_price == 84

    play([bar(0, 100), bar(1, 89), bar(2, 84)], script)


def test_what_money_allows_of_a_fill_is_a_fill() -> None:
    async def script(me: Any) -> None:
        await me.next()
        market = await me.buy("BTCUSD", 8, oco="a")
        other = await me.buy("BTCUSD", 1, limit_price=50, oco="a")
        # 8 x 105 = 840 and 50 of 1000: 110 are free
        await me.next()
        # 950 at 200 each buys 4.75 before anything is given back
        assert (market.filled_volume, market.end_reason) == (D("4.75"), "INSUFFICIENT_FUNDS")
        assert other.end_reason == ENDED
        assert me.balance("USD") == (D(50), D(0))

    world = play([bar(0, 100), bar(1, 200)], script)
    assert [line for line in world.orders() if "CANCELLED" in line] == [
        f"LONG 1 CANCELLED {ENDED}",
        "LONG 3.25 CANCELLED INSUFFICIENT_FUNDS",
    ]


def test_parts_of_a_split_are_one_member_and_a_modified_order_stays_one() -> None:
    async def script(me: Any) -> None:
        await me.next()
        above, below = await _bracket(me, 2)
        near, far = await above.split([1, 1], limit_prices=[108, 112])
        await below.modify(stop_price=92)
        await me.next()
        assert near.average_price == 108
        assert below.end_reason == ENDED
        assert not far.is_done
        await me.next()
        assert far.average_price == 112

    bars = [bar(0, 100), bar(1, 100, 109, 100, 109), bar(2, 109, 113)]
    world = play(bars, script, cash={"BTC": 4})
    assert world.balance("BTC") == (D(2), D(0))


def test_a_label_is_its_owners_on_one_account() -> None:
    async def first(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=95, oco="x")
        await me.next()
        assert order.is_filled

    async def second(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=80, oco="x")
        other = await me.buy("BTCUSD", 1, limit_price=95, oco="x", account="b")
        await me.next()
        assert other.is_filled
        assert not order.is_done

    play(
        [bar(0, 100), bar(1, 95)],
        first,
        second,
        cash={"a": {"USD": 1000}, "b": {"USD": 1000}},
        own=[["a"], ["a", "b"]],
    )


def test_a_cancel_that_comes_after_the_fill_is_refused() -> None:
    async def script(me: Any) -> None:
        await me.next()
        _, below = await _bracket(me)
        await me.next()
        await refused(me, lambda: below.cancel(), RejectReason.ALREADY_DONE)
        await refused(me, lambda: below.modify(stop_price=80), RejectReason.ALREADY_DONE)

    play([bar(0, 100), bar(1, 110)], script, cash={"BTC": 2})


def test_the_cancelled_partner_pays_the_cancel_fee() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await _bracket(me)
        await me.next()
        # 110 for the sale, 2 for the cancel
        assert me.balance("USD") == (D(108), D(0))

    fees = {"cancel": {"flat_per_trade": 2}}
    world = play([bar(0, 100), bar(1, 110)], script, cash={"BTC": 2}, rules=rules(fees=fees))
    assert world.journal()[-2:] == ["RETURN_MARGIN BTC 1 -1", "FEE_CANCEL USD -2 0"]


def test_at_this_close_the_second_market_order_is_gone() -> None:
    async def script(me: Any) -> None:
        await me.next()
        one = me.buy("BTCUSD", 1, oco="a")
        two = me.buy("BTCUSD", 2, oco="a")
        await one.done()
        await two.done()
        assert one.is_filled
        assert two.end_reason == ENDED

    world = play([bar(0, 100), bar(1, 100)], script, rules=rules(fill_on="this_close"))
    assert world.fills() == ["entry LONG 1 @ 100 close"]


def test_a_triggered_member_without_volume_waits_with_its_partner() -> None:
    async def script(me: Any) -> None:
        await me.next()
        above, below = await _bracket(me)
        await me.next()
        # 90 was reached and nothing traded there: it waits for an open, and so does the limit.
        assert me.told(EventKind.TRIGGERED) == [("triggered", None)]
        assert not above.is_done
        await me.next()
        # At the open of 112 both could fill: the triggered stop, a market order, goes first.
        assert below.average_price == 112
        assert above.end_reason == ENDED

    bars = [bar(0, 100), bar(1, 95, 95, 88, 95, 0), bar(2, 112)]
    play(bars, script, cash={"BTC": 2})


def test_a_stop_reached_at_the_open_and_a_market_order_go_by_acceptance() -> None:
    async def script(me: Any) -> None:
        await me.next()
        # At the open of 111 both execute as market orders: whoever was accepted first.
        stop = await me.buy("BTCUSD", 3, stop_price=109, oco="a")
        market = await me.sell("BTCUSD", 2, oco="a")
        await me.next()
        assert stop.average_price == 111
        assert market.end_reason == ENDED

    play([bar(0, 100), bar(1, 111)], script, cash={"USD": 1000, "BTC": 2})
