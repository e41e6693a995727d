"""A handle says that its order's stop was reached, however the order came to have one."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors.protocol import Amend, Verb
from backtest.models import ActionType, OrderDirection
from tests.harness import D, bar, play

DOWN = [bar(0, 100), bar(1, 100), bar(2, 100, 100, 94, 96), bar(3, 96)]
UP = [bar(0, 100), bar(1, 100, 106, 100, 104), bar(2, 104)]
OWNED = {"USD": 100, "BTC": 1}


async def owned(me: Any) -> Any:
    return await me.sell("BTCUSD", 1, stop_loss=95, take_profit=110)


async def owned_then_moved(me: Any) -> Any:
    exit = await me.sell("BTCUSD", 1, take_profit=110)
    await exit.modify(stop_loss=95)
    return exit


async def bracket(me: Any) -> Any:
    entry = await me.buy("BTCUSD", D("0.5"), take_profit=110)
    await me.next()
    (exit,) = entry.exits
    await exit.modify(stop_loss=95)
    return exit


async def cleared_and_set_again(me: Any) -> Any:
    exit = await owned(me)
    await exit.modify(clear=["stop_loss"])
    await exit.modify(stop_loss=95)
    return exit


async def part_of_a_split(me: Any) -> Any:
    exit = await me.sell("BTCUSD", 1, take_profit=110)
    parts = await exit.split(["0.5", "0.5"])
    await parts[0].modify(stop_price=95)
    return parts[0]


@pytest.mark.parametrize(
    "order", [owned, owned_then_moved, bracket, cleared_and_set_again, part_of_a_split]
)
def test_an_exit_of_spot(order: Any) -> None:
    async def script(me: Any) -> None:
        await me.next()
        exit = await order(me)
        await me.next(2)
        assert (exit.is_filled, exit.is_triggered) == (True, True)

    play(DOWN, script, cash=OWNED)


def test_an_exit_whose_stop_was_cleared_has_none_to_reach() -> None:
    async def script(me: Any) -> None:
        await me.next()
        exit = await owned(me)
        await exit.modify(clear=["stop_loss"])
        await me.next()
        assert (exit.is_filled, exit.is_triggered) == (True, False)

    play([bar(0, 100), bar(1, 100, 111, 94, 111)], script, cash=OWNED)


def test_a_stop_sent_in_the_words_of_an_action() -> None:
    async def script(me: Any) -> None:
        await me.next()
        what = {"direction": OrderDirection.LONG, "volume": D(1), "stop_price": D(105)}
        action = me._client.commands.action(ActionType.CREATE_SPOT_STOP, "BTCUSD", None, what)
        order = await me._client.commands.submit(action)
        await me.next()
        assert (order.is_filled, order.is_triggered) == (True, True)

    play(UP, script)


@pytest.mark.parametrize("name", ["order", "volume", "id", "lot", "no_such"])
def test_a_message_that_clears_what_cannot_be_cleared_is_refused(name: str) -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=90)
        host = me._client.commands._host
        host.commands += 1
        host.submit(Amend(host.commands, Verb.MODIFY, order.id, clear=frozenset({name})))
        await me.next()
        await order.modify(limit_price=91)
        assert order.live.limit_price == 91

    world = play([bar(at, 100) for at in range(4)], script)
    refused = [event for event in world.records.events if event.kind.value == "rejected"]
    assert [event.reason.value for event in refused] == ["INVALID_ACTION"]
    assert f"no {name!r} to clear" in refused[0].detail
