"""A handle knows that its stop was reached, whatever came of the order there."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.testing import bar, play, rules

UP = [bar(0, 100), bar(1, 100, 106, 100, 104), bar(2, 104)]


@pytest.mark.parametrize(
    ("terms", "filled"),
    [
        ({"stop_price": 105}, 1),  # all of it, on the bar on which it was reached
        ({"stop_price": 105, "limit_price": 107}, 1),
        ({"stop_price": 105, "limit_price": 103}, 0),  # a limit order from there on
        ({"stop_price": 107}, 0),
    ],
)
def test_after_a_stop_that_filled_whole_it_is_triggered(terms: dict[str, int], filled: int) -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, **terms)
        assert not order.is_triggered
        await me.next()
        assert order.filled_volume == filled
        assert order.is_triggered is (terms["stop_price"] == 105)

    play(UP, script)


def test_a_limit_order_is_never_triggered() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=105)
        await me.next()
        assert (order.is_filled, order.is_triggered) == (True, False)

    play(UP, script)


def test_a_trailing_stop_that_filled_whole_is() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.sell("BTCUSD", 1, trail=1)
        await me.next()
        assert (order.is_filled, order.is_triggered) == (True, True)

    play(UP, script, cash={"BTC": 1})


def test_one_that_was_cancelled_where_it_was_reached_is_too() -> None:
    async def script(me: Any) -> None:
        await me.next()
        # Reached at the open of 110, beyond its own take-profit.
        order = await me.long("BTCUSD", 1, stop_price=105, take_profit=108)
        await me.next()
        assert order.end_reason == "PROTECTION_PASSED"
        assert order.is_triggered
        other = await me.long("BTCUSD", 1, stop_price=120, take_profit=130)
        await other.cancel()
        assert not other.is_triggered

    play([bar(0, 100), bar(1, 110)], script, rules=rules())


def test_a_stop_that_only_closed_what_was_open_is_too() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1)
        stop = await me.short("BTCUSD", 1, stop_price=95)
        await me.next(2)
        assert (stop.is_filled, stop.is_triggered) == (True, True)

    play(
        [bar(0, 100), bar(1, 100), bar(2, 100, 100, 94, 96)],
        script,
        accounts={"main": {"netting": True}},
    )


def test_the_exit_of_a_spot_bracket_is_when_its_stop_loss_was_reached() -> None:
    reached = []

    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, stop_loss=95, take_profit=110)
        await me.next(2)
        reached.append(order.exits[0].is_triggered)

    for last in (bar(2, 100, 100, 94, 96), bar(2, 100, 111, 100, 110)):
        play([bar(0, 100), bar(1, 100), last], script)
    assert reached == [True, False]
