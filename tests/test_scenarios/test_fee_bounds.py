"""Flat fees, minima and maxima hold for one order over all its fills; an exit is another order."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors import EventKind
from backtest.errors import RejectReason as R
from tests.harness import D, World, bar, play, refused, rules

PERCENT = {"percent_of_notional": "0.01", "minimum": "2", "maximum": "5"}
"""1 %, at least 2 and at most 5."""


def fees(world: World, kind: str = "FEE_FILL") -> list[str]:
    """What each fee of a kind was."""
    rows = [row for row in world.rows() if row.account == "fees" and row.kind.name == kind]
    return [format(row.available.normalize(), "f") for row in rows]


def one_by_one(count: int, price: int = 100) -> list[Any]:
    """A bar at 110, then bars in which 1 can be had."""
    return [bar(0, 110), *(bar(number, price, volume=1) for number in range(1, count + 1))]


def test_a_buy_pays_the_minimum_once_and_reserves_what_is_unpaid_of_it() -> None:
    """Three fills of 1 at 100: 1.00, 2.00 and 3.00 in all; 2 with the first, 1 with the third."""

    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, limit_price=100)
        assert me.balance("USD").unavailable == 303
        for left in (201, 101, 0):
            await me.next()
            assert me.balance("USD") == (D(697), D(left))
        assert order.is_filled

    world = play(one_by_one(3), script, rules=rules(fees={"fill": PERCENT}))
    assert fees(world) == ["2", "1"]
    assert [str(fill.fee) for fill in world.records.fills] == ["2.00", "0.00", "1.00"]


def test_a_small_buy_reserves_the_minimum() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1, limit_price=100)
        assert me.balance("USD").unavailable == 102
        await me.next()

    world = play(one_by_one(1), script, rules=rules(fees={"fill": PERCENT}))
    assert world.balance("USD") == (D(898), D(0))


def test_the_maximum_is_that_of_the_order() -> None:
    """1 % of 700 is 7: five fills pay 2, 0, 1, 1 and 1, and the last two nothing."""

    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 7, limit_price=100)
        assert me.balance("USD").unavailable == 705
        await me.next(7)

    world = play(one_by_one(7), script, rules=rules(fees={"fill": PERCENT}))
    assert fees(world) == ["2", "1", "1", "1"]
    assert world.balance("USD") == (D(295), D(0))


def test_a_trading_order_pays_and_reserves_likewise() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 3, limit_price=100, leverage=10)
        assert me.balance("USD").unavailable == 33
        await me.next(3)

    world = play(one_by_one(3), script, rules=rules(fees={"fill": PERCENT}))
    assert fees(world) == ["2", "1"]
    assert world.balance("USD") == (D(967), D(30))


def test_each_close_is_an_order_of_its_own_however_many_positions_it_closes() -> None:
    """2 long in two fills. A close of 1 costs the minimum, 2; a close of the other 1 as well; one
    close of both costs it once."""

    async def opens(me: Any) -> Any:
        await me.next()
        order = await me.long("BTCUSD", 2, limit_price=100)
        await me.next(2)
        return order

    async def both(me: Any) -> None:
        await (await opens(me)).close()
        await me.next()

    async def each(me: Any) -> None:
        order = await opens(me)
        await order.close(1)
        await me.next()
        await order.close(1)
        await me.next()

    bars = [*one_by_one(2), bar(3, 100), bar(4, 100)]
    charged = rules(fees={"close": PERCENT})
    assert fees(play(bars, both, rules=charged), "FEE_CLOSE") == ["2"]
    assert fees(play(bars, each, rules=charged), "FEE_CLOSE") == ["2", "2"]


def test_the_protection_of_an_order_is_one_order() -> None:
    """Two fills, two positions, both stopped out at 95: 1.90 in all, at least 2. On the way up both
    take profit, of the first bar's volume one and a half."""

    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 2, limit_price=100, stop_loss=95, take_profit=105)
        await me.next(4)
        assert not me.position("BTCUSD")

    charged = rules(fees={"close": {"flat_per_trade": "2"}})
    down = [*one_by_one(2), bar(3, 100, 100, 95, 95), bar(4, 95)]
    up = [*one_by_one(2), bar(3, 100, 105, 100, 105, volume="1.5"), bar(4, 105)]
    for bars in (down, up):
        assert fees(play(bars, script, rules=charged), "FEE_CLOSE") == ["2"]


def test_the_exits_of_a_bracket_are_one_order_and_not_its_entry() -> None:
    """Two fills make two exits; what both sell costs a minimum of 2 once: 1.90, then 2.00."""

    async def script(me: Any) -> None:
        await me.next()
        entry = await me.buy("BTCUSD", 2, limit_price=100, stop_loss=95)
        await me.next(3)
        assert len(entry.exits) == 2

    bars = [*one_by_one(2), bar(3, 100, 100, 95, 95)]
    world = play(bars, script, rules=rules(fees={"fill": PERCENT}))
    # the entry: 2; the exits: 2, nothing more with the second
    assert fees(world) == ["2", "2"]
    assert world.balance("USD") == (D(1000 - 202 + 190 - 2), D(0))


def test_an_order_that_closes_and_opens_pays_what_stands_at_both_stages_once() -> None:
    """Long 2, then short 3 on a netting account: 2 are closed and 1 opened by one order."""

    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 2, limit_price=100)
        await me.next()
        await me.short("BTCUSD", 3)
        await me.next()
        assert me.position("BTCUSD").volume == -1

    bars = [bar(0, 110), bar(1, 100), bar(2, 100)]
    flat = {"flat_per_trade": "2"}
    accounts = {"main": {"netting": True}}
    same = rules(fees={"fill": flat, "close": flat})
    world = play(bars, script, rules=same, accounts=accounts)
    assert (fees(world), fees(world, "FEE_CLOSE")) == (["2"], ["2"])  # the long's, and the short's
    other = rules(fees={"fill": flat, "close": {"flat_per_trade": "3"}})
    world = play(bars, script, rules=other, accounts=accounts)
    assert (fees(world), fees(world, "FEE_CLOSE")) == (["2", "2"], ["3"])


def test_a_rebate_in_dust_is_paid_when_it_is_a_cent() -> None:
    """0.4 % of 1 is 0.4 of a cent: nothing, nothing, and a cent with the third."""

    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, limit_price=1)
        assert me.balance("USD").unavailable == D("2.99")
        await me.next(3)
        assert order.is_filled

    bars = [bar(0, 2), *(bar(number, "1.5", "1.5", 1, 1, volume=1) for number in (1, 2, 3))]
    rebate = {"percent_of_notional": "0.01", "maker": "-0.004"}
    world = play(bars, script, rules=rules(fees={"fill": rebate}))
    assert fees(world) == ["-0.01"]
    assert world.balance("USD") == (D("997.01"), D(0))


def test_a_modify_goes_on_and_a_split_begins_anew() -> None:
    async def modified(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, limit_price=100)
        await me.next()
        await order.modify(volume=2)
        assert me.balance("USD").unavailable == 100
        await me.next()

    async def split(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, limit_price=100)
        await me.next()
        await order.split([1, 1])
        assert me.balance("USD").unavailable == 204
        await me.next(2)

    charged = rules(fees={"fill": PERCENT})
    assert fees(play(one_by_one(2), modified, rules=charged)) == ["2"]
    world = play(one_by_one(3), split, rules=charged)
    assert fees(world) == ["2", "2", "2"]
    assert world.balance("USD") == (D(694), D(0))


# -- sells whose fees are more than what they bring ------------------------------------------------

POOR = {"USD": 0, "BTC": 10}


def test_a_sell_whose_fees_would_be_more_than_it_brings_is_refused() -> None:
    async def script(me: Any) -> None:
        await me.next()
        # 1.50 at the last price, or 2 and more at a limit
        await refused(me, lambda: me.sell("BTCUSD", "0.015"), R.INSUFFICIENT_FUNDS)
        await refused(me, lambda: me.sell("BTCUSD", "0.02", stop_price=99), R.INSUFFICIENT_FUNDS)
        order = await me.sell("BTCUSD", "0.015", limit_price=150)
        await refused(me, lambda: order.modify(volume="0.013"), R.INSUFFICIENT_FUNDS)
        await refused(me, lambda: order.modify(limit_price=120), R.INSUFFICIENT_FUNDS)
        order = await me.sell("BTCUSD", "0.03", limit_price=110)
        await refused(me, lambda: order.split(["0.015", "0.015"]), R.INSUFFICIENT_FUNDS)
        assert me.balance("BTC").unavailable == D("0.045")

    play([bar(0, 100)], script, cash=POOR, rules=rules(fees={"fill": PERCENT}))


def test_what_a_fill_cannot_pay_is_due_from_the_next() -> None:
    """0.03 at 100, one by one: the minimum of 2 takes two of the three dollars."""

    async def script(me: Any) -> None:
        await me.next()
        await me.sell("BTCUSD", "0.03", limit_price=100)
        for there in (0, 0, 1):
            await me.next()
            assert me.balance("USD") == (D(there), D(0))

    bars = [bar(0, 90), *(bar(number, 100, volume="0.01") for number in (1, 2, 3))]
    world = play(bars, script, cash=POOR, rules=rules(fees={"fill": PERCENT}))
    assert fees(world) == ["1", "1"]
    assert not world.journal("insurance")


def test_what_is_still_due_at_the_end_is_charged_with_it() -> None:
    """After the first 0.01 a dollar is due: the order cannot be split, and its cancel pays that."""

    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", "0.03", limit_price=100)
        await me.next()
        assert me.balance("USD") == (D(0), D(0))
        await refused(me, lambda: order.split(["0.01", "0.01"]), R.INSUFFICIENT_FUNDS)
        await order.cancel()
        assert me.balance("BTC") == (D("9.99"), D(0))
        await me.next()
        assert me.told(EventKind.BANKRUPTCY) == [("bankruptcy", None)]

    bars = [bar(0, 90), bar(1, 100, volume="0.01"), bar(2, 100)]
    world = play(bars, script, cash=POOR, rules=rules(fees={"fill": PERCENT}))
    assert world.entries()[-1] == [
        "RETURN_MARGIN BTC 0.02 -0.02",
        "ADJUSTMENT USD 1 0",
        "FEE_CANCEL USD -1 0",
    ]


@pytest.mark.parametrize("spent", [False, True])
def test_the_last_fill_leaves_what_nobody_can_pay_to_the_insurance(spent: bool) -> None:
    """0.015 at 100 bring 1.50 and cost 2. The other half dollar is there when the order is
    accepted, and in reserve for another one when it fills."""

    async def script(me: Any) -> None:
        await me.next()
        await me.sell("BTCUSD", "0.015", limit_price=100)
        if spent:
            await me.buy("BTCUSD", "0.01", limit_price=1)
        await me.next()

    fee = {"fill": {"flat_per_trade": "2"}}
    cash = {"USD": "2.01", "BTC": 10}
    world = play([bar(0, 90), bar(1, 100)], script, cash=cash, rules=rules(fees=fee))
    if not spent:
        assert world.balance("USD") == (D("1.51"), D(0))
        return
    # all of it is in reserve for the buy: 0.01 and a fee of 2
    assert world.balance("USD") == (D(0), D("2.01"))
    assert world.journal("insurance") == ["ADJUSTMENT USD -0.5 0"]
    assert fees(world) == ["2"]
