"""The world outside of a simulation: threads, sockets, interrupts, other systems, contexts."""

from __future__ import annotations

import asyncio
import contextvars
import decimal
import gc
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

import backtest
from backtest.actors import NEVER, Actor, Envelope, System
from backtest.actors.kernel.simulated_loop import SimulatedLoop
from backtest.errors import BacktestError
from backtest.models import Bar
from backtest.strategies import Strategy
from backtest.times import MINUTE

from .kernel import SECOND, Echo, Script, Sink, play

# Long enough that simulated time would run far away meanwhile, were it not to stand still.
MOMENT = 0.03


class Ticker(Actor):
    """A market feed that ticks every simulated second, a thousand times, to nobody."""

    def attach(self) -> None:
        self.ticks = 0
        self.system.set_feed(self.emit, SECOND, self.fiber)

    def emit(self) -> int:
        self.ticks += 1
        return self.system.now + SECOND if self.ticks < 1_000 else NEVER


def block() -> str:
    time.sleep(MOMENT)
    return "done"


async def in_default_thread(self: Script) -> str:
    return await anyio.to_thread.run_sync(block)


async def under_a_limiter_of_its_own(self: Script) -> str:
    return await anyio.to_thread.run_sync(block, limiter=anyio.CapacityLimiter(1))


async def in_asyncio_thread(self: Script) -> str:
    return await asyncio.to_thread(block)


async def in_an_executor(self: Script) -> str:
    return await asyncio.get_running_loop().run_in_executor(None, block)


async def over_a_socket_pair(self: Script) -> str:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    thread = threading.Thread(target=lambda: (block(), theirs.send(b"done")))
    thread.start()
    try:
        return (await asyncio.get_running_loop().sock_recv(ours, 10)).decode()
    finally:
        thread.join()
        ours.close()
        theirs.close()


async def over_an_anyio_stream(self: Script) -> str:
    async def serve(stream: Any) -> None:
        async with stream:
            await stream.send((await anyio.to_thread.run_sync(block)).encode())

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            got = await stream.receive()
        group.cancel_scope.cancel()
    return bytes(got).decode()


REAL = [
    in_default_thread,
    under_a_limiter_of_its_own,
    in_asyncio_thread,
    in_an_executor,
    over_a_socket_pair,
    over_an_anyio_stream,
]


class TestARealThingThatIsAwaited:
    @pytest.mark.parametrize("wait", REAL)
    def test_freezes_simulated_time(self, wait: Any) -> None:
        async def life(self: Script) -> None:
            await anyio.sleep(10)
            self.note(await wait(self))
            await anyio.sleep(1)
            self.note("and on it goes")

        only = Script("only", life)
        play(Ticker("ticker"), only)
        assert only.log == [(10 * SECOND, "done"), (11 * SECOND, "and on it goes")]

    @pytest.mark.parametrize("wait", REAL[:4])
    def test_also_when_a_child_task_awaits_it_and_the_actor_a_message(self, wait: Any) -> None:
        async def life(self: Script) -> None:
            async def child() -> None:
                await anyio.sleep(10)
                self.note(await wait(self))
                group.cancel_scope.cancel()

            async with anyio.create_task_group() as group:
                group.start_soon(child)
                await self.receive()

        only = Script("only", life)
        play(Ticker("ticker"), only)
        assert only.log == [(10 * SECOND, "done")]

    def test_meanwhile_what_is_due_now_is_done(self) -> None:
        async def life(self: Script) -> None:
            self.link("sink").post("now")
            self.link("sink").post_at(1, "later", 0)
            seen = threading.Event()
            sink.seen = seen  # type: ignore[attr-defined]
            await anyio.to_thread.run_sync(seen.wait, 5)
            self.note(list(sink.got))

        class Sets(Sink):
            def handle(self, envelope: Envelope) -> None:
                super().handle(envelope)
                self.seen.set()  # type: ignore[attr-defined]

        sink, only = Sets(), Script("only", life)
        play(sink, only)
        assert only.log == [(0, [(0, "now")])]

    def test_two_threads_at_once(self) -> None:
        async def life(self: Script) -> None:
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(in_default_thread, self)
            self.note("all")

        only = Script("only", life)
        play(Ticker("ticker"), only)
        assert only.log == [(0, "all")]

    def test_what_a_thread_asks_of_the_loop_is_done(self) -> None:
        async def life(self: Script) -> None:
            def work() -> Any:
                return anyio.from_thread.run(self.link("echo").request, "?")

            self.note(await anyio.to_thread.run_sync(work))

        only = Script("only", life)
        play(Ticker("ticker"), Echo("echo"), only)
        assert only.log == [(0, "?")]

    def test_an_error_in_a_thread_is_the_actors(self) -> None:
        async def life(self: Script) -> None:
            await anyio.to_thread.run_sync(lambda: 1 / 0)

        with pytest.raises(ZeroDivisionError):
            play(Script("only", life))

    def test_polling_a_socket_without_ever_waiting_sees_it(self) -> None:
        async def life(self: Script) -> None:
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            got: list[bytes] = []
            loop = asyncio.get_running_loop()
            loop.add_reader(ours, lambda: got.append(ours.recv(10)))
            theirs.send(b"x")
            while not got:
                await checkpoint()
            loop.remove_reader(ours)
            ours.close()
            theirs.close()
            self.note("seen")

        only = Script("only", life)
        play(only)
        assert only.log == [(0, "seen")]


class TestInterrupts:
    def test_a_keyboard_interrupt_raised_in_an_actor_ends_the_run(self) -> None:
        log: list[str] = []

        async def life(self: Script) -> None:
            await anyio.sleep(1)
            raise KeyboardInterrupt

        async def other(self: Script) -> None:
            try:
                await self.receive()
            finally:
                with anyio.CancelScope(shield=True):
                    await checkpoint()
                log.append("cleaned up")

        system = System()
        actors = [system.add(Script("only", life)), system.add(Script("other", other))]
        with pytest.raises(KeyboardInterrupt):
            system.simulate()
        assert log == ["cleaned up"]
        assert not any(actor.fiber.alive for actor in actors)

    def test_a_keyboard_interrupt_in_a_handler_is_never_supervised_away(self) -> None:
        from backtest.actors import Directive, Supervision

        class Interrupted(Actor):
            supervision = Supervision(directive=Directive.RESTART)

            def handle(self, envelope: Envelope) -> None:
                raise KeyboardInterrupt

        async def life(self: Script) -> None:
            self.link("x").post(1)

        with pytest.raises(KeyboardInterrupt):
            play(Interrupted("x"), Script("only", life))

    @pytest.mark.skipif(os.name != "posix", reason="signals to oneself are POSIX")
    @pytest.mark.parametrize("busy", [False, True])
    def test_ctrl_c_ends_the_run_and_leaves_no_task(self, busy: bool) -> None:
        class Rings(Actor):
            """Never lets the loop rest: messages to itself for ever, at one time."""

            async def started(self) -> None:
                if busy:
                    self.link("rings").post(0)

            def handle(self, envelope: Envelope) -> None:
                if envelope.payload == 1_000:
                    os.kill(os.getpid(), signal.SIGINT)
                self.link("rings").post(envelope.payload + 1)

        async def waits(self: Script) -> None:
            if not busy:
                os.kill(os.getpid(), signal.SIGINT)
                await anyio.to_thread.run_sync(time.sleep, MOMENT)
            await anyio.sleep_forever()

        system = System()
        actors = [system.add(Rings("rings")), system.add(Script("waits", waits))]
        with pytest.raises(KeyboardInterrupt):
            system.simulate()
        assert not any(actor.fiber.alive for actor in actors)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_a_system_exit_comes_through(self) -> None:
        async def life(self: Script) -> None:
            raise SystemExit(3)

        with pytest.raises(SystemExit):
            play(Script("only", life))


def clock_log(seed: int) -> list[Any]:
    async def life(self: Script) -> None:
        for _ in range(50):
            with anyio.move_on_after(self.random.random()):
                await anyio.sleep(self.random.random())
            self.note(await self.link("echo").request(self.random.randrange(100)))

    only = Script("only", life)
    play(only, Echo("echo"), seed=seed)
    return only.log


class TestSeveralSystems:
    def test_one_after_another_are_alike(self) -> None:
        assert clock_log(5) == clock_log(5)
        assert clock_log(5) != clock_log(6)

    def test_in_two_threads_at_once(self) -> None:
        expected = {seed: clock_log(seed) for seed in (1, 2)}
        thresholds = gc.get_threshold()
        got: dict[int, list[Any]] = {}
        barrier = threading.Barrier(2)

        def work(seed: int) -> None:
            barrier.wait()
            got[seed] = clock_log(seed)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == expected
        assert gc.get_threshold() == thresholds
        assert gc.get_freeze_count() == 0

    def test_one_inside_another_needs_a_thread(self) -> None:
        async def life(self: Script) -> None:
            with pytest.raises(BacktestError, match="event loop of its own"):
                play(Echo("echo"))
            self.note(await anyio.to_thread.run_sync(clock_log, 5) == clock_log_of_five)

        clock_log_of_five = clock_log(5)
        only = Script("only", life)
        play(only)
        assert only.log == [(0, True)]

    def test_simulated_time_needs_its_loop(self) -> None:
        system = System()
        system.add(Echo("echo"))
        with pytest.raises(BacktestError, match=r"call system\.simulate"):
            asyncio.run(system.run())

    def test_in_asyncio_debug_mode(self, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = clock_log(5)
        monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
        assert clock_log(5) == expected

    def test_outside_of_a_simulation_its_loop_is_an_ordinary_one(self) -> None:
        async def main() -> float:
            before = time.monotonic()
            await asyncio.sleep(MOMENT)
            with anyio.move_on_after(MOMENT):
                await asyncio.create_task(anyio.sleep(60))
            return time.monotonic() - before

        with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
            assert runner.run(main()) > MOMENT


level: contextvars.ContextVar[str] = contextvars.ContextVar("level", default="outside")


@pytest.fixture
def _own_decimal_context() -> Iterator[None]:
    with decimal.localcontext():
        yield


@pytest.mark.usefixtures("_own_decimal_context")
class TestContexts:
    @pytest.mark.parametrize("plain", [True, False])
    def test_variables_of_one_actor_are_not_those_of_another(self, plain: bool) -> None:
        class Sets(Actor):
            def handle(self, envelope: Envelope) -> Any:
                return self.act(envelope) if plain else self.later(envelope)

            async def later(self, envelope: Envelope) -> None:
                self.act(envelope)
                await anyio.sleep(1)

            def act(self, envelope: Envelope) -> None:
                log.append((self.name, level.get()))
                level.set(self.name)

        async def life(self: Script) -> None:
            for name in ("a", "b", "a", "b"):
                self.link(name).post(1)
            await anyio.sleep(9)
            log.append(("only", level.get()))

        log: list[Any] = []
        play(Sets("a"), Sets("b"), Script("only", life))
        assert sorted(log) == sorted(
            [("a", "outside"), ("b", "outside"), ("a", "a"), ("b", "b"), ("only", "outside")]
        )
        assert level.get() == "outside"

    def test_the_variables_of_the_caller_are_seen(self) -> None:
        async def life(self: Script) -> None:
            self.note(level.get())

        token = level.set("caller")
        try:
            only = Script("only", life)
            play(only)
        finally:
            level.reset(token)
        assert only.log == [(0, "caller")]

    def test_the_decimal_precision_of_one_actor_is_not_that_of_another(self) -> None:
        decimal.getcontext().prec = 28  # there is a context now, and contexts are copied shallowly

        class Divides(Actor):
            def handle(self, envelope: Envelope) -> None:
                log.append(Decimal(1) / Decimal(3))

        async def rounds(self: Script) -> None:
            decimal.getcontext().prec = 3
            self.link("divides").post(1)
            await anyio.sleep(1)
            assert Decimal(1) / Decimal(3) == Decimal("0.333")

        async def looks(self: Script) -> None:
            await anyio.sleep(2)
            log.append(Decimal(1) / Decimal(3))

        log: list[Decimal] = []
        play(Divides("divides"), Script("rounds", rounds), Script("looks", looks))
        assert log == [Decimal("0." + "3" * 28)] * 2
        assert decimal.getcontext().prec == 28

    @pytest.mark.parametrize("waits", [False, True])
    def test_nor_that_of_whoever_asks_an_actor_that_is_run_in_place(self, waits: bool) -> None:
        class Divides(Actor):
            handles_inside = False

            def handle(self, envelope: Envelope) -> Any:
                return self.later(envelope) if waits else self.act(envelope)

            async def later(self, envelope: Envelope) -> None:
                self.act(envelope)

            def act(self, envelope: Envelope) -> None:
                self.answer(envelope, Decimal(1) / Decimal(3))

        async def rounds(self: Script) -> None:
            decimal.getcontext().prec = 3
            await anyio.sleep(1)
            self.note(await self.link("divides").request(1))

        only = Script("only", rounds)
        play(Divides("divides"), only)
        assert only.log == [(SECOND, Decimal("0." + "3" * 28))]

    def test_nor_does_a_strategy_that_rounds_change_the_books(self) -> None:
        # Its commands are carried out while it waits, by the venue and the account actor.
        bars = [
            Bar("BTCUSD", n * MINUTE, (n + 1) * MINUTE, *(Decimal("100.12345678"),) * 4, None)
            for n in range(5)
        ]

        class Buys(Strategy):
            async def on_bar(self, bar: Bar) -> None:
                decimal.getcontext().prec = self.digits
                await self.buy("BTCUSD", "0.01234567")

            digits: int = 28

        def booked(digits: int) -> list[Any]:
            result = backtest.run(Buys(digits=digits), data=bars, pair="BTCUSD", cash="1000 USD")
            return [(t.asset_code, t.available_balance_change) for t in result.transactions]

        assert booked(2) == booked(28)
        assert len(booked(2)) > 10
