"""Cross margin, worked out by hand: the account stands behind every position in it."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors import EventKind
from backtest.errors import RejectReason
from backtest.models import Asset, Quote, TradingPair
from tests.harness import HOUR, D, M, bar, pair_of, play, refused, rules

CROSS = {"main": {"margin_mode": "cross"}}
FIVE = rules(maintenance_rate="0.05")
PAIRS = [pair_of("BTCUSD"), pair_of("ETHUSD")]


def eth(number: int, *prices: Any) -> Any:
    return bar(number, *prices, pair="ETHUSD")


async def _long_ten(me: Any) -> None:
    await me.next()
    await me.long("BTCUSD", 10, leverage=10)
    await me.next(2)


async def _short_ten(me: Any) -> None:
    await me.next()
    await me.short("BTCUSD", 10, leverage=10)
    await me.next(2)


def run(last: Any, script: Any = _long_ten, **more: Any) -> Any:
    """Two flat bars at 100 and ``last``, with 300 USD and a maintenance of 5 %."""
    settings: dict[str, Any] = {"cash": {"USD": 300}, "rules": FIVE, "accounts": CROSS} | more
    return play([bar(0, 100), bar(1, 100), last], script, **settings)


def called(world: Any, name: str = "s0") -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = world.strategies[name].told(
        EventKind.CANCELLED, EventKind.LIQUIDATED, EventKind.CLOSED, EventKind.BANKRUPTCY
    )
    return found


# -- one position ----------------------------------------------------------------------------------


def test_a_position_has_the_whole_account_behind_it() -> None:
    # Isolated it would end at 94.73. 300 + 10 (p - 100) = 0.05 x 10 p: (1000 - 300) / 9.5 = 73.684
    world = run(bar(2, 95, 95, 70, 80))
    assert world.fills()[-1] == "liquidation SHORT 10 @ 73.68 low"
    # PnL (73.68 - 100) x 10 = -263.20; what is left is the account's
    assert world.entries()[-1] == ["RETURN_MARGIN USD 100 -100", "CLOSE_PNL USD -263.2 0"]
    assert world.balance() == (D("36.80"), D(0))
    assert world.orders() == ["LONG 10 CLOSED liquidation"]


def test_one_tick_before_its_price_the_account_is_left_alone() -> None:
    world = run(bar(2, 95, 95, "73.69", 80))
    assert len(world.fills()) == 1


def test_a_short_is_closed_above_rounded_up() -> None:
    # 300 + 10 (100 - p) = 0.5 p: 1300 / 10.5 = 123.8095 up to 123.81
    world = run(bar(2, 110, 130, 110, 120), _short_ten)
    assert world.fills()[-1] == "liquidation LONG 10 @ 123.81 high"
    assert world.balance() == (D("61.90"), D(0))


def test_after_a_gap_it_fills_at_the_open_and_the_insurance_bears_what_is_too_much() -> None:
    world = run(bar(2, 60))
    # PnL -400 of 300
    assert world.fills()[-1] == "liquidation SHORT 10 @ 60 open"
    assert world.entries()[-1] == [
        "RETURN_MARGIN USD 100 -100",
        "CLOSE_PNL USD -400 0",
        "ADJUSTMENT USD 100 0",
    ]
    assert world.balance() == (D(0), D(0))
    assert world.balance("USD", "insurance") == (D(-100), D(0))
    assert called(world) == [("liquidated", None), ("bankruptcy", None)]


def test_slippage_makes_the_price_worse_as_for_any_stop() -> None:
    own = rules(maintenance_rate="0.05", slippage="0.5")
    # entry at 100.50 is held to the flat bar's 100; the call at 73.68 fills at 73.18
    world = run(bar(2, 95, 95, 70, 80), rules=own)
    assert world.fills()[-1] == "liquidation SHORT 10 @ 73.18 low"


def test_without_maintenance_it_ends_when_nothing_is_left() -> None:
    # 300 + 10 (p - 100) = 0: 70
    world = run(bar(2, 95, 95, 69, 80), rules=rules())
    assert world.fills()[-1] == "liquidation SHORT 10 @ 70 low"
    assert world.balance() == (D(0), D(0))
    assert called(world) == [("liquidated", None)]


def test_the_brackets_of_the_position_count_at_the_price_itself() -> None:
    # Above 500 of notional: 600 + 10 (p - 100) - (0.5 p - 20) = 9.5 p - 380 would be 0 at 40, which
    # is below it. There: 600 + 10 (p - 100) - 0.1 p = 9.9 p - 400, at 40.404
    tiers = rules(maintenance_tiers=[[500, "0.01"], [None, "0.05"]])
    world = run(bar(2, 95, 95, 40, 80), cash={"USD": 600}, rules=tiers)
    assert world.fills()[-1] == "liquidation SHORT 10 @ 40.4 low"


def test_an_isolated_account_beside_it_is_not_concerned() -> None:
    # It ends at (1000 - 100) / 9.5 = 94.73; the other lives.
    world = play(
        [bar(0, 100), bar(1, 100), bar(2, 95, 95, 80, 90)],
        _long_ten,
        _long_ten,
        cash={"main": {"USD": 300}, "other": {"USD": 300}},
        own=[["main"], ["other"]],
        rules=FIVE,
        accounts=CROSS,
    )
    assert called(world, "s0") == []
    assert called(world, "s1") == [("liquidated", None)]
    assert world.fills()[-1] == "liquidation SHORT 10 @ 94.73 low"


# -- what goes before ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "price"), [(bar(2, 95, 95, 70, 80), "73.68 low"), (bar(2, 60), "60 open")]
)
def test_a_stop_loss_at_the_same_price_goes_before_the_call(last: Any, price: str) -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10, stop_loss="73.68")
        await me.next(2)

    world = run(last, script)
    assert world.fills()[-1] == f"stop_loss SHORT 10 @ {price}"


def test_a_stop_loss_that_money_cannot_pay_is_paid_by_the_winners() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=20, stop_loss=60)
        await me.short("BTCUSD", 4, leverage=20)
        await me.short("BTCUSD", 4, leverage=20)
        await me.next(2)

    world = run(
        bar(2, 100, 100, 59, 65),
        script,
        cash={"USD": 100},
        rules=rules(maintenance_rate="0.005"),
    )
    # At 60 the long has lost 400 of 100 USD and the shorts have won 160 each: both must pay. (Left
    # open they would be worth less than they must maintain above 62.18, on the way to the close.)
    assert world.fills()[3:] == [
        "liquidation LONG 4 @ 60 low",
        "liquidation LONG 4 @ 60 low",
        "stop_loss SHORT 10 @ 60 low",
    ]
    assert world.balance() == (D(20), D(0))
    assert [name for name, _ in called(world)] == ["liquidated", "liquidated", "closed"]


def test_a_stop_loss_on_the_way_saves_the_account() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10, stop_loss=80)
        await me.next(2)

    world = run(bar(2, 95, 95, 70, 80), script)
    assert world.fills()[-1] == "stop_loss SHORT 10 @ 80 low"
    assert world.balance() == (D(100), D(0))


def test_what_is_opened_on_a_bar_can_be_called_on_the_rest_of_it() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, limit_price=90, leverage=10)
        await me.next(2)

    # 300 + 10 (p - 90) = 0.5 p: 600 / 9.5 = 63.157
    world = run(bar(2, 100, 100, 60, 65), script)
    assert world.fills() == [
        "entry LONG 10 @ 90 low maker",
        "liquidation SHORT 10 @ 63.15 low",
    ]


def test_the_account_is_the_group_of_the_pessimistic_path() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10, take_profit=110)
        await me.next(2)

    # high first: +100 at 110. Low first: the account is called at 73.68. That is taken.
    world = run(bar(2, 100, 111, 70, 100), script)
    assert world.fills()[-1] == "liquidation SHORT 10 @ 73.68 low ambiguous"
    world = run(
        bar(2, 100, 111, 70, 100),
        script,
        rules=rules(maintenance_rate="0.05", path="open_high_low_close"),
    )
    assert world.fills()[-1] == "take_profit SHORT 10 @ 110 high maker ambiguous"


def test_an_entry_whose_position_is_closed_on_the_other_path_only_is_flagged() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.short("BTCUSD", 1, stop_price=101, limit_price=99, stop_loss=105, take_profit=95)

    # The bar opens at 94, beyond the stop; on the way up the limit sells at 99. High first: then
    # the price falls to 94 and takes profit at 95. Low first: from the high to the close, at 98.
    accounts = {"main": {"margin_mode": "cross"}}
    bars = [bar(0, 100), bar(1, 94, 101, 94, 98)]
    world = play(bars, script, accounts=accounts)
    assert world.fills() == ["entry SHORT 1 @ 99 high maker ambiguous"]
    first = play(bars, script, accounts=accounts, rules=rules(path="open_high_low_close"))
    assert first.fills() == [
        "entry SHORT 1 @ 99 high maker",
        "take_profit LONG 1 @ 95 low maker ambiguous",
    ]


def test_on_one_segment_the_price_decides_what_comes_first() -> None:
    async def resting(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10)
        await me.long("BTCUSD", 1, limit_price=72, leverage=10)
        await me.long("BTCUSD", 1, limit_price=90, leverage=10)
        await me.next(2)

    # At 90 one more is bought: 300 + 10 (p - 100) + (p - 90) = 0.05 x 11 p: 790 / 10.45 = 75.598.
    # There the order at 72 is cancelled, and 10 from 100, the worst, are closed at 75.59.
    # 300 - 244.10 = 55.90; 55.90 + (p - 90) = 0.05 p: 34.10 / 0.95 = 35.89, not reached.
    world = run(bar(2, 95, 95, 70, 80), resting)
    assert world.fills()[1:] == [
        "entry LONG 1 @ 90 low maker",
        "liquidation SHORT 10 @ 75.59 low",
    ]
    assert world.orders() == [
        "LONG 10 CLOSED liquidation",
        "LONG 1 CANCELLED MARGIN_CALL",
        "LONG 1 FILLED",
    ]


@pytest.mark.parametrize(
    ("weights", "price"),
    [
        # 300 - 90 + 10 (p - 100) = 0.5 p: 790 / 9.5 = 83.157; what was bought counts nothing
        ({}, "83.15"),
        # ... or half: 210 + 0.5 p + 10 (p - 100) = 0.5 p: 79
        ({"BTC": "0.5"}, "79"),
    ],
)
def test_what_is_spent_on_the_way_stands_behind_nothing_any_more(weights: Any, price: str) -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10)
        await me.buy("BTCUSD", 1, limit_price=90)
        await me.next(2)

    accounts = {"main": {"margin_mode": "cross", "collateral": weights}}
    world = run(bar(2, 95, 95, 70, 80), script, accounts=accounts)
    assert world.fills()[1:] == [
        "entry LONG 1 @ 90 low maker",
        f"liquidation SHORT 10 @ {price} low",
    ]


def test_a_spot_bracket_ends_on_the_way_too() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10)
        await me.buy("BTCUSD", 1, limit_price=90, stop_loss=85)
        await me.next(2)

    # 210 until it is sold again at 85: 295 + 10 (p - 100) = 0.5 p: 705 / 9.5 = 74.21
    world = run(bar(2, 95, 95, 70, 80), script)
    assert world.fills()[1:] == [
        "entry LONG 1 @ 90 low maker",
        "stop_loss SHORT 1 @ 85 low",
        "liquidation SHORT 10 @ 74.21 low",
    ]


def test_an_order_that_cancels_another_does_so_before_the_call() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10)
        await me.long("BTCUSD", 1, limit_price=90, leverage=10, oco="a")
        await me.long("BTCUSD", 5, limit_price=80, leverage=10, oco="a")
        await me.next(2)

    # As if the second were not there: 790 / 10.45 = 75.598
    world = run(bar(2, 95, 95, 70, 80), script)
    assert world.fills()[1:] == [
        "entry LONG 1 @ 90 low maker",
        "liquidation SHORT 10 @ 75.59 low",
    ]
    assert world.orders()[2] == "LONG 5 CANCELLED ONE_CANCELS_OTHER"


def test_what_is_closed_in_part_on_one_path_is_called_whole_on_the_other() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 10, leverage=10)
        await me.next()
        await order.close(5, limit_price=105)
        await me.next()

    # High first: 25 won, and 325 + 5 (p - 100) = 0.25 p at 36.84, which is not reached. Low first:
    # called at 73.68. That is worth less, and is taken.
    last = bar(2, 100, 106, 70, 100)
    world = run(last, script)
    assert world.fills()[1:] == ["liquidation SHORT 10 @ 73.68 low ambiguous"]
    own = rules(maintenance_rate="0.05", path="open_high_low_close")
    world = run(last, script, rules=own)
    assert world.fills()[1:] == ["close SHORT 5 @ 105 high maker ambiguous"]


# -- several positions -----------------------------------------------------------------------------


async def _two(me: Any) -> None:
    """5 from 100 and 5 from 110."""
    await me.next()
    await me.long("BTCUSD", 5, leverage=10)
    await me.next()
    await me.long("BTCUSD", 5, leverage=10)
    await me.next(2)


def two(low: Any, **more: Any) -> Any:
    bars = [bar(0, 100), bar(1, 100), bar(2, 110), bar(3, 95, 95, low, 80)]
    settings: dict[str, Any] = {"cash": {"USD": 300}, "rules": FIVE, "accounts": CROSS} | more
    return play(bars, _two, **settings)


def test_the_worst_goes_first_and_the_other_stays_when_that_is_enough() -> None:
    # 300 + 5 (p - 100) + 5 (p - 110) = 0.5 p: 750 / 9.5 = 78.947
    # At 78.94 the second has lost 155.30, the first 105.30: the second goes.
    # 144.70 - 105.30 = 39.40 is more than 0.05 x 394.70 = 19.735.
    world = two(75)
    assert world.fills()[2:] == ["liquidation SHORT 5 @ 78.94 low"]
    assert world.orders() == ["LONG 5 FILLED", "LONG 5 CLOSED liquidation"]
    assert sum(world.balance()) == D("144.70")


def test_it_is_called_again_when_the_price_goes_on() -> None:
    # 144.70 + 5 (p - 100) = 0.25 p: 355.30 / 4.75 = 74.80
    world = two(70)
    assert world.fills()[2:] == [
        "liquidation SHORT 5 @ 78.94 low",
        "liquidation SHORT 5 @ 74.8 low",
    ]
    assert world.balance() == (D("18.70"), D(0))


def test_fees_of_the_first_may_take_the_second_along() -> None:
    # 6 % of 394.70 = 23.682 up to 23.69: 300 - 155.30 - 23.69 = 121.01; less 105.30 that is 15.71,
    # below 19.735. The second costs 105.30 + 23.69 of 121.01: the insurance pays 7.98.
    fees = rules(maintenance_rate="0.05", fees={"close": {"percent_of_notional": "0.06"}})
    world = two(78, rules=fees)
    assert world.fills()[2:] == [
        "liquidation SHORT 5 @ 78.94 low fee 23.69",
        "liquidation SHORT 5 @ 78.94 low fee 23.69",
    ]
    assert world.balance() == (D(0), D(0))
    assert world.balance("USD", "insurance") == (D("-7.98"), D(0))


def test_a_hedge_moves_by_its_net_and_the_winner_pays_for_the_loser() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10)
        await me.short("BTCUSD", 4, leverage=10)
        await me.next(2)

    # 300 + 6 (p - 100) = 0.05 x 14 p: 300 / 5.3 = 56.603
    # At 56.60 the long has lost 434.00: more than the 300 there are, so the short is closed first
    # (its margin of 40 taken, then its profit of 173.60). 300 + 173.60 - 434 = 39.60
    world = run(bar(2, 95, 95, 50, 60), script)
    assert world.fills()[2:] == [
        "liquidation LONG 4 @ 56.6 low",
        "liquidation SHORT 10 @ 56.6 low",
    ]
    assert world.entries()[-3:] == [
        ["RETURN_MARGIN USD 40 -40"],
        ["CLOSE_PNL USD 173.6 0"],
        ["RETURN_MARGIN USD 100 -100", "CLOSE_PNL USD -434 0"],
    ]
    assert world.balance() == (D("39.60"), D(0))
    assert world.journal("insurance") == []


def test_a_hedge_can_be_called_on_either_side() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 4, leverage=10)
        await me.short("BTCUSD", 10, leverage=10)
        await me.next(2)

    # 300 - 6 (p - 100) = 0.7 p: 900 / 6.7 = 134.328 up
    world = run(bar(2, 110, 140, 110, 120), script)
    assert world.fills()[-1] == "liquidation LONG 10 @ 134.33 high"
    # the short lost 343.30, the long won 137.32: 94.02
    assert world.balance() == (D("94.02"), D(0))


async def _both_pairs(me: Any) -> None:
    await me.next()
    await me.long("BTCUSD", 10, leverage=10)
    await me.long("ETHUSD", 5, leverage=10)
    await me.next(3)


def both(last: Any, after: Any = (), **more: Any) -> Any:
    """10 BTC from 100 and 5 ETH from 50; ETH falls to 40, then ``last``."""
    bars = [bar(0, 100), eth(0, 50), bar(1, 100), eth(1, 50), bar(2, 100), eth(2, 50, 50, 40, 40)]
    settings: dict[str, Any] = {
        "cash": {"USD": 300},
        "rules": FIVE,
        "accounts": CROSS,
        "pairs": PAIRS,
    } | more
    return play([*bars, last, *after], _both_pairs, **settings)


def test_the_other_pair_stands_at_its_mark() -> None:
    # ETH: -50, 10 maintained. 300 - 50 - 10 + 10 (p - 100) = 0.5 p: 760 / 9.5 = 80
    world = both(bar(3, 95, 95, 79, 85))
    assert world.fills()[2:] == ["liquidation SHORT 10 @ 80 low"]
    # 100 left; less 50 that is more than 10: ETH stays
    assert world.orders() == ["LONG 10 CLOSED liquidation", "LONG 5 FILLED"]
    assert sum(world.balance()) == 100


def test_a_position_on_the_other_pair_is_closed_at_its_mark_if_it_is_the_worse() -> None:
    # BTC 100 -> 99 at most: make ETH the worse. ETH falls 50 -> 5 by itself: 300 + 5 (p - 50).
    # At its bar: 300 + 5 (5 - 50) = 75 and 0.25 x 5 + 50 = 51.25 to maintain: it is left alone.
    # Then BTC: 75 + 10 (p - 100) = 1.25 + 0.5 p: 926.25 / 9.5 = 97.5 exactly. ETH lost 225, BTC 25:
    # ETH goes, at 5. 75 - 25 = 50 against 48.75 for BTC: that is enough.
    bars = [bar(0, 100), eth(0, 50), bar(1, 100), eth(1, 50), bar(2, 100), eth(2, 50, 50, 5, 5)]
    world = play(
        [*bars, bar(3, 98, 98, "97.5", 98)],
        _both_pairs,
        cash={"USD": 300},
        rules=FIVE,
        accounts=CROSS,
        pairs=PAIRS,
    )
    (fill,) = world.records.fills[2:]
    assert (fill.pair, fill.price, fill.point) == ("ETHUSD", 5, "close")
    assert world.orders() == ["LONG 10 FILLED", "LONG 5 CLOSED liquidation"]


def test_the_bar_of_one_pair_can_end_all() -> None:
    # BTC opens at 60: 300 - 400 - 50. BTC first: 300 are gone, 100 are missing (ETH's margin of 25
    # is part of the 300). Then ETH at 40: its 50 are the insurance's as well.
    world = both(bar(3, 60))
    assert [(one.pair, one.price) for one in world.records.fills[2:]] == [
        ("BTCUSD", 60),
        ("ETHUSD", 40),
    ]
    assert world.balance() == (D(0), D(0))
    assert world.balance("USD", "insurance") == (D(-150), D(0))


def test_pending_orders_of_all_pairs_are_cancelled_first() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10)
        await me.long("ETHUSD", 1, limit_price=10, leverage=10)
        await me.buy("BTCUSD", 1, limit_price=50)
        await me.next(2)

    # What is reserved is the account's still: 73.68, as without them.
    bars = [bar(0, 100), eth(0, 50), bar(1, 100), eth(1, 50), bar(2, 95, 95, 70, 80), eth(2, 50)]
    world = play(bars, script, cash={"USD": 300}, rules=FIVE, accounts=CROSS, pairs=PAIRS)
    assert called(world) == [
        ("cancelled", "MARGIN_CALL"),
        ("cancelled", "MARGIN_CALL"),
        ("liquidated", None),
    ]
    assert world.fills()[-1] == "liquidation SHORT 10 @ 73.68 low"
    (event, *_) = [one for one in world.strategies["s0"].heard if one.kind is EventKind.CANCELLED]
    assert event.detail.startswith("account main is called at 73.68: equity 36.8, maintenance 36.8")


# -- money -----------------------------------------------------------------------------------------


def test_a_loss_takes_the_margin_of_others_before_it_asks_the_insurance() -> None:
    async def script(me: Any) -> None:
        await me.next()
        btc = await me.long("BTCUSD", 10, leverage=10)
        await me.long("ETHUSD", 10, leverage=10)
        await me.next()
        assert me.balance("USD") == (D(50), D(150))
        await me.next()
        await btc.close()
        await me.next()
        assert me.balance("USD") == (D(0), D(40))
        assert me.position("ETHUSD").margin == 40

    # 200: margins 100 and 50. At 84 BTC has lost 160: 100 + 50 available + 10 of ETH's margin.
    bars = [one for n in range(2) for one in (bar(n, 100), eth(n, 50))]
    bars += [bar(2, 84), eth(2, 50), bar(3, 84), eth(3, 50)]
    world = play(bars, script, cash={"USD": 200}, accounts=CROSS, pairs=PAIRS)
    assert world.entries()[-2:] == [
        ["RETURN_MARGIN USD 10 -10"],
        ["RETURN_MARGIN USD 100 -100", "CLOSE_PNL USD -160 0"],
    ]
    told = world.strategies["s0"].told(EventKind.MARGIN_USED)
    assert told == [("margin_used", None)]


def test_and_cancels_pending_orders_before_that() -> None:
    async def script(me: Any) -> None:
        await me.next()
        btc = await me.long("BTCUSD", 10, leverage=10)
        waits = await me.buy("BTCUSD", 1, limit_price=60)
        await me.next(2)
        await btc.close()
        await me.next()
        assert waits.end_reason == "MARGIN_CALL"
        assert me.balance("USD") == (D(40), D(0))

    # 200: 100 margin, 60 reserved, 40 available. 160 lost: 60 needed beyond the margin.
    bars = [bar(0, 100), bar(1, 100), bar(2, 84), bar(3, 84)]
    play(bars, script, cash={"USD": 200}, accounts=CROSS)


def test_a_partial_close_may_use_the_margin_of_its_own_rest() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 10, leverage=10)
        await me.next(2)
        await order.close(5)
        await me.next()
        assert me.position("BTCUSD").margin == 45
        assert me.balance("USD") == (D(0), D(45))

    # 110: margin 100, 10 available. At 98, half closed for a fee of 55: 10 + 55 - 50 (its share of
    # the margin) - 10 (available) = 5 of the 50 of the rest.
    fees = rules(fees={"close": {"flat_per_trade": 55}})
    bars = [bar(0, 100), bar(1, 100), bar(2, 98), bar(3, 98)]
    play(bars, script, cash={"USD": 110}, accounts=CROSS, rules=fees)


def test_what_positions_have_lost_cannot_be_spent() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10)
        await me.next(2)
        # 1000 - 100 margin - 200 lost at 80: 700 may be spent
        assert me.balance("USD") == (D(900), D(100))
        await refused(
            me, lambda: me.long("BTCUSD", 9, limit_price=78), RejectReason.INSUFFICIENT_FUNDS
        )  # 702
        order = await me.long("BTCUSD", 10, limit_price=70)
        await refused(
            me, lambda: order.modify(limit_price=71), RejectReason.INSUFFICIENT_FUNDS
        )  # 10 more
        await order.cancel()
        await me.next()
        # a profit is not there before it is realised: 900, not 1100
        await refused(
            me, lambda: me.long("BTCUSD", 10, limit_price=91), RejectReason.INSUFFICIENT_FUNDS
        )
        await me.buy("BTCUSD", 10, limit_price=90)

    bars = [bar(0, 100), bar(1, 100), bar(2, 80), bar(3, 120)]
    play(bars, script, accounts=CROSS)


def test_funding_can_call_the_account_at_the_close() -> None:
    # Half past eight, at the mark of 80: 10 x 80 x 0.08 = 64. 300 - 64 - 200 = 36 < 0.05 x 800 = 40
    own = rules(maintenance_rate="0.05", funding={"rate": "0.08", "every": "8h", "at": "00:30"})
    rows = [(6, 100), (7, 100), (8, 100, 100, 80, 80), (9, 90)]
    bars = [bar(row[0], *row[1:], length=HOUR) for row in rows]
    world = play(bars, _long_ten_more, cash={"USD": 300}, rules=own, accounts=CROSS)
    assert world.fills()[-1] == "liquidation SHORT 10 @ 80 close"
    assert world.balance() == (D(36), D(0))


async def _long_ten_more(me: Any) -> None:
    await me.next()
    await me.long("BTCUSD", 10, leverage=10)
    await me.next(3)


def test_a_charge_is_paid_by_the_whole_account() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10)
        await me.long("ETHUSD", 10, leverage=10)
        await me.next(3)
        # 160: margins 100 and 50, 10 available. Funding of BTC 1000 x 0.12 = 120: its own 100, the
        # 10, and 10 of ETH's margin
        assert me.balance("USD") == (D(0), D(40))
        assert me.position("ETHUSD").margin == 40
        assert me.position("BTCUSD").margin == 0

    own = {"BTCUSD": rules(funding={"rate": "0.12", "every": "8h"})}
    bars = [
        one
        for hour in range(6, 10)
        for one in (bar(hour, 100, length=HOUR), bar(hour, 50, length=HOUR, pair="ETHUSD"))
    ]
    world = play(bars, script, cash={"USD": "160"}, rules=own, accounts=CROSS, pairs=PAIRS)
    assert world.journal("insurance") == []


# -- who and what ----------------------------------------------------------------------------------


def test_strategies_that_share_the_account_share_its_fate() -> None:
    async def other(me: Any) -> None:
        await me.next()
        await me.next()
        await me.long("BTCUSD", 5, leverage=10)
        await me.next(2)

    async def first(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 5, leverage=10)
        await me.next(3)

    bars = [bar(0, 100), bar(1, 100), bar(2, 110), bar(3, 95, 95, 75, 80)]
    world = play(
        bars,
        first,
        other,
        cash={"USD": 300},
        rules=FIVE,
        own=[["main"], ["main"]],
        accounts=CROSS,
    )
    # As in `two`: the one from 110 goes.
    assert called(world, "s0") == []
    assert called(world, "s1") == [("liquidated", None)]


def test_it_holds_positions_in_its_settlement_asset_only() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(me, lambda: me.long("ETHBTC", 1), RejectReason.NOT_SUPPORTED)
        await me.buy("ETHBTC", 1, limit_price="0.5")

    cross = TradingPair("ETHBTC", Asset("ETH"), Asset("BTC"))
    bars = [bar(0, "0.5", pair="ETHBTC"), bar(0, 100), bar(1, 100)]
    play(
        bars,
        script,
        cash={"USD": 100, "BTC": 1},
        pairs=[pair_of(), cross],
        accounts=CROSS,
    )


def test_ticks_call_it_at_what_they_offer() -> None:
    # 300 + 10 (p - 100.50) = 0.5 p: 705 / 9.5 = 74.21. The middle of 74 / 74.40 is 74.20.
    quotes = [(100, "100.5"), (100, "100.5"), (75, "75.4"), (74, "74.4")]
    ticks = [Quote("BTCUSD", n * M, D(bid), D(ask)) for n, (bid, ask) in enumerate(quotes)]

    async def script(me: Any) -> None:
        await me.sleep(30)
        await me.long("BTCUSD", 10, leverage=10)

    world = play(ticks, script, cash={"USD": 300}, rules=FIVE, accounts=CROSS)
    assert [(one.kind, one.price) for one in world.records.fills] == [
        ("entry", D("100.5")),
        ("liquidation", D(74)),
    ]
