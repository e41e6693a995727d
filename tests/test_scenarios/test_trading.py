"""Positions on margin, worked out by hand: long and short, closes in parts, splits, sizes."""

from __future__ import annotations

from typing import Any

from tests.harness import D, bar, pair_of, play, rules

PERCENT = {
    "fill": {"percent_of_notional": "0.001"},
    "close": {"percent_of_notional": "0.001"},
}


def test_long_with_leverage_contract_size_and_fees() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2, leverage=5)
        # worst 105; margin 2 x 105 x 10 / 5 = 420; fee 0.1 % of 2100 = 2.10
        assert me.balance("USD") == (D("577.90"), D("422.10"))
        await me.next()
        # margin at 101: 404; fee 0.1 % of 2020 = 2.02
        assert me.balance("USD") == (D("593.98"), D("404"))
        assert me.position("BTCUSD").volume == 2
        # marked at 101: nothing gained yet
        assert me.position("BTCUSD").unrealised_pnl == 0
        await order.close()
        await me.next()
        assert not me.position("BTCUSD")

    world = play(
        [bar(0, 100), bar(1, 101), bar(2, 103)],
        script,
        pairs=[pair_of(contract_size="10")],
        rules=rules(fees=PERCENT),
    )
    assert world.entries() == [
        ["RESERVE_MARGIN USD -422.1 422.1"],
        # 422.10 - 404 = 18.10 back, of which the fee is paid
        ["RETURN_MARGIN USD 18.1 -18.1", "FEE_FILL USD -2.02 0"],
        # (103 - 101) x 2 x 10 = 40; fee 0.1 % of 2060 = 2.06
        ["RETURN_MARGIN USD 404 -404", "CLOSE_PNL USD 40 0", "FEE_CLOSE USD -2.06 0"],
    ]
    assert world.journal("market") == ["CLOSE_PNL USD -40 0"]
    assert world.balance("USD") == (D("1035.92"), D(0))
    assert world.fills() == [
        "entry LONG 2 @ 101 open fee 2.02",
        "close SHORT 2 @ 103 open fee 2.06",
    ]
    (order,) = world.records.orders
    assert (order.gross_pnl, order.net_pnl) == (40, D("35.92"))
    assert (order.fees_on_fill, order.fees_on_close) == (D("2.02"), D("2.06"))


def test_short_reserves_at_the_last_price_and_needs_more_at_a_better_one() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.short("BTCUSD", 2, leverage=4)
        assert me.balance("USD") == (D(950), D(50))  # 2 x 100 / 4
        await me.next()
        assert me.balance("USD") == (D("948.5"), D("51.5"))  # 2 x 103 / 4
        assert me.position("BTCUSD").volume == -2
        await order.close()
        await me.next()

    world = play([bar(0, 100), bar(1, 103), bar(2, 98)], script)
    assert world.entries() == [
        ["RESERVE_MARGIN USD -50 50"],
        ["RESERVE_MARGIN USD -1.5 1.5"],
        ["RETURN_MARGIN USD 51.5 -51.5", "CLOSE_PNL USD 10 0"],  # (103 - 98) x 2
    ]
    assert world.balance("USD") == (D(1010), D(0))
    assert world.fills() == ["entry SHORT 2 @ 103 open", "close LONG 2 @ 98 open"]


def test_a_short_below_the_market_reserves_at_the_last_price() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.short("BTCUSD", 1, limit_price=90)
        assert me.balance("USD").unavailable == 100
        await me.short("BTCUSD", 1, stop_price=90)  # 90 x 1.05 = 94.50
        assert me.balance("USD").unavailable == 200
        await me.short("BTCUSD", 1, stop_price=98)  # 98 x 1.05 = 102.90
        assert me.balance("USD").unavailable == D("302.9")
        await me.next()

    world = play([bar(0, 100), bar(1, 99)], script)
    assert world.fills() == ["entry SHORT 1 @ 99 open"]


def test_short_at_a_better_price_without_money_takes_its_margin_at_the_reserve_price() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.short("BTCUSD", 2, leverage=4)
        assert me.balance("USD") == (D(0), D(50))
        await me.next()
        assert order.is_filled
        assert me.balance("USD") == (D(0), D(50))  # not the 51.50 of 103: there is no more
        await order.close()
        await me.next()

    world = play([bar(0, 100), bar(1, 103), bar(2, 98)], script, cash={"USD": 50})
    assert world.balance("USD") == (D(60), D(0))


def test_a_margin_that_cannot_be_paid_shrinks_the_fill() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2)
        await me.next()
        # 210 reserved + 40 = 250, at 130 margin for 1.923 (249.99)
        assert (order.filled_volume, order.cancelled_volume) == (D("1.923"), D("0.077"))
        assert order.end_reason == "INSUFFICIENT_FUNDS"

    world = play([bar(0, 100), bar(1, 130)], script, cash={"USD": 250})
    assert world.balance("USD") == (D("0.01"), D("249.99"))


def test_margin_is_rounded_up() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, leverage=3)
        assert me.balance("USD").unavailable == 35  # 105 / 3
        await me.next()
        assert me.balance("USD").unavailable == D("33.34")  # 100 / 3 = 33.333...

    world = play([bar(0, 100), bar(1, 100)], script)
    assert world.journal() == ["RESERVE_MARGIN USD -35 35", "RETURN_MARGIN USD 1.66 -1.66"]


def test_partial_closes_apportion_margin_and_fees_and_the_last_takes_the_remainder() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1, leverage=3)
        await me.next()
        for volume in ("0.333", "0.333", None):
            await order.close(volume)
            await me.next()
        assert not me.position("BTCUSD")

    bars = [bar(n, price) for n, price in enumerate([100, 100, 101, 101, 101])]
    world = play(bars, script, rules=rules(fees={"fill": {"percent_of_notional": "0.001"}}))
    assert world.entries()[1:] == [
        # reserve 35 + 0.11 (0.1 % of 105 = 0.105 up); margin 33.34, fee 0.10
        ["RETURN_MARGIN USD 1.77 -1.77", "FEE_FILL USD -0.1 0"],
        # 33.34 x 0.333 = 11.10222; PnL 0.333
        ["RETURN_MARGIN USD 11.1 -11.1", "CLOSE_PNL USD 0.33 0"],
        # 22.24 x 0.333 / 0.667 = 11.10338...
        ["RETURN_MARGIN USD 11.1 -11.1", "CLOSE_PNL USD 0.33 0"],
        # the rest: 33.34 - 22.20; PnL 1 in all, of which 0.66 were paid
        ["RETURN_MARGIN USD 11.14 -11.14", "CLOSE_PNL USD 0.34 0"],
    ]
    assert world.balance("USD") == (D("1000.90"), D(0))
    # the fill fee of 0.10: 0.0333 -> 0.03; 0.07 x 0.333 / 0.667 = 0.0349 -> 0.03; the rest 0.04
    assert [one.fees_on_fill for one in world.records.orders] == [D("0.03"), D("0.03"), D("0.04")]
    assert [one.net_pnl for one in world.records.orders] == [D("0.30"), D("0.30"), D("0.30")]
    assert [one.fill_volume for one in world.records.orders] == [D("0.333"), D("0.333"), D("0.334")]
    assert [one.margin_reserved for one in world.records.orders] == [
        D("11.10"),
        D("11.10"),
        D("11.14"),
    ]
    assert world.orders() == [
        "LONG 0.333 CLOSED close",
        "LONG 0.333 CLOSED close",
        "LONG 0.334 CLOSED close",
    ]


def test_a_position_is_split_and_closed_in_parts() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 3, leverage=2, stop_loss=90, take_profit=120)
        await me.next()
        small, large = await order.split([1, 2])
        assert order.is_replaced
        assert order.is_done
        assert (small.open_volume, large.open_volume) == (1, 2)
        assert (small.filled_volume, small.average_price) == (1, 100)
        assert me.balance("USD").unavailable == 150  # 3 x 100 / 2, as before
        await small.close()
        await me.next()
        assert me.balance("USD").unavailable == 100
        assert not small.parts
        await large.close("0.5")
        await me.next()
        assert me.position("BTCUSD").volume == D("1.5")
        await me.next()
        assert not me.position("BTCUSD")

    bars = [bar(0, 100), bar(1, 100), bar(2, 110), bar(3, 105), bar(4, 105, 125, 105, 124)]
    world = play(bars, script)
    assert world.entries() == [
        ["RESERVE_MARGIN USD -157.5 157.5"],
        ["RETURN_MARGIN USD 7.5 -7.5"],
        ["RETURN_MARGIN USD 50 -50", "CLOSE_PNL USD 10 0"],
        ["RETURN_MARGIN USD 25 -25", "CLOSE_PNL USD 2.5 0"],
        # the take-profit of 120 was inherited: 1.5 x 20
        ["RETURN_MARGIN USD 75 -75", "CLOSE_PNL USD 30 0"],
    ]
    assert world.balance("USD") == (D("1042.5"), D(0))
    assert world.orders() == [
        "LONG 3 REPLACED REQUESTED",
        "LONG 1 CLOSED close",
        "LONG 0.5 CLOSED close",
        "LONG 1.5 CLOSED take_profit",
    ]
    root = world.records.orders[0].id
    assert {one.root_id for one in world.records.orders} == {root}


def test_a_split_apportions_margin_and_fees_exactly() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1, leverage=3)
        await me.next()
        await order.split(["0.3", "0.3", "0.4"])

    world = play(
        [bar(0, 100), bar(1, 100)],
        script,
        rules=rules(fees={"fill": {"percent_of_notional": "0.001"}}),
    )
    parts = world.records.orders[1:]
    # 33.34 x 0.3 = 10.002; 23.34 x 0.3 / 0.7 = 10.0028...; the rest 13.34
    assert [one.margin_reserved for one in parts] == [D("10.00"), D("10.00"), D("13.34")]
    # 0.10 x 0.3 = 0.03; 0.07 x 0.3 / 0.7 = 0.03; 0.04
    assert [one.fees_on_fill for one in parts] == [D("0.03"), D("0.03"), D("0.04")]
    assert world.balance("USD")[1] == D("33.34")


def test_each_fill_is_a_position_of_its_own_and_the_view_is_net() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 3)
        await me.next()
        await me.short("BTCUSD", 1)
        await me.next()
        view = me.position("BTCUSD")
        assert (view.volume, view.average_price, len(view.parts)) == (2, 100, 2)
        # 3 x (110 - 100) - 1 x (110 - 110)
        assert view.unrealised_pnl == 30
        await me.close_all()
        await me.next()
        assert not me.position("BTCUSD")

    world = play([bar(0, 100), bar(1, 100), bar(2, 110), bar(3, 112)], script)
    # 3 x 12 and 1 x (110 - 112)
    assert world.balance("USD") == (D(1034), D(0))


def test_a_limit_close_and_a_market_close_together_close_no_more_than_there_is() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2)
        await me.next()
        await order.close(limit_price=105)
        await order.close(1)
        await me.next()
        assert me.position("BTCUSD").volume == 1
        await me.next()
        assert not me.position("BTCUSD")

    world = play([bar(0, 100), bar(1, 100), bar(2, 102), bar(3, 103, 106, 103, 104)], script)
    assert world.fills() == [
        "entry LONG 2 @ 100 open",
        "close SHORT 1 @ 102 open",
        "close SHORT 1 @ 105 high maker",
    ]
    assert world.balance("USD") == (D(1007), D(0))


def test_flat_margin_per_volume_and_no_leverage() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 3)
        await me.next()

    flat = rules(leverage_kind="flat_margin_per_volume", margin_per_volume="7.777")
    # 3 x 7.777 = 23.331, up to 23.34, whatever the price
    world = play([bar(0, 100), bar(1, 101)], script, rules=flat)
    assert world.balance("USD") == (D("976.66"), D("23.34"))
    world = play([bar(0, 100), bar(1, 101)], script, rules=rules(leverage_kind="none"))
    assert world.balance("USD") == (D("697"), D("303"))


def test_closing_by_a_limit_that_partly_fills() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.short("BTCUSD", 3)
        await me.next()
        await order.close(limit_price=95)
        await me.next()
        assert me.position("BTCUSD").volume == -2
        await me.next()
        assert not me.position("BTCUSD")

    bars = [bar(0, 100), bar(1, 100), bar(2, 97, 97, 94, 96, 1), bar(3, 93, volume=9)]
    world = play(bars, script)
    # 1 x 5 at the limit, 2 x 7 at the open that is better
    assert world.entries()[-2:] == [
        ["RETURN_MARGIN USD 100 -100", "CLOSE_PNL USD 5 0"],
        ["RETURN_MARGIN USD 200 -200", "CLOSE_PNL USD 14 0"],
    ]
