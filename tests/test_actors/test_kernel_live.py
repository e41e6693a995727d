"""The same actors on an ordinary asyncio loop, in real time."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from backtest.actors import (
    NEVER,
    Actor,
    Directive,
    Envelope,
    FixedLatency,
    Life,
    RealClock,
    Supervision,
    System,
)
from backtest.errors import BacktestError, Deadlock, InboxOverflow

from .kernel import MS, Echo, Script, Sink

pytestmark = pytest.mark.asyncio


def live(*actors: Actor) -> System:
    system = System(1, RealClock())
    for actor in actors:
        system.add(actor)
    return system


async def test_requests_timers_and_stop() -> None:
    async def life(self: Script) -> None:
        begin = self.system.now
        assert await self.link("echo").request("hello") == "hello"
        await anyio.sleep(0.02)
        with anyio.move_on_after(0.02) as scope:
            await self.receive()
        assert scope.cancelled_caught
        await self.system.sleep_until(self.system.now + 20 * MS)
        self.log.append(self.system.now - begin)
        self.system.stop()

    only = Script("only", life)
    system = live(only, Echo("echo"))
    await system.run()
    assert only.log[0] >= 60 * MS
    assert [actor.life for actor in system.actors.values()] == [Life.STOPPED] * 2
    assert not any(fiber.alive for fiber in system.fibers())


async def test_latency_is_real_time_and_order_is_kept() -> None:
    async def life(self: Script) -> None:
        for number in range(5):
            self.link("sink").post((self.system.now, number))
        await anyio.sleep(0.05)
        self.system.stop()

    sink = Sink()
    system = live(Script("only", life), sink)
    system.set_latency("only", "sink", FixedLatency(20 * MS))
    await system.run()
    assert [what[1] for _, what in sink.got] == list(range(5))
    assert all(at - sent >= 20 * MS for at, (sent, _) in sink.got)


async def test_time_is_that_of_the_moment_wherever_it_is_read() -> None:
    # After an ordinary sleep no message was delivered: the time must not be that of the last one.
    async def life(self: Script) -> None:
        begin = self.system.now
        await anyio.sleep(0.02)
        self.log.append(self.system.now - begin)

        async def child() -> None:
            await anyio.sleep(0.02)
            self.link("sink").post(1)

        async with anyio.create_task_group() as group:
            group.start_soon(child)
        self.log.append(self.system.now - begin)
        self.system.stop()

    only, sink = Script("only", life), Sink()
    await live(only, sink).run()
    assert only.log[0] >= 20 * MS
    assert only.log[1] >= 40 * MS
    assert len(sink.got) == 1


async def test_full_channels_and_floods() -> None:
    class Slow(Sink):
        async def handle(self, envelope: Envelope) -> None:  # type: ignore[override]
            await checkpoint()
            super().handle(envelope)

    async def life(self: Script) -> None:
        slow = self.link("slow")
        for number in range(200):
            await slow.send(number)
        while slow.statistics().waiting < 2:
            slow.post("one more")
        with pytest.raises(InboxOverflow):
            slow.post("too many")
        self.system.stop()

    slow = Slow("slow", bound=2)
    await live(Script("only", life), slow).run()
    assert [what for _, what in slow.got[:200]] == list(range(200))


async def test_a_failure_ends_the_run_with_it() -> None:
    class Fails(Actor):
        def handle(self, envelope: Envelope) -> None:
            raise ZeroDivisionError("live")

    async def life(self: Script) -> None:
        self.link("fails").post(1)
        await self.receive()

    with pytest.raises(ZeroDivisionError, match="live") as caught:
        await live(Script("only", life), Fails("fails")).run()
    assert "in fails at" in caught.value.__notes__[0]


async def test_a_failing_observer_ends_it_too() -> None:
    def check(envelope: Envelope) -> None:
        raise AssertionError("the books are wrong")

    async def life(self: Script) -> None:
        self.link("sink").post(1)
        await self.receive()

    system = live(Script("only", life), Sink())
    system.observer = check
    with pytest.raises(AssertionError, match="the books are wrong"):
        await system.run()


async def test_supervision_is_the_same() -> None:
    class Fragile(Actor):
        supervision = Supervision(directive=Directive.RESTART)

        async def handle(self, envelope: Envelope) -> None:
            if envelope.payload == "break":
                raise ZeroDivisionError
            self.answer(envelope, envelope.payload)

    async def life(self: Script) -> None:
        with pytest.raises(BacktestError, match="fragile failed"):
            await self.link("fragile").request("break")
        self.log.append(await self.link("fragile").request("fine"))
        self.system.stop()

    only = Script("only", life)
    await live(only, Fragile("fragile")).run()
    assert only.log == ["fine"]


async def test_cancelling_a_wait_loses_no_message() -> None:
    # On an ordinary loop a message may come between a cancellation and the task that meets it.
    async def life(self: Script) -> None:
        taken: list[Any] = []
        while len(taken) < 200:
            with anyio.move_on_after(0.0002):
                taken.append((await self.receive()).payload)
        self.log.append(taken)
        self.system.stop()

    async def feeds(self: Script) -> None:
        for number in range(200):
            self.link("only").post(number)
            if number % 3 == 0:
                await anyio.sleep(0.0001)
        await anyio.sleep_forever()

    only = Script("only", life)
    await live(only, Script("feeds", feeds)).run()
    assert only.log == [list(range(200))]


async def test_a_feed_that_ends_ends_the_run() -> None:
    class Feed(Actor):
        def attach(self) -> None:
            self.sent = 0
            self.system.set_feed(self.emit, self.system.now, self.fiber)

        def emit(self) -> int:
            self.link("sink").post(self.sent)
            self.sent += 1
            return self.system.now + 2 * MS if self.sent < 5 else NEVER

    async def waits(self: Script) -> None:
        await self.receive()

    sink = Sink()
    await live(Feed("feed"), sink, Script("waits", waits)).run()
    assert [what for _, what in sink.got] == list(range(5))


async def test_one_that_is_cancelled_from_outside_ends_its_actors() -> None:
    log: list[str] = []

    async def life(self: Script) -> None:
        try:
            await self.receive()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
            log.append("cleaned up")

    with anyio.move_on_after(0.03) as scope:
        await live(Script("only", life)).run()
    assert scope.cancelled_caught
    assert log == ["cleaned up"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_one_that_refuses_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backtest.actors.kernel.lifecycle.GRACE_S", 0.01)

    async def life(self: Script) -> None:
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                continue

    async def ends(self: Script) -> None:
        self.system.stop()
        await self.receive()

    with pytest.raises(Deadlock, match=r"only at test_kernel_live.py line .*refuses"):
        await live(Script("only", life), Script("ends", ends)).run()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_real_clock_is_not_simulated() -> None:
    with pytest.raises(BacktestError, match="own and here one runs already"):
        System().simulate()
    with pytest.raises(BacktestError, match=r"await system\.run"):
        await anyio.to_thread.run_sync(System(0, RealClock()).simulate)
