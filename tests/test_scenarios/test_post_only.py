"""Post-only orders make liquidity or are not: refused, or cancelled where they would take."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors import EventKind
from backtest.errors import RejectReason
from tests.harness import D, bar, play, refused, rules

BOTH = {"USD": 1000, "BTC": 5}


def one(side: str, volume: object = 1, **terms: Any) -> Any:
    async def script(me: Any) -> None:
        await me.next()
        me.order = await getattr(me, side)("BTCUSD", volume, post_only=True, **terms)
        async for _ in me.stream:
            pass

    return script


@pytest.mark.parametrize(
    ("side", "limit"), [("buy", 100), ("buy", 101), ("sell", 100), ("sell", 99), ("short", 98)]
)
def test_a_limit_that_is_marketable_now_is_refused(side: str, limit: int) -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(
            me,
            lambda: getattr(me, side)("BTCUSD", 1, limit_price=limit, post_only=True),
            RejectReason.WOULD_TAKE,
        )

    play([bar(0, 100), bar(1, 100)], script, cash=BOTH)


def test_one_that_rests_fills_as_a_maker() -> None:
    bars = [bar(0, 100), bar(1, 100, 101, 98, 99)]
    assert play(bars, one("buy", limit_price=99)).fills() == ["entry LONG 1 @ 99 low maker"]


def test_the_first_open_beyond_its_limit_cancels_it() -> None:
    # Buy at 99; the first bar opens at 98: it would take there. Its reserve comes back.
    world = play([bar(0, 100), bar(1, 98, 101, 97, 99)], one("buy", limit_price=99))
    assert world.fills() == []
    assert world.orders() == ["LONG 1 CANCELLED WOULD_TAKE"]
    assert world.balance() == (D(1000), D(0))
    # An open at the limit itself, too.
    world = play([bar(0, 100), bar(1, 99, 101, 97, 99)], one("buy", limit_price=99))
    assert world.orders() == ["LONG 1 CANCELLED WOULD_TAKE"]


def test_a_later_open_beyond_its_limit_comes_to_an_order_that_rests() -> None:
    bars = [bar(0, 100), bar(1, 100, 101, "99.5", 100), bar(2, 98)]
    assert play(bars, one("buy", limit_price=99)).fills() == ["entry LONG 1 @ 98 open maker"]


def test_it_is_cancelled_where_there_is_no_volume_either() -> None:
    world = play([bar(0, 100), bar(1, 98, volume=0), bar(2, 98)], one("buy", limit_price=99))
    assert world.orders() == ["LONG 1 CANCELLED WOULD_TAKE"]


@pytest.mark.parametrize("close", [99, 97])
def test_it_would_take_also_where_a_fill_asks_for_more(close: int) -> None:
    # Buy at 99, to be passed by 0.02: an open at 99 is marketable, whatever comes of the bar.
    world = play(
        [bar(0, 100), bar(1, 99, 99, close, close), bar(2, 98)],
        one("buy", limit_price=99),
        rules=rules(penetration_ticks=2),
    )
    assert world.fills() == []
    assert world.orders() == ["LONG 1 CANCELLED WOULD_TAKE"]
    # One that rests fills when it is passed so far, as a maker.
    bars = [bar(0, 100), bar(1, 100), bar(2, "98.99"), bar(3, "98.98")]
    world = play(bars, one("buy", limit_price=99), rules=rules(penetration_ticks=2))
    assert world.fills() == ["entry LONG 1 @ 98.98 open maker"]


def test_it_leaves_the_volume_to_others() -> None:
    # The bar trades 1. The post-only order has the better limit, and does not take it.
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1, limit_price="99.50", post_only=True)
        await me.buy("BTCUSD", 1, limit_price=99)
        await me.next()

    world = play([bar(0, 100), bar(1, 98, 101, 97, 99, volume=1)], script)
    assert world.fills() == ["entry LONG 1 @ 98 open"]


def test_a_trading_order_likewise() -> None:
    world = play(
        [bar(0, 100), bar(1, 103, 104, 101, 103)], one("short", limit_price=102, leverage=5)
    )
    assert world.orders() == ["SHORT 1 CANCELLED WOULD_TAKE"]
    world = play(
        [bar(0, 100), bar(1, 101, 104, 101, 103)], one("short", limit_price=102, leverage=5)
    )
    assert world.fills() == ["entry SHORT 1 @ 102 high maker"]


def test_sent_inside_a_bar_its_close_is_the_first_it_meets() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.sleep(30)
        await me.buy("BTCUSD", 1, limit_price=99, post_only=True)
        await me.next(2)

    world = play([bar(0, 100), bar(1, 100, 100, 98, 98), bar(2, 98)], script)
    assert world.orders() == ["LONG 1 CANCELLED WOULD_TAKE"]


def test_before_there_is_a_price_the_first_open_decides() -> None:
    async def script(me: Any) -> None:
        await me.buy("BTCUSD", 1, limit_price=101, post_only=True)
        await me.buy("BTCUSD", 1, limit_price=99, post_only=True)
        await me.next()

    world = play([bar(0, 100, 101, 98, 99)], script)
    assert world.orders() == ["LONG 1 CANCELLED WOULD_TAKE", "LONG 1 FILLED"]


def test_a_stop_limit_is_tested_where_its_stop_is_reached() -> None:
    # Stop 105, limit 103: it rests when the stop is reached at 105. With a limit of 105 it would
    # always take there.
    bars = [bar(0, 100), bar(1, 104, 106, 103, 104), bar(2, 104, 104, 102, 103)]
    world = play(
        bars, one("buy", stop_price=105, limit_price=103), rules=rules(path="open_low_high_close")
    )
    assert world.fills() == ["entry LONG 1 @ 103 low maker"]

    async def script(me: Any) -> None:
        await me.next()
        await refused(
            me,
            lambda: me.buy("BTCUSD", 1, stop_price=105, limit_price=105, post_only=True),
            RejectReason.WOULD_TAKE,
        )

    play([bar(0, 100), bar(1, 100)], script)


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"stop_price": 105},
        {"trail": 3},
        {"limit_price": 99, "time_in_force": "IOC"},
        {"limit_price": 99, "time_in_force": "FOK"},
    ],
)
def test_what_does_not_rest_cannot_be_post_only(terms: dict[str, Any]) -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(
            me, lambda: me.buy("BTCUSD", 1, post_only=True, **terms), RejectReason.INVALID_ACTION
        )

    play([bar(0, 100), bar(1, 100)], script)


def test_modified_it_must_rest_anew() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, limit_price=95, post_only=True)
        await me.next()
        await refused(me, lambda: order.modify(limit_price=100), RejectReason.WOULD_TAKE)
        await order.modify(limit_price=99)
        await me.next()
        assert order.end_reason == "WOULD_TAKE"  # bar 2 opens at 98

    play([bar(0, 100), bar(1, 100), bar(2, 98)], script)


def test_a_smaller_volume_keeps_its_place_and_its_rest() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, limit_price=95, post_only=True)
        await me.next()
        await order.modify(volume=1)
        await me.next()
        assert order.average_price == D(94)

    play([bar(0, 100), bar(1, 100), bar(2, 94)], script)


def test_parts_at_other_prices_must_rest_too() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, limit_price=95, post_only=True)
        await refused(
            me, lambda: order.split([1, 1], limit_prices=[95, 100]), RejectReason.WOULD_TAKE
        )
        parts = await order.split([1, 1], limit_prices=[95, 96])
        await me.next()
        assert [one.end_reason for one in parts] == [None, "WOULD_TAKE"]

    world = play([bar(0, 100), bar(1, 96)], script)
    assert world.strategies["s0"].told(EventKind.CANCELLED) == [("cancelled", "WOULD_TAKE")]


def test_it_expires_like_any_other() -> None:
    bars = [bar(0, 100), bar(1, 100), bar(2, 90)]
    world = play(bars, one("buy", limit_price=95, expires="1m"))
    assert world.orders() == ["LONG 1 CANCELLED EXPIRED"]
