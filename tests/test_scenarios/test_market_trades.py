"""Agents trade with each other: what each order kind does in an order book, worked out by hand.

Every agent nets, prices are whole dollars about 100, volumes whole units.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from backtest.errors import OrderRejected, RejectReason
from backtest.models import TradingRules
from backtest.times import SECOND
from tests.harness import D
from tests.market_harness import START, Does, Market, play_market

Script = Callable[[Any], Awaitable[None]]
PAIR = "BTCUSD"


def play(
    scripts: Mapping[str, Script], cash: str = "10000", btc: str = "0", **settings: Any
) -> tuple[Market, dict[str, Does]]:
    """Each agent plays its script, with so much money of its own."""
    agents = {name: Does(script=script) for name, script in scripts.items()}
    market = play_market(agents, {name: {"USD": cash, "BTC": btc} for name in agents}, **settings)
    return market, agents


def rests(*orders: tuple[str, int, str]) -> Script:
    """Puts limit orders into the book at once: side, volume, price; with full margin."""

    async def script(me: Does) -> None:
        for side, volume, price in orders:
            await getattr(me, side)(PAIR, volume, limit_price=price)

    return script


def after(seconds: float, then: Script) -> Script:
    async def script(me: Does) -> None:
        await me.sleep(seconds)
        await then(me)

    return script


def conserved(market: Market) -> None:
    """All money is somewhere: per asset all accounts sum to zero with the world."""
    ledger = market.account.ledger
    assert ledger.fold() == ledger.balances()
    for asset in ("USD", "BTC"):
        both = [owned.get(asset, (D(0), D(0))) for owned in ledger.balances().values()]
        assert sum(one[0] + one[1] for one in both) == 0
    assert not ledger.balances()["market"]


class TestLevels:
    def test_a_market_order_walks_up_the_book_at_the_prices_of_those_that_rest(self) -> None:
        async def taker(me: Does) -> None:
            await me.buy(PAIR, 7)

        market, _ = play(
            {
                "maker": rests(("sell", 3, "101"), ("sell", 3, "102"), ("sell", 3, "104")),
                "taker": after(1, taker),
            },
            btc="20",
            spot=True,
        )
        assert market.trades == [
            (D(101), D(3), "taker", "maker"),
            (D(102), D(3), "taker", "maker"),
            (D(104), D(1), "taker", "maker"),
        ]
        # 303 + 306 + 104 = 713 change hands, and seven coins.
        assert market.balance("taker") == (D("9287.00"), D(0))
        assert market.balance("taker", "BTC") == (D(27), D(0))
        assert market.balance("maker") == (D("10713.00"), D(0))
        assert market.balance("maker", "BTC") == (D(11), D(2))  # two still offered at 104
        conserved(market)

    def test_a_limit_order_takes_what_is_better_and_rests_with_what_is_left(self) -> None:
        async def taker(me: Does) -> None:
            order = await me.buy(PAIR, 5, limit_price="101")
            assert (order.filled_volume, order.leaves) == (D(3), D(2))
            assert (await me.depth(PAIR)).best_bid == D(101)

        market, _ = play(
            {"maker": rests(("sell", 3, "101"), ("sell", 3, "102")), "taker": after(1, taker)},
            btc="20",
            spot=True,
        )
        assert market.trades == [(D(101), D(3), "taker", "maker")]
        assert market.balance("taker") == (D("9495.00"), D("202.00"))

    def test_price_goes_before_time_and_time_before_size(self) -> None:
        async def taker(me: Does) -> None:
            await me.sell(PAIR, 4)

        market, _ = play(
            {
                "a": rests(("buy", 1, "99")),
                "b": rests(("buy", 9, "99")),
                "c": rests(("buy", 1, "100")),
                "d": after(1, taker),
            },
            btc="20",
            spot=True,
        )
        assert market.trades == [
            (D(100), D(1), "c", "d"),
            (D(99), D(1), "a", "d"),
            (D(99), D(2), "b", "d"),
        ]

    def test_what_a_market_order_does_not_find_is_cancelled_and_said_so(self) -> None:
        async def taker(me: Does) -> None:
            order = await me.buy(PAIR, 5)
            assert order.is_done
            assert order.end_reason == "NO_LIQUIDITY"
            assert order.filled_volume == D(2)

        market, agents = play(
            {"maker": rests(("sell", 2, "101")), "taker": after(1, taker)}, btc="20", spot=True
        )
        assert agents["taker"].kinds == ["accepted", "filled", "cancelled"]
        assert market.balance("taker") == (D("9798.00"), D(0))

    def test_fill_or_kill_takes_all_or_nothing_and_immediate_or_cancel_what_there_is(self) -> None:
        async def taker(me: Does) -> None:
            killed = await me.buy(PAIR, 5, limit_price="102", time_in_force="FOK")
            assert (killed.end_reason, killed.filled_volume) == ("FILL_OR_KILL", D(0))
            partly = await me.buy(PAIR, 5, limit_price="101", time_in_force="IOC")
            assert (partly.end_reason, partly.filled_volume) == ("IMMEDIATE_OR_CANCEL", D(2))
            whole = await me.buy(PAIR, 2, limit_price="102", time_in_force="FOK")
            assert whole.is_filled

        market, _ = play(
            {"maker": rests(("sell", 2, "101"), ("sell", 2, "102")), "taker": after(1, taker)},
            btc="20",
            spot=True,
        )
        assert market.trades == [
            (D(101), D(2), "taker", "maker"),
            (D(102), D(2), "taker", "maker"),
        ]

    def test_post_only_is_refused_where_it_would_take_and_rests_where_it_would_not(self) -> None:
        async def taker(me: Does) -> None:
            with pytest.raises(OrderRejected) as refused:
                await me.buy(PAIR, 1, limit_price="101", post_only=True)
            assert refused.value.reason is RejectReason.WOULD_TAKE
            order = await me.buy(PAIR, 1, limit_price="100", post_only=True)
            assert order.leaves == D(1)

        market, _ = play(
            {"maker": rests(("sell", 2, "101")), "taker": after(1, taker)}, btc="20", spot=True
        )
        assert market.trades == []


class TestPlaces:
    def test_less_volume_keeps_the_place_and_more_or_another_price_loses_it(self) -> None:
        async def first(me: Does) -> None:
            order = await me.buy(PAIR, 5, limit_price="99")
            await me.sleep(2)
            await order.modify(volume=3)

        async def second(me: Does) -> None:
            await me.sleep(1)
            order = await me.buy(PAIR, 5, limit_price="99")
            await me.sleep(2)
            await order.modify(volume=6)

        async def third(me: Does) -> None:
            await me.sleep(1.5)
            await me.buy(PAIR, 5, limit_price="99")

        async def taker(me: Does) -> None:
            await me.sell(PAIR, 9)

        market, _ = play(
            {"first": first, "second": second, "third": third, "taker": after(5, taker)},
            btc="20",
            spot=True,
        )
        # The first kept its place with 3; the second went behind the third by asking for more.
        assert market.trades == [
            (D(99), D(3), "first", "taker"),
            (D(99), D(5), "third", "taker"),
            (D(99), D(1), "second", "taker"),
        ]

    def test_a_new_price_that_crosses_takes_at_once(self) -> None:
        async def buyer(me: Does) -> None:
            order = await me.buy(PAIR, 4, limit_price="99")
            await me.sleep(1)
            await order.modify(limit_price="101")
            # What the modify led to is known when it returns.
            assert (order.filled_volume, order.leaves) == (D(3), D(1))

        market, _ = play({"maker": rests(("sell", 3, "101")), "buyer": buyer}, btc="20", spot=True)
        assert market.trades == [(D(101), D(3), "buyer", "maker")]

    def test_a_cancelled_order_is_met_by_nobody_and_gives_back_its_reserve(self) -> None:
        async def maker(me: Does) -> None:
            order = await me.sell(PAIR, 3, limit_price="101")
            part = await me.sell(PAIR, 3, limit_price="102")
            await me.sleep(1)
            await order.cancel()
            await part.cancel(2)

        async def taker(me: Does) -> None:
            await me.buy(PAIR, 9)

        market, _ = play({"maker": maker, "taker": after(2, taker)}, btc="20", spot=True)
        assert market.trades == [(D(102), D(1), "taker", "maker")]
        assert market.balance("maker", "BTC") == (D(19), D(0))

    def test_the_parts_of_a_split_order_stand_where_it_stood(self) -> None:
        async def first(me: Does) -> None:
            order = await me.buy(PAIR, 5, limit_price="99")
            await me.sleep(2)
            await order.split([2, 3])

        async def second(me: Does) -> None:
            await me.sleep(1)
            await me.buy(PAIR, 5, limit_price="99")

        async def taker(me: Does) -> None:
            await me.sell(PAIR, 6)

        market, _ = play(
            {"first": first, "second": second, "taker": after(3, taker)}, btc="20", spot=True
        )
        assert market.trades == [
            (D(99), D(2), "first", "taker"),
            (D(99), D(3), "first", "taker"),
            (D(99), D(1), "second", "taker"),
        ]


class TestSelfTrade:
    @pytest.mark.parametrize(
        ("mode", "resting", "incoming", "trades"),
        [
            # Its own 2 at 101 stand in the way of the 3 of "other" at 102.
            ("cancel_newest", D(2), "SELF_TRADE", []),
            ("cancel_oldest", D(0), "FILLED", [(D(102), D(3), "own", "other")]),
            ("cancel_both", D(0), "SELF_TRADE", []),
        ],
    )
    def test_an_agent_does_not_trade_with_itself(
        self, mode: str, resting: Any, incoming: str, trades: list[Any]
    ) -> None:
        async def own(me: Does) -> None:
            ask = await me.sell(PAIR, 2, limit_price="101")
            await me.sleep(1)
            bid = await me.buy(PAIR, 3, limit_price="102")
            assert ask.leaves == resting
            assert (bid.end_reason or bid.status.name) == incoming

        market, _ = play(
            {"own": own, "other": rests(("sell", 3, "102"))}, btc="20", spot=True, self_trade=mode
        )
        assert market.trades == trades
        conserved(market)


class TestPositions:
    def test_both_sides_of_a_trade_are_one_entry_and_profit_goes_through_clearing(self) -> None:
        async def maker(me: Does) -> None:
            await me.short(PAIR, 10, limit_price="101", leverage=5)
            await me.long(PAIR, 10, limit_price="99", leverage=5)

        async def taker(me: Does) -> None:
            await me.long(PAIR, 4, leverage=10)
            # The fill is known when the order is: 4 x 101 / 10 in margin.
            assert me.balance("USD").unavailable == D("40.40")
            await me.short(PAIR, 6, leverage=10)
            # 4 are closed with (99 - 101) x 4 = -8, 2 are short: 2 x 99 / 10 in margin.
            assert me.position(PAIR).volume == D(-2)
            assert me.balance("USD").unavailable == D("19.80")
            assert me.balance("USD").available == D("9972.20")

        market, _ = play({"maker": maker, "taker": after(1, taker)})
        assert market.trades == [
            (D(101), D(4), "taker", "maker"),
            (D(99), D(6), "maker", "taker"),
        ]
        entries = market.account.ledger.entries
        assert entries[-1].why == "traded 6 at 99"
        assert {leg[0] for leg in entries[-1].legs} == {"taker", "maker", "clearing"}
        # The maker's short of 4 closed with +8 at the same price: clearing holds nothing of it.
        assert market.account.ledger.balances()["clearing"]["USD"][0] == D(0)
        assert market.balance("maker") == (
            # 10000 + 8, less the margin of a long of 2 at 99, and reserves of the rest:
            # 6 shorts at 101 and 4 longs at 99; two of the shorts are to close the longs.
            D(10008) - D("39.60") - D("121.20") - D("79.20"),
            D("39.60") + D("121.20") + D("79.20"),
        )
        conserved(market)

    def test_a_leveraged_long_is_liquidated_into_the_book_and_pulls_it_down(self) -> None:
        """The long of 8 is 5 at 101 and 3 at 102: 811, with a tenth in margin. With 5 %
        maintenance it is liquidated at (811 - 81.10) / (8 x 0.95) = 96.03…: the sale of 16 goes
        down to 90."""

        async def maker(me: Does) -> None:
            for price in (100, 98, 95, 90, 85, 80):
                await me.long(PAIR, 5, limit_price=price)
            for price in (101, 102):
                await me.short(PAIR, 5, limit_price=price)

        async def trend(me: Does) -> None:
            await me.long(PAIR, 8, leverage=10)

        async def seller(me: Does) -> None:
            await me.short(PAIR, 16)

        market, agents = play(
            {"maker": maker, "trend": after(1, trend), "seller": after(2, seller)},
            rules=TradingRules(maintenance_rate=D("0.05")),
            insurance="100",
        )
        assert market.trades[2:] == [
            (D(100), D(5), "maker", "seller"),
            (D(98), D(5), "maker", "seller"),
            (D(95), D(5), "maker", "seller"),
            (D(90), D(1), "maker", "seller"),
            (D(90), D(4), "maker", "trend"),
            (D(85), D(4), "maker", "trend"),
        ]
        # 4 at 90: 360 - 405.50 = -45.50, the rest of the margin gives 4.95 beyond its share of
        # 40.55. 4 at 85: -65.50 on the 35.60 that are left; insurance bears 29.90.
        assert market.account.ledger.balances()["insurance"]["USD"][0] == D(100) - D("29.90")
        assert market.balance("trend") == (D("9918.90"), D(0))  # 10000 - 50.50 - 30.60
        liquidated = [one for one in agents["trend"].kinds if one == "liquidated"]
        assert len(liquidated) == 3
        book = market.exchange.books[PAIR]
        net = sum(one.pool.volume if one.long else -one.pool.volume for one in book.positions)
        assert net == 0
        # Clearing holds what the open positions have lost at the mark, 85.
        assert book.last is not None
        unrealised = sum(
            (book.last * one.pool.volume - one.pool.cost) * (1 if one.long else -1)
            for one in book.positions
        )
        assert market.account.ledger.balances()["clearing"]["USD"][0] == unrealised
        conserved(market)

    def test_a_liquidation_that_finds_nobody_waits_for_somebody(self) -> None:
        async def maker(me: Does) -> None:
            await me.short(PAIR, 2, limit_price="100")
            await me.long(PAIR, 1, limit_price="90")

        async def trend(me: Does) -> None:
            await me.long(PAIR, 2, leverage=10)

        async def seller(me: Does) -> None:
            await me.short(PAIR, 1, limit_price="90")  # the trade at 90 calls the long
            await me.sleep(2)
            await me.long(PAIR, 5, limit_price="88")

        market, agents = play(
            {"maker": maker, "trend": after(1, trend), "seller": after(2, seller)}
        )
        assert market.trades == [
            (D(100), D(2), "trend", "maker"),
            (D(90), D(1), "maker", "seller"),
            # The long's 2 were to be sold at 90 and found nobody, until the seller bid again.
            (D(88), D(2), "seller", "trend"),
        ]
        assert agents["trend"].kinds[-2:] == ["liquidated", "bankruptcy"]
        conserved(market)

    def test_a_stop_enters_at_the_market_and_its_protection_closes_it(self) -> None:
        async def maker(me: Does) -> None:
            for price in ("99", "96", "95"):
                await me.long(PAIR, 5, limit_price=price)
            await me.short(PAIR, 2, limit_price="101")
            await me.short(PAIR, 5, limit_price="102")

        async def stop(me: Does) -> None:
            order = await me.long(PAIR, 1, stop_price=101, stop_loss=97, take_profit=110)
            await order.done()
            assert order.average_price == D(102)

        async def pusher(me: Does) -> None:
            await me.long(PAIR, 2)  # takes 101, which is the stop
            await me.short(PAIR, 6)  # goes down to 96, beyond the stop-loss

        market, agents = play(
            {"maker": maker, "stop": stop, "pusher": after(1, pusher)},
        )
        assert market.trades == [
            (D(101), D(2), "pusher", "maker"),
            (D(102), D(1), "stop", "maker"),
            (D(99), D(5), "maker", "pusher"),
            (D(96), D(1), "maker", "pusher"),
            (D(96), D(1), "maker", "stop"),
        ]
        assert agents["stop"].kinds == [
            "accepted",
            "triggered",
            "filled",
            "triggered",
            "closed",
        ]
        conserved(market)

    def test_one_cancels_the_other_at_its_first_fill(self) -> None:
        async def both(me: Does) -> None:
            low = await me.long(PAIR, 2, limit_price="98", oco="x")
            high = await me.long(PAIR, 2, stop_price="103", oco="x")
            await low.filled()
            assert high.end_reason == "ONE_CANCELS_OTHER"

        async def seller(me: Does) -> None:
            await me.short(PAIR, 1)

        market, _ = play({"both": both, "seller": after(1, seller)})
        assert market.trades == [(D(98), D(1), "both", "seller")]


class TestPhases:
    def test_an_opening_auction_trades_at_the_price_of_most_volume(self) -> None:
        """Bid 10 at 102 and 5 at 100, offered 8 at 99 and 6 at 101. At 101: 10 and 14, so 10 trade;
        at 100: 15 and 8, so 8; at 102: 10 and 14. 101 and 102 leave 4 of sellers: the lowest."""
        market, _ = play(
            {
                "a": rests(("buy", 10, "102")),
                "b": rests(("buy", 5, "100")),
                "c": rests(("sell", 8, "99")),
                "d": rests(("sell", 6, "101")),
            },
            btc="20",
            spot=True,
            phase="auction",
            phases=[(10 * SECOND, "continuous")],
        )
        assert market.trades == [(D(101), D(8), "a", "c"), (D(101), D(2), "a", "d")]
        assert market.balance("a") == (D(8990), D(0))
        assert market.exchange.books[PAIR].orders.depth() == (((10000, 5, 1),), ((10100, 4, 1),))
        conserved(market)

    def test_a_closed_market_takes_no_orders_but_lets_go_of_them(self) -> None:
        async def late(me: Does) -> None:
            order = await me.buy(PAIR, 1, limit_price="99")
            await me.sleep(2)
            with pytest.raises(OrderRejected) as refused:
                await me.buy(PAIR, 1, limit_price="99")
            assert refused.value.reason is RejectReason.MARKET_CLOSED
            with pytest.raises(OrderRejected):
                await order.modify(limit_price="98")
            await order.cancel()
            assert order.is_done

        market, _ = play({"late": late}, spot=True, phases=[(SECOND, "closed")])
        assert market.balance("late") == (D(10000), D(0))

    def test_a_match_beyond_the_band_halts_and_an_auction_reopens(self) -> None:
        """With 5 % about 100 nothing trades above 105: the buy takes 104 and stops at 106; after
        ten seconds the auction deals its last 2 with the 3 offered at 106."""

        async def taker(me: Does) -> None:
            order = await me.buy(PAIR, 4, limit_price="107")
            assert order.filled_volume == D(2)
            await order.filled()
            assert me.now_ns % (60 * SECOND) == 11 * SECOND

        market, _ = play(
            {"maker": rests(("sell", 2, "104"), ("sell", 3, "106")), "taker": after(1, taker)},
            btc="20",
            spot=True,
            band=D("0.05"),
            halt_ns=10 * SECOND,
        )
        assert [one[:2] for one in market.trades] == [(D(104), D(2)), (D(106), D(2))]
        book = market.exchange.books[PAIR]
        assert book.halts == 1
        assert book.halted == [(START + SECOND, START + 11 * SECOND)]

    def test_an_order_expires_in_time(self) -> None:
        async def waits(me: Does) -> None:
            order = await me.buy(PAIR, 1, limit_price="99", time_in_force="GTD", expires="10s")
            await order.done()
            assert order.end_reason == "EXPIRED"
            assert me.now_ns % (60 * SECOND) == 10 * SECOND

        market, _ = play({"waits": waits}, spot=True)
        assert market.balance("waits") == (D(10000), D(0))

    def test_the_book_is_kept_for_the_record_once_an_interval(self) -> None:
        """Looked at every ten seconds: at 0 s there is one offer, at 12 s the next change; what
        happens at 13 s is in the same ten seconds."""

        async def late(me: Does) -> None:
            await me.buy(PAIR, 1, limit_price="99")
            await me.sleep(1)
            await me.buy(PAIR, 1, limit_price="98")

        scripts = {"maker": rests(("sell", 2, "104")), "late": after(12, late)}
        market, _ = play(scripts, btc="20", spot=True, depth_every=10 * SECOND)
        assert [
            (kept.time_ns - START, kept.bids, kept.asks)
            for kept in market.exchange.publication.depths[PAIR]
        ] == [
            (0, (), ((10_400, 2, 1),)),
            (12 * SECOND, ((9_900, 1, 1),), ((10_400, 2, 1),)),
        ]
        assert not play(scripts, btc="20", spot=True)[0].exchange.publication.depths[PAIR]
