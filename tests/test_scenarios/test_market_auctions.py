"""Auctions of an order book: who takes part, who must not, and what becomes of the rest.

Every agent nets, prices are whole dollars about 100, volumes whole units.
"""

from __future__ import annotations

import pytest

from backtest.errors import RejectReason
from backtest.times import SECOND
from tests.harness import D
from tests.market_harness import START, Does, play_market

from .test_market_trades import PAIR, after, conserved, play, rests

OPENS = ((10 * SECOND, "continuous"),)
"""The auction with which the market begins lasts for ten seconds."""


class TestMarketOrders:
    def test_what_is_left_of_one_when_the_auction_ends_is_cancelled(self) -> None:
        """5 are bid at the market and 3 offered at 99, the only limit there is: 3 trade at it."""

        async def buyer(me: Does) -> None:
            order = await me.buy(PAIR, 5)
            assert me.balance("USD").unavailable == D(525)  # 5 x 100 and 5 % more
            await order.done()
            assert (order.filled_volume, order.end_reason) == (D(3), "NO_LIQUIDITY")
            assert me.now_ns == START + 10 * SECOND

        market, agents = play(
            {"buyer": buyer, "seller": rests(("sell", 3, "99"))},
            btc="20",
            spot=True,
            phase="auction",
            phases=OPENS,
        )
        assert market.trades == [(D(99), D(3), "buyer", "seller")]
        assert agents["buyer"].kinds == ["accepted", "filled", "cancelled"]
        assert market.balance("buyer") == (D(9703), D(0))
        conserved(market)

    def test_a_stop_loss_that_an_auction_leaves_unmatched_waits_on(self) -> None:
        """The long of 2 at 100 is to be sold at 95: the trade of 1 at 94 reaches that, and nobody
        is left to buy. The auction from 5 s to 10 s finds nobody, either; the bid at 20 s does."""

        async def long(me: Does) -> None:
            await me.long(PAIR, 2, limit_price="100", stop_loss="95")

        async def other(me: Does) -> None:
            await me.short(PAIR, 2, limit_price="100")
            await me.long(PAIR, 1, limit_price="94")
            await me.sleep(19)
            await me.long(PAIR, 3, limit_price="93")

        async def seller(me: Does) -> None:
            await me.short(PAIR, 1)

        market, agents = play(
            {"long": long, "other": after(1, other), "seller": after(2, seller)},
            phases=((5 * SECOND, "auction"), (10 * SECOND, "continuous")),
        )
        assert market.trades == [
            (D(100), D(2), "long", "other"),
            (D(94), D(1), "other", "seller"),
            (D(93), D(2), "other", "long"),
        ]
        assert agents["long"].kinds == ["accepted", "filled", "triggered", "closed"]
        assert market.balance("long") == (D(9986), D(0))  # (93 - 100) x 2
        conserved(market)

    @pytest.mark.parametrize(
        ("force", "reason"), [("IOC", "IMMEDIATE_OR_CANCEL"), ("FOK", "FILL_OR_KILL")]
    )
    def test_what_must_trade_at_once_has_no_place_in_an_auction(
        self, force: str, reason: str
    ) -> None:
        async def buyer(me: Does) -> None:
            order = await me.buy(PAIR, 1, limit_price="101", time_in_force=force)
            assert (order.end_reason, order.filled_volume) == (reason, D(0))

        market, _ = play(
            {"seller": rests(("sell", 3, "99")), "buyer": after(1, buyer)},
            btc="20",
            spot=True,
            phase="auction",
            phases=OPENS,
        )
        assert market.trades == []
        assert market.balance("buyer") == (D(10000), D(0))


class TestProtection:
    def test_who_would_fill_at_the_own_stop_loss_is_left_out_and_the_others_go_on(self) -> None:
        """5 are bid at 102, with a stop-loss at 100, and 5 at 99; 3 and 2 are offered at 98. From
        100 to 102 all 5 trade and nobody is left over; 100 is the nearest to the reference, 97.
        The bid at 102 must not have that. What still crosses then comes in anew, the later into
        the earlier: the offers, to whom 99 is bid."""

        async def protected(me: Does) -> None:
            order = await me.long(PAIR, 5, limit_price="102", stop_loss="100")
            await order.done()
            assert order.end_reason == "PROTECTION_PASSED"

        market, _ = play(
            {
                "protected": protected,
                "plain": rests(("long", 5, "99")),
                "seller": after(1, rests(("short", 3, "98"), ("short", 2, "98"))),
            },
            price="97",
            phase="auction",
            phases=OPENS,
        )
        assert market.trades == [
            (D(99), D(3), "plain", "seller"),
            (D(99), D(2), "plain", "seller"),
        ]
        assert market.balance("protected") == (D(10000), D(0))
        conserved(market)


class TestOwners:
    @pytest.mark.parametrize("sides", [("sell", "buy"), ("buy", "sell")])
    def test_of_two_orders_of_one_agent_that_would_meet_the_later_goes(
        self, sides: tuple[str, str]
    ) -> None:
        limits = {"sell": "99", "buy": "101"}

        async def own(me: Does) -> None:
            first = await getattr(me, sides[0])(PAIR, 3, limit_price=limits[sides[0]])
            second = await getattr(me, sides[1])(PAIR, 3, limit_price=limits[sides[1]])
            await second.done()
            assert second.end_reason == "SELF_TRADE"
            assert first.leaves == D(3)

        market, _ = play({"own": own}, btc="20", spot=True, phase="auction", phases=OPENS)
        assert market.trades == []
        conserved(market)

    def test_a_stop_loss_stays_whichever_is_the_later(self) -> None:
        """The sale of 5 trades 1 at 98, which calls the long of 2 at 100, and finds 93 beyond the
        band of 5 %: the market halts with 4 offered at 93, 2 at the market (the stop-loss, which
        came last), and 2 bid at 93 by its own owner. All that can trade is at 93, and the stop-loss
        goes first: so the bid of its owner is cancelled. At 20 s somebody bids for 6 at 94."""

        async def long(me: Does) -> None:
            await me.long(PAIR, 2, limit_price="100", stop_loss="98")
            bid = await me.long(PAIR, 2, limit_price="93")
            await bid.done()
            assert bid.end_reason == "SELF_TRADE"

        async def other(me: Does) -> None:
            await me.short(PAIR, 2, limit_price="100")
            await me.long(PAIR, 1, limit_price="98")
            await me.sleep(19)
            await me.long(PAIR, 6, limit_price="94")

        market, agents = play(
            {
                "long": long,
                "other": after(1, other),
                "seller": after(2, rests(("short", 5, "93"))),
            },
            band=D("0.05"),
            halt_ns=10 * SECOND,
        )
        assert market.trades == [
            (D(100), D(2), "long", "other"),
            (D(98), D(1), "other", "seller"),
            (D(93), D(4), "other", "seller"),
            (D(94), D(2), "other", "long"),
        ]
        assert market.balance("long") == (D(9988), D(0))  # (94 - 100) x 2
        assert agents["long"].kinds[-2:] == ["cancelled", "closed"]
        conserved(market)


class TestMoney:
    def test_who_cannot_pay_the_price_fills_as_far_as_the_money_goes(self) -> None:
        """1050 is all that 10 at the market reserve: 10 x 100 and 5 % more. The only limits are at
        120, where 8 cost 960 and a ninth would be 1080. The 2 that are not sold then meet the bid
        for 2 at 120, to which the auction had given nothing: 12 are bid for 10."""
        agents = {
            "poor": Does(script=_buys_at_the_market),
            "seller": Does(script=rests(("sell", 10, "120"))),
            "rich": Does(script=after(1, rests(("buy", 2, "120")))),
        }
        market = play_market(
            agents,
            {"poor": {"USD": 1050}, "seller": {"USD": 0, "BTC": 10}, "rich": {"USD": 1000}},
            spot=True,
            phase="auction",
            phases=OPENS,
        )
        assert market.trades == [
            (D(120), D(8), "poor", "seller"),
            (D(120), D(2), "rich", "seller"),
        ]
        assert agents["poor"].heard[-1].reason is RejectReason.INSUFFICIENT_FUNDS
        assert market.balance("poor") == (D(90), D(0))
        assert market.balance("seller") == (D(1200), D(0))
        conserved(market)

    def test_who_can_pay_for_nothing_leaves_all_to_the_next(self) -> None:
        """A unit at the market reserves 105, all that there is, and costs 120."""

        async def poor(me: Does) -> None:
            order = await me.buy(PAIR, 1)
            await order.done()
            assert (order.end_reason, order.filled_volume) == ("INSUFFICIENT_FUNDS", D(0))

        market = play_market(
            {"poor": Does(script=poor), "seller": Does(script=rests(("sell", 1, "120")))},
            {"poor": {"USD": 105}, "seller": {"USD": 0, "BTC": 1}},
            spot=True,
            phase="auction",
            phases=OPENS,
        )
        assert market.trades == []
        assert market.balance("poor") == (D(105), D(0))
        assert market.balance("seller", "BTC") == (D(0), D(1))
        conserved(market)


async def _buys_at_the_market(me: Does) -> None:
    await me.buy(PAIR, 10)


def test_a_closing_auction_deals_and_closes() -> None:
    """4 are bid at 101 and 3 offered at 99: from 99 to 101 three trade and one is left to buy, so
    the highest of these prices is taken. Afterwards the market is closed."""

    async def buyer(me: Does) -> None:
        order = await me.buy(PAIR, 4, limit_price="101")
        await me.sleep(15)
        assert (order.filled_volume, order.leaves) == (D(3), D(1))

    market, _ = play(
        {"buyer": buyer, "seller": rests(("sell", 3, "99"))},
        btc="20",
        spot=True,
        phase="auction",
        phases=((10 * SECOND, "closed"),),
    )
    assert market.trades == [(D(101), D(3), "buyer", "seller")]
    assert market.exchange.books[PAIR].phase == "closed"
    assert market.balance("buyer") == (D(9596), D(101))  # 10000 - 303, and 101 for the rest
