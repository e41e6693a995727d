"""What waits for a price in an order book: trailing stops, stop-limits, exits of what was bought.

Every agent nets, prices are whole dollars about 100, volumes whole units.
"""

from __future__ import annotations

import pytest

from backtest.actors import EventKind
from backtest.errors import OrderRejected, RejectReason
from tests.harness import D
from tests.market_harness import Does

from .test_market_trades import PAIR, Script, after, conserved, play, rests


def trades_at(*prices: str, since: float = 1) -> dict[str, Script]:
    """Two agents between whom one unit trades at each of ``prices``, one a second; they own what
    they need. Nothing of theirs is left in the book."""

    async def asks(me: Does) -> None:
        await me.sleep(since)
        for price in prices:
            await me.sell(PAIR, 1, limit_price=price)
            await me.sleep(1)

    async def takes(me: Does) -> None:
        await me.sleep(since + 0.5)
        for price in prices:
            await me.buy(PAIR, 1, limit_price=price)
            await me.sleep(1)

    return {"asks": asks, "takes": takes}


def told(agent: Does, kind: EventKind) -> list[object]:
    return [event.level for event in agent.heard if event.kind is kind]


class TestTrailing:
    def test_one_to_sell_follows_every_trade_up_and_never_down(self) -> None:
        """3 below the price: 97 at 100, 99 at 102, still 99 at 101, 102 at 105; the trade at 102
        is it, and meets the bid at 90."""

        async def holder(me: Does) -> None:
            order = await me.sell(PAIR, 2, trail=3)
            assert order.trail_price == D(97)
            await order.filled()
            assert order.average_price == D(90)

        market, agents = play(
            {
                "holder": holder,
                "bids": rests(("buy", 5, "90")),
                **trades_at("102", "101", "105", "102"),
            },
            btc="20",
            spot=True,
        )
        assert told(agents["holder"], EventKind.TRAILED) == [D(99), D(102)]
        assert agents["holder"].kinds == ["accepted", "trailed", "trailed", "triggered", "filled"]
        assert market.trades[-1] == (D(90), D(2), "bids", "holder")
        conserved(market)

    def test_one_to_buy_follows_down_and_never_up(self) -> None:
        """2 % above: 102 at 100, 99.96 at 98, which 99 leaves as it is and 100 reaches."""

        async def waits(me: Does) -> None:
            order = await me.buy(PAIR, 2, trail_percent=2)
            assert order.trail_price == D(102)
            await order.filled()

        market, agents = play(
            {
                "waits": waits,
                "offers": rests(("sell", 5, "110")),
                **trades_at("98", "99", "100"),
            },
            btc="20",
            spot=True,
        )
        assert told(agents["waits"], EventKind.TRAILED) == [D("99.96")]
        assert market.trades[-1] == (D(110), D(2), "waits", "offers")

    def test_a_partner_that_is_cancelled_by_the_very_trade_follows_it_no_more(self) -> None:
        """The trade at 98 fills the limit and so cancels the trailing stop, which 98 would have
        brought from 104 to 102."""

        async def both(me: Does) -> None:
            low = await me.buy(PAIR, 1, limit_price="98", oco="x")
            high = await me.buy(PAIR, 1, trail=4, oco="x")
            await low.filled()
            await high.done()
            assert high.end_reason == "ONE_CANCELS_OTHER"

        market, agents = play(
            {
                "both": both,
                "seller": after(1, rests(("sell", 1, "98"))),
                **trades_at("90", since=3),
            },
            btc="20",
            spot=True,
        )
        assert agents["both"].kinds == ["accepted", "accepted", "filled", "cancelled"]
        assert len(market.trades) == 2
        conserved(market)


class TestStopLimit:
    def test_the_parts_of_one_that_was_reached_have_no_stop_either(self) -> None:
        """The last price of 100 is below the stop of a sell: it rests as a limit order, at once."""

        async def owner(me: Does) -> None:
            order = await me.sell(PAIR, 5, limit_price=97, stop_price=103)
            same, other = await order.split([3, 2], limit_prices=[97, 101])
            for part in (same, other):
                with pytest.raises(OrderRejected) as refused:
                    await part.modify(stop_price=102)
                assert refused.value.reason is RejectReason.INVALID_ACTION

        play({"owner": owner}, btc="20", spot=True)

    def test_once_reached_it_is_a_limit_order_and_rests_with_what_is_left(self) -> None:
        """Stop 101, limit 102: the trade at 101 makes it a limit order, which takes 2 at 102 and
        bids for the third, as the next offer is at 104."""

        async def waits(me: Does) -> None:
            order = await me.buy(PAIR, 3, stop_price=101, limit_price=102)
            await me.sleep(10)
            assert (order.filled_volume, order.leaves) == (D(2), D(1))
            assert (await me.depth(PAIR)).best_bid == D(102)

        market, agents = play(
            {
                "waits": waits,
                "asks": rests(("sell", 1, "101"), ("sell", 2, "102"), ("sell", 2, "104")),
                "pusher": after(1, rests(("buy", 1, "101"))),
            },
            btc="20",
            spot=True,
        )
        assert market.trades == [
            (D(101), D(1), "pusher", "asks"),
            (D(102), D(2), "waits", "asks"),
        ]
        assert agents["waits"].kinds == ["accepted", "triggered", "filled"]
        assert market.balance("waits") == (D(9694), D(102))


class TestExits:
    @pytest.mark.parametrize(
        ("price", "bid", "kind", "sold"),
        [("97", "96", "stop_loss", D(96)), ("105", "104", "take_profit", None)],
    )
    def test_what_a_bracket_bought_is_sold_again_at_the_one_price_or_the_other(
        self, price: str, bid: str, kind: str, sold: object
    ) -> None:
        """2 bought at 100, 2 bid. Reached at 97, the stop-loss is a market order and gets 96;
        reached at 105, the take-profit is a limit there, for which 104 is too little: it rests."""

        async def bracket(me: Does) -> None:
            entry = await me.buy(PAIR, 2, limit_price="100", stop_loss="97", take_profit="105")
            await entry.filled()

        market, agents = play(
            {
                "bracket": bracket,
                "giver": rests(("sell", 2, "100")),
                "bids": after(1, rests(("buy", 2, bid))),
                **trades_at(price, since=2),
            },
            btc="20",
            spot=True,
        )
        kinds = ["accepted", "filled", "accepted", "triggered"]
        if sold is not None:
            assert agents["bracket"].kinds == [*kinds, "filled"]
            assert market.trades[-1] == (sold, D(2), "bids", "bracket")
            # The one who takes is told first.
            assert market.exchange.venue.records.fills[-2].kind == kind
            assert market.balance("bracket") == (D(9992), D(0))  # (96 - 100) x 2
        else:
            assert agents["bracket"].kinds == kinds
            assert len(market.trades) == 2
            assert market.exchange.books[PAIR].meets(True) == D(105)
            assert market.balance("bracket", "BTC") == (D(20), D(2))
        conserved(market)

    def test_a_close_beyond_its_own_stop_loss_does_not_call_it(self) -> None:
        """Sold at 97 by an order of its owner, the long of 2 is gone when 97 is the price: its
        stop-loss at 98 closes nothing, and is not said to be reached."""

        async def long(me: Does) -> None:
            await me.long(PAIR, 2, limit_price="100", stop_loss="98")
            await me.sleep(5)
            await me.short(PAIR, 2)

        market, agents = play(
            {
                "long": long,
                "other": after(1, rests(("short", 2, "100"), ("long", 2, "97"))),
            }
        )
        assert market.trades == [
            (D(100), D(2), "long", "other"),
            (D(97), D(2), "other", "long"),
        ]
        assert "triggered" not in agents["long"].kinds
        assert market.balance("long") == (D(9994), D(0))
        conserved(market)
