"""Fees of every kind at every stage, worked out by hand; rounding up, rebates, flat fees once."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors import EventKind
from tests.harness import HOUR, D, World, bar, play, rules

# The rates and what they come to, rounded up to the cent:
#   flat per trade 1.505 -> 1.51, always; flat per volume 0.333 x 2 = 0.666 -> 0.67, always;
#   0.123 % of the notional; 1.01 % of the margin.
KINDS = {
    "flat_per_trade": "1.505",
    "flat_per_volume": "0.333",
    "percent_of_notional": "0.00123",
    "percent_of_margin": "0.0101",
}


def _rules(stage: str, kind: str) -> Any:
    return rules(fees={stage: {kind: KINDS[kind]}}, rollover_ns=0)


async def _round_trip(me: Any) -> None:
    await me.next()
    order = await me.long("BTCUSD", 2, leverage=4)
    await me.next()
    await order.close()
    await me.next()


async def _cancelled(me: Any) -> None:
    await me.next()
    order = await me.long("BTCUSD", 2, leverage=4, limit_price=90)
    await me.next()
    await order.cancel()
    await me.next()


def _fees(world: World, kind: str) -> list[str]:
    return [line for line in world.journal() if line.startswith(kind)]


@pytest.mark.parametrize(
    ("stage", "kind", "amount"),
    [
        # created at the last price 100: worst price 105, notional 210, margin 52.50
        ("create", "flat_per_trade", "1.51"),
        ("create", "flat_per_volume", "0.67"),
        ("create", "percent_of_notional", "0.26"),  # 0.2583
        ("create", "percent_of_margin", "0.54"),  # 0.53025
        # filled at 100: notional 200, margin 50
        ("fill", "flat_per_trade", "1.51"),
        ("fill", "flat_per_volume", "0.67"),
        ("fill", "percent_of_notional", "0.25"),  # 0.246
        ("fill", "percent_of_margin", "0.51"),  # 0.505
        # closed at 110: notional 220, margin 50
        ("close", "flat_per_trade", "1.51"),
        ("close", "flat_per_volume", "0.67"),
        ("close", "percent_of_notional", "0.28"),  # 0.2706
        ("close", "percent_of_margin", "0.51"),
    ],
)
def test_fees_of_a_round_trip(stage: str, kind: str, amount: str) -> None:
    world = play([bar(0, 100), bar(1, 100), bar(2, 110)], _round_trip, rules=_rules(stage, kind))
    assert _fees(world, "FEE") == [f"FEE_{stage.upper()} USD -{amount} 0"]
    assert world.journal("fees") == [f"FEE_{stage.upper()} USD {amount} 0"]
    assert world.balance("USD") == (1020 - D(amount), D(0))
    (order,) = world.records.orders
    assert (order.total_fees, order.net_pnl) == (D(amount), 20 - D(amount))


@pytest.mark.parametrize(
    ("kind", "amount"),
    [
        # a limit of 90: notional 180, margin 45
        ("flat_per_trade", "1.51"),
        ("flat_per_volume", "0.67"),
        ("percent_of_notional", "0.23"),  # 0.2214
        ("percent_of_margin", "0.46"),  # 0.4545
    ],
)
def test_fees_of_a_cancel(kind: str, amount: str) -> None:
    world = play([bar(0, 100), bar(1, 100), bar(2, 100)], _cancelled, rules=_rules("cancel", kind))
    assert world.entries() == [
        ["RESERVE_MARGIN USD -45 45"],
        ["RETURN_MARGIN USD 45 -45", f"FEE_CANCEL USD -{amount} 0"],
    ]
    (order,) = world.records.orders
    assert order.fees_on_cancel == D(amount)


@pytest.mark.parametrize(
    ("stage", "kind", "amount"),
    [
        # pending at a limit of 90 with 45 in reserve, the mark is 100: notional 200
        ("overnight_pending", "flat_per_trade", "1.51"),
        ("overnight_pending", "flat_per_volume", "0.67"),
        ("overnight_pending", "percent_of_notional", "0.25"),  # 0.246
        ("overnight_pending", "percent_of_margin", "0.46"),  # 0.4545
        # open with a margin of 50 at the mark of 100
        ("overnight_filled", "flat_per_trade", "1.51"),
        ("overnight_filled", "flat_per_volume", "0.67"),
        ("overnight_filled", "percent_of_notional", "0.25"),
        ("overnight_filled", "percent_of_margin", "0.51"),  # 0.505
    ],
)
def test_fees_of_a_night(stage: str, kind: str, amount: str) -> None:
    async def script(me: Any) -> None:
        await me.next()
        limit = {"limit_price": 90} if stage == "overnight_pending" else {}
        await me.long("BTCUSD", 2, leverage=4, **limit)
        await me.next(3)

    bars = [bar(hour, 100, length=HOUR) for hour in (21, 22, 23, 24)]
    world = play(bars, script, rules=_rules(stage, kind))
    assert _fees(world, "FEE") == [f"FEE_OVERNIGHT USD -{amount} 0"]
    assert world.journal("market") == [f"FEE_OVERNIGHT USD {amount} 0"]
    assert world.journal("fees") == []
    (order,) = world.records.orders
    assert order.fees_on_overnight == D(amount)


def test_several_fees_of_one_stage_are_rounded_one_by_one() -> None:
    fees = {"fill": [{"percent_of_notional": "0.00123"}, {"flat_per_volume": "0.333"}]}
    world = play([bar(0, 100), bar(1, 100), bar(2, 110)], _round_trip, rules=rules(fees=fees))
    # 0.246 -> 0.25 and 0.666 -> 0.67
    assert _fees(world, "FEE") == ["FEE_FILL USD -0.92 0"]


def test_a_rebate_is_rounded_toward_zero() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 2, limit_price=95)
        await me.next(2)

    fees = {"fill": {"percent_of_notional": "0.001", "maker": "-0.0005"}}
    world = play([bar(0, 100), bar(1, 99), bar(2, 99, 99, 94, 94)], script, rules=rules(fees=fees))
    # -0.05 % of 190 = -0.095 -> -0.09
    assert world.journal("fees") == ["FEE_FILL USD -0.09 0"]
    assert world.balance("USD") == (D("810.09"), D(0))
    assert world.fills() == ["entry LONG 2 @ 95 low fee -0.09 maker"]


def test_a_flat_fee_comes_with_the_first_fill_only() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 3, limit_price=100)
        assert me.balance("USD").unavailable == 302
        await me.next()
        assert me.balance("USD") == (D(698), D(200))
        await me.next()

    bars = [bar(0, 101), bar(1, 100, volume=1), bar(2, 100, volume=9)]
    world = play(bars, script, rules=rules(fees={"fill": {"flat_per_trade": 2}}))
    assert world.entries() == [
        ["RESERVE_MARGIN USD -302 302"],
        ["FILL_BUY USD 0 -100", "SPOT_EXCHANGE BTC 1 0", "FEE_FILL USD 0 -2"],
        ["FILL_BUY USD 0 -200", "SPOT_EXCHANGE BTC 2 0"],
    ]
    assert world.balance("USD") == (D(698), D(0))


def test_a_flat_close_fee_comes_once_for_a_close_in_two_fills() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 3)
        await me.next()
        await order.close()
        await me.next(2)

    bars = [bar(0, 100), bar(1, 100), bar(2, 100, volume=1), bar(3, 100, volume=9)]
    world = play(bars, script, rules=rules(fees={"close": {"flat_per_trade": 2}}))
    assert _fees(world, "FEE") == ["FEE_CLOSE USD -2 0"]
    assert world.balance("USD") == (D(998), D(0))


def test_create_fees_of_spot_orders_are_paid_in_quote_and_must_be_there() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.sell("BTCUSD", 1, limit_price=110)
        await me.next()

    fees = {"create": {"percent_of_notional": "0.001"}}
    world = play(
        [bar(0, 100), bar(1, 100)], script, cash={"USD": 1, "BTC": 1}, rules=rules(fees=fees)
    )
    # 0.1 % of 110
    assert world.entries() == [["RESERVE_MARGIN BTC -1 1", "FEE_CREATE USD -0.11 0"]]
    assert world.records.orders[0].fee_create == D("0.11")


def test_an_increase_pays_create_fee_on_the_increase_and_a_split_pays_none() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, limit_price=90)
        await order.modify(volume=3)
        await order.modify(volume=2)
        await order.modify(limit_price=91)
        parts = await order.split([1, 1])
        await parts[0].cancel()

    fees = {"create": {"flat_per_volume": "0.5"}, "cancel": {"flat_per_volume": "0.25"}}
    world = play([bar(0, 100), bar(1, 100)], script, rules=rules(fees=fees))
    assert world.entries() == [
        ["RESERVE_MARGIN USD -180 180", "FEE_CREATE USD -1 0"],
        ["RESERVE_MARGIN USD -90 90", "FEE_CREATE USD -0.5 0"],
        ["RETURN_MARGIN USD 90 -90"],
        ["RESERVE_MARGIN USD -2 2"],
        ["RETURN_MARGIN USD 91 -91", "FEE_CANCEL USD -0.25 0"],
    ]


def test_a_flat_create_fee_is_not_charged_again_for_an_increase() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=90)
        await order.modify(volume=2)

    world = play(
        [bar(0, 100), bar(1, 100)], script, rules=rules(fees={"create": {"flat_per_trade": 3}})
    )
    assert world.entries() == [
        ["RESERVE_MARGIN USD -90 90", "FEE_CREATE USD -3 0"],
        ["RESERVE_MARGIN USD -90 90"],
    ]


def test_a_cancel_is_never_refused_for_its_fee() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", 1, limit_price=110)
        await order.cancel()
        assert order.is_done
        assert me.balance("USD") == (D(0), D(0))
        assert me.balance("BTC") == (D(1), D(0))
        await me.next()
        assert me.told(EventKind.BANKRUPTCY) == [("bankruptcy", None)]

    world = play(
        [bar(0, 100), bar(1, 100)],
        script,
        cash={"USD": 2, "BTC": 1},
        rules=rules(fees={"cancel": {"flat_per_trade": 5}}),
    )
    # 2 of the 5 are there, the insurance account bears 3
    assert world.entries()[1] == [
        "RETURN_MARGIN BTC 1 -1",
        "ADJUSTMENT USD 3 0",
        "FEE_CANCEL USD -5 0",
    ]
    assert world.balance("USD", "insurance") == (D(-3), D(0))


def test_a_close_fee_that_cannot_be_paid_is_taken_from_margin_then_from_insurance() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1, leverage=10)
        await me.next()
        assert me.balance("USD") == (D("0.5"), D(10))
        await order.close()
        await me.next()
        assert me.balance("USD") == (D(0), D(0))

    world = play(
        [bar(0, 100), bar(1, 100), bar(2, 99)],
        script,
        cash={"USD": "10.50"},
        rules=rules(fees={"close": {"flat_per_trade": 12}}),
    )
    # margin 10 - 1 lost + 0.50 available = 9.50 of the 12
    assert world.entries()[-1] == [
        "RETURN_MARGIN USD 10 -10",
        "CLOSE_PNL USD -1 0",
        "FEE_CLOSE USD -12 0",
        "ADJUSTMENT USD 2.5 0",
    ]


def test_the_maker_fee_of_a_take_profit_and_the_taker_fee_of_a_stop_loss() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, stop_loss=95, take_profit=110)
        await me.next(2)

    fees = {"close": {"percent_of_notional": "0.002", "maker": "0.001"}}
    up = [bar(0, 100), bar(1, 100), bar(2, 105, 111, 105, 111)]
    down = [bar(0, 100), bar(1, 100), bar(2, 97, 97, 94, 94)]
    assert _fees(play(up, script, rules=rules(fees=fees)), "FEE") == ["FEE_CLOSE USD -0.11 0"]
    assert _fees(play(down, script, rules=rules(fees=fees)), "FEE") == ["FEE_CLOSE USD -0.19 0"]
