"""Stops, halts and auctions that meet in one market, each worked out by hand."""

from __future__ import annotations

import pytest

from backtest.actors import EventKind
from backtest.models import TradingRules
from backtest.times import SECOND
from tests.harness import D
from tests.market_harness import Does, Market, play_market

PAIR = "BTCUSD"
CASH = {"USD": 10_000}


def halted_at(market: Market) -> list[int]:
    """After how many seconds the market was halted, each time."""
    begin = market.exchange.books[PAIR].halted
    return [(start - 36_000 * SECOND) // SECOND for start, _ in begin]


def test_parts_of_a_stop_wait_for_the_same_price_side_by_side() -> None:
    """A stop at 105 for 4 in two parts; a trade at 105 brings both, the first part first."""

    async def splits(me: Does) -> None:
        order = await me.long(PAIR, 4, stop_price="105")
        await order.split([1, 3])

    async def rests(me: Does) -> None:
        await me.short(PAIR, 1, limit_price="105")
        await me.short(PAIR, 9, limit_price="106")

    async def buys(me: Does) -> None:
        await me.sleep(1)
        await me.long(PAIR, 1)

    market = play_market(
        {"stops": Does(script=splits), "maker": Does(script=rests), "buys": Does(script=buys)},
        dict.fromkeys(("stops", "maker", "buys"), CASH),
    )
    assert market.trades == [
        (D(105), D(1), "buys", "maker"),
        (D(106), D(1), "stops", "maker"),
        (D(106), D(3), "stops", "maker"),
    ]


def test_a_stop_limit_that_was_reached_and_is_modified_keeps_to_its_new_limit() -> None:
    """Its stop at 100 is reached at once; it bids 100, then 98. The offer at 101 is not taken."""

    async def rests(me: Does) -> None:
        await me.short(PAIR, 5, limit_price="101")

    async def stops(me: Does) -> None:
        await me.sleep(1)
        order = await me.long(PAIR, 2, stop_price="100", limit_price="100")
        assert (await me.depth(PAIR)).best_bid == D(100)
        await order.modify(limit_price="98")
        assert (await me.depth(PAIR)).best_bid == D(98)

    market = play_market(
        {"maker": Does(script=rests), "stops": Does(script=stops)},
        dict.fromkeys(("maker", "stops"), CASH),
    )
    assert market.trades == []


def test_both_sides_of_a_trade_name_its_entry_whatever_it_cancels() -> None:
    """The taker's partner is cancelled, an entry of its own, after both sides are on record."""

    async def rests(me: Does) -> None:
        await me.short(PAIR, 2, limit_price="101")

    async def takes(me: Does) -> None:
        await me.sleep(1)
        await me.long(PAIR, 2, limit_price="90", oco="one")
        await me.long(PAIR, 2, limit_price="101", oco="one")

    market = play_market(
        {"maker": Does(script=rests), "taker": Does(script=takes)},
        dict.fromkeys(("maker", "taker"), CASH),
    )
    fills = market.exchange.venue.records.fills
    assert [fill.maker for fill in fills] == [False, True]
    assert fills[0].entry_id == fills[1].entry_id
    kinds = [event.kind for event in market.exchange.venue.records.events]
    assert kinds[-3:] == [EventKind.FILLED, EventKind.FILLED, EventKind.CANCELLED]


def test_an_auction_whose_rest_lies_beyond_the_band_halts_the_market_anew() -> None:
    """Carla bids 120 and offers at 80, Dan offers at 106: at 100 she would trade with herself, so
    her later order goes. Dan's offer would meet her bid at 120, beyond the band of 95 to 105: the
    market is halted for 20 s, and then 106 is the price nearest to 100 at which they deal."""

    async def carla(me: Does) -> None:
        await me.long(PAIR, 1, limit_price="120")
        await me.short(PAIR, 1, limit_price="80")

    async def dan(me: Does) -> None:
        await me.sleep(1)
        await me.short(PAIR, 1, limit_price="106")

    market = play_market(
        {"carla": Does(script=carla), "dan": Does(script=dan)},
        dict.fromkeys(("carla", "dan"), CASH),
        band=D("0.05"),
        halt_ns=20 * SECOND,
        phases=((0, "auction"), (10 * SECOND, "continuous")),
    )
    assert halted_at(market) == [10]
    assert market.trades == [(D(106), D(1), "carla", "dan")]
    assert market.exchange.trades_log[0].time_ns == (36_000 + 30) * SECOND


def test_the_end_of_a_halt_opens_no_market_that_has_closed() -> None:
    """The only offer is beyond the band: a halt of 20 s, within which the market closes."""

    async def rests(me: Does) -> None:
        await me.short(PAIR, 1, limit_price="110")

    async def buys(me: Does) -> None:
        await me.sleep(1)
        await me.long(PAIR, 1)

    market = play_market(
        {"maker": Does(script=rests), "buys": Does(script=buys)},
        dict.fromkeys(("maker", "buys"), CASH),
        band=D("0.05"),
        halt_ns=20 * SECOND,
        phases=((10 * SECOND, "closed"),),
    )
    assert halted_at(market) == [1]
    assert market.exchange.books[PAIR].phase == "closed"
    assert market.exchange.trades_log[0].time_ns == (36_000 + 10) * SECOND


def test_the_end_of_a_halt_does_not_end_an_auction_of_the_session() -> None:
    """Halted from 1 s to 21 s; the session calls an auction from 10 s to 40 s."""

    async def rests(me: Does) -> None:
        await me.short(PAIR, 1, limit_price="110")

    async def buys(me: Does) -> None:
        await me.sleep(1)
        await me.long(PAIR, 1)

    market = play_market(
        {"maker": Does(script=rests), "buys": Does(script=buys)},
        dict.fromkeys(("maker", "buys"), CASH),
        band=D("0.05"),
        halt_ns=20 * SECOND,
        phases=((10 * SECOND, "auction"), (40 * SECOND, "continuous")),
    )
    assert market.exchange.trades_log[0].time_ns == (36_000 + 40) * SECOND


def test_what_an_auction_leaves_below_its_maintenance_is_liquidated_as_it_ends() -> None:
    """Ann's margin for one at 100 is 5 at leverage 20, and she must maintain 10: the position is
    called as trading begins, and sold at Cid's bid of 99."""

    async def ann(me: Does) -> None:
        await me.long(PAIR, 1, limit_price="100", leverage=20)

    async def bob(me: Does) -> None:
        await me.short(PAIR, 1, limit_price="100")

    async def cid(me: Does) -> None:
        await me.long(PAIR, 1, limit_price="99")

    market = play_market(
        {"ann": Does(script=ann), "bob": Does(script=bob), "cid": Does(script=cid)},
        dict.fromkeys(("ann", "bob", "cid"), CASH),
        rules=TradingRules(maintenance_rate=D("0.1")),
        phases=((0, "auction"), (10 * SECOND, "continuous")),
    )
    assert market.trades == [(D(100), D(1), "ann", "bob"), (D(99), D(1), "cid", "ann")]
    assert market.balance("ann") == (D(9_999), D(0))
    kinds = [event.kind for event in market.exchange.venue.records.events]
    assert EventKind.LIQUIDATED in kinds


@pytest.mark.parametrize("mode", ["cancel_newest", "cancel_both", "cancel_oldest"])
def test_fill_or_kill_fills_nothing_where_an_order_of_its_owners_stands_in_the_way(
    mode: str,
) -> None:
    """Of 5 it could take 2 at 101 and 3 at 103, but for its owner's own at 102, which would end it;
    where that one goes instead it fills whole."""

    async def rests(me: Does) -> None:
        await me.short(PAIR, 2, limit_price="101")
        await me.short(PAIR, 5, limit_price="103")

    async def takes(me: Does) -> None:
        await me.sleep(1)
        await me.short(PAIR, 1, limit_price="102")
        await me.long(PAIR, 5, limit_price="103", time_in_force="FOK")

    market = play_market(
        {"maker": Does(script=rests), "taker": Does(script=takes)},
        dict.fromkeys(("maker", "taker"), CASH),
        self_trade=mode,
    )
    volumes = [volume for _, volume, _, _ in market.trades]
    assert volumes == ([D(2), D(3)] if mode == "cancel_oldest" else [])


def test_fill_or_kill_fills_nothing_where_the_rest_lies_beyond_the_band() -> None:
    """Two at 101 and three at 110, beyond the band of 95 to 105."""

    async def rests(me: Does) -> None:
        await me.short(PAIR, 2, limit_price="101")
        await me.short(PAIR, 5, limit_price="110")

    async def takes(me: Does) -> None:
        await me.sleep(1)
        await me.long(PAIR, 5, time_in_force="FOK")

    market = play_market(
        {"maker": Does(script=rests), "taker": Does(script=takes)},
        dict.fromkeys(("maker", "taker"), CASH),
        band=D("0.05"),
    )
    assert market.trades == []
    assert halted_at(market) == []
