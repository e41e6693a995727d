"""The same command twice has one effect, however it was repeated."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from backtest.actors import BROKER, EventKind, OrderEvent
from backtest.actors.protocol import Amend, Create, Verb
from backtest.errors import OrderRejected
from backtest.models import ActionType, OrderDirection
from backtest.models._fast import derive
from tests.harness import D, bar, play


def sender(me: Any) -> Any:
    """The line on which the strategy's commands go, to send one again as a faulty line would."""
    return me._host.link(BROKER)


def again(me: Any) -> list[OrderEvent]:
    return [one for one in me.heard if one.reason is not None and one.kind is EventKind.REJECTED]


def reasons(me: Any) -> list[str]:
    return [one.reason.value for one in again(me) if one.reason is not None]


def buy(number: int, limit: int = 90) -> Create:
    return Create(
        number, "main", "BTCUSD", True, "limit", OrderDirection.LONG, D(1), D(limit), None
    )


def test_a_new_order_sent_twice_is_one_order() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=90)
        sender(me).post(buy(1))
        await me.sleep(1)
        assert me.balance("USD") == (D(910), D(90))
        assert len(me.open_orders()) == 1
        assert not order.is_done
        assert reasons(me) == ["DUPLICATE_COMMAND"]
        assert again(me)[0].command == 0  # the answer of the first stays the answer
        assert "command 1 " in again(me)[0].detail

    world = play([bar(0, 100), bar(1, 100)], script)
    assert len(world.records.orders) == 1


def test_a_repeat_before_the_answer_does_no_harm() -> None:
    # Both are on their way when the strategy awaits its order.
    async def script(me: Any) -> None:
        await me.next()
        order = me.buy("BTCUSD", 1, limit_price=90)
        sender(me).post(buy(1))
        await order
        assert order.is_accepted
        await me.sleep(1)
        assert not order.is_rejected
        assert me.balance("USD") == (D(910), D(90))

    play([bar(0, 100), bar(1, 100)], script)


def test_a_cancel_sent_twice_cancels_once() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, limit_price=90)
        await order.cancel(1)
        sender(me).post(Amend(2, Verb.CANCEL, order.id, D(1)))
        await me.sleep(1)
        assert order.leaves == 2

    play([bar(0, 100), bar(1, 100)], script)


def test_a_close_sent_twice_closes_once() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 4, leverage=2)
        await me.next()
        await order.close(1)
        sender(me).post(Amend(2, Verb.CLOSE, order.id, D(1)))
        await me.next()
        assert order.open_volume == 3

    world = play([bar(0, 100), bar(1, 100), bar(2, 100)], script)
    assert world.fills()[1:] == ["close SHORT 1 @ 100 open"]


def test_a_refused_command_is_not_tried_again() -> None:
    # 20 x 90 is more than there is. The deposit of a sale later makes no difference to the repeat.
    async def script(me: Any) -> None:
        await me.next()
        with pytest.raises(OrderRejected, match="INSUFFICIENT_FUNDS"):
            await me.buy("BTCUSD", 20, limit_price=90)
        sender(me).post(buy(1))
        await me.sleep(1)
        assert me.open_orders() == []
        assert reasons(me) == [
            "INSUFFICIENT_FUNDS", "DUPLICATE_COMMAND",
        ]  # fmt: skip

    play([bar(0, 100), bar(1, 100)], script)


def test_a_late_command_is_no_repeat() -> None:
    # Numbers 1, 5 and then 3, which a line delayed, and 3 once more.
    async def script(me: Any) -> None:
        await me.next()
        for number in (1, 5, 3, 3, 5, 2, 4, 4):
            sender(me).post(buy(number, 80 + number))
        await me.sleep(1)

    world = play([bar(0, 100), bar(1, 100)], script)
    assert [one.limit_price for one in world.records.orders] == [81, 85, 83, 82, 84]
    assert world.venue.clients["s0"].skipped == []


def test_an_action_submitted_twice_under_one_id_is_sent_once() -> None:
    async def script(me: Any) -> None:
        await me.next()
        action = me.action(
            ActionType.CREATE_SPOT_LIMIT,
            "BTCUSD",
            volume=D(1),
            direction=OrderDirection.LONG,
            price=D(90),
            command_id=UUID(int=77),
        )
        order = await me.submit(action)
        assert await me.submit(action) is order
        assert await me.submit(derive(action, command_id=UUID(int=78))) is not order
        # Without an id of its own every submit is a command of its own.
        await me.submit(derive(action, command_id=None))
        await me.submit(derive(action, command_id=None))
        assert me.balance("USD") == (D(640), D(360))

    play([bar(0, 100), bar(1, 100)], script)


def test_an_action_that_reaches_the_venue_twice_has_one_effect() -> None:
    async def script(me: Any) -> None:
        await me.next()
        action = me.action(
            ActionType.CREATE_SPOT_LIMIT,
            "BTCUSD",
            volume=D(1),
            direction=OrderDirection.LONG,
            price=D(90),
        )
        for command in (UUID(int=7), UUID(int=7), 40, 40, -3, -3, None, None):
            sender(me).post(derive(action, command_id=command))
        await me.sleep(1)
        assert reasons(me) == ["DUPLICATE_COMMAND"] * 3

    world = play([bar(0, 100), bar(1, 100)], script)
    assert len(world.records.orders) == 5


def test_strategies_do_not_disturb_each_other() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1, limit_price=90)

    world = play([bar(0, 100), bar(1, 100)], script, script)
    assert len(world.records.orders) == 2


def test_timers_take_no_numbers_of_commands() -> None:
    async def script(me: Any) -> None:
        for _ in range(3):
            me.set_timer("tick", after=1)
        await me.next()
        await me.buy("BTCUSD", 1, limit_price=90)

    world = play([bar(0, 100), bar(1, 100)], script)
    assert world.venue.clients["s0"].skipped == []


def test_a_repeat_changes_no_id() -> None:
    def script(repeats: int) -> Any:
        async def run(me: Any) -> None:
            await me.next()
            await me.buy("BTCUSD", 1, limit_price=90)
            for _ in range(repeats):
                sender(me).post(buy(1))
            await me.sleep(1)
            await me.buy("BTCUSD", 1, limit_price=91)
            await me.next()

        return run

    bars = [bar(0, 100), bar(1, 100), bar(2, 90)]
    plain, repeated = play(bars, script(0)), play(bars, script(3))
    assert [one.id for one in plain.records.orders] == [one.id for one in repeated.records.orders]
    assert plain.fills() == repeated.fills()
