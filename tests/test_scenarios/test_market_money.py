"""What agents can pay for in an order book, and what becomes of what they cannot.

Prices are whole dollars about 100, volumes whole units.
"""

from __future__ import annotations

import pytest

from backtest.errors import OrderRejected, RejectReason
from backtest.models import Fee, FeeKind, FeeStage, Funding, TradingRules
from backtest.times import HOUR, MINUTE, SECOND
from tests.harness import D
from tests.market_harness import Does, market_pair, play_market

from .test_market_trades import PAIR, after, conserved, play, rests

FLAT = TradingRules(fees={FeeStage.FILL: (Fee(FeeKind.FLAT_PER_TRADE, D(150)),)})
"""150 for each order that fills."""


class TestSpot:
    def test_a_purchase_that_walks_beyond_its_reserve_ends_where_the_money_does(self) -> None:
        """10 at the market reserve 1050, which is all there is. 5 at 100 leave 550; one at 150
        leaves 400, less than the 420 that the other 4 reserve: they keep 400. 2 of them are bought
        at 160, a third would be 480. The other 2 are cancelled."""

        async def buyer(me: Does) -> None:
            order = await me.buy(PAIR, 10)
            assert (order.filled_volume, order.end_reason) == (D(8), "INSUFFICIENT_FUNDS")

        market = play_market(
            {
                "asks": Does(
                    script=rests(("sell", 5, "100"), ("sell", 1, "150"), ("sell", 4, "160"))
                ),
                "buyer": Does(script=after(1, buyer)),
            },
            {"asks": {"USD": 0, "BTC": 10}, "buyer": {"USD": 1050}},
            spot=True,
        )
        assert [one[:2] for one in market.trades] == [
            (D(100), D(5)),
            (D(150), D(1)),
            (D(160), D(2)),
        ]
        assert market.balance("buyer") == (D(80), D(0))
        conserved(market)

    def test_what_a_sale_cannot_pay_of_its_fee_is_borne_by_the_insurance(self) -> None:
        """Each sale brings 100 and costs 150. With 60 the first can be paid for, and leaves 10; the
        second, which lacked nothing when it came, happens too: 110 of its fee are there, 40 are
        not."""

        async def seller(me: Does) -> None:
            first = await me.sell(PAIR, 1, limit_price="100")
            second = await me.sell(PAIR, 1, limit_price="100")
            await me.sleep(5)
            assert (first.is_filled, second.is_filled) == (True, True)
            assert me.kinds.count("bankruptcy") == 1

        async def buyer(me: Does) -> None:
            order = await me.buy(PAIR, 2, limit_price="100")
            assert order.is_filled

        market = play_market(
            {"seller": Does(script=seller), "buyer": Does(script=after(1, buyer))},
            {"seller": {"USD": 60, "BTC": 2}, "buyer": {"USD": 1000}},
            spot=True,
            rules=FLAT,
        )
        assert market.trades == [(D(100), D(1), "buyer", "seller")] * 2
        assert market.balance("seller") == (D(0), D(0))
        assert market.balance("insurance") == (D(-40), D(0))
        conserved(market)

    def test_a_sale_that_could_not_pay_its_fee_is_refused(self) -> None:
        """100 and 40 do not pay 150."""

        async def seller(me: Does) -> None:
            with pytest.raises(OrderRejected) as refusal:
                await me.sell(PAIR, 1, limit_price="100")
            assert refusal.value.reason is RejectReason.INSUFFICIENT_FUNDS

        market = play_market(
            {"seller": Does(script=seller)},
            {"seller": {"USD": 40, "BTC": 2}},
            spot=True,
            rules=FLAT,
        )
        assert market.balance("seller", "BTC") == (D(2), D(0))

    def test_fill_or_kill_meets_who_cannot_pay_all_fees_of_what_he_sells(self) -> None:
        """With 60 the other can pay for either of two sales, but not for both: that does not keep
        them from happening."""

        async def buyer(me: Does) -> None:
            order = await me.buy(PAIR, 2, limit_price="100", time_in_force="FOK")
            assert order.is_filled

        market = play_market(
            {
                "seller": Does(script=rests(("sell", 1, "100"), ("sell", 1, "100"))),
                "buyer": Does(script=after(1, buyer)),
            },
            {"seller": {"USD": 60, "BTC": 2}, "buyer": {"USD": 1000}},
            spot=True,
            rules=FLAT,
        )
        assert market.balance("insurance") == (D(-40), D(0))
        conserved(market)


class TestPositions:
    def test_a_better_price_that_needs_more_margin_does_not_cost_a_short_its_fill(self) -> None:
        """A short of 1 at 99 reserves the last price, 100, all there is. The auction deals it at
        110, the price of the only other order: its margin stays 100. So 110 - 90 = 20 are won when
        it is bought back at 90."""

        async def short(me: Does) -> None:
            order = await me.short(PAIR, 1, limit_price="99")
            assert me.balance("USD") == (D(0), D(100))
            await order.filled()
            assert order.average_price == D(110)
            assert me.balance("USD") == (D(0), D(100))
            await me.sleep(10)
            await me.long(PAIR, 1)

        market = play_market(
            {
                "short": Does(script=short),
                "long": Does(script=rests(("long", 1, "110"), ("long", 1, "110"))),
                "late": Does(script=after(15, rests(("short", 1, "90")))),
            },
            {"short": {"USD": 100}, "long": {"USD": 500}, "late": {"USD": 500}},
            price="100",
            phase="auction",
            phases=((10 * SECOND, "continuous"),),
        )
        assert market.trades[0] == (D(110), D(1), "long", "short")
        conserved(market)

    def test_who_cannot_pay_for_any_of_it_opens_nothing(self) -> None:
        """A long of 1 at the market reserves 105, all there is; the auction is at 120."""

        async def long(me: Does) -> None:
            order = await me.long(PAIR, 1)
            await order.done()
            assert (order.filled_volume, order.end_reason) == (D(0), "INSUFFICIENT_FUNDS")
            assert not me.position(PAIR)

        market = play_market(
            {"long": Does(script=long), "short": Does(script=rests(("short", 1, "120")))},
            {"long": {"USD": 105}, "short": {"USD": 500}},
            phase="auction",
            phases=((10 * SECOND, "continuous"),),
        )
        assert market.trades == []
        assert market.balance("long") == (D(105), D(0))

    def test_without_netting_both_sides_stay_open(self) -> None:
        """The buyer of 2 at 101 sells 1 at 99: a short of its own, with margins of 202 and 99."""

        async def both(me: Does) -> None:
            bought = await me.long(PAIR, 2)
            sold = await me.short(PAIR, 1)
            assert me.position(PAIR).volume == D(1)
            assert me.balance("USD").unavailable == D(301)
            await bought.close()
            await sold.close()
            assert not me.position(PAIR)

        market, _ = play(
            {
                "maker": rests(("short", 5, "101"), ("long", 5, "99")),
                "both": after(1, both),
            },
            netting=False,
        )
        # (99 - 101) x 2 and (99 - 101) x 1.
        assert market.balance("both") == (D(9994), D(0))
        conserved(market)

    def test_a_close_that_finds_nobody_is_dropped_and_the_position_stays(self) -> None:
        async def long(me: Does) -> None:
            order = await me.long(PAIR, 2)
            await order.close()
            await me.sleep(1)
            assert me.position(PAIR).volume == D(2)

        market, agents = play({"maker": rests(("short", 2, "101")), "long": after(1, long)})
        assert agents["long"].kinds[-1] == "close_cancelled"
        assert agents["long"].heard[-1].reason is RejectReason.NO_LIQUIDITY
        assert len(market.trades) == 1

    def test_an_entry_stops_before_the_price_of_its_own_take_profit(self) -> None:
        """3 are offered at 101 and 2 at 103: the take-profit at 102 would be passed there."""

        async def long(me: Does) -> None:
            order = await me.long(PAIR, 5, take_profit="102")
            assert (order.filled_volume, order.end_reason) == (D(3), "PROTECTION_PASSED")

        market, _ = play(
            {"maker": rests(("short", 3, "101"), ("short", 2, "103")), "long": after(1, long)}
        )
        assert market.trades == [(D(101), D(3), "long", "maker")]

    def test_of_two_stops_of_a_group_that_one_trade_reaches_one_fills(self) -> None:
        """The trade at 95 reaches the stops at 98 and at 97; the first sells, the other ends."""

        async def group(me: Does) -> None:
            first = await me.short(PAIR, 1, stop_price="98", oco="x")
            second = await me.short(PAIR, 1, stop_price="97", oco="x")
            await first.filled()
            await second.done()
            assert second.end_reason == "ONE_CANCELS_OTHER"

        market, agents = play(
            {
                "group": group,
                "maker": rests(("long", 1, "95"), ("long", 5, "94")),
                "seller": after(1, rests(("short", 1, "95"))),
            }
        )
        assert market.trades == [
            (D(95), D(1), "maker", "seller"),
            (D(94), D(1), "maker", "group"),
        ]
        assert agents["group"].kinds.count("triggered") == 2
        conserved(market)

    def test_a_trailing_close_follows_trades_and_closes(self) -> None:
        """5 below: 95 at 100, 99 at 104, reached at 98, where the bid at 97 takes it."""

        async def long(me: Does) -> None:
            order = await me.long(PAIR, 1)
            await order.close(trail=5)
            await order.closed()

        market, agents = play(
            {
                "maker": rests(
                    ("short", 1, "100"), ("short", 1, "104"), ("long", 1, "98"), ("long", 2, "97")
                ),
                "long": after(1, long),
                "other": after(2, rests(("long", 1, "104"), ("short", 1, "98"))),
            }
        )
        assert market.trades[-1] == (D(97), D(1), "maker", "long")
        moved = [event.level for event in agents["long"].heard if event.kind.value == "trailed"]
        assert moved == [D(99)]
        assert market.balance("long") == (D(9997), D(0))
        conserved(market)

    def test_a_trailing_close_of_what_the_very_trade_closes_follows_it_no_more(self) -> None:
        """The long of 1 is sold by an order of its owner at 108: 103 would be the close's level."""

        async def long(me: Does) -> None:
            order = await me.long(PAIR, 1)
            await order.close(trail=5)
            await me.sleep(1)
            await me.short(PAIR, 1)
            assert order.is_done
            assert not me.position(PAIR)

        market, agents = play(
            {
                "maker": rests(("short", 1, "100")),
                "long": after(1, long),
                "bid": after(1.5, rests(("long", 1, "108"))),
            }
        )
        assert market.trades[-1] == (D(108), D(1), "bid", "long")
        assert "trailed" not in agents["long"].kinds
        conserved(market)

    def test_what_rounding_leaves_in_clearing_goes_to_the_fees_when_all_is_closed(self) -> None:
        """0.01 each: "a" buys at 100 and sells at 100.50, 0.005, rounded to the even cent: 0.00.
        "c", who bought at 100.50, sells at 101.50 for 0.01 to "b", who had sold at 100: -0.015,
        rounded to -0.02. Clearing took a cent more than it gave."""

        async def a(me: Does) -> None:
            await me.sleep(1)
            await me.long(PAIR, "0.01", limit_price="100")
            await me.sleep(1)
            await me.short(PAIR, "0.01", limit_price="100.50")

        async def b(me: Does) -> None:
            await me.short(PAIR, "0.01", limit_price="100")
            await me.sleep(5)
            await me.long(PAIR, "0.01", limit_price="101.50")

        async def c(me: Does) -> None:
            await me.sleep(3)
            await me.long(PAIR, "0.01", limit_price="100.50")
            await me.sleep(3)
            await me.short(PAIR, "0.01", limit_price="101.50")

        market, _ = play({"a": a, "b": b, "c": c}, pair=market_pair(lot="0.01"))
        assert [one[0] for one in market.trades] == [D(100), D("100.50"), D("101.50")]
        assert [market.balance(name)[0] for name in "abc"] == [
            D(10000),
            D("9999.98"),
            D("10000.01"),
        ]
        houses = market.account.ledger.balances()
        assert houses["clearing"]["USD"][0] == 0
        assert houses["fees"]["USD"][0] == D("0.01")
        conserved(market)

    def test_a_reduce_only_order_is_never_for_more_than_is_left_to_close(self) -> None:
        """Long 3, a reduce-only offer of 5 at 102. Who buys 2 leaves a long of 1 and 3 offered:
        2 of these are cancelled."""

        async def long(me: Does) -> None:
            await me.long(PAIR, 3)
            order = await me.short(PAIR, 5, limit_price="102", reduce_only=True)
            await me.sleep(5)
            assert (order.filled_volume, order.leaves) == (D(2), D(1))
            assert me.position(PAIR).volume == D(1)

        market, agents = play(
            {
                "maker": rests(("short", 3, "101")),
                "long": after(1, long),
                "buyer": after(2, rests(("long", 2, "102"))),
            }
        )
        assert market.trades[-1] == (D(102), D(2), "buyer", "long")
        assert agents["long"].heard[-1].reason is RejectReason.REDUCE_ONLY


def test_funding_in_an_auction_calls_a_position_when_the_auction_is_over() -> None:
    """The long of 10 at 100 has 50 in margin and 1950 beside. 195 % of 1000 an hour take these at
    eleven, and at twelve the margin; it is called, but orders are only collected until half past.
    Then the long is sold to the bid at 99: it has lost 10 more, which insurance bears."""

    async def long(me: Does) -> None:
        await me.long(PAIR, 10, limit_price="100", leverage=20)

    async def short(me: Does) -> None:
        await me.sleep(1)
        await me.short(PAIR, 10, limit_price="100")

    async def bids(me: Does) -> None:
        await me.sleep(2 * 3600 + 900)
        await me.long(PAIR, 10, limit_price="99")

    market = play_market(
        {"long": Does(script=long), "short": Does(script=short), "bids": Does(script=bids)},
        {"long": {"USD": 2000}, "short": {"USD": 2000}, "bids": {"USD": 2000}},
        rules=TradingRules(funding=Funding("1.95", every="1h")),
        phases=((90 * MINUTE, "auction"), (150 * MINUTE, "continuous")),
        until=3 * HOUR - MINUTE,
    )
    assert market.trades == [
        (D(100), D(10), "long", "short"),
        (D(99), D(10), "bids", "long"),
    ]
    assert market.exchange.trades_log[-1].time_ns == 12 * HOUR + 30 * MINUTE
    assert market.balance("long") == (D(0), D(0))
    insurance = market.account.ledger.balances()["insurance"]["USD"][0]
    assert insurance == D(-1910)  # 1900 of the funding at twelve, and the 10
    conserved(market)
