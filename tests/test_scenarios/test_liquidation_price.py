"""The liquidation price that a strategy is told is the one at which the venue liquidates."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.errors import FieldError
from backtest.services.margin.linear import liquidation_price_of
from tests.effort import examples
from tests.harness import D, bar, pair_of, play, rules

CROSS = {"main": {"margin_mode": "cross"}}
PAIRS = [pair_of("BTCUSD"), pair_of("ETHUSD")]


def eth(number: int, *prices: Any) -> Any:
    return bar(number, *prices, pair="ETHUSD")


def told(script: Any, bars: Any, **more: Any) -> Any:
    """What ``script`` puts into ``me.price`` and what became of the run."""
    world = play(bars, script, finishes=False, **more)
    me: Any = world.strategies["s0"]
    return me.price, world


def test_of_nothing_it_is_nothing() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1, limit_price=50)
        assert order.liquidation_price is None
        assert me.position("BTCUSD").liquidation_price is None

    world = play([bar(0, 100), bar(1, 100)], script)
    (order,) = world.records.orders
    with pytest.raises(FieldError, match="must be open"):
        liquidation_price_of(order, pair_of(), rules())


def test_a_fully_paid_long_has_none() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1)
        await me.next()
        assert order.liquidation_price is None

    play([bar(0, 100), bar(1, 100)], script)


def test_it_follows_the_fill_the_margin_and_what_is_closed() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", "0.003", leverage=10)
        await me.next()
        # 0.003 x 101 / 10 = 0.0303 up to 0.04: (0.303 - 0.04) / 0.003 = 87.666
        assert order.liquidation_price == D("87.66")
        await order.close("0.001")
        await me.next()
        # 0.03 for 0.002: (0.202 - 0.03) / 0.002
        assert order.liquidation_price == D("86.00")
        await order.close()
        await me.next()
        assert order.liquidation_price is None

    play([bar(0, 101), bar(1, 101), bar(2, 101), bar(3, 101)], script)


def test_of_several_it_is_the_nearest_to_the_last_price() -> None:
    async def script(me: Any) -> None:
        await me.next()
        near = await me.long("BTCUSD", 1, leverage=10)  # 90
        far = await me.long("BTCUSD", 1, leverage=5)  # 80
        short = await me.short("BTCUSD", 1, leverage=5)  # 120
        await me.next()
        prices = [one.liquidation_price for one in (near, far, short)]
        assert prices == [D(90), D(80), D(120)]
        assert me.position("BTCUSD").liquidation_price == 90
        await me.next()
        # at 110 the short is nearer: 10 away, not 20
        assert me.position("BTCUSD").liquidation_price == 120

    play([bar(0, 100), bar(1, 100), bar(2, 110)], script)


def test_of_an_order_filled_in_parts_it_is_one() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2, leverage=10)
        await me.next(2)
        # 1 from 100 and 1 from 104 cost 204, and hold 20.40: 183.60 / 2
        assert order.liquidation_price == D("91.80")

    play([bar(0, 100), bar(1, 100, 100, 100, 100, 1), bar(2, 104, 104, 104, 104, 1)], script)


@settings(max_examples=examples(40), deadline=None)
@given(
    long=st.booleans(),
    leverage=st.integers(2, 20),
    volume=st.integers(1, 50),
    rate=st.sampled_from(["0", "0.005", "0.02"]),
    tiers=st.booleans(),
    mode=st.sampled_from(["isolated", "cross"]),
)
def test_one_tick_decides(
    long: bool, leverage: int, volume: int, rate: str, tiers: bool, mode: str
) -> None:
    """A bar that stops one tick short of the price leaves the position; one more ends it."""
    own = rules(maintenance_rate=rate)
    if tiers:
        own = rules(maintenance_tiers=[[1000, "0.004"], [3000, "0.01"], [None, "0.02"]])

    async def script(me: Any) -> None:
        await me.next()
        order = await (me.long if long else me.short)("BTCUSD", volume, leverage=leverage)
        await me.next()
        me.price = order.liquidation_price

    more: dict[str, Any] = {"rules": own, "cash": {"USD": 3000}}
    more["accounts"] = {"main": {"margin_mode": mode}}
    price, _ = told(script, [bar(0, 100), bar(1, 100)], **more)
    if price is None:
        assert long
        assert mode == "cross"
        return
    tick = D("0.01") if long else D("-0.01")
    for end, count in ((price + tick, 1), (price, 2)):
        top, bottom = max(D(100), end), min(D(100), end)
        _, world = told(script, [bar(0, 100), bar(1, 100), bar(2, 100, top, bottom, end)], **more)
        assert len(world.records.fills) == count
    assert (world.records.fills[-1].kind, world.records.fills[-1].price) == ("liquidation", price)


# -- cross margin ----------------------------------------------------------------------------------


def test_with_cross_margin_it_is_that_of_the_account_at_the_marks() -> None:
    async def script(me: Any) -> None:
        await me.next()
        btc = await me.long("BTCUSD", 10, leverage=10)
        await me.next()
        # (1000 - 300) / 9.5
        assert btc.liquidation_price == D("73.68")
        other = await me.long("ETHUSD", 5, leverage=10)
        await me.next()
        # 300 + 10 (p - 100) + 5 (40 - 50) = 0.5 p + 10: 760 / 9.5
        await me.sleep(1)  # ETH's bar of this minute comes after BTC's
        assert btc.liquidation_price == D(80)
        # of ETH, with BTC at 100: 300 + 5 (q - 50) = 50 + 0.25 q: 0 at 0
        assert other.liquidation_price is None
        assert me.position("BTCUSD").liquidation_price == D(80)
        me.price = btc.liquidation_price
        await me.next()

    bars = [bar(0, 100), eth(0, 50), bar(1, 100), eth(1, 50), bar(2, 100), eth(2, 50, 50, 40, 40)]
    bars += [bar(3, 95, 95, 79, 85), eth(3, 40)]
    price, world = told(
        script,
        bars,
        cash={"USD": 300},
        rules=rules(maintenance_rate="0.05"),
        accounts=CROSS,
        pairs=PAIRS,
    )
    assert world.fills()[-1] == f"liquidation SHORT 10 @ {price} low"


def test_what_another_strategy_holds_in_the_account_counts() -> None:
    async def other(me: Any) -> None:
        await me.next()
        order = await me.short("BTCUSD", 4, leverage=10)
        await me.next(2)
        await order.close()
        await me.next()

    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 10, leverage=10)
        await me.next()
        # 300 + 6 (p - 100) = 0.7 p: 300 / 5.3 = 56.603
        await me.sleep(1)
        assert order.liquidation_price == D("56.60")
        await me.next(2)
        # the short is closed at 100: 300 + 10 (p - 100) = 0.5 p
        await me.sleep(1)
        assert order.liquidation_price == D("73.68")

    bars = [bar(n, 100) for n in range(6)]
    play(
        bars,
        script,
        other,
        cash={"USD": 300},
        own=[["main"], ["main"]],
        rules=rules(maintenance_rate="0.05"),
        accounts=CROSS,
    )


def test_collateral_lowers_it() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 10, leverage=10)
        await me.next()
        # 100 + 0.9 x 2 p + 10 (p - 100) = 0.5 p: 900 / 11.3 = 79.646
        me.price = order.liquidation_price
        await me.next()

    price, world = told(
        script,
        [bar(0, 100), bar(1, 100), bar(2, 95, 95, 75, 80)],
        cash={"USD": "110", "BTC": 2},
        rules=rules(maintenance_rate="0.05"),
        accounts={"main": {"margin_mode": "cross", "collateral": {"BTC": "0.9"}}},
    )
    # 110: 890 / 11.3 = 78.761
    assert price == D("78.76")
    assert world.fills()[-1].startswith("liquidation SHORT 10 @ 78.76 low")
