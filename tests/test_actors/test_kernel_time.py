"""Simulated time: sleeps, timeouts and timers of anyio and asyncio, to the nanosecond."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.actors import NEVER, Actor, System
from backtest.actors.kernel.clock import Instant, moment_ns, seconds_ns
from backtest.errors import BacktestError
from backtest.times import DAY, MINUTE

from .kernel import MS, SECOND, US, Script, Sink, elapsed, play

TEN_YEARS = 3_653 * DAY


class TestEveryKindOfWaiting:
    def test_anyio_sleep(self) -> None:
        assert elapsed(lambda self: anyio.sleep(60)) == MINUTE

    def test_asyncio_sleep(self) -> None:
        assert elapsed(lambda self: asyncio.sleep(0.25)) == 250 * MS

    def test_a_sleep_of_no_time(self) -> None:
        assert elapsed(lambda self: asyncio.sleep(0)) == 0

    def test_sleep_until(self) -> None:
        assert elapsed(lambda self: self.system.sleep_until(1_000_000_007)) == 1_000_000_007

    def test_a_sleep_until_the_past_is_over_now(self) -> None:
        assert elapsed(lambda self: self.system.sleep_until(-5), start_ns=77) == 0

    def test_anyio_sleep_until(self) -> None:
        assert elapsed(lambda self: anyio.sleep_until(anyio.current_time() + 2.5)) == 2_500 * MS

    def test_move_on_after(self) -> None:
        caught = []

        async def life(self: Script) -> None:
            with anyio.move_on_after(3600) as scope:
                await anyio.sleep(10**6)
            caught.append(scope.cancelled_caught)

        assert elapsed(life) == 3600 * SECOND
        assert caught == [True]

    def test_move_on_after_that_is_not_needed(self) -> None:
        async def life(self: Script) -> None:
            with anyio.move_on_after(3600) as scope:
                await anyio.sleep(5)
            assert not scope.cancelled_caught

        assert elapsed(life) == 5 * SECOND

    def test_move_on_after_no_time(self) -> None:
        async def life(self: Script) -> None:
            with anyio.move_on_after(0) as scope:
                await anyio.sleep(5)
            assert scope.cancelled_caught

        assert elapsed(life) == 0

    def test_fail_after(self) -> None:
        async def life(self: Script) -> None:
            with pytest.raises(TimeoutError), anyio.fail_after(1):
                await anyio.Event().wait()

        assert elapsed(life) == SECOND

    def test_asyncio_timeout(self) -> None:
        async def life(self: Script) -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await self.receive()

        assert elapsed(life) == 500 * MS

    def test_asyncio_timeout_of_no_time_around_a_task_cancels_the_task(self) -> None:
        # The deadline is in the loop's queue before the task learns what its coroutine awaits.
        async def life(self: Script) -> None:
            child = asyncio.create_task(anyio.sleep(9))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await child
            assert child.cancelled()

        assert elapsed(life) == 0

    def test_asyncio_wait_for(self) -> None:
        async def life(self: Script) -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anyio.sleep(9), 2)
            assert await asyncio.wait_for(asyncio.sleep(1, "done"), 2) == "done"

        assert elapsed(life) == 3 * SECOND

    def test_asyncio_wait_for_a_message(self) -> None:
        # On 3.11 wait_for makes a task of what it waits for; later it does not.
        async def life(self: Script) -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(self.receive(), 2)
            self.link("only").post("hello")
            assert (await asyncio.wait_for(self.receive(), 2)).payload == "hello"

        assert elapsed(life) == 2 * SECOND

    def test_asyncio_gather(self) -> None:
        async def life(self: Script) -> None:
            got = await asyncio.gather(asyncio.sleep(2, "a"), asyncio.sleep(1, "b"))
            assert list(got) == ["a", "b"]

        assert elapsed(life) == 2 * SECOND

    def test_asyncio_wait_tells_who_was_first(self) -> None:
        async def life(self: Script) -> None:
            tasks = [asyncio.create_task(asyncio.sleep(n, n)) for n in (3, 1, 2)]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            assert [task.result() for task in done] == [1]
            assert len(pending) == 2

        assert elapsed(life) == SECOND

    def test_anyio_event(self) -> None:
        async def life(self: Script) -> None:
            event = anyio.Event()
            async with anyio.create_task_group() as group:

                async def ring() -> None:
                    await anyio.sleep(7)
                    event.set()

                group.start_soon(ring)
                await event.wait()
                assert self.system.now == 7 * SECOND

        assert elapsed(life) == 7 * SECOND

    def test_anyio_lock_is_fair_and_takes_its_time(self) -> None:
        log: list[tuple[int, int]] = []

        async def life(self: Script) -> None:
            lock = anyio.Lock()

            async def use(number: int) -> None:
                async with lock:
                    await anyio.sleep(1)
                    log.append((number, self.system.now))

            async with anyio.create_task_group() as group:
                for number in range(3):
                    group.start_soon(use, number)

        play(Script("only", life))
        assert log == [(0, SECOND), (1, 2 * SECOND), (2, 3 * SECOND)]

    def test_anyio_condition(self) -> None:
        log: list[int] = []

        async def life(self: Script) -> None:
            condition = anyio.Condition()
            full: list[int] = []

            async def consume() -> None:
                async with condition:
                    while not full:
                        await condition.wait()
                    log.append(self.system.now)

            async with anyio.create_task_group() as group:
                group.start_soon(consume)
                await anyio.sleep(4)
                async with condition:
                    full.append(1)
                    condition.notify()

        play(Script("only", life))
        assert log == [4 * SECOND]

    def test_anyio_memory_streams(self) -> None:
        got: list[tuple[int, int]] = []

        async def life(self: Script) -> None:
            give, take = anyio.create_memory_object_stream[int](0)

            async def producer() -> None:
                async with give:
                    for number in range(3):
                        await anyio.sleep(1)
                        await give.send(number)

            async with anyio.create_task_group() as group, take:
                group.start_soon(producer)
                async for number in take:
                    got.append((number, self.system.now))

        play(Script("only", life))
        assert got == [(0, SECOND), (1, 2 * SECOND), (2, 3 * SECOND)]

    def test_a_sleep_for_ever_neither_moves_time_nor_keeps_the_run(self) -> None:
        async def life(self: Script) -> None:
            await anyio.sleep_forever()

        assert play(Script("only", life)).now == 0

    def test_a_deadline_that_is_infinite(self) -> None:
        async def life(self: Script) -> None:
            with anyio.move_on_after(math.inf), anyio.CancelScope(deadline=math.inf):
                await anyio.sleep(1)

        assert elapsed(life) == SECOND

    def test_a_sleep_of_nan_is_refused(self) -> None:
        async def life(self: Script) -> None:
            with pytest.raises(ValueError, match="delay"):
                await anyio.sleep(math.nan)

        play(Script("only", life))

    def test_handlers_sleep_too_and_meanwhile_messages_wait(self) -> None:
        class Slow(Actor):
            log: list[tuple[int, Any]]

            async def started(self) -> None:
                self.log = []

            async def handle(self, envelope: Any) -> None:
                await anyio.sleep(10)
                self.log.append((self.system.now, envelope.payload))

        async def life(self: Script) -> None:
            for number in range(3):
                self.link("slow").post(number)

        slow = Slow("slow")
        play(slow, Script("only", life))
        assert slow.log == [(10 * SECOND, 0), (20 * SECOND, 1), (30 * SECOND, 2)]


class TestExactness:
    @given(
        start=st.integers(0, 2**61),
        run_for=st.integers(0, TEN_YEARS),
        delay_us=st.integers(0, 10**12),
    )
    def test_a_sleep_of_whole_microseconds_is_exact(
        self, start: int, run_for: int, delay_us: int
    ) -> None:
        # From any nanosecond, at any age of the run.
        async def life(self: Script) -> None:
            await self.system.sleep_until(start + run_for)
            before = self.system.now
            await anyio.sleep(delay_us / 1e6)
            assert self.system.now - before == delay_us * US

        play(Script("only", life), start_ns=start)

    @pytest.mark.parametrize("delay", [1e-6, 0.1, 1, 59.999999, 86_400])
    @pytest.mark.parametrize("odd", [0, 1, 400, 500, 999])
    def test_late_in_ten_years_and_between_two_microseconds(self, delay: float, odd: int) -> None:
        # 3.15e8 s from the start a float has steps of 60 ns; the deadline must have none.
        async def life(self: Script) -> None:
            await self.system.sleep_until(TEN_YEARS + odd)
            for wait in (anyio.sleep, asyncio.sleep):
                before = self.system.now
                await wait(delay)
                assert self.system.now == before + round(delay * 1e6) * US
            before = self.system.now
            with anyio.move_on_after(delay) as scope:
                await self.receive()
            assert scope.cancelled_caught
            assert self.system.now == before + round(delay * 1e6) * US

        play(Script("only", life))

    def test_timers_between_market_events_of_odd_nanoseconds(self) -> None:
        # The feed comes at 600 ns past the second; a sleep of 1 s from there ends on it exactly,
        # and after the market event of that time.
        class Feed(Actor):
            def attach(self) -> None:
                self.sent = 0
                self.system.set_feed(self.emit, SECOND + 600, self.fiber)

            def emit(self) -> int:
                self.sent += 1
                self.link("only").post(self.sent)
                return self.system.now + SECOND if self.sent < 4 else NEVER

        async def life(self: Script) -> None:
            for _ in range(2):
                self.note("bar", (await self.receive()).payload)
                await anyio.sleep(1)
                self.note("slept")
            await anyio.sleep_forever()

        only = Script("only", life)
        play(Feed("feed"), only)
        assert only.log == [
            (1 * SECOND + 600, "bar", 1),
            (2 * SECOND + 600, "slept"),
            (2 * SECOND + 600, "bar", 2),
            (3 * SECOND + 600, "slept"),
        ]

    def test_deadlines_a_nanosecond_apart_are_apart(self) -> None:
        # Both are the same float: half a century after 1970 that is 240 ns coarse.
        async def life(self: Script) -> None:
            await self.system.sleep_until(50 * 365 * DAY)
            begin = anyio.current_time()
            early, late = begin + 1e-9, begin + 2e-9
            assert float(early) == float(late)
            assert early < late
            assert early <= late
            assert late > early
            assert late >= early
            assert early != late
            assert late - early == 1e-9
            with anyio.CancelScope(deadline=late):
                await anyio.sleep_forever()
            assert self.system.now == 50 * 365 * DAY + 2

        play(Script("only", life))

    def test_what_took_how_long(self) -> None:
        async def life(self: Script) -> None:
            begin = anyio.current_time()
            await anyio.sleep(0.1)
            assert anyio.current_time() - begin == 0.1
            assert asyncio.get_running_loop().time() == anyio.current_time()

        play(Script("only", life), start_ns=TEN_YEARS + 123)

    def test_the_many_timers_of_one_moment_fire_in_the_order_of_their_making(self) -> None:
        log: list[int] = []

        async def life(self: Script) -> None:
            loop = asyncio.get_running_loop()
            when = loop.time() + 0.3
            for number in range(50):
                # Different floats, one microsecond: no float may break the tie.
                loop.call_at(float(when) + number * 1e-12, log.append, number)
            await anyio.sleep(1)

        play(Script("only", life))
        assert log == list(range(50))

    def test_a_bare_float_deadline_is_never_early(self) -> None:
        assert moment_ns(1.0, 0) == SECOND
        assert moment_ns(1.5000004, 0) == 1_500_000_400  # not the microsecond before
        assert moment_ns(0.1 + 0.2, 0) == 300 * MS
        assert moment_ns(3.15e8 + 0.1, 7) == 7 + 315_000_000 * SECOND + 100 * MS
        assert moment_ns(-math.inf, 5) == 5
        assert moment_ns(math.inf, 5) is None

    @given(st.integers(0, 10**18), st.integers(0, 10**15))
    def test_instants_add_and_subtract_exactly(self, at: int, microseconds: int) -> None:
        instant = Instant(at, 0)
        later = instant + microseconds / 1e6
        assert isinstance(later, Instant)
        assert later.ns == at + microseconds * US
        earlier = later - microseconds / 1e6
        assert isinstance(earlier, Instant)
        assert earlier.ns == at
        assert 1 + instant == instant + 1
        assert hash(Instant(at, 0)) == hash(instant)

    def test_instants_beside_ordinary_numbers(self) -> None:
        instant = Instant(1_500 * MS, 0)
        assert instant == 1.5
        assert instant != 2
        assert instant < 2
        assert instant <= 2.0
        assert instant > 1
        assert instant >= 1.0
        assert instant + math.inf == math.inf
        assert instant - math.inf == -math.inf
        assert min(instant, math.inf) is instant
        assert seconds_ns(7) == 7 * SECOND
        assert seconds_ns(-0.5) == -500 * MS


class TestTheClock:
    def test_a_feed_that_goes_back_ends_the_run(self) -> None:
        class Feed(Actor):
            def attach(self) -> None:
                self.system.set_feed(lambda: 5, 10, self.fiber)

        with pytest.raises(BacktestError, match="cannot go back from 10 to 5"):
            play(Feed("feed"))

    def test_time_stands_where_the_last_event_was(self) -> None:
        # Cancelled timers and sleeps far ahead move nothing.
        async def life(self: Script) -> None:
            with anyio.move_on_after(1):
                await anyio.sleep(10**6)
            with anyio.move_on_after(1):
                await self.system.sleep_until(10**18)

        assert play(Script("only", life)).now == 2 * SECOND

    def test_computing_costs_no_time(self) -> None:
        async def life(self: Script) -> None:
            sum(range(10**5))
            self.link("sink").post("x")

        sink = Sink()
        play(Script("only", life), sink)
        assert sink.got == [(0, "x")]

    def test_later_timers_do_not_fire_after_the_end_of_the_data(self) -> None:
        class Feed(Actor):
            def attach(self) -> None:
                self.system.set_feed(lambda: NEVER, MINUTE, self.fiber)

        async def life(self: Script) -> None:
            try:
                await self.system.sleep_until(MINUTE)
                self.note("at the end")
                await self.system.sleep_until(MINUTE + 1)
                self.note("never")
            finally:
                self.note("over")

        only = Script("only", life)
        system = play(Feed("feed"), only)
        assert only.log == [(MINUTE, "at the end"), (MINUTE, "over")]
        assert system.now == MINUTE

    def test_one_feed(self) -> None:
        system = System()
        fiber = system.fiber("x")
        system.set_feed(lambda: NEVER, 0, fiber)
        with pytest.raises(BacktestError, match="one market feed"):
            system.set_feed(lambda: NEVER, 0, fiber)
