"""A strategy cancelled at every point at which it waits: nothing is lost, nothing half done.

Three ways to be cancelled: the task itself, as it begins to wait; the task, while something else is
delivered; and a cancel scope of anyio's, which is how strategies do it. The actor is a real asyncio
task, so each must be just what it is anywhere else.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator
from typing import Any

import anyio
import pytest

from backtest.actors import System
from backtest.errors import Undeliverable
from backtest.strategies import Strategy
from backtest.testing import Scripted, World, assert_ledger_ok, bar, play

BARS = [
    bar(number, price, price + 2, price - 2, price + 1, 4)
    for number, price in enumerate([100, 101, 103, 99, 97, 98, 104, 106, 101, 95, 96, 100])
]


async def _busy(me: Any) -> None:
    """Waits in every way there is: for bars, orders, commands, time, events, children."""
    await me.next()
    order = await me.buy("BTCUSD", 3)
    await order.filled(timeout="2m")
    limit = await me.long("BTCUSD", 2, leverage=4, limit_price=90)
    with anyio.move_on_after(45):
        await limit.done()
    parts = await limit.split([1, 1])
    await parts[0].cancel()
    event = anyio.Event()

    async def child() -> None:
        await me.sleep(20)
        sold = await me.sell("BTCUSD", 1)
        await sold.done()
        event.set()

    async with anyio.create_task_group() as group:
        group.start_soon(child)
        await event.wait()
    await parts[1].modify(limit_price=106)
    await parts[1].filled(timeout="3m")
    if parts[1].open_volume:
        await parts[1].close()
    await anyio.to_thread.run_sync(int)  # shielded: what cancels it meets the next wait
    await me.sleep(1)


class _Steps:
    """Awaits ``coroutine``; calls ``at`` with the number of every wait, just before it begins."""

    def __init__(self, coroutine: Any, at: Any) -> None:
        self._coroutine = coroutine
        self._at = at
        self.count = 0

    @types.coroutine
    def run(self) -> Generator[Any, Any, None]:
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                if error is None:
                    waits = self._coroutine.send(value)
                else:
                    waits = self._coroutine.throw(error)
            except StopIteration:
                return
            self._at(self.count)
            self.count += 1
            value, error = None, None
            try:
                value = yield waits
            except BaseException as thrown:
                error = thrown


def _play(script: Any, prepare: Any = None) -> World:
    async def bystander(me: Scripted) -> None:
        await me.next()
        await me.long("BTCUSD", 1, leverage=2, take_profit=110)
        for _ in range(len(BARS) - 1):
            await me.next()

    world = play(BARS, script, bystander, finishes=False, prepare=prepare)
    assert world.strategies["s1"].has_finished, "it is no affair of the other strategy"
    assert_ledger_ok(world)
    return world


def _waits() -> int:
    steps: list[_Steps] = []

    async def script(me: Any) -> None:
        steps.append(_Steps(_busy(me), lambda number: None))
        await steps[0].run()

    world = _play(script)
    assert world.strategies["s0"].has_finished
    return steps[0].count


def test_the_script_waits_often() -> None:
    assert _waits() >= 15


def test_cancelled_as_it_begins_to_wait() -> None:
    for at in range(_waits()):
        ended: list[str] = []

        def cancel(number: int, at: int = at) -> None:
            if number == at:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()

        async def script(me: Any, cancel: Any = cancel, ended: Any = ended) -> None:
            try:
                await _Steps(_busy(me), cancel).run()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        world = _play(script)
        assert ended == ["cancelled"], at
        assert not world.strategies["s0"].has_finished


def test_cancelled_by_a_scope_at_every_wait() -> None:
    for at in range(_waits()):
        scopes: list[anyio.CancelScope] = []

        def cancel(number: int, at: int = at, scopes: Any = scopes) -> None:
            if number == at:
                scopes[0].cancel()

        async def script(me: Any, cancel: Any = cancel, scopes: Any = scopes, at: int = at) -> None:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await _Steps(_busy(me), cancel).run()
            assert scope.cancelled_caught, at
            # It lives on, and trades. A command that was sent is sent: its answer is still to come.
            await me.sleep(1)
            for order in me.open_orders():
                await order.cancel()
            await me.buy("BTCUSD", 1, limit_price=50)
            assert len(me.open_orders()) == 1

        assert _play(script).strategies["s0"].has_finished, at


def test_cancelled_while_any_message_is_delivered() -> None:
    total = _play(_busy).oracle.checks
    for at in range(0, total, 2):

        def prepare(system: System, at: int = at) -> None:
            before, seen = system.observer, [0]

            def observer(envelope: Any) -> None:
                if before is not None:
                    before(envelope)
                seen[0] += 1
                if seen[0] == at:
                    for fiber in system.fibers():
                        if fiber.name == "s0/run" and fiber.task is not None:
                            fiber.task.cancel()

            system.observer = observer

        _play(_busy, prepare)


@pytest.mark.parametrize("handler", ["on_bar", "on_order"])
def test_a_handler_that_is_cancelled_ends_the_strategy_and_says_so(handler: str) -> None:
    class Tired(Strategy):
        async def _give_up(self, _: Any) -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await anyio.sleep(1)

    async def on_bar(self: Any, bar: Any) -> None:
        if not self.open_orders():
            self.buy("BTCUSD", 1, limit_price=50)

    body: dict[str, Any] = {"on_bar": on_bar}
    body[handler] = Tired._give_up
    kind = type("VeryTired", (Tired,), body)
    with pytest.raises(Undeliverable, match=r"s0.* has ended"):
        play(BARS, kind())
