"""Rounding gives nothing away: what an order exchanges in many fills is what one fill would.

BTCUSD has a volume increment of 0.001 and USD cents unless said otherwise. A bar's volume is what
can fill of it.
"""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors import EventKind
from backtest.errors import RejectReason as R
from tests.harness import D, Me, World, bar, pair_of, play, refused

COINS = {"USD": "10", "BTC": "10"}


def dust(count: int, price: Any = 1, volume: str = "0.004", first: int = 1) -> list[Any]:
    """Bars in which so little can be had, from number ``first`` on."""
    return [bar(number, price, volume=volume) for number in range(first, first + count)]


def amounts(world: World, kind: str, asset: str = "USD") -> list[str]:
    """What each transaction of a kind moved, available and unavailable together."""
    rows = [row for row in world.rows() if row.account == "main" and row.kind.name == kind]
    moved = [row.available + row.unavailable for row in rows if row.asset == asset]
    return [format(one.normalize() if one else D(0), "f") for one in moved]


def nothing_reserved(world: World) -> bool:
    return all(world.balance(asset)[1] == 0 for asset in ("USD", "BTC"))


# -- spot ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "paid", "got"),
    [
        # 10 x 0.004 at 1.00: 0.04 up to a dollar, with the first fill; down to nothing
        (0, ["-1", *["0"] * 9], []),
        (2, ["-0.01", "0", "-0.01", "0", "0", "-0.01", "0", "-0.01", "0", "0"], None),
        (8, ["-0.004"] * 10, ["0.004"] * 10),
        (18, ["-0.004"] * 10, ["0.004"] * 10),
    ],
)
def test_ten_partial_fills_come_to_one(
    precision: int, paid: list[str], got: list[str] | None
) -> None:
    """4 BTC for nothing is what a thousand such fills were: now ten of them cost 0.04, and bring as
    much when they are sold again."""

    async def script(me: Any) -> None:
        await me.next()
        bought = await me.buy("BTCUSD", "0.04", limit_price=1 if precision else 100)
        await me.next(10)
        assert bought.is_filled
        if precision:
            sold = await me.sell("BTCUSD", "0.04", limit_price=1)
            await me.next(10)
            assert sold.is_filled
            assert me.balance("USD") == (D(10), D(0))

    bars = [bar(0, 1), *dust(20)]
    world = play(bars, script, cash={"USD": 10}, pairs=[pair_of(precision=precision)])
    assert amounts(world, "FILL_BUY") == paid
    if got is None:
        # 0.004, 0.008 down to nothing; 0.012 to 0.01 ...
        got = ["0", "0", "0.01", "0", "0.01", "0", "0", "0.01", "0", "0.01"]
    assert amounts(world, "SPOT_EXCHANGE") == got
    assert nothing_reserved(world)


def test_an_order_worth_less_than_a_step_is_refused() -> None:
    """500 at 0.00000847 are 0.004235: a thousand such buys cost nothing."""

    async def script(me: Any) -> None:
        await me.next()
        await refused(me, lambda: me.buy("SHIBUSD", 500, limit_price="0.00000847"), R.MIN_NOTIONAL)
        await refused(me, lambda: me.sell("SHIBUSD", 500), R.MIN_NOTIONAL)
        # the reservation price: the limit, else the stop, else the last price
        await refused(me, lambda: me.sell("SHIBUSD", 500, stop_price="0.000008"), R.MIN_NOTIONAL)
        await me.sell("SHIBUSD", 500, limit_price="0.00002")
        # of a buy the limit, or what it reserves for: 0.00000847 x 1.05 up to 0.00000890
        await me.buy("SHIBUSD", 1124)
        await refused(me, lambda: me.buy("SHIBUSD", 1123), R.MIN_NOTIONAL)

    shib = pair_of("SHIBUSD", price_increment="0.00000001", volume_increment="1")
    cash = {"USD": 10, "SHIB": 1000}
    play(
        [bar(0, "0.00000847", pair="SHIBUSD")],
        Me(script=script, pair="SHIBUSD"),
        pairs=[shib],
        cash=cash,
    )


def test_what_is_left_of_a_sell_and_brings_nothing_more_is_cancelled() -> None:
    """0.010 of 0.014 bring 0.01; with the other 0.004 it would be 0.014, of which 0.01 are paid."""

    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", "0.014", limit_price=1)
        await me.next()
        assert (order.filled_volume, order.end_reason) == (D("0.010"), "MIN_NOTIONAL")
        assert me.balance("BTC") == (D("9.990"), D(0))
        assert me.told(EventKind.CANCELLED) == [("cancelled", "MIN_NOTIONAL")]

    world = play([bar(0, "0.9"), *dust(2, 1, "0.010")], script, cash=COINS)
    assert world.fills() == ["entry SHORT 0.01 @ 1 open"]
    assert world.balance("USD") == (D("10.01"), D(0))


def test_what_is_left_of_a_buy_is_paid_for_already_and_goes_on() -> None:
    """0.010 of 0.014 cost 0.01, and all of it 0.014, up to 0.02."""

    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", "0.014", limit_price=1)
        await me.next(2)
        assert order.is_filled

    world = play([bar(0, 2), *dust(2, 1, "0.010")], script, cash=COINS)
    assert amounts(world, "FILL_BUY") == ["-0.01", "-0.01"]
    assert world.balance("USD") == (D("9.98"), D(0))


def test_a_cancel_that_leaves_nothing_worth_selling_cancels_that_too() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", 1, limit_price=1)
        await order.cancel("0.995")
        assert order.end_reason == "MIN_NOTIONAL"
        assert me.told(EventKind.CANCELLED) == [
            ("cancelled", "REQUESTED"),
            ("cancelled", "MIN_NOTIONAL"),
        ]
        assert me.balance("BTC") == (D(10), D(0))

    play([bar(0, "0.9")], script, cash=COINS)


def test_a_modify_to_less_than_a_step_is_refused() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", "0.5", limit_price=1)
        await refused(me, lambda: order.modify(volume="0.005"), R.MIN_NOTIONAL)
        await refused(me, lambda: order.modify(limit_price="0.01"), R.MIN_NOTIONAL)
        assert (order.leaves, me.balance("BTC").unavailable) == (D("0.5"), D("0.5"))
        order = await me.buy("BTCUSD", "0.5", limit_price="0.5")
        await refused(me, lambda: order.modify(limit_price="0.01"), R.MIN_NOTIONAL)
        assert me.balance("USD").unavailable == D("0.25")
        await refused(me, lambda: order.split(["0.485", "0.015"]), R.MIN_NOTIONAL)

    play([bar(0, "0.9")], script, cash=COINS)


def test_a_branch_goes_on_after_a_modify_in_mid_fill() -> None:
    """0.3 of 1 at 1.003 are 0.3009: 0.31 are posted, and up(1.003) = 1.01 less that stay reserved.
    Made 0.5 in all: 0.5015, up to 0.52 less 0.31. The last 0.2 at 1.00: 0.5009, up to 0.51."""

    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price="1.003")
        assert me.balance("USD") == (D("8.99"), D("1.01"))
        await me.next()
        assert me.balance("USD") == (D("8.99"), D("0.70"))
        await order.modify(volume="0.5")
        assert me.balance("USD") == (D("9.49"), D("0.20"))
        await me.next()
        assert order.is_filled

    bars = [bar(0, 2), bar(1, "1.003", volume="0.3"), bar(2, 1, volume=1)]
    world = play(bars, script, cash=COINS, pairs=[pair_of(price_increment="0.001")])
    assert amounts(world, "FILL_BUY") == ["-0.31", "-0.2"]
    assert world.balance("USD") == (D("9.49"), D(0))


def test_the_parts_of_a_split_in_mid_fill_begin_anew() -> None:
    """0.3 of 1 at 1.003 cost 0.31; the other 0.7 keep 0.70. Split, each 0.35 are 0.35105, up to
    0.36: two steps more come from what is available."""

    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price="1.003")
        await me.next()
        parts = await order.split(["0.35", "0.35"])
        assert me.balance("USD") == (D("8.97"), D("0.72"))
        await me.next()
        assert all(part.is_filled for part in parts)

    bars = [bar(0, 2), bar(1, "1.003", volume="0.3"), bar(2, "1.003")]
    world = play(bars, script, cash=COINS, pairs=[pair_of(price_increment="0.001")])
    assert amounts(world, "FILL_BUY") == ["-0.31", "-0.36", "-0.36"]
    assert world.balance("USD") == (D("8.97"), D(0))


def test_a_bracket_in_small_parts_sells_again_as_one() -> None:
    """Ten fills of 0.004 at 1.00, and ten exits that sell them at 2.00: 0.008 each, 0.08 in all."""

    async def script(me: Any) -> None:
        await me.next()
        entry = await me.buy("BTCUSD", "0.04", stop_loss="0.5", take_profit=2)
        await me.next(11)
        assert len(entry.exits) == 10
        assert all(one.is_filled for one in entry.exits)

    bars = [bar(0, 1), *dust(10), bar(11, 2)]
    world = play(bars, script, cash={"USD": 10})
    assert amounts(world, "FILL_BUY") == [
        "-0.01", "0", "-0.01", "0", "0", "-0.01", "0", "-0.01", "0", "0",
    ]  # fmt: skip
    assert amounts(world, "SPOT_EXCHANGE") == [
        "0", "0.01", "0.01", "0.01", "0.01", "0", "0.01", "0.01", "0.01", "0.01",
    ]  # fmt: skip
    assert world.balance("USD") == (D("10.04"), D(0))
    assert nothing_reserved(world)


def test_an_exit_sells_what_brings_nothing_all_the_same() -> None:
    """0.01 bought at 1.00; half of a cent at the stop of 0.50 is nothing."""

    async def script(me: Any) -> None:
        await me.next()
        entry = await me.buy("BTCUSD", "0.01", stop_loss="0.5")
        await me.next(2)
        assert [one.is_filled for one in entry.exits] == [True]
        assert me.balance("BTC") == (D(0), D(0))

    world = play([bar(0, 1), bar(1, 1), bar(2, 1, 1, "0.5", "0.5")], script, cash={"USD": 10})
    assert world.balance("USD") == (D("9.99"), D(0))


# -- positions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "pnls"),
    [
        (0, ["0", "0", "1"]),
        (2, ["0.33", "0.33", "0.34"]),
        (8, ["0.333", "0.333", "0.334"]),
        (18, ["0.333", "0.333", "0.334"]),
    ],
)
@pytest.mark.parametrize("side", ["long", "short"])
def test_a_position_closed_in_thirds_earns_what_it_does_at_once(
    precision: int, pnls: list[str], side: str
) -> None:
    last = 101 if side == "long" else 99

    async def script(me: Any) -> None:
        await me.next()
        order = await getattr(me, side)("BTCUSD", 1)
        await me.next()
        for volume in ("0.333", "0.333", None):
            await order.close(volume)
            await me.next()

    bars = [bar(0, 100), bar(1, 100), *(bar(number, last) for number in (2, 3, 4))]
    world = play(bars, script, pairs=[pair_of(precision=precision)])
    assert amounts(world, "CLOSE_PNL") == pnls
    assert world.balance("USD") == (D(1001), D(0))


def test_a_position_that_loses_in_thirds_loses_what_it_does_at_once() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1)
        await me.next()
        for volume in ("0.333", "0.333", None):
            await order.close(volume)
            await me.next()

    bars = [bar(0, 100), bar(1, 100), *(bar(number, 99) for number in (2, 3, 4))]
    world = play(bars, script)
    # -0.333, -0.666, -1.000, each down
    assert amounts(world, "CLOSE_PNL") == ["-0.34", "-0.33", "-0.33"]
    assert world.balance("USD") == (D(999), D(0))


def test_the_margin_that_comes_back_is_rounded_down() -> None:
    """And what is left over comes with the last part."""

    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 1, leverage=10)
        await me.next()
        held = []
        for volume in ("0.006", "0.333", None):
            await order.close(volume)
            await me.next()
            held.append(me.balance("USD").unavailable)
        # 0.06 come back; of 9.94 for 0.994 then 3.33 for 0.333
        assert held == [D("9.94"), D("6.61"), D(0)]

    play([bar(number, 100) for number in range(5)], script)

    async def odd(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", "0.003", leverage=1)
        await me.next()
        assert me.balance("USD").unavailable == D("0.31")
        await order.close("0.002")
        await me.next()
        # 0.31 x 2 / 3 = 0.20666..., down to 0.20
        assert me.balance("USD").unavailable == D("0.11")

    play([bar(number, "101") for number in range(3)], odd)


def test_closes_in_dust_gain_nothing() -> None:
    """Long 0.008 at 1.00, closed in two halves at 1.70: 0.0028 and 0.0056 are nothing. At 0.30 as
    much is lost: a cent with the first, which is all of the margin, so the second half is
    liquidated, for nothing more."""

    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", "0.008")
        await me.next()
        await order.close("0.004")
        await me.next()
        if order.open_volume:
            await order.close("0.004")
            await me.next()

    up = play([bar(0, 1), bar(1, 1), bar(2, "1.7"), bar(3, "1.7")], script)
    assert amounts(up, "CLOSE_PNL") == ["0", "0"]
    down = play([bar(0, 1), bar(1, 1), bar(2, "0.3"), bar(3, "0.3")], script)
    assert amounts(down, "CLOSE_PNL") == ["-0.01", "0"]
