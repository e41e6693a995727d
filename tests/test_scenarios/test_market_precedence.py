"""Who comes before whom in a market, and what stands in whose way, each worked out by hand.

Every agent nets, prices are whole dollars about 100, volumes whole units.
"""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from backtest.errors import OrderRejected, RejectReason
from backtest.models import ActionType, Bar
from backtest.times import MINUTE, SECOND
from tests.harness import D
from tests.market_harness import START, Does, play_market

from .test_market_trades import PAIR, after, conserved, play, rests


class TestFillOrKill:
    """A fill-or-kill order fills whole or not at all, whatever stands in its way."""

    @pytest.mark.parametrize("mode", ["cancel_newest", "cancel_both"])
    def test_an_order_of_its_owner_between_is_in_its_way(self, mode: str) -> None:
        async def own(me: Does) -> None:
            await me.sell(PAIR, 5, limit_price="101")
            killed = await me.buy(PAIR, 10, limit_price="102", time_in_force="FOK")
            assert killed.filled_volume == 0
            assert killed.is_done

        market, _ = play(
            {"other": rests(("sell", 5, "100"), ("sell", 5, "102")), "own": after(1, own)},
            btc="20",
            spot=True,
            self_trade=mode,
        )
        assert market.trades == []

    def test_what_is_beyond_the_band_is_not_there(self) -> None:
        async def own(me: Does) -> None:
            killed = await me.buy(PAIR, 10, limit_price="107", time_in_force="FOK")
            assert killed.filled_volume == 0

        market, _ = play(
            {"other": rests(("sell", 5, "100"), ("sell", 5, "107")), "own": after(1, own)},
            btc="20",
            spot=True,
            band=D("0.05"),
        )
        assert market.trades == []

    def test_what_is_beyond_its_own_take_profit_is_not_there(self) -> None:
        async def own(me: Does) -> None:
            killed = await me.long(PAIR, 10, time_in_force="FOK", take_profit="102")
            assert killed.filled_volume == 0

        market, _ = play(
            {"other": rests(("short", 5, "100"), ("short", 5, "103")), "own": after(1, own)},
        )
        assert market.trades == []

    def test_two_of_one_group_are_not_there_together(self) -> None:
        async def group(me: Does) -> None:
            await me.sell(PAIR, 5, limit_price="100", oco="x")
            await me.sell(PAIR, 5, limit_price="101", oco="x")

        async def own(me: Does) -> None:
            killed = await me.buy(PAIR, 10, limit_price="107", time_in_force="FOK")
            assert killed.filled_volume == 0

        market, _ = play({"group": group, "own": after(1, own)}, btc="20", spot=True)
        assert market.trades == []

    def test_two_closes_of_one_position_are_not_there_together(self) -> None:
        async def closer(me: Does) -> None:
            entry = await me.long(PAIR, 5, limit_price="100")
            await entry.filled()
            await entry.close(limit_price="101")
            await entry.close(limit_price="102")

        async def own(me: Does) -> None:
            killed = await me.long(PAIR, 10, limit_price="107", time_in_force="FOK")
            assert killed.filled_volume == 0

        market, _ = play(
            {"closer": closer, "other": after(1, rests(("short", 5, "100"))), "own": after(2, own)},
        )
        assert len(market.trades) == 1


class TestReduceOnly:
    def test_what_is_closed_elsewhere_ends_a_resting_one_for_that_reason(self) -> None:
        async def reducer(me: Does) -> None:
            entry = await me.long(PAIR, 5)
            rest = await me.short(PAIR, 5, limit_price="105", reduce_only=True)
            await entry.close(3)
            await me.sleep(2)
            assert rest.end_reason == "REDUCE_ONLY"
            assert rest.filled_volume == 2

        async def lifter(me: Does) -> None:
            await me.long(PAIR, 5, limit_price="105")

        market, _ = play(
            {
                "other": rests(("short", 5, "100"), ("long", 5, "99")),
                "reducer": after(1, reducer),
                "lifter": after(2, lifter),
            },
        )
        assert market.trades[-1] == (D(105), D(2), "lifter", "reducer")
        conserved(market)

    def test_one_that_nothing_is_left_of_ends_for_that_reason_when_it_is_met(self) -> None:
        async def reducer(me: Does) -> None:
            entry = await me.long(PAIR, 5)
            rest = await me.short(PAIR, 5, limit_price="105", reduce_only=True)
            await entry.close()
            await me.sleep(2)
            assert rest.end_reason == "REDUCE_ONLY"

        async def lifter(me: Does) -> None:
            order = await me.long(PAIR, 5, limit_price="105")
            assert order.leaves == 5

        market, _ = play(
            {
                "other": rests(("short", 5, "100"), ("long", 5, "99")),
                "reducer": after(1, reducer),
                "lifter": after(2, lifter),
            },
        )
        assert len(market.trades) == 2


class TestUnmet:
    def test_a_liquidation_that_found_nobody_takes_part_in_an_auction(self) -> None:
        async def maker(me: Does) -> None:
            await me.short(PAIR, 2, limit_price="100")
            await me.long(PAIR, 1, limit_price="90")

        async def trend(me: Does) -> None:
            await me.long(PAIR, 2, leverage=10)

        async def seller(me: Does) -> None:
            await me.short(PAIR, 1, limit_price="90")  # calls the long, that finds nobody
            await me.sleep(2)
            await me.long(PAIR, 5, limit_price="88")  # in the auction

        market, agents = play(
            {"maker": maker, "trend": after(1, trend), "seller": after(2, seller)},
            phases=[(3 * SECOND, "auction"), (10 * SECOND, "continuous")],
        )
        assert market.trades[2:] == [(D(88), D(2), "seller", "trend")]
        assert agents["trend"].kinds[-2:] == ["liquidated", "bankruptcy"]


class TestHalts:
    def test_the_end_of_an_earlier_halt_does_not_end_a_later_one(self) -> None:
        """Halted at 1 s until 11 s; the session reopens at 5 s; halted again at 6 s until 16 s."""

        async def taker(me: Does) -> None:
            await me.buy(PAIR, 1, limit_price="110")
            await me.sleep(5)
            await me.buy(PAIR, 1, limit_price="130")

        market, _ = play(
            {"maker": rests(("sell", 1, "110"), ("sell", 3, "130")), "taker": after(1, taker)},
            btc="20",
            spot=True,
            band=D("0.05"),
            halt_ns=10 * SECOND,
            phases=[(5 * SECOND, "continuous")],
        )
        book = market.exchange.books[PAIR]
        assert [(at - START, to - START) for at, to in book.halted] == [
            (SECOND, 11 * SECOND),
            (6 * SECOND, 16 * SECOND),
        ]
        times = [one.time_ns - START for one in market.exchange.trades_log]
        assert times == [5 * SECOND, 16 * SECOND]


class TestClosed:
    def test_an_action_that_names_no_pair_is_refused_too(self) -> None:
        async def late(me: Does) -> None:
            order = await me.buy(PAIR, 1, limit_price="99")
            await me.sleep(2)
            action = me.action(
                ActionType.MODIFY_SPOT_LIMIT, PAIR, order_id=order.id, price=D("101")
            )
            action = evolve(action, trading_pair_code=None)
            with pytest.raises(OrderRejected) as refused:
                await me.submit(action)
            assert refused.value.reason is RejectReason.MARKET_CLOSED

        play(
            {"late": late, "other": rests(("sell", 1, "101"))},
            btc="5",
            spot=True,
            phases=[(SECOND, "closed")],
        )


class Reader(Does):
    late = 70

    async def run(self) -> None:
        self.seen: list[Bar] = []
        await self.sleep(self.late)
        async for bar in self.bars(PAIR):
            self.seen.append(bar)


class TestBars:
    def test_the_first_bar_of_a_late_reader_begins_when_it_says(self) -> None:
        async def taker(me: Does) -> None:
            await me.buy(PAIR, 1, limit_price="120")
            await me.sleep(74)
            await me.buy(PAIR, 2, limit_price="101")

        reader = Reader()
        agents: dict[str, Any] = {
            "maker": Does(script=rests(("sell", 1, "100"), ("sell", 5, "101"))),
            "taker": Does(script=after(1, taker)),
            "reader": reader,
        }
        play_market(
            agents,
            {name: {"USD": "1000", "BTC": "20"} for name in agents},
            spot=True,
            until=150 * SECOND,
        )
        first = reader.seen[0]
        assert first.open_ns == START + MINUTE
        assert (first.open, first.low, first.volume) == (D(101), D(101), D(2))

    @pytest.mark.parametrize("before", [True, False])
    def test_a_trade_at_the_boundary_of_two_bars_is_of_the_later_one(self, before: bool) -> None:
        """The auction that ends with the first minute is dealt before the bar of it is sent."""

        async def early(me: Does) -> None:
            if before:
                await me.buy(PAIR, 1, limit_price="101")

        reader = Reader()
        reader.late = 1
        agents: dict[str, Any] = {
            "maker": Does(script=rests(("sell", 1, "101"), ("sell", 5, "104"))),
            "early": Does(script=after(2, early)),
            "taker": Does(script=after(55, rests(("buy", 2, "104")))),
            "reader": reader,
        }
        play_market(
            agents,
            {name: {"USD": "1000", "BTC": "20"} for name in agents},
            spot=True,
            phases=[(50 * SECOND, "auction"), (60 * SECOND, "continuous")],
            until=150 * SECOND,
        )
        first, second = reader.seen[:2]
        price = D(101) if before else D(100)
        assert (first.open_ns, first.close, first.volume) == (START, price, D(before))
        assert (second.open_ns, second.volume) == (START + MINUTE, D(2))
        assert second.open == second.low
        assert len(reader.seen) == 2


class TestAuctions:
    def test_who_waited_in_the_auction_comes_before_whom_its_price_has_reached(self) -> None:
        """Seven trade at 99.01, but five of them would be bought by who sells them: these stay, at
        98. The bid at 99 stood in the auction; the stop was reached by its price."""

        async def own(me: Does) -> None:
            await me.sell(PAIR, 5, limit_price="98")
            await me.buy(PAIR, 5, limit_price="100")

        async def stop(me: Does) -> None:
            order = await me.buy(PAIR, 5, stop_price="99", limit_price="99")
            await me.sleep(20)
            assert order.leaves == 3

        market, _ = play(
            {
                "seller": rests(("sell", 2, "95")),
                "own": after(1, own),
                "waits": after(2, rests(("buy", 3, "99"))),
                "buyer": after(3, rests(("buy", 2, "101"))),
                "stop": stop,
            },
            btc="20",
            spot=True,
            price="90",
            phase="auction",
            phases=[(10 * SECOND, "continuous")],
        )
        assert market.trades == [
            (D("99.01"), D(2), "buyer", "seller"),
            (D(98), D(3), "waits", "own"),
            (D(98), D(2), "stop", "own"),
        ]

    def test_who_finds_less_than_was_thought_trades_with_the_next_in_line(self) -> None:
        """Four are to be bought to reduce a short of one: the other three are not there, so the
        five offered at the market go on to the bid at 98, before the offer at 98 gets to it."""

        async def reduces(me: Does) -> None:
            await me.short(PAIR, 1, limit_price="98")
            await me.sleep(4)
            await me.long(PAIR, 1, reduce_only=True)
            await me.long(PAIR, 3, reduce_only=True)

        async def at_market(me: Does) -> None:
            await me.short(PAIR, 5)

        market, _ = play(
            {
                "reduces": reduces,
                "lender": after(1, rests(("long", 1, "98"))),
                "seller": after(5, at_market),
                "offer": after(6, rests(("short", 3, "98"))),
                "bid": after(6, rests(("long", 4, "98"))),
            },
            phases=[(3 * SECOND, "auction"), (10 * SECOND, "continuous")],
        )
        assert market.trades == [
            (D(98), D(1), "lender", "reduces"),
            (D(98), D(1), "reduces", "seller"),
            (D(98), D(4), "bid", "seller"),
        ]


class TestTrailing:
    def test_it_begins_at_the_last_price_where_nobody_is_on_the_other_side(self) -> None:
        async def trails(me: Does) -> None:
            order = await me.short(PAIR, 1, trail=2)
            assert order.trail_price == D(98)

        play({"trails": trails})


class TestOwner:
    def test_both_liquidations_of_one_agent_in_an_auction_stay(self) -> None:
        """Its short is called at 110 and its long at 90, where nobody else is; the auction pairs
        the two, and neither may be dropped: they take who comes later."""

        async def maker(me: Does) -> None:
            await me.short(PAIR, 2, limit_price="100")
            await me.sleep(2)
            await me.long(PAIR, 2, limit_price="100")

        async def both(me: Does) -> None:
            await me.sleep(1)
            await me.long(PAIR, 2, leverage=20)
            await me.sleep(2)
            await me.short(PAIR, 2, leverage=20)

        async def mover(me: Does) -> None:
            await me.sleep(4)
            await me.long(PAIR, 1, limit_price="110")
            await me.sleep(2)
            await me.long(PAIR, 1, limit_price="90")
            await me.sleep(9)
            await me.long(PAIR, 2, limit_price="95")
            await me.short(PAIR, 2, limit_price="100")

        async def other(me: Does) -> None:
            await me.sleep(5)
            await me.short(PAIR, 1, limit_price="110")
            await me.sleep(1.5)
            await me.short(PAIR, 1)

        market, agents = play(
            {"maker": maker, "both": both, "mover": mover, "other": other},
            netting=False,
            phases=[(7 * SECOND, "auction"), (10 * SECOND, "continuous")],
        )
        assert agents["both"].kinds.count("liquidated") == 2
        conserved(market)


class TestCalled:
    def test_who_has_waited_for_somebody_comes_before_whom_the_last_trade_called(self) -> None:
        """``first`` is called at 85 and finds nobody. A bid for one of its two trades at 85 again,
        which brings the take-profit of ``short`` into the book and calls ``second``."""

        async def maker(me: Does) -> None:
            await me.short(PAIR, 2, limit_price="100")
            await me.long(PAIR, 1, limit_price="85")

        async def long(me: Does, volume: int) -> None:
            await me.long(PAIR, volume, leverage=10)

        async def seller(me: Does) -> None:
            await me.short(PAIR, 1)

        async def short(me: Does) -> None:
            await me.short(PAIR, 1, limit_price="100", take_profit="95")

        market, _ = play(
            {
                "maker": maker,
                "first": after(1, lambda me: long(me, 2)),
                "seller": after(2, seller),
                "short": after(3, short),
                "second": after(4, lambda me: long(me, 1)),
                "bidder": after(5, rests(("long", 1, "85"))),
            }
        )
        assert market.trades == [
            (D(100), D(2), "first", "maker"),
            (D(85), D(1), "maker", "seller"),
            (D(100), D(1), "second", "short"),
            (D(85), D(1), "bidder", "first"),
            (D(95), D(1), "short", "first"),
        ]
        conserved(market)
