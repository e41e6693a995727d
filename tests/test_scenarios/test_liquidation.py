"""Isolated liquidation, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors import EventKind
from tests.harness import D, bar, play, rules


async def _long(me: Any) -> None:
    await me.next()
    await me.long("BTCUSD", 10, leverage=10)
    await me.next(2)


async def _short(me: Any) -> None:
    await me.next()
    await me.short("BTCUSD", 10, leverage=10)
    await me.next(2)


def test_a_long_is_liquidated_where_its_margin_is_used_up() -> None:
    # margin 10 x 100 / 10 = 100; (1000 - 100) / 10 = 90
    world = play([bar(0, 100), bar(1, 100), bar(2, 95, 96, 85, 88)], _long)
    assert world.fills()[-1] == "liquidation SHORT 10 @ 90 low"
    assert world.entries() == [
        ["RESERVE_MARGIN USD -105 105"],
        ["RETURN_MARGIN USD 5 -5"],
        ["RETURN_MARGIN USD 100 -100", "CLOSE_PNL USD -100 0"],
    ]
    assert world.balance("USD") == (D(900), D(0))
    assert world.journal("insurance") == []
    assert world.orders() == ["LONG 10 CLOSED liquidation"]


@pytest.mark.parametrize(("script", "open", "lost"), [(_long, 80, 200), (_short, 125, 250)])
def test_what_a_gap_costs_beyond_the_margin_comes_from_insurance(
    script: Any, open: int, lost: int
) -> None:
    world = play([bar(0, 100), bar(1, 100), bar(2, open)], script)
    beyond = lost - 100
    assert world.entries()[-1] == [
        "RETURN_MARGIN USD 100 -100",
        f"CLOSE_PNL USD -{lost} 0",
        f"ADJUSTMENT USD {beyond} 0",
    ]
    assert world.journal("insurance") == [f"ADJUSTMENT USD -{beyond} 0"]
    assert world.balance("USD") == (D(900), D(0))
    assert world.balance("USD", "insurance") == (D(-beyond), D(0))
    told = world.strategies["s0"].told(EventKind.LIQUIDATED, EventKind.BANKRUPTCY)
    assert told == [("liquidated", None), ("bankruptcy", None)]


def test_an_insurance_fund_pays_first() -> None:
    world = play([bar(0, 100), bar(1, 100), bar(2, 80)], _long, insurance=[("USD", D(70))])
    assert world.balance("USD", "insurance") == (D(-30), D(0))
    assert world.balance("USD", "world") == (D(-1070), D(0))


def test_a_short_is_liquidated_above() -> None:
    # (1000 + 100) / 10 = 110
    world = play([bar(0, 100), bar(1, 100), bar(2, 105, 115, 104, 104)], _short)
    assert world.fills()[-1] == "liquidation LONG 10 @ 110 high"
    assert world.balance("USD") == (D(900), D(0))


def test_maintenance_and_the_close_fee_leave_the_rest_of_the_margin() -> None:
    # r = 5 %: (1000 - 100) / (10 x 0.95) = 94.7368... down to 94.73
    world = play(
        [bar(0, 100), bar(1, 100), bar(2, 99, 99, 90, 91)],
        _long,
        rules=rules(maintenance_rate="0.05", fees={"close": {"percent_of_notional": "0.01"}}),
    )
    # PnL (94.73 - 100) x 10 = -52.70; fee 1 % of 947.30 = 9.473 up to 9.48
    assert world.entries()[-1] == [
        "RETURN_MARGIN USD 100 -100",
        "CLOSE_PNL USD -52.7 0",
        "FEE_CLOSE USD -9.48 0",
    ]
    assert world.balance("USD") == (D("937.82"), D(0))


def test_a_short_with_maintenance_is_liquidated_at_a_price_rounded_up() -> None:
    # (1000 + 100) / (10 x 1.03) = 106.79611... up to 106.80
    world = play(
        [bar(0, 100), bar(1, 100), bar(2, 101, 110, 101, 105)],
        _short,
        rules=rules(maintenance_rate="0.03"),
    )
    assert world.fills()[-1] == "liquidation LONG 10 @ 106.8 high"
    assert world.balance("USD") == (D(932), D(0))


def test_a_liquidation_fee_beyond_the_margin_is_not_the_accounts() -> None:
    world = play(
        [bar(0, 100), bar(1, 100), bar(2, 95, 95, 89, 89)],
        _long,
        rules=rules(fees={"close": {"percent_of_notional": "0.01"}}),
    )
    # at 90 the margin is gone; the fee of 9.00 is the insurance's
    assert world.entries()[-1] == [
        "RETURN_MARGIN USD 100 -100",
        "CLOSE_PNL USD -100 0",
        "FEE_CLOSE USD -9 0",
        "ADJUSTMENT USD 9 0",
    ]
    assert world.balance("USD") == (D(900), D(0))


def test_liquidations_are_not_limited_by_volume() -> None:
    world = play([bar(0, 100), bar(1, 100), bar(2, 95, 95, 89, 89, 0)], _long)
    assert world.fills()[-1] == "liquidation SHORT 10 @ 90 low"


def test_the_stop_loss_wins_at_an_equal_price_and_when_both_are_passed_at_the_open() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10, stop_loss=90)
        await me.next(2)

    world = play([bar(0, 100), bar(1, 100), bar(2, 95, 95, 89, 89)], script)
    assert world.fills()[-1] == "stop_loss SHORT 10 @ 90 low"
    world = play([bar(0, 100), bar(1, 100), bar(2, 85)], script)
    assert world.fills()[-1] == "stop_loss SHORT 10 @ 85 open"
    # PnL -150, margin 100: an isolated position never loses more
    assert world.entries()[-1] == [
        "RETURN_MARGIN USD 100 -100",
        "CLOSE_PNL USD -150 0",
        "ADJUSTMENT USD 50 0",
    ]
    assert world.balance("USD") == (D(900), D(0))


def test_a_stop_loss_before_the_liquidation_saves_margin() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10, stop_loss=92)
        await me.next(2)

    world = play([bar(0, 100), bar(1, 100), bar(2, 95, 95, 89, 89)], script)
    assert world.fills()[-1] == "stop_loss SHORT 10 @ 92 low"
    assert world.balance("USD") == (D(920), D(0))


def test_a_flat_margin_is_liquidated_whatever_the_leverage_says() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 2)
        await me.next(2)

    flat = rules(leverage_kind="flat_margin_per_volume", margin_per_volume=10)
    # margin 20; (200 - 20) / 2 = 90
    world = play([bar(0, 100), bar(1, 100), bar(2, 95, 95, 80, 81)], script, rules=flat)
    assert world.fills()[-1] == "liquidation SHORT 2 @ 90 low"
    assert world.balance("USD") == (D(980), D(0))


def test_a_fully_paid_long_is_never_liquidated() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 2)
        await me.next(2)

    world = play([bar(0, 100), bar(1, 100), bar(2, "0.01")], script)
    assert len(world.fills()) == 1
    assert world.equity == D("800.02")


def test_a_fully_paid_short_is_liquidated_at_twice_its_price() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.short("BTCUSD", 1)
        await me.next(2)

    world = play([bar(0, 100), bar(1, 100), bar(2, 150, 250, 150, 150)], script)
    assert world.fills()[-1] == "liquidation LONG 1 @ 200 high"
    assert world.balance("USD") == (D(900), D(0))


def test_the_liquidation_price_follows_the_margin_after_a_partial_close() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", "0.003", leverage=10)
        await me.next()
        await order.close("0.001")
        await me.next(2)

    # 0.003 x 101 / 10 = 0.0303 up to 0.04: liquidated at (0.303 - 0.04) / 0.003 = 87.66.
    # A third closed gives 0.0133 -> 0.01 back and leaves 0.03 for 0.002:
    # (0.202 - 0.03) / 0.002 = 86.00
    bars = [bar(0, 101), bar(1, 101), bar(2, 101), bar(3, 90, 90, "86.5", 90)]
    world = play(bars, script)
    assert len(world.fills()) == 2
    world = play([*bars[:3], bar(3, 90, 90, "85", 90)], script)
    assert world.fills()[-1] == "liquidation SHORT 0.002 @ 86 low"
