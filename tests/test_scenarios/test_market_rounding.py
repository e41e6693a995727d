"""Where agents trade with each other each side is rounded by what its own order exchanged so far.

BTCUSD in lots of 0.001 about 1.00, USD cents.
"""

from __future__ import annotations

import pytest

from backtest.models import Asset, TradingPair
from tests.harness import D
from tests.market_harness import Does, Market, play_market

from .test_market_trades import PAIR, Script, after, conserved

FINE = TradingPair(
    PAIR,
    Asset("BTC", 8),
    Asset("USD", 2),
    price_increment=D("0.01"),
    volume_increment=D("0.001"),
)


def play(**scripts: Script) -> Market:
    market = play_market(
        {name: Does(script=script) for name, script in scripts.items()},
        {name: {"USD": 10, "BTC": 10} for name in scripts},
        pair=FINE,
        spot=True,
        price="1",
    )
    conserved(market)
    return market


def does(side: str, volume: str, price: str = "1", *, at: float = 0, **more: str) -> Script:
    async def script(me: Does) -> None:
        await getattr(me, side)(PAIR, volume, limit_price=price, **more)

    return after(at, script)


def gained(market: Market, *names: str) -> list[str]:
    """What each of the accounts has of USD beyond the 10 that it began with."""
    found = []
    for name in names:
        began = 0 if name == "fees" else 10
        found.append(str(sum(market.balance(name)) - began))
    return found


def rests(market: Market) -> list[str]:
    """What each trade left to fees, or took from there."""
    rows = list(market.account.ledger.rows())
    return [
        str(sum(row.available for row in rows if (row.entry, row.account) == (entry, "fees")))
        for entry in dict.fromkeys(row.entry for row in rows if row.kind.name == "FILL_BUY")
    ]


def test_the_buyer_pays_up_the_seller_gets_down_and_fees_have_the_rest() -> None:
    """0.015 at 1.00: 0.02 are paid, 0.01 are got."""
    market = play(seller=does("sell", "0.015"), buyer=does("buy", "0.015", at=1))
    assert gained(market, "buyer", "seller", "fees") == ["-0.02", "0.01", "0.01"]


def test_one_order_that_meets_three_is_rounded_once() -> None:
    """0.036 at 1.00 in threes: 0.012, 0.024, 0.036. The one buyer pays 0.02, 0.01 and 0.01; each of
    the sellers gets 0.01 of his own 0.012."""
    market = play(
        buyer=does("buy", "0.036"),
        one=does("sell", "0.012", at=1),
        two=does("sell", "0.012", at=2),
        three=does("sell", "0.012", at=3),
    )
    assert gained(market, "buyer", "one", "two", "three") == ["-0.04", "0.01", "0.01", "0.01"]
    assert rests(market) == ["0.01", "0", "0"]
    assert gained(market, "fees") == ["0.01"]


def test_a_trade_can_take_a_step_from_fees_that_others_have_left_there() -> None:
    """The sale of 0.023: 0.015 to the first buyer, who pays 0.02 for that, of which 0.01 come to
    the seller. The second buyer pays 0.02 for 0.012 at 0.99, or 0.01188; with 0.008 more at 1.00 he
    has 0.01988, which he has paid, and the seller has sold 0.023: he gets the second cent."""
    market = play(
        seller=does("sell", "0.023"),
        first=does("buy", "0.015", at=1),
        cheap=does("sell", "0.012", "0.99", at=2),
        second=does("buy", "0.020", at=3),
    )
    assert [one[:2] for one in market.trades] == [
        (D(1), D("0.015")),
        (D("0.99"), D("0.012")),
        (D(1), D("0.008")),
    ]
    assert rests(market) == ["0.01", "0.01", "-0.01"]
    assert gained(market, "seller", "first", "cheap", "second", "fees") == [
        "0.02",
        "-0.02",
        "0.01",
        "-0.02",
        "0.01",
    ]


@pytest.mark.parametrize("rested", [True, False])
def test_what_is_left_of_a_sell_and_brings_nothing_more_is_cancelled(rested: bool) -> None:
    """0.010 of 0.014 are met. The rest does not stand in the book, whoever came first."""

    async def seller(me: Does) -> None:
        order = await me.sell(PAIR, "0.014", limit_price="1")
        await me.sleep(5)
        assert (order.filled_volume, order.end_reason) == (D("0.010"), "MIN_NOTIONAL")
        depth = await me.depth(PAIR)
        assert (depth.best_bid, depth.best_ask) == (None, None)

    market = play(seller=after(0 if rested else 2, seller), buyer=does("buy", "0.010", at=1))
    assert market.balance("seller", "BTC") == (D("9.990"), D(0))


def test_fill_or_kill_sells_all_of_it_whatever_is_left_between() -> None:
    """After 0.010 the other 0.004 bring nothing more, but they are to be sold, too."""
    market = play(
        one=does("buy", "0.010"),
        two=does("buy", "0.010", at=1),
        seller=does("sell", "0.014", at=2, time_in_force="FOK"),
    )
    assert [one[1] for one in market.trades] == [D("0.010"), D("0.004")]
    assert gained(market, "seller") == ["0.01"]


def test_profits_and_losses_are_rounded_down_on_both_sides() -> None:
    """0.004 at 1.00, closed at 1.10: 0.0004 won are nothing, 0.0004 lost are a cent, which clearing
    has until nobody holds a position, and then fees."""

    async def long(me: Does) -> None:
        await me.long(PAIR, "0.004", limit_price="1")
        await me.sleep(2)
        await me.short(PAIR, "0.004", limit_price="1.1")

    async def short(me: Does) -> None:
        await me.sleep(1)
        await me.short(PAIR, "0.004", limit_price="1")
        await me.sleep(2)
        await me.long(PAIR, "0.004", limit_price="1.1")

    market = play_market(
        {"long": Does(script=long), "short": Does(script=short)},
        {name: {"USD": 10} for name in ("long", "short")},
        pair=FINE,
        price="1",
    )
    assert gained(market, "long", "short", "fees") == ["0.00", "-0.01", "0.01"]
    assert market.balance("clearing") == (D(0), D(0))
    conserved(market)
