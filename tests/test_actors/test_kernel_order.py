"""Delivery: by time, then priority, then sequence; FIFO on every channel; latency; seeds."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.actors import NEVER, Actor, Envelope, FixedLatency, System, UniformLatency
from backtest.actors.kernel.message import (
    COMMAND,
    MARKET_TO_STRATEGY,
    MARKET_TO_VENUE,
    ORDER_EVENT,
    TIMER,
)
from backtest.errors import BacktestError, FieldError, FieldTypeError
from tests.effort import examples

from .kernel import SECOND, US, Echo, Script, Sink, keys_of, play


class TestTiesAtOneTime:
    def test_are_broken_by_priority_then_sequence(self) -> None:
        async def life(self: Script) -> None:
            sink = self.link("sink")
            for number, priority in enumerate((3, 1, 0, 2, 0, 1, 3, 2)):
                sink.post_at(SECOND, (priority, number), priority)

        sink = Sink()
        play(Script("only", life), sink)
        assert sink.got == [
            (SECOND, what)
            for what in [(0, 2), (0, 4), (1, 1), (1, 5), (2, 3), (2, 7), (3, 0), (3, 6)]
        ]

    def test_what_is_sent_now_waits_for_its_class_but_is_no_more_urgent_than_its_cause(
        self,
    ) -> None:
        # While an event of priority 2 is handled, priority 0 means 2: behind what is there.
        class Relay(Actor):
            def handle(self, envelope: Envelope) -> None:
                self.link("sink").post(envelope.payload, MARKET_TO_VENUE)

        async def life(self: Script) -> None:
            self.link("relay").post_at(SECOND, "caused", MARKET_TO_STRATEGY)
            self.link("sink").post_at(SECOND, "event", ORDER_EVENT)
            self.link("sink").post_at(SECOND, "market", MARKET_TO_STRATEGY)
            self.link("sink").post_at(SECOND, "timer", TIMER)

        sink = Sink()
        play(Script("only", life), Relay("relay"), sink)
        assert [what for _, what in sink.got] == ["event", "market", "caused", "timer"]

    def test_a_command_that_arrives_at_the_close_of_a_bar_comes_before_the_bar(self) -> None:
        class Feed(Actor):
            def attach(self) -> None:
                self.system.set_feed(self.emit, SECOND, self.fiber)

            def emit(self) -> int:
                self.link("sink").post("bar")
                return NEVER

        async def life(self: Script) -> None:
            self.link("sink").post("command", COMMAND)

        sink = Sink()
        play(Feed("feed"), Script("only", life), sink, only__sink=FixedLatency(SECOND))
        assert sink.got == [(SECOND, "command"), (SECOND, "bar")]

    def test_bars_of_one_time_come_in_their_order_before_what_they_cause(self) -> None:
        class Feed(Actor):
            def attach(self) -> None:
                self.left = ["a", "b", "c"]
                self.system.set_feed(self.emit, SECOND, self.fiber)

            def emit(self) -> int:
                self.link("venue").post(self.left.pop(0))
                return self.system.now if self.left else NEVER

        class Venue(Actor):
            def handle(self, envelope: Envelope) -> None:
                self.link("sink").post(("market", envelope.payload), MARKET_TO_STRATEGY)
                self.link("sink").post(("event", envelope.payload), ORDER_EVENT)

        sink = Sink()
        play(Feed("feed"), Venue("venue"), sink)
        assert [what for _, what in sink.got] == [
            *(("event", pair) for pair in "abc"),
            *(("market", pair) for pair in "abc"),
        ]

    def test_timers_come_last(self) -> None:
        async def life(self: Script) -> None:
            with anyio.move_on_after(1):
                while True:
                    self.note((await self.receive()).payload)
            self.note("timer")

        async def sends(self: Script) -> None:
            await anyio.sleep(0.5)
            for priority in (2, 0, 1):
                self.link("only").post_at(SECOND, priority, priority)

        only = Script("only", life)
        play(only, Script("sends", sends))
        assert [entry[1:] for entry in only.log] == [(0,), (1,), (2,), ("timer",)]


class TestAZeroLatencyChain:
    def test_is_walked_to_its_end_before_time_moves(self) -> None:
        class Link(Actor):
            def handle(self, envelope: Envelope) -> None:
                left = envelope.payload
                self.link(str(left % 7) if left else "sink").post(left - 1 if left else "end")

        async def life(self: Script) -> None:
            self.link("0").post(10_000)
            await self.system.sleep_until(1)
            self.link("sink").post("a nanosecond later")

        sink = Sink()
        play(*(Link(str(n)) for n in range(7)), Script("only", life), sink)
        assert sink.got == [(0, "end"), (1, "a nanosecond later")]

    def test_a_request_in_place_does_not_overtake_what_its_handler_sent_first(self) -> None:
        # The helper's coroutine may be run where it is asked; the order must not tell.
        class Helper(Actor):
            handles_inside = False

            def handle(self, envelope: Envelope) -> None:
                self.link("sink").post("before the answer")
                self.answer(envelope, "answer")
                self.link("sink").post("after the answer")

        async def life(self: Script) -> None:
            await anyio.sleep(1)
            answer = await self.link("helper").request("?")
            self.link("sink").post("the asker goes on")
            assert answer == "answer"
            assert sink.got == [(SECOND, "before the answer")]

        sink = Sink()
        system = System(1)
        keys = keys_of(system)
        for actor in (Helper("helper"), sink, Script("only", life)):
            system.add(actor)
        system.simulate()
        assert keys == sorted(set(keys))
        assert [what for _, what in sink.got] == [
            "before the answer",
            "after the answer",
            "the asker goes on",
        ]

    def test_a_request_of_less_urgency_lets_the_market_go_first(self) -> None:
        class Feed(Actor):
            def attach(self) -> None:
                self.system.set_feed(self.emit, SECOND, self.fiber)

            def emit(self) -> int:
                self.link("helper").post("bar")
                return NEVER

        class Helper(Actor):
            handles_inside = False

            def handle(self, envelope: Envelope) -> None:
                log.append(envelope.payload)
                if envelope.reply is not None:
                    self.answer(envelope, None)

        class Asks(Actor):
            async def handle(self, envelope: Envelope) -> None:
                await self.link("helper").request("question", MARKET_TO_STRATEGY)

        async def life(self: Script) -> None:
            self.link("asks").post_at(SECOND, "go", MARKET_TO_VENUE)

        log: list[str] = []
        play(Feed("feed"), Helper("helper"), Asks("asks"), Script("only", life))
        assert log == ["bar", "question"]

    @pytest.mark.parametrize("inside", [True, False])
    @pytest.mark.parametrize("waits", ["sleep", "request", "signal"])
    def test_a_handler_run_in_place_may_wait(self, inside: bool, waits: str) -> None:
        class Helper(Actor):
            handles_inside = inside

            async def handle(self, envelope: Envelope) -> None:
                if waits == "sleep":
                    await self.system.sleep_until(self.system.now + 5)
                elif waits == "request":
                    assert await self.link("echo").request(1) == 1
                else:
                    await self.link("slow").request(1)
                self.answer(envelope, envelope.payload + 1)

        class Slow(Actor):
            async def handle(self, envelope: Envelope) -> None:
                await anyio.sleep(1)
                self.answer(envelope, None)

        async def life(self: Script) -> None:
            await anyio.sleep(1)
            for number in range(5):
                assert await self.link("helper").request(number) == number + 1
            self.note("done")

        only = Script("only", life)
        play(Helper("helper"), Echo("echo"), Slow("slow"), only)
        took = {"sleep": 25, "request": 0, "signal": 5 * SECOND}[waits]
        assert only.log == [(SECOND + took, "done")]

    def test_a_handler_run_in_place_may_fail(self) -> None:
        class Helper(Actor):
            handles_inside = False

            def handle(self, envelope: Envelope) -> None:
                raise ZeroDivisionError("in place")

        async def life(self: Script) -> None:
            await anyio.sleep(1)
            await self.link("helper").request("?")

        with pytest.raises(ZeroDivisionError, match="in place") as caught:
            play(Helper("helper"), Script("only", life))
        assert "in helper at 1970-01-01T00:00:01" in caught.value.__notes__[0]
        assert "from only: '?'" in caught.value.__notes__[0]


class TestLatency:
    def test_fixed(self) -> None:
        async def life(self: Script) -> None:
            for number in range(3):
                self.link("sink").post(number)
                await anyio.sleep(1)

        sink = Sink()
        play(Script("only", life), sink, only__sink=FixedLatency(250 * US))
        assert sink.got == [(n * SECOND + 250 * US, n) for n in range(3)]

    def test_of_nothing_is_like_none(self) -> None:
        # Also for the order: a message that takes no time does not start the moment anew.
        log: list[str] = []

        class Noting(Actor):
            def handle(self, envelope: Envelope) -> None:
                log.append(envelope.payload)

        for latency in (None, FixedLatency(0), UniformLatency(0, 0)):
            log.clear()

            async def life(self: Script) -> None:
                await anyio.sleep(1)  # it is woken by a timer: priority 3
                self.link("sink").post("first", MARKET_TO_VENUE)
                self.link("other").post("second", MARKET_TO_VENUE)

            system = System(1)
            keys = keys_of(system)
            for actor in (Script("only", life), Noting("sink"), Noting("other")):
                system.add(actor)
            system.set_latency("only", "sink", latency)
            system.simulate()
            assert log == ["first", "second"]
            assert keys == [(SECOND, TIMER, keys[0][2]), (SECOND, TIMER, keys[1][2])]
            assert keys == sorted(set(keys))

    def test_uniform_stays_within_its_bounds_and_first_in_is_first_out(self) -> None:
        async def life(self: Script) -> None:
            for number in range(500):
                self.link("sink").post((self.system.now, number))
                await self.system.sleep_until(self.system.now + 100)

        sink = Sink()
        play(Script("only", life), sink, only__sink=UniformLatency(10, 1_000))
        assert [what[1] for _, what in sink.got] == list(range(500))
        took = [at - sent for at, (sent, _) in sink.got]
        assert min(took) >= 10
        assert max(took) <= 1_000
        assert len(set(took)) > 50

    def test_requests_pay_it_both_ways(self) -> None:
        async def life(self: Script) -> None:
            await self.link("echo").request(1)
            self.note()

        only = Script("only", life)
        play(only, Echo("echo"), only__echo=FixedLatency(3), echo__only=FixedLatency(4))
        assert only.log == [(7,)]

    def test_taken_off_a_link_what_is_on_its_way_is_not_overtaken(self) -> None:
        async def life(self: Script) -> None:
            self.link("sink").post(1)
            self.system.set_latency("only", "sink", None)
            self.link("sink").post(2)
            await anyio.sleep(1)
            self.link("sink").post(3)

        sink = Sink()
        play(Script("only", life), sink, only__sink=FixedLatency(500))
        assert sink.got == [(500, 1), (500, 2), (SECOND, 3)]

    def test_is_a_whole_number_that_is_not_negative(self) -> None:
        with pytest.raises(FieldError, match="latency must be non-negative"):
            FixedLatency(-1)
        with pytest.raises(FieldTypeError, match=r"whole number of nanoseconds, not 1\.5"):
            FixedLatency(1.5)  # type: ignore[arg-type]
        with pytest.raises(FieldError, match="0 <= low <= high"):
            UniformLatency(3, 2)

    def test_of_ones_own_that_is_no_whole_number_is_refused(self) -> None:
        class Odd:
            def draw(self, random: Random) -> int:
                return 0.5  # type: ignore[return-value]

        async def life(self: Script) -> None:
            with pytest.raises(FieldError, match=r"only -> sink.* not 0\.5"):
                self.link("sink").post(1)
            assert self.link("sink").statistics().waiting == 0
            assert self.link("sink").statistics().sent == 0

        play(Script("only", life), Sink(), only__sink=Odd())

    def test_counts_a_message_once(self) -> None:
        async def life(self: Script) -> None:
            self.link("sink").post(1)
            self.link("sink").post(2)
            assert self.link("sink").statistics().sent == 2
            assert self.link("sink").statistics().waiting == 2

        play(Script("only", life), Sink(), only__sink=FixedLatency(1))


class Chatter(Actor):
    """Sends on at random, with every kind of message, until its energy is used up."""

    def __init__(self, name: str, others: list[str], energy: int) -> None:
        super().__init__(name)
        self.others = others
        self.energy = energy
        self.log: list[Any] = []

    async def started(self) -> None:
        self.link(self.random.choice(self.others)).post("begin")

    async def handle(self, envelope: Envelope) -> None:
        self.log.append((self.system.now, envelope.id, envelope.payload))
        if envelope.reply is not None:
            self.answer(envelope, envelope.id)
            return
        if not self.energy:
            return
        self.energy -= 1
        random = self.random
        channel = self.link(random.choice(self.others))
        what = random.randrange(5)
        if what == 0:
            channel.post(random.randrange(100), random.randrange(4))
        elif what == 1:
            channel.post_at(self.system.now + random.randrange(3), "later", random.randrange(4))
            channel.post(1)
        elif what == 2:
            await self.system.sleep_until(self.system.now + random.randrange(3))
            channel.post("slept")
        elif what == 3:
            priority = random.randrange(4)
            if not self.handles_inside:
                channel.post("no anyio outside of a task", priority)
                return
            # The one who is asked may be asking, too: nobody waits for ever.
            with anyio.move_on_after(random.randrange(5) / 1e6):
                await channel.request("ask", priority)
            channel.post("asked")
        else:
            for _ in range(3):
                channel.post("burst", random.randrange(4))


def chat(seed: int, latencies: int, traced: bool = True) -> tuple[System, list[Any], list[Any]]:
    system = System(seed)
    names = [f"actor {number}" for number in range(5)]
    keys = keys_of(system) if traced else []
    actors = [Chatter(name, names, 60) for name in names]
    for number, actor in enumerate(actors):
        if number % 2:
            actor.handles_inside = False
        system.add(actor)
    random = Random(latencies)
    for one in names:
        for other in names:
            drawn = random.randrange(4)
            if drawn == 1:
                system.set_latency(one, other, FixedLatency(random.randrange(3)))
            elif drawn == 2:
                system.set_latency(one, other, UniformLatency(0, 5))
    system.simulate()
    return system, keys, [actor.log for actor in actors]


class TestARandomConversation:
    @settings(max_examples=examples(40))
    @given(st.integers(0, 10_000), st.integers(0, 10_000))
    def test_is_delivered_in_strictly_rising_order(self, seed: int, latencies: int) -> None:
        _, keys, _ = chat(seed, latencies)
        assert len(keys) > 5
        assert all(before < after for before, after in pairwise(keys))

    @settings(max_examples=examples(20))
    @given(st.integers(0, 10_000))
    def test_is_the_same_every_time_watched_or_not(self, seed: int) -> None:
        _, _, log = chat(seed, seed)
        assert log == chat(seed, seed)[2]
        assert log == chat(seed, seed, traced=False)[2]


class TestSeeds:
    def test_streams_do_not_depend_on_who_else_is_there(self) -> None:
        alone = System(7)
        crowded = System(7)
        for name in ("z", "a", "m"):
            crowded.random_for(name).random()
        draws = [alone.random_for("x").random() for _ in range(5)]
        assert [crowded.random_for("x").random() for _ in range(5)] == draws
        assert alone.random_for("x") is alone.random_for("x")
        assert System(8).random_for("x").random() != draws[0]
        assert System(7).random_for("y").random() != draws[0]

    def test_an_actor_more_does_not_change_the_others(self) -> None:
        async def draws(self: Script) -> None:
            for _ in range(5):
                self.note(self.random.random())
                self.link("sink").post(1)
                await anyio.sleep(1)

        one, other = Script("one", draws), Script("two", draws)
        alone = Script("one", draws)
        sink = Sink()
        play(other, one, Sink(), seed=3)
        play(alone, sink, seed=3)
        assert one.log == alone.log
        assert one.log != other.log

    def test_the_latency_of_a_link_has_a_stream_of_its_own(self) -> None:
        async def sends(self: Script) -> None:
            for number in range(20):
                self.link("sink").post((self.name, number))
                await anyio.sleep(1)

        def times(*names: str) -> list[int]:
            sink = Sink()
            system = System(3)
            for name in names:
                system.add(Script(name, sends))
                system.set_latency(name, "sink", UniformLatency(0, 10**6))
            system.add(sink)
            system.simulate()
            return [at for at, (name, _) in sink.got if name == "one"]

        assert times("one") == times("two", "one", "three")

    def test_names_are_unique_and_not_empty(self) -> None:
        with pytest.raises(BacktestError, match="called 'a' already"):
            play(Echo("a"), Echo("a"))
        with pytest.raises(BacktestError, match="needs a name"):
            Echo("")
