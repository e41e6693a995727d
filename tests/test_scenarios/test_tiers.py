"""Maintenance tiers, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.errors import ConfigError, FieldError, FieldTypeError, RejectReason
from backtest.models import Tier, Tiers, TradingRules
from backtest.runs.manifest import rules_text
from backtest.services.margin.linear import liquidation_price
from tests.harness import D, bar, play, refused, rules
from tests.liquidatable import is_liquidatable

BRACKETS = [[500, "0.01", 20], [1000, "0.05", 10], [None, "0.10", 5]]
"""Amounts: 0; 500 x 0.04 = 20; 20 + 1000 x 0.05 = 70."""


def _holds(side: str, volume: Any, leverage: int) -> Any:
    async def script(me: Any) -> None:
        await me.next()
        me.order = await getattr(me, side)("BTCUSD", volume, leverage=leverage)
        await me.next()
        me.price = me.order.liquidation_price
        assert me.position("BTCUSD").liquidation_price == me.price
        await me.next()

    return script


def test_maintenance_has_no_jumps_and_each_part_pays_its_own_rate() -> None:
    tiers = Tiers(BRACKETS)
    assert [one.amount for one in tiers] == [0, 20, 70]
    assert tiers.maintenance(D(400)) == 4
    assert tiers.maintenance(D(500)) == 5  # 500 x 0.01, and 500 x 0.05 - 20
    assert tiers.maintenance(D(800)) == 20  # 5 + 300 x 0.05
    assert tiers.maintenance(D(1000)) == 30  # 1000 x 0.05 - 20, and 1000 x 0.10 - 70
    assert tiers.maintenance(D(1500)) == 80  # 30 + 500 x 0.10


@pytest.mark.parametrize(
    ("side", "volume", "leverage", "price"),
    [
        # Ends at 900 of notional: (1000 - 100 - 20) / (10 x 0.95) = 92.631..., in the 2nd bracket
        ("long", 10, 10, "92.63"),
        # 2nd bracket: (1000 + 100 + 20) / 10.5 = 106.66 is 1066, beyond it; 3rd: 1170 / 11
        ("short", 10, 10, "106.37"),
        # 4: (400 - 40) / (4 x 0.99) = 90.909
        ("long", 4, 10, "90.9"),
        # 4 at 20: (400 + 20) / (4 x 1.01) = 103.96039
        ("short", 4, 20, "103.97"),
        # 6 at 4: (600 - 150) / (6 x 0.99) = 75.757 is 454, in the 1st; it was opened in the 2nd
        ("long", 6, 4, "75.75"),
    ],
)
def test_the_price_itself_moves_the_notional_through_the_brackets(
    side: str, volume: int, leverage: int, price: str
) -> None:
    script = _holds(side, volume, leverage)
    last = bar(2, 100, 130, 100, 100) if side == "short" else bar(2, 100, 100, 70, 90)
    world = play([bar(0, 100), bar(1, 100), last], script, rules=rules(maintenance_tiers=BRACKETS))
    me: Any = world.strategies["s0"]
    assert me.price == D(price)
    (fill,) = world.records.fills[1:]
    assert (fill.kind, fill.price) == ("liquidation", D(price))


def test_one_tick_before_its_price_it_lives() -> None:
    bars = [bar(0, 100), bar(1, 100), bar(2, 100, 100, "92.64", 93)]
    world = play(bars, _holds("long", 10, 10), rules=rules(maintenance_tiers=BRACKETS))
    assert len(world.fills()) == 1


def test_exactly_at_a_bound_both_brackets_give_one_price() -> None:
    # It ends where the notional is 500: 5 maintained. 10 from 100 with a margin of 505: at 50 the
    # loss is 500, 5 is left. Both (1000 - 505) / 9.9 and (1000 - 505 - 20) / 9.5 are 50.
    # A bound one cent away changes the price by less than an increment.
    for first in (500, D("499.99"), D("500.01")):
        tiers = Tiers([(first, "0.01"), (None, "0.05")])
        price = liquidation_price(True, D(100), D(10), D(1), D(505), tiers, D("0.01"))
        assert price == 50


@pytest.mark.parametrize("margin", [1, 40, 100, 333, 505, 900])
@pytest.mark.parametrize("long", [True, False])
@pytest.mark.parametrize("fill", [20, 49, 50, 51, 99, 100, 180])
def test_it_is_the_boundary_in_every_bracket(long: bool, margin: int, fill: int) -> None:
    tick, tiers = D("0.01"), Tiers(BRACKETS)
    price = liquidation_price(long, D(fill), D(10), D(1), D(margin), tiers, tick)
    sign = 1 if long else -1
    if price is None:
        assert long
        assert margin >= fill * 10
        return
    assert is_liquidatable(sign, D(fill), price, D(10), D(1), D(margin), tiers)
    assert not is_liquidatable(sign, D(fill), price + sign * tick, D(10), D(1), D(margin), tiers)


@pytest.mark.parametrize(
    ("volume", "leverage", "most"),
    [(5, 21, 20), (6, 11, 10), (10, 11, 10), (11, 6, 5)],
)
def test_the_leverage_that_may_be_had_falls_with_the_notional(
    volume: int, leverage: int, most: int
) -> None:
    async def script(me: Any) -> None:
        await me.next()
        caught = await refused(
            me, lambda: me.long("BTCUSD", volume, leverage=leverage), RejectReason.LEVERAGE
        )
        assert f"at most {most}" in caught.detail
        order = await me.long("BTCUSD", volume, leverage=most, limit_price=100)
        if volume == 5:
            # 6 contracts are in the next bracket, where 20 is too much
            await refused(me, lambda: order.modify(volume=6), RejectReason.LEVERAGE)

    play([bar(0, 100), bar(1, 100)], script, rules=rules(maintenance_tiers=BRACKETS))


def test_nothing_is_opened_beyond_the_last_bound() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(me, lambda: me.long("BTCUSD", 11), RejectReason.LEVERAGE)
        await me.long("BTCUSD", 10, leverage=2)
        await me.next(2)
        # 10 x 150 = 1500, beyond the bound: the last rate goes on. (1000 - 500 - 20) / 9.5
        assert me.position("BTCUSD").liquidation_price == D("50.52")

    bars = [bar(0, 100), bar(1, 100), bar(2, 150)]
    play(bars, script, rules=rules(maintenance_tiers=BRACKETS[:2]))


@pytest.mark.parametrize(
    ("tiers", "error", "says"),
    [
        ([], FieldError, "at least one"),
        ([(None, "0.1"), (5, "0.2")], FieldError, "rising bounds"),
        ([(5, "0.1"), (5, "0.2")], FieldError, "rising bounds"),
        ([(5, "0.2"), (6, "0.1")], FieldError, "falling rates"),
        ([(5, 1)], FieldError, "below 1"),
        ([(5, "0.1", "0.5")], FieldError, "max_leverage"),
        ([(0, "0.1")], FieldError, "up_to must be positive"),
        ([(5, None)], FieldError, "must have a rate"),
        ([(5, 0.1)], FieldTypeError, "not the float 0.1"),
        ([5], FieldTypeError, "up_to, rate, max_leverage"),
        ("5", FieldTypeError, "must be a list"),
        ([{"upto": 5}], FieldError, "know no 'upto'"),
    ],
)
def test_what_is_no_table_of_brackets(tiers: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        TradingRules(maintenance_tiers=tiers)


def test_they_stand_in_the_place_of_the_flat_rate() -> None:
    with pytest.raises(FieldError, match="beside maintenance_rate"):
        rules(maintenance_rate="0.01", maintenance_tiers=BRACKETS)
    with pytest.raises((FieldError, ConfigError)):
        rules(maintenance_tiers=[{"rate": 2}])


def test_they_can_be_written_as_tables_and_are_told_as_rows() -> None:
    table = [{"up_to": 500, "rate": "0.01", "max_leverage": 20}, {"rate": "0.05"}]
    read = rules(maintenance_tiers=table)
    assert read.maintenance_tiers == Tiers([Tier(D(500), D("0.01"), D(20)), (None, "0.05")])
    assert rules_text(read)["maintenance_tiers"] == [["500", "0.01", "20"], [None, "0.05", None]]
    assert rules_text(rules())["maintenance_tiers"] is None
