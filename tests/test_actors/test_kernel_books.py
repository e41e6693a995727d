"""The books of the messages, and memory: nothing is lost, nothing piles up."""

from __future__ import annotations

import contextlib
import gc
import tracemalloc
from random import Random
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.actors import (
    Actor,
    Directive,
    Envelope,
    FixedLatency,
    SimulatedClock,
    Supervision,
    System,
    UniformLatency,
)
from backtest.actors.kernel.message import Answer
from backtest.errors import BacktestError, Deadlock, InboxOverflow, Undeliverable
from tests.effort import examples

from .kernel import SECOND, Script, Sink, play

DIRECTIVES = [Directive.STOP, Directive.RESTART]


class Reckless(Actor):
    """Does everything one can do with messages, and breaks now and then."""

    def __init__(self, name: str, others: list[str], random: Random) -> None:
        super().__init__(name)
        self.others = others
        self.fate = random
        self.energy = 40
        self.inbox_bound = random.choice([2, 5, 1000])
        rule = random.choice(DIRECTIVES)
        self.supervision = Supervision(directive=rule, max_restarts=1000)
        self.handles_inside = random.random() < 0.7
        self.handled = 0
        self.refused = 0
        self.is_busy = False

    async def started(self) -> None:
        if self.energy == 40:
            self.energy -= 1
            await self.send_something()

    async def handle(self, envelope: Envelope) -> None:
        # What does not come to the end of this is a dead letter, or was cut off by the end.
        self.is_busy = True
        if self.energy > 0:
            self.energy -= 1
            if self.fate.random() < 0.1:
                self.is_busy = False
                raise ZeroDivisionError("fate")
            if self.fate.random() < 0.3:
                await self.system.sleep_until(self.system.now + self.fate.randrange(4))
            if envelope.reply is not None:
                self.answer(envelope, self.fate.choice([1, KeyError("no")]))
            await self.send_something()
        elif envelope.reply is not None:
            self.answer(envelope, 0)
        self.handled += 1
        self.is_busy = False

    async def send_something(self) -> None:
        channel = self.link(self.fate.choice(self.others))
        what = self.fate.randrange(5)
        try:
            if what == 0:
                for _ in range(self.fate.randrange(6)):
                    channel.post("post", self.fate.randrange(4))
            elif what == 1:
                channel.post_at(self.system.now + self.fate.randrange(4), "at", 0)
            elif what == 2 and self.handles_inside:
                with anyio.move_on_after(self.fate.randrange(4) / 1e9):
                    await channel.send("send")
            elif what == 3 and self.handles_inside:
                with anyio.move_on_after(self.fate.randrange(4) / 1e9):
                    await channel.request("request")
            else:
                channel.post("post")
        except (InboxOverflow, Undeliverable):
            self.refused += 1
        except KeyError:
            pass
        except BacktestError:
            self.refused += 1


class TestTheBooks:
    @settings(max_examples=examples(60))
    @given(st.integers(0, 10**6))
    def test_sent_is_handled_plus_waiting_plus_dead(self, seed: int) -> None:
        random = Random(seed)
        system = System(seed)
        names = [f"actor {number}" for number in range(6)]
        actors = [Reckless(name, names, Random(seed * 10 + n)) for n, name in enumerate(names)]
        answers = delivered = 0

        def observe(envelope: Envelope) -> None:
            nonlocal answers, delivered
            delivered += 1
            answers += isinstance(envelope.payload, Answer)

        system.observer = observe
        for actor in actors:
            system.add(actor)
        for one in names:
            for other in names:
                if random.random() < 0.3:
                    system.set_latency(one, other, UniformLatency(0, 6))
        if random.random() < 0.3:
            # Cut off in the middle: some are waiting, then.
            async def stop(self: Script) -> None:
                await self.system.sleep_until(4)
                self.system.stop()

            system.add(Script("ends", stop))
        with contextlib.suppress(Deadlock):
            system.simulate()
        books = system.statistics()
        assert books.sent == books.handled + books.waiting + books.dead
        # What the actors themselves say; one that was cut off in a handler has not counted it.
        unfinished = [
            actor for actor in actors if actor.fiber.handling is not None and actor.is_busy
        ]
        handled = sum(actor.handled for actor in actors)
        assert books.handled - answers == handled + len(unfinished)
        # The counter of each channel's target is what lies there and is under way to it.
        under_way = books.waiting - sum(len(actor.fiber.inbox) for actor in actors)
        assert under_way >= 0
        assert len({id(one.envelope) for one in system.dead_letters}) == books.dead
        assert all(one.reason for one in system.dead_letters)

    def test_of_a_run_that_came_to_its_end_are_plain(self) -> None:
        async def life(self: Script) -> None:
            for number in range(10):
                self.link("sink").post(number)
            self.link("sink").post_at(10**18, "never", 0)
            await anyio.sleep(1)
            self.system.stop()

        system = play(Script("only", life), Sink())
        books = system.statistics()
        assert (books.sent, books.handled, books.waiting, books.dead) == (11, 10, 1, 0)


class TestMemory:
    def test_is_flat_over_many_messages_with_timers_that_are_cancelled(self) -> None:
        # Each message is awaited with a timeout of an hour, each timeout is a timer cancelled.
        def run(count: int) -> tuple[int, int]:
            largest = 0

            async def takes(self: Script) -> None:
                nonlocal largest
                for number in range(count):
                    with anyio.fail_after(3600):
                        assert (await self.receive()).payload == number
                    if number % 1000 == 0:
                        largest = max(largest, len(self.system.events.heap))

            async def sends(self: Script) -> None:
                for number in range(count):
                    await self.link("takes").send(number)
                    if number % 10 == 0:
                        await self.system.sleep_until(self.system.now + 1)

            gc.collect()
            tracemalloc.start()
            try:
                play(Script("takes", takes, bound=16), Script("sends", sends))
                gc.collect()
                return largest, tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        few, few_peak = run(2_000)
        many, many_peak = run(20_000)
        assert max(few, many) < 300
        assert many_peak < few_peak + 200_000

    def test_a_hundred_thousand_messages_leave_nothing(self) -> None:
        largest = 0

        async def takes(self: Script) -> None:
            nonlocal largest
            for number in range(100_000):
                if number % 4:
                    await self.receive()
                    continue
                with anyio.fail_after(3600):
                    await self.receive()
                largest = max(largest, len(self.system.events.heap))

        async def sends(self: Script) -> None:
            takes = self.link("takes")
            for number in range(100_000):
                await takes.send(number)

        one = Script("takes", takes, bound=4)
        system = play(one, Script("sends", sends))
        assert system.statistics().handled == 100_000
        assert not one.fiber.inbox
        assert 0 < largest < 300
        assert len(system.events.heap) < 300
        assert not system.events.wakes

    def test_cancelled_sleeps_are_swept_out(self) -> None:
        async def life(self: Script) -> None:
            largest = 0
            for _ in range(2_000):
                with anyio.move_on_after(1e-6):
                    await self.system.sleep_until(10**18)
                largest = max(largest, len(self.system.events.heap))
            self.note(largest < 300)

        only = Script("only", life)
        play(only)
        assert only.log[0][1] is True

    def test_timers_that_fired_are_not_taken_for_cancelled(self) -> None:
        # asyncio.sleep cancels its timer when it is over: that one is in the heap no more.
        async def life(self: Script) -> None:
            for _ in range(1_000):
                await anyio.sleep(1)
            assert self.system.events.stale_timers == 0

        play(Script("only", life))

    def test_a_sweep_keeps_what_is_alive_and_its_order(self) -> None:
        fired: list[int] = []

        async def life(self: Script) -> None:
            async def sleeps(number: int) -> None:
                await anyio.sleep(number % 7 + 1)
                fired.append(number)

            async def cancelled() -> None:
                with anyio.move_on_after(0.5):
                    await anyio.sleep(3600)

            async with anyio.create_task_group() as group:
                for number in range(200):
                    group.start_soon(sleeps, number)
                    group.start_soon(cancelled)

        system = play(Script("only", life))
        assert fired == sorted(range(200), key=lambda number: (number % 7, number))
        assert system.now == 7 * SECOND

    def test_a_run_gives_its_memory_back(self) -> None:
        def run() -> Any:
            async def life(self: Script) -> None:
                for _ in range(100):
                    await self.link("sink").send(bytearray(1000))
                    await anyio.sleep(1)

            play(Script("only", life), Sink(), only__sink=FixedLatency(5))

        run()
        gc.collect()
        tracemalloc.start()
        try:
            run()
            gc.collect()
            left = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert left < 50_000

    def test_time_starts_where_the_clock_says(self) -> None:
        system = System(0, SimulatedClock(123))
        assert system.now == 123
