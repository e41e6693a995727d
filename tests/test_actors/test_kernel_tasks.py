"""Tasks and cancellation inside actors: nothing is lost, whoever is cancelled at whatever await."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from backtest.actors import Actor, Envelope, FixedLatency, Signal, Stream, System
from backtest.errors import Deadlock

from .kernel import SECOND, Echo, Script, Sink, play


class TestChildTasks:
    def test_wait_for_signals_requests_and_messages(self) -> None:
        async def life(self: Script) -> None:
            signal = Signal(self.system)

            async def waits() -> None:
                self.note("signal", await signal.wait())

            async def asks(number: int) -> None:
                self.note("answer", await self.link("echo").request(number))

            async def receives() -> None:
                self.note("message", (await self.receive()).payload)

            async def resolves() -> None:
                await anyio.sleep(3)
                signal.resolve("now")

            async with anyio.create_task_group() as group:
                group.start_soon(waits)
                group.start_soon(asks, 1)
                group.start_soon(asks, 2)
                group.start_soon(receives)
                group.start_soon(resolves)
                await anyio.sleep(1)
                self.link("only").post("hello")

        only = Script("only", life)
        play(only, Echo("echo"), echo__only=FixedLatency(2 * SECOND))
        assert only.log == [
            (1 * SECOND, "message", "hello"),
            (2 * SECOND, "answer", 1),
            (2 * SECOND, "answer", 2),
            (3 * SECOND, "signal", "now"),
        ]

    def test_may_be_started_with_the_methods_themselves(self) -> None:
        async def life(self: Script) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(self.link("sink").send, "a")
                group.start_soon(self.link("echo").request, "b")
            echo = self.link("echo")
            assert list(await asyncio.gather(echo.request(1), echo.request(2))) == [1, 2]

        sink = Sink()
        play(Script("only", life), Echo("echo"), sink)
        assert sink.got == [(0, "a")]

    def test_send_in_the_name_of_what_their_actor_handles(self) -> None:
        # A message that a child task sends was caused by what its actor took last.
        class Relay(Actor):
            async def handle(self, envelope: Envelope) -> None:
                async with anyio.create_task_group() as group:
                    group.start_soon(self.pass_on, envelope.payload)

            async def pass_on(self, what: Any) -> None:
                await anyio.sleep(1)
                self.link("sink").post(what)

        causes: dict[str, tuple[int, int]] = {}
        system = System(1)

        def trace(envelope: Envelope) -> None:
            causes[envelope.channel.target.name] = (envelope.id, envelope.cause)

        async def life(self: Script) -> None:
            self.link("relay").post("x")

        system.tracer = trace
        for actor in (Relay("relay"), Sink(), Script("only", life)):
            system.add(actor)
        system.simulate()
        assert causes["relay"][1] == 0
        assert causes["sink"][1] == causes["relay"][0]

    def test_several_receivers_share_the_inbox_and_lose_nothing(self) -> None:
        async def life(self: Script) -> None:
            async def worker(name: str) -> None:
                while True:
                    self.note(name, (await self.receive()).payload)
                    await anyio.sleep(1)

            async with anyio.create_task_group() as group:
                for name in "ab":
                    group.start_soon(worker, name)
                await anyio.sleep(1)
                for number in range(6):
                    self.link("only").post(number)
                await anyio.sleep(10)
                group.cancel_scope.cancel()

        only = Script("only", life)
        play(only)
        assert [entry[2] for entry in only.log] == list(range(6))
        assert {entry[0] for entry in only.log} == {n * SECOND for n in (1, 2, 3)}

    def test_a_failing_child_fails_its_actor_with_the_group(self) -> None:
        async def life(self: Script) -> None:
            async def bad() -> None:
                await anyio.sleep(2)
                raise ZeroDivisionError("by hand")

            async with anyio.create_task_group() as group:
                group.start_soon(bad)
                await self.receive()

        with pytest.raises(ExceptionGroup) as caught:
            play(Script("only", life))
        assert caught.group_contains(ZeroDivisionError, match="by hand")
        assert any("in only at 1970-01-01T00:00:02" in note for note in caught.value.__notes__)

    def test_a_forgotten_task_that_fails_fails_the_run(self) -> None:
        # asyncio alone would log it when the collector comes by.
        async def life(self: Script) -> None:
            async def bad() -> None:
                raise ZeroDivisionError("nobody awaits me")

            async def caught() -> None:
                raise KeyError("somebody awaits me")

            forgotten, awaited = asyncio.create_task(bad()), asyncio.create_task(caught())
            await anyio.sleep(1)
            with pytest.raises(KeyError):
                await awaited
            assert forgotten.done()

        with pytest.raises(ZeroDivisionError, match="nobody awaits me"):
            play(Script("only", life))

    def test_a_failing_callback_ends_the_run(self) -> None:
        async def life(self: Script) -> None:
            asyncio.get_running_loop().call_later(1, lambda: 1 / 0)
            await anyio.sleep(10)

        with pytest.raises(ZeroDivisionError):
            play(Script("only", life))

    def test_those_left_behind_are_cancelled_when_the_run_ends(self) -> None:
        async def life(self: Script) -> None:
            async def lingers() -> None:
                try:
                    await anyio.sleep_forever()
                finally:
                    self.note("cancelled")

            task = asyncio.create_task(lingers())
            await anyio.sleep(1)
            assert not task.done()

        only = Script("only", life)
        play(only)
        assert only.log == [(SECOND, "cancelled")]

    def test_a_signal_that_fails_raises_at_every_waiter(self) -> None:
        async def life(self: Script) -> None:
            signal = Signal(self.system)

            async def waits() -> None:
                with pytest.raises(KeyError):
                    await signal.wait()
                self.note("raised")

            async with anyio.create_task_group() as group:
                group.start_soon(waits)
                group.start_soon(waits)
                await checkpoint()
                signal.fail(KeyError("x"))
                signal.resolve("too late")
            with pytest.raises(KeyError):
                await signal.wait()

        only = Script("only", life)
        play(only)
        assert only.log == [(0, "raised")] * 2

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
    def test_eager_tasks_wait_like_others(self) -> None:
        # They begin inside their actor's step, and must not be taken for the actor itself.
        async def life(self: Script) -> None:
            asyncio.get_running_loop().set_task_factory(
                asyncio.eager_task_factory  # type: ignore[attr-defined]
            )
            signal = Signal(self.system)

            async def waits() -> Any:
                return await signal.wait()

            async def receives() -> Any:
                return (await self.receive()).payload

            async with anyio.create_task_group() as group:
                group.start_soon(waits)
                asking = asyncio.create_task(self.link("echo").request("?"))
                waiting = asyncio.create_task(waits())
                receiving = asyncio.create_task(receives())
                await anyio.sleep(1)
                signal.resolve("!")
                self.link("only").post("m")
            assert [await asking, await waiting, await receiving] == ["?", "!", "m"]
            self.note("done")

        only = Script("only", life)
        play(only, Echo("echo"))
        assert only.log == [(SECOND, "done")]


class TestCancelScopes:
    def test_shielded_clean_up_takes_simulated_time(self) -> None:
        async def life(self: Script) -> None:
            with anyio.move_on_after(1):
                try:
                    await anyio.sleep_forever()
                finally:
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(5)
                        self.note("cleaned", await self.link("echo").request(1))
            self.note("on")

        only = Script("only", life)
        play(only, Echo("echo"))
        assert only.log == [(6 * SECOND, "cleaned", 1), (6 * SECOND, "on")]

    def test_shielded_clean_up_of_a_child(self) -> None:
        async def life(self: Script) -> None:
            async def child() -> None:
                try:
                    await self.receive()
                finally:
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(5)
                        self.note("cleaned")

            async with anyio.create_task_group() as group:
                group.start_soon(child)
                await anyio.sleep(1)
                group.cancel_scope.cancel()
            self.note("on")

        only = Script("only", life)
        play(only)
        assert only.log == [(6 * SECOND, "cleaned"), (6 * SECOND, "on")]

    def test_an_actor_cancels_the_scope_in_which_another_is_parked(self) -> None:
        scopes: list[anyio.CancelScope] = []

        async def parked(self: Script) -> None:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await self.receive()
            self.note("free")
            self.note((await self.receive()).payload)

        async def frees(self: Script) -> None:
            await anyio.sleep(1)
            scopes[0].cancel()
            self.link("parked").post("after")

        one = Script("parked", parked)
        play(one, Script("frees", frees))
        assert one.log == [(SECOND, "free"), (SECOND, "after")]

    def test_a_handler_that_cancels_its_own_task_before_it_waits(self) -> None:
        # The kernel steps the coroutine, the task still waits for a future: that is cancelled now.
        class Own(Actor):
            log: list[str]

            async def started(self) -> None:
                self.log = []

            async def handle(self, envelope: Envelope) -> None:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                try:
                    await (anyio.sleep(5) if envelope.payload else Signal(self.system).wait())
                except asyncio.CancelledError:
                    task.uncancel()
                    self.log.append(f"cancelled {envelope.payload}")

        async def life(self: Script) -> None:
            self.link("own").post(True)
            self.link("own").post(False)

        own = Own("own")
        assert play(own, Script("only", life)).now == 0
        assert own.log == ["cancelled True", "cancelled False"]

    def test_a_handler_that_cancels_its_own_task_and_returns(self) -> None:
        class Own(Actor):
            async def handle(self, envelope: Envelope) -> None:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()

        async def life(self: Script) -> None:
            self.link("own").post(1)
            await anyio.sleep(1)

        own = Own("own")
        play(own, Script("only", life))
        assert not own.fiber.alive

    def test_cancelled_children_wake_in_the_order_of_their_making(self) -> None:
        # anyio keeps tasks and scopes in sets: their order is that of addresses in memory.
        def order(ballast: int) -> list[Any]:
            keep: list[Any] = []

            async def life(self: Script) -> None:
                async def child(number: int) -> None:
                    with anyio.move_on_after(1000 + number):
                        try:
                            keep.append([bytearray(ballast) for _ in range(number % 3)])
                            await anyio.sleep_forever()
                        finally:
                            self.note(number)

                async with anyio.create_task_group() as group:
                    for number in range(20):
                        keep.append(bytearray(ballast * (number % 5)))
                        group.start_soon(child, number)
                    await anyio.sleep(1)
                    group.cancel_scope.cancel()

            only = Script("only", life)
            play(only)
            return only.log

        for ballast in (0, 100, 5000):
            assert order(ballast) == [(SECOND, number) for number in range(20)]

    def test_asyncio_task_groups_as_well(self) -> None:
        async def life(self: Script) -> None:
            async def child(number: int) -> None:
                try:
                    await anyio.sleep_forever()
                finally:
                    self.note(number)

            async def fails() -> None:
                async with asyncio.TaskGroup() as group:
                    for number in range(20):
                        group.create_task(child(number))
                    await anyio.sleep(1)
                    raise ValueError("enough")

            with pytest.raises(ExceptionGroup):
                await fails()

        only = Script("only", life)
        play(only)
        assert only.log == [(SECOND, number) for number in range(20)]


class TestNoMessageIsLost:
    def test_when_the_wait_for_it_times_out_at_its_very_time(self) -> None:
        # The message comes at 1 s with priority 0, the timer at 1 s with priority 3.
        async def life(self: Script) -> None:
            with anyio.move_on_after(1) as scope:
                self.note((await self.receive()).payload)
            assert not scope.cancelled_caught
            with anyio.move_on_after(1) as scope:
                await self.receive()
            assert scope.cancelled_caught
            self.link("sends").post("now")
            self.note((await self.receive()).payload)

        async def sends(self: Script) -> None:
            self.link("only").post_at(SECOND, "at the deadline", 0)
            await self.receive()
            self.link("only").post("after the timer")

        only = Script("only", life)
        play(only, Script("sends", sends))
        assert only.log == [(SECOND, "at the deadline"), (2 * SECOND, "after the timer")]

    @pytest.mark.parametrize("behind", [False, True])
    def test_when_it_comes_while_the_wait_is_being_cancelled(self, behind: bool) -> None:
        # One step cancels the wait and sends the message: the cancellation is first.
        scopes: list[anyio.CancelScope] = []

        async def waits(self: Script) -> None:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                self.note("in vain", (await self.receive()).payload)
            self.note("then", (await self.receive()).payload)

        async def cancels(self: Script) -> None:
            await anyio.sleep(1)
            if behind:
                scopes[0].cancel()
            self.link("waits").post("x")
            if not behind:
                scopes[0].cancel()

        one = Script("waits", waits)
        play(one, Script("cancels", cancels))
        assert one.log == [(SECOND, "then", "x")]

    def test_when_a_wait_for_a_stream_is_cancelled_at_any_time(self) -> None:
        got: list[int] = []

        async def life(self: Script) -> None:
            stream: Stream[int] = Stream(self.system, "s", 1000)

            async def pushes() -> None:
                for number in range(30):
                    await anyio.sleep(0.7)
                    stream.push(number)
                stream.close()

            async with anyio.create_task_group() as group:
                group.start_soon(pushes)
                while not (stream.closed and not len(stream)):
                    with anyio.move_on_after(0.3):
                        async for number in stream:
                            got.append(number)

        play(Script("only", life))
        assert got == list(range(30))

    def test_whoever_of_two_receivers_is_cancelled(self) -> None:
        async def life(self: Script) -> None:
            async def worker(name: str, scope: anyio.CancelScope) -> None:
                with scope:
                    while True:
                        self.note(name, (await self.receive()).payload)

            first, second = anyio.CancelScope(), anyio.CancelScope()
            async with anyio.create_task_group() as group:
                group.start_soon(worker, "a", first)
                group.start_soon(worker, "b", second)
                await anyio.sleep(1)
                self.link("only").post(1)
                first.cancel()
                await anyio.sleep(1)
                self.link("only").post(2)
                second.cancel()
                await anyio.sleep(1)
                self.note("rest", (await self.receive()).payload)

        only = Script("only", life)
        play(only)
        assert only.log == [(SECOND, "b", 1), (3 * SECOND, "rest", 2)]

    @pytest.mark.parametrize("tick", range(1, 40))
    def test_when_the_actor_is_cancelled_at_any_await(self, tick: int) -> None:
        """A consumer does every kind of waiting; its scope is cancelled at each half second.

        Whatever it had not taken by then is still there when it asks again.
        """
        sent = 12
        taken: list[int] = []
        scopes: list[anyio.CancelScope] = []

        async def consumes(self: Script) -> None:
            echo = self.link("echo")

            async def child() -> None:
                taken.append((await self.receive()).payload)

            async def waits() -> None:
                while True:
                    taken.append((await self.receive()).payload)
                    await anyio.sleep(0.25)
                    await echo.request(0)
                    with anyio.move_on_after(0.5):
                        taken.append((await self.receive()).payload)
                    async with anyio.create_task_group() as group:
                        group.start_soon(child)
                    await checkpoint()

            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await waits()
            await anyio.sleep(5)
            while len(taken) < sent:
                taken.append((await self.receive()).payload)

        async def feeds(self: Script) -> None:
            for number in range(sent):
                await anyio.sleep(1)
                self.link("consumes").post(number)

        async def cancels(self: Script) -> None:
            await anyio.sleep(tick / 2)
            scopes[0].cancel()

        system = play(
            Script("consumes", consumes),
            Echo("echo"),
            Script("feeds", feeds),
            Script("cancels", cancels),
        )
        assert taken == list(range(sent))
        assert not system.dead_letters

    def test_a_reply_that_finds_its_asker_cancelled(self) -> None:
        async def life(self: Script) -> None:
            echo = self.link("echo")
            with anyio.move_on_after(1) as scope:
                await echo.request("lost")
            assert scope.cancelled_caught
            self.note(await echo.request("next"))

        only = Script("only", life)
        system = play(only, Echo("echo"), echo__only=FixedLatency(3 * SECOND))
        assert only.log == [(4 * SECOND, "next")]
        assert system.statistics().waiting == 0


class TestWaitsLeaveNothingBehind:
    @pytest.mark.parametrize("aside", [False, True])
    def test_on_a_signal_that_outlives_them(self, aside: bool) -> None:
        async def life(self: Script) -> None:
            signal = Signal(self.system)

            async def waits() -> None:
                for _ in range(100):
                    with anyio.move_on_after(1):
                        await signal.wait()

            if aside:
                async with anyio.create_task_group() as group:
                    group.start_soon(waits)
            else:
                await waits()
            assert not signal._fibers
            assert not signal._futures
            assert not self.system.events.asides

        play(Script("only", life))

    def test_lines_that_have_ended_are_forgotten(self) -> None:
        async def life(self: Script) -> None:
            for _ in range(100):
                self.system.spawn(self, "line", anyio.sleep(1))
                await anyio.sleep(2)
            assert len(self.system.lines(self)) == 1

        play(Script("only", life))


class TestRefusal:
    async def _never(self, wait: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                await wait()
            except asyncio.CancelledError:
                continue

    @pytest.mark.parametrize("kind", ["sleep", "message", "child"])
    def test_of_being_cancelled_is_reported_and_the_run_ends(self, kind: str) -> None:
        async def life(self: Script) -> None:
            if kind == "sleep":
                await TestRefusal()._never(lambda: asyncio.sleep(1))
            elif kind == "message":
                await TestRefusal()._never(self.receive)
            else:
                async with asyncio.TaskGroup() as group:
                    group.create_task(
                        TestRefusal()._never(lambda: asyncio.sleep(1)), name="the stubborn"
                    )

        async def ends(self: Script) -> None:
            await anyio.sleep(5)
            self.system.stop()

        with pytest.raises(Deadlock, match=r"only at test_kernel_tasks.py line .*refuses"):
            play(Script("only", life), Script("ends", ends))
