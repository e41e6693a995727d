"""Spot orders, worked out by hand: reserve, fill, price improvement, too little money."""

from __future__ import annotations

from typing import Any

from backtest.actors import EventKind
from backtest.errors import RejectReason
from tests.harness import D, bar, pair_of, play, refused, rules

TAKER = {"fill": {"percent_of_notional": "0.001"}}
MAKER_TAKER = {"fill": {"percent_of_notional": "0.001", "maker": "0.0005"}}


def test_market_buy_reserves_five_percent_more_and_pays_its_fee_from_it() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2)
        # worst price 100 x 1.05 = 105; 2 x 105 = 210; fee 0.1 % of it 0.21
        assert me.balance("USD") == (D("789.79"), D("210.21"))
        await me.next()
        assert order.is_filled
        assert order.average_price == 101

    world = play([bar(0, 100), bar(1, 101)], script, rules=rules(fees=TAKER))
    # fill at 101: notional 202.00, fee 0.202 up to 0.21; 210.21 - 202 - 0.21 = 8.00 comes back
    assert world.journal() == [
        "RESERVE_MARGIN USD -210.21 210.21",
        "FILL_BUY USD 0 -202",
        "SPOT_EXCHANGE BTC 2 0",
        "FEE_FILL USD 0 -0.21",
        "RETURN_MARGIN USD 8 -8",
    ]
    assert world.journal("market") == ["FILL_BUY USD 202 0", "SPOT_EXCHANGE BTC -2 0"]
    assert world.journal("fees") == ["FEE_FILL USD 0.21 0"]
    assert world.balance("USD") == (D("797.79"), D(0))
    assert world.balance("BTC") == (D(2), D(0))
    assert world.fills() == ["entry LONG 2 @ 101 open fee 0.21"]
    assert world.orders() == ["LONG 2 FILLED"]
    assert world.equity == D("797.79") + 2 * 101


def test_market_sell_reserves_the_base_and_rounds_its_proceeds_down() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.sell("BTCUSD", "1.5")
        assert me.balance("BTC") == (D("1.5"), D("1.5"))
        await me.next()

    world = play(
        [bar(0, 100), bar(1, "98.35")],
        script,
        cash={"USD": "10", "BTC": "3"},
        rules=rules(fees=TAKER),
    )
    # 1.5 x 98.35 = 147.525, down to 147.52; fee 0.147525 up to 0.15
    assert world.journal() == [
        "RESERVE_MARGIN BTC -1.5 1.5",
        "FILL_SELL BTC 0 -1.5",
        "SPOT_EXCHANGE USD 147.52 0",
        "FEE_FILL USD -0.15 0",
    ]
    assert world.journal("market") == ["FILL_SELL BTC 1.5 0", "SPOT_EXCHANGE USD -147.52 0"]
    assert world.balance("USD") == (D("157.37"), D(0))
    assert world.balance("BTC") == (D("1.5"), D(0))


def test_limit_buy_rests_and_fills_at_its_limit_as_a_maker() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 2, limit_price=95)
        # 190 + maker fee 0.05 % = 0.095 up to 0.10
        assert me.balance("USD") == (D("809.90"), D("190.10"))
        await me.next(2)

    world = play(
        [bar(0, 100), bar(1, 99), bar(2, 99, 100, 95, 97)], script, rules=rules(fees=MAKER_TAKER)
    )
    assert world.journal() == [
        "RESERVE_MARGIN USD -190.1 190.1",
        "FILL_BUY USD 0 -190",
        "SPOT_EXCHANGE BTC 2 0",
        "FEE_FILL USD 0 -0.1",
    ]
    assert world.fills() == ["entry LONG 2 @ 95 low fee 0.1 maker"]
    assert world.balance("USD") == (D("809.90"), D(0))


def test_limit_buy_on_a_gap_fills_at_the_open_and_gets_the_difference_back() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 2, limit_price=95)
        await me.next(2)

    world = play([bar(0, 100), bar(1, 99), bar(2, 93)], script, rules=rules(fees=MAKER_TAKER))
    # 2 x 93 = 186, maker fee 0.093 up to 0.10; 190.10 - 186 - 0.10 = 4.00
    assert world.journal()[1:] == [
        "FILL_BUY USD 0 -186",
        "SPOT_EXCHANGE BTC 2 0",
        "FEE_FILL USD 0 -0.1",
        "RETURN_MARGIN USD 4 -4",
    ]
    assert world.balance("USD") == (D("813.90"), D(0))


def test_limit_sell_waits_for_its_price() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", 1, limit_price=105)
        await me.next()
        assert not order.is_done
        await me.next()
        assert order.is_filled

    world = play(
        [bar(0, 100), bar(1, 101, 104, 101, 101), bar(2, 103, 106, 103, 104)],
        script,
        cash={"BTC": "1"},
        rules=rules(fees=MAKER_TAKER),
    )
    # 105, maker fee 0.0525 up to 0.06
    assert world.journal() == [
        "RESERVE_MARGIN BTC -1 1",
        "FILL_SELL BTC 0 -1",
        "SPOT_EXCHANGE USD 105 0",
        "FEE_FILL USD -0.06 0",
    ]
    assert world.fills() == ["entry SHORT 1 @ 105 high fee 0.06 maker"]
    assert world.balance("USD") == (D("104.94"), D(0))


def test_partial_fills_of_a_reserved_buy_return_the_price_improvement_of_each() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 5, limit_price=100)
        assert me.balance("USD") == (D("499.50"), D("500.50"))
        await me.next()
        assert (order.filled_volume, order.leaves) == (2, 3)
        assert me.balance("USD") == (D("501.50"), D("300.30"))
        await me.next()
        assert (order.filled_volume, order.leaves) == (D("3.5"), D("1.5"))
        assert me.balance("USD") == (D("501.50"), D("150.15"))
        await me.next()
        assert order.is_filled
        # (2 x 99 + 1.5 x 100 + 1.5 x 97) / 5 = 493.5 / 5
        assert order.average_price == D("98.7")

    bars = [
        bar(0, 102),
        bar(1, 99, volume=2),
        bar(2, 101, 101, 98, 98, "1.5"),
        bar(3, 97, volume=10),
    ]
    world = play(bars, script, rules=rules(fees=TAKER))
    assert world.entries() == [
        # 5 x 100 + 0.50
        ["RESERVE_MARGIN USD -500.5 500.5"],
        # 2 x 99 = 198, fee 0.198 up to 0.20; leaves 3 keep 300.30; share 200.20; back 2.00
        [
            "FILL_BUY USD 0 -198",
            "SPOT_EXCHANGE BTC 2 0",
            "FEE_FILL USD 0 -0.2",
            "RETURN_MARGIN USD 2 -2",
        ],
        # 1.5 x 100 = 150, fee 0.15; leaves 1.5 keep 150.15; share 150.15; nothing back
        ["FILL_BUY USD 0 -150", "SPOT_EXCHANGE BTC 1.5 0", "FEE_FILL USD 0 -0.15"],
        # 1.5 x 97 = 145.50, fee 0.1455 up to 0.15; share 150.15; back 4.50
        [
            "FILL_BUY USD 0 -145.5",
            "SPOT_EXCHANGE BTC 1.5 0",
            "FEE_FILL USD 0 -0.15",
            "RETURN_MARGIN USD 4.5 -4.5",
        ],
    ]
    # 1000 - 198.20 - 150.15 - 145.65
    assert world.balance("USD") == (D("506.00"), D(0))
    assert world.balance("BTC") == (D(5), D(0))
    assert world.orders() == ["LONG 2 FILLED", "LONG 1.5 FILLED", "LONG 1.5 FILLED"]


def test_what_a_fill_needs_beyond_its_reserve_comes_from_available() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 2)
        await me.next()

    world = play([bar(0, 100), bar(1, 120)], script)
    # reserved 2 x 105 = 210, needed 2 x 120 = 240: 30 more
    assert world.entries() == [
        ["RESERVE_MARGIN USD -210 210"],
        ["RESERVE_MARGIN USD -30 30", "FILL_BUY USD 0 -240", "SPOT_EXCHANGE BTC 2 0"],
    ]
    assert world.balance("USD") == (D(760), D(0))


def test_a_fill_beyond_all_money_buys_what_it_can_and_cancels_the_rest() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2)
        await me.next()
        assert order.is_done
        assert order.filled_volume == D("1.923")
        assert order.cancelled_volume == D("0.077")
        assert order.end_reason == "INSUFFICIENT_FUNDS"
        assert me.told(EventKind.CANCELLED) == [("cancelled", "INSUFFICIENT_FUNDS")]

    world = play([bar(0, 100), bar(1, 130)], script, cash={"USD": "250"})
    # 210 reserved + 40 available = 250; at 130 that buys 1.923 (249.99), 1.924 would be 250.12
    assert world.fills() == ["entry LONG 1.923 @ 130 open"]
    assert world.orders() == ["LONG 1.923 FILLED", "LONG 0.077 CANCELLED INSUFFICIENT_FUNDS"]
    assert world.entries() == [
        ["RESERVE_MARGIN USD -210 210"],
        ["RESERVE_MARGIN USD -40 40", "FILL_BUY USD 0 -249.99", "SPOT_EXCHANGE BTC 1.923 0"],
        ["RETURN_MARGIN USD 0.01 -0.01"],
    ]
    assert world.balance("USD") == (D("0.01"), D(0))


def test_with_a_fee_the_money_must_cover_both() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 2)
        await me.next()

    world = play([bar(0, 100), bar(1, 130)], script, cash={"USD": "250"}, rules=rules(fees=TAKER))
    # v x 130 x 1.001 <= 250: v = 1.921: 249.73 + 0.25 = 249.98; 1.922: 249.86 + 0.25 = 250.11
    assert world.fills() == ["entry LONG 1.921 @ 130 open fee 0.25"]
    assert world.balance("USD") == (D("0.02"), D(0))


def test_a_cent_of_rounding_does_not_end_an_order_that_spends_everything() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 10, limit_price=100)
        assert me.balance("USD") == (D(0), D(1001))
        await me.next()
        # 333.30 + 0.34 (0.3333 up); the leaves need 666.70, and 1.00 - 0.34 of fees
        assert order.leaves == D("6.667")
        assert me.balance("USD") == (D(0), D("667.36"))
        await me.next()
        # in all 1000 and a fee of 1.00, as one fill would have cost
        assert order.is_filled

    bars = [bar(0, 101), bar(1, 100, volume="3.333"), bar(2, 100)]
    world = play(bars, script, cash={"USD": 1001}, rules=rules(fees=TAKER))
    assert world.balance("USD") == (D(0), D(0))


def test_a_fill_that_eats_the_reserve_of_its_leaves_goes_on_until_the_money_ends() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 4)
        assert me.balance("USD") == (D(0), D(420))
        await me.next()
        # 1 x 140; of the 420 there are 280 left, which cover 2.666 of the leaves at 105
        assert order.leaves == D("2.666")
        assert me.balance("USD") == (D("0.07"), D("279.93"))
        await me.next()
        # 280 / 140 = 2, the rest is cancelled
        assert order.filled_volume == 3
        assert order.cancelled_volume == 1

    bars = [bar(0, 100), bar(1, 140, volume=1), bar(2, 140)]
    world = play(bars, script, cash={"USD": 420})
    assert world.balance("USD") == (D(0), D(0))


def test_a_sell_that_cannot_pay_its_fee_is_refused() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(me, lambda: me.sell("BTCUSD", "0.1"), RejectReason.INSUFFICIENT_FUNDS)

    fee = {"fill": {"flat_per_trade": 15}}
    world = play(
        [bar(0, 100), bar(1, 100)], script, cash={"USD": "4.99", "BTC": 1}, rules=rules(fees=fee)
    )
    # proceeds 10 + available 4.99 do not cover the fee of 15
    assert world.fills() == []
    assert world.balance("BTC") == (D(1), D(0))
    assert world.balance("USD") == (D("4.99"), D(0))
    # one cent more and it is paid, from the proceeds and all that was available
    world = play(
        [bar(0, 100), bar(1, 100)],
        _sell_a_tenth,
        cash={"USD": "5", "BTC": 1},
        rules=rules(fees=fee),
    )
    assert world.fills() == ["entry SHORT 0.1 @ 100 open fee 15"]
    assert world.balance("USD") == (D(0), D(0))


async def _sell_a_tenth(me: Any) -> None:
    await me.next()
    await me.sell("BTCUSD", "0.1")
    await me.next()


def test_the_buffer_is_a_rule_and_the_worst_price_is_rounded_up_to_the_grid() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1)
        # 33.33 x 1.05 = 34.9965 up to 35.00
        assert me.balance("USD").unavailable == 35

    async def wider(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1)
        # 33.33 x 1.1 = 36.663 up to 36.67
        assert me.balance("USD").unavailable == D("36.67")

    play([bar(0, "33.33"), bar(1, "33.33")], script)
    play([bar(0, "33.33"), bar(1, "33.33")], wider, rules=rules(market_buffer="0.1"))


def test_stop_buy_reserves_its_stop_with_the_buffer_and_fills_at_the_stop() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1, stop_price=110)
        assert me.balance("USD").unavailable == D("115.5")  # 110 x 1.05
        await me.next()

    world = play([bar(0, 100), bar(1, 108, 112, 107, 111)], script)
    assert world.fills() == ["entry LONG 1 @ 110 high"]
    assert world.balance("USD") == (D(890), D(0))


def test_stop_sell_on_a_gap_fills_at_the_open() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.sell("BTCUSD", 1, stop_price=95)
        await me.next(2)

    world = play([bar(0, 100), bar(1, 97), bar(2, 90)], script, cash={"BTC": 1})
    assert world.fills() == ["entry SHORT 1 @ 90 open"]
    assert world.balance("USD") == (D(90), D(0))


def test_a_bar_without_volume_fills_nothing() -> None:
    async def script(me: Any) -> None:
        await me.next()
        market = await me.buy("BTCUSD", 1)
        limit = await me.buy("BTCUSD", 1, limit_price=110)
        await me.next()
        assert (market.leaves, limit.leaves) == (1, 1)
        await me.next()
        assert market.is_filled
        assert limit.is_filled

    world = play([bar(0, 100), bar(1, 50, volume=0), bar(2, 102)], script)
    # the limit has rested for a bar
    assert world.fills() == ["entry LONG 1 @ 102 open", "entry LONG 1 @ 102 open maker"]


def test_participation_makes_one_pool_for_buys_and_one_for_sells() -> None:
    async def script(me: Any) -> None:
        await me.next()
        first = await me.buy("BTCUSD", 2)
        second = await me.buy("BTCUSD", 2)
        sells = [await me.sell("BTCUSD", 2) for _ in range(2)]
        await me.next()
        assert (first.filled_volume, second.filled_volume) == (2, D("0.5"))
        assert [one.filled_volume for one in sells] == [2, D("0.5")]

    # 10.002 x 0.25 = 2.5005, rounded down to 2.500 for each side
    world = play(
        [bar(0, 100), bar(1, 100, volume="10.002")],
        script,
        cash={"USD": 1000, "BTC": 4},
        rules=rules(participation="0.25"),
    )
    assert world.orders() == [
        "LONG 2 FILLED",
        "LONG 0.5 FILLED",
        "SHORT 2 FILLED",
        "SHORT 0.5 FILLED",
        "LONG 1.5 PENDING",
        "SHORT 1.5 PENDING",
    ]


def test_the_better_price_is_filled_first_then_the_earlier_order() -> None:
    async def script(me: Any) -> None:
        await me.next()
        low = await me.buy("BTCUSD", 1, limit_price=98)
        first = await me.buy("BTCUSD", 1, limit_price=99)
        second = await me.buy("BTCUSD", 1, limit_price=99)
        await me.next()
        assert (first.filled_volume, second.filled_volume, low.filled_volume) == (1, D("0.5"), 0)

    play([bar(0, 100), bar(1, 100, 100, 95, 96, "1.5")], script)


def test_slippage_makes_market_orders_worse_but_stays_in_the_bar() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1)
        await me.sell("BTCUSD", 1)
        await me.next()

    cash = {"USD": 1000, "BTC": 1}
    world = play(
        [bar(0, 100), bar(1, 100, 102, 98, 99)], script, cash=cash, rules=rules(slippage="0.5")
    )
    assert world.fills() == ["entry LONG 1 @ 100.5 open", "entry SHORT 1 @ 99.5 open"]
    world = play(
        [bar(0, 100), bar(1, 100, 102, 98, 99)], script, cash=cash, rules=rules(slippage="3")
    )
    assert world.fills() == ["entry LONG 1 @ 102 open", "entry SHORT 1 @ 98 open"]


def test_precision_of_the_quote_decides_the_rounding() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", "0.01")
        await me.next()

    # whole dollars: 0.01 x 105 = 1.05 up to 2 and a fee of 0.00105 up to 1 are reserved;
    # 0.01 x 100.5 = 1.005 up to 2; fee 0.001005 up to 1
    world = play(
        [bar(0, 100), bar(1, "100.5")],
        script,
        pairs=[pair_of(precision=0)],
        rules=rules(fees=TAKER),
    )
    assert world.journal() == [
        "RESERVE_MARGIN USD -3 3",
        "FILL_BUY USD 0 -2",
        "SPOT_EXCHANGE BTC 0.01 0",
        "FEE_FILL USD 0 -1",
    ]
