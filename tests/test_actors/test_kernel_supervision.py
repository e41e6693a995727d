"""What happens when an actor fails: the rules, the life-cycle, what askers and the caller learn."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from backtest.actors import (
    NEVER,
    Actor,
    Directive,
    Envelope,
    FixedLatency,
    Life,
    Supervision,
    System,
)
from backtest.actors.kernel.actor import LIFECYCLE
from backtest.errors import BacktestError, SimulationEnded, Undeliverable

from .kernel import SECOND, Echo, Script, Sink, play

STOP = Supervision(directive=Directive.STOP)
RESTART = Supervision(directive=Directive.RESTART)


class Fragile(Actor):
    """Breaks at the message "break", plainly or after a wait; answers all others."""

    def __init__(self, rule: Supervision, *, waits: bool = False, name: str = "fragile") -> None:
        super().__init__(name)
        self.supervision = rule
        self.waits = waits
        self.starts: list[int] = []
        self.got: list[Any] = []

    async def started(self) -> None:
        self.starts.append(self.system.now)

    def handle(self, envelope: Envelope) -> Any:
        return self.later(envelope) if self.waits else self.at_once(envelope)

    async def later(self, envelope: Envelope) -> None:
        await anyio.sleep(1)
        self.at_once(envelope)

    def at_once(self, envelope: Envelope) -> None:
        if envelope.payload == "break":
            raise ZeroDivisionError("it broke")
        self.got.append(envelope.payload)
        if envelope.reply is not None:
            self.answer(envelope, envelope.payload)


def sends(*messages: Any, target: str = "fragile") -> Script:
    async def life(self: Script) -> None:
        for message in messages:
            self.link(target).post(message)

    return Script("sends", life)


class TestEscalate:
    def test_ends_the_run_with_the_exception_and_where_it_was(self) -> None:
        class Relay(Actor):
            def handle(self, envelope: Envelope) -> None:
                self.link("fragile").post("break")

        async def life(self: Script) -> None:
            await anyio.sleep(90)
            self.link("relay").post("go")

        with pytest.raises(ZeroDivisionError, match="it broke") as caught:
            play(Fragile(Supervision()), Relay("relay"), Script("only", life))
        (note,) = caught.value.__notes__
        assert note.splitlines() == [
            "in fragile at 1970-01-01T00:01:30+00:00",
            "  handling message 3 from relay: 'break'",
            "  caused by message 2 from only: 'go'",
        ]

    def test_nobody_hears_of_it_in_a_later_message(self) -> None:
        sink = Sink()

        async def life(self: Script) -> None:
            self.link("fragile").post("break")
            await anyio.sleep(1)
            self.link("sink").post("never")

        with pytest.raises(ZeroDivisionError):
            play(Fragile(Supervision()), Script("only", life), sink)
        assert sink.got == []

    def test_the_others_clean_up_but_are_not_closed(self) -> None:
        log: list[str] = []

        class Tidy(Actor):
            async def run(self) -> None:
                try:
                    await super().run()
                finally:
                    log.append("finally")

            def closing(self, stage: int) -> None:
                log.append("closing")

        with pytest.raises(ZeroDivisionError):
            play(Tidy("tidy"), Fragile(Supervision()), sends("break"))
        assert log == ["finally"]

    def test_the_first_failure_counts(self) -> None:
        async def fails_to_clean_up(self: Script) -> None:
            try:
                await self.receive()
            finally:
                raise KeyError("second")

        with pytest.raises(ZeroDivisionError):
            play(Script("other", fails_to_clean_up), Fragile(Supervision()), sends("break"))

    def test_a_failure_while_the_run_is_wound_down_is_not_lost(self) -> None:
        async def fails_to_clean_up(self: Script) -> None:
            try:
                await self.receive()
            finally:
                raise KeyError("at the end")

        with pytest.raises(KeyError, match="at the end"):
            play(Script("other", fails_to_clean_up))

    def test_a_handlers_failure_is_seen_by_the_life_around_it(self) -> None:
        log: list[str] = []

        class Careful(Fragile):
            async def run(self) -> None:
                try:
                    async with anyio.create_task_group() as group:
                        group.start_soon(self.beside)
                        await super().run()
                except* ZeroDivisionError:
                    log.append(f"seen at {self.system.now}")
                    await anyio.sleep(1)

            async def beside(self) -> None:
                try:
                    await anyio.sleep_forever()
                finally:
                    log.append("the child was cancelled")

        play(Careful(Supervision()), sends("break"))
        assert log == ["the child was cancelled", "seen at 0"]

    @pytest.mark.parametrize("waits", [False, True])
    def test_a_stop_iteration_is_a_failure_no_return(self, waits: bool) -> None:
        class Runs(Actor):
            def handle(self, envelope: Envelope) -> Any:
                return self.later() if waits else next(iter(()))

            async def later(self) -> None:
                next(iter(()))

        with pytest.raises(RuntimeError, match="StopIteration"):
            play(Runs("fragile"), sends(1))

    def test_a_failing_feed_says_whose_it_is(self) -> None:
        class Feed(Actor):
            def attach(self) -> None:
                self.system.set_feed(self.emit, SECOND, self.fiber)

            def emit(self) -> int:
                raise OSError("the disk is gone")

        with pytest.raises(OSError, match="the disk is gone") as caught:
            play(Feed("feed"))
        assert "in feed at 1970-01-01T00:00:01" in caught.value.__notes__[0]

    def test_a_failing_feed_of_an_actor_that_does_something_else(self) -> None:
        class Feed(Actor):
            def attach(self) -> None:
                self.system.set_feed(self.emit, SECOND, self.fiber)

            def emit(self) -> int:
                raise OSError("the disk is gone")

            async def run(self) -> None:
                await anyio.sleep(100)

        with pytest.raises(OSError, match="the disk is gone") as caught:
            play(Feed("feed"))
        assert "in feed at 1970-01-01T00:00:01" in caught.value.__notes__[0]

    @pytest.mark.parametrize("hook", ["tracer", "observer"])
    def test_an_invariant_that_fails_ends_the_run(self, hook: str) -> None:
        def check(envelope: Envelope) -> None:
            if envelope.payload == 2:
                raise AssertionError("the books are wrong")

        system = System()
        sink = Sink("fragile")
        system.add(sink)
        system.add(sends(1, 2, 3))
        setattr(system, hook, check)
        with pytest.raises(AssertionError, match="the books are wrong") as caught:
            system.simulate()
        assert "in the kernel at 1970-01-01" in caught.value.__notes__[0]
        assert [what for _, what in sink.got] == ([1] if hook == "tracer" else [1, 2])
        assert not sink.fiber.alive

    def test_what_arrives_at_a_busy_actor_may_fail_too(self) -> None:
        async def busy(self: Script) -> None:
            def arrive(envelope: Envelope) -> bool:
                raise ZeroDivisionError("on arrival")

            self.fiber.arrive = arrive
            await anyio.sleep(5)

        with pytest.raises(ZeroDivisionError, match="on arrival") as caught:
            play(Script("fragile", busy), sends(1))
        assert "in fragile at" in caught.value.__notes__[0]


class TestRestart:
    @pytest.mark.parametrize("waits", [False, True])
    def test_goes_on_with_the_inbox_and_loses_what_broke_it(self, waits: bool) -> None:
        fragile = Fragile(RESTART, waits=waits)
        system = play(fragile, sends(1, "break", 2, 3))
        assert fragile.got == [1, 2, 3]
        assert len(fragile.starts) == 2
        (letter,) = system.dead_letters
        assert letter.envelope.payload == "break"
        assert letter.reason == "fragile failed: ZeroDivisionError('it broke')"
        statistics = system.statistics()
        assert (statistics.sent, statistics.handled, statistics.dead) == (4, 3, 1)

    def test_the_asker_gets_a_typed_failure(self) -> None:
        async def life(self: Script) -> None:
            fragile = self.link("fragile")
            with pytest.raises(BacktestError, match="fragile failed while it handled 'break'") as e:
                await fragile.request("break")
            assert isinstance(e.value.__cause__, ZeroDivisionError)
            self.note(await fragile.request("fine"))

        only = Script("only", life)
        play(Fragile(RESTART), only)
        assert only.log == [(0, "fine")]

    def test_an_answer_given_before_the_failure_counts(self) -> None:
        class Late(Actor):
            supervision = RESTART

            def handle(self, envelope: Envelope) -> None:
                self.answer(envelope, "answer")
                raise ZeroDivisionError

        async def life(self: Script) -> None:
            self.note(await self.link("late").request("?"))

        only = Script("only", life)
        play(Late("late"), only, late__only=FixedLatency(5))
        assert only.log == [(5, "answer")]

    def test_more_than_there_may_be_escalates(self) -> None:
        rule = Supervision(directive=Directive.RESTART, max_restarts=2, within_ns=10 * SECOND)
        fragile = Fragile(rule)
        with pytest.raises(ZeroDivisionError):
            play(fragile, sends("break", "break", "break"))
        assert len(fragile.starts) == 3

    @pytest.mark.parametrize(("pause", "survives"), [(5, True), (4.999999, False)])
    def test_the_window_moves_with_simulated_time(self, pause: float, survives: bool) -> None:
        # Two are allowed within 10 s: at 0, 5 and 10 s the first is no longer counted.
        rule = Supervision(directive=Directive.RESTART, max_restarts=2, within_ns=10 * SECOND)

        async def life(self: Script) -> None:
            for _ in range(3):
                self.link("fragile").post("break")
                await anyio.sleep(pause)

        fragile = Fragile(rule)
        if survives:
            play(fragile, Script("only", life))
            assert fragile.starts == [0, 0, 5 * SECOND, 10 * SECOND]
            assert fragile.life is Life.STOPPED
        else:
            with pytest.raises(ZeroDivisionError):
                play(fragile, Script("only", life))
            assert fragile.life is Life.FAILED

    def test_one_that_cannot_even_start_escalates(self) -> None:
        class Broken(Actor):
            supervision = RESTART
            tries = 0

            async def started(self) -> None:
                self.tries += 1
                raise ZeroDivisionError("again")

        broken = Broken("broken")
        with pytest.raises(ZeroDivisionError, match="again"):
            play(broken)
        assert broken.tries == 4

    def test_a_failure_at_the_start_blames_no_message(self) -> None:
        class Flaky(Fragile):
            async def started(self) -> None:
                await super().started()
                if len(self.starts) == 2:
                    raise ZeroDivisionError("at the second start")

        flaky = Flaky(RESTART)
        system = play(flaky, sends(1, "break", 2))
        assert len(flaky.starts) == 3
        assert flaky.got == [1, 2]
        assert [one.envelope.payload for one in system.dead_letters] == ["break"]

    def test_a_line_that_fails_restarts_the_whole_actor_once(self) -> None:
        class Two(Fragile):
            async def started(self) -> None:
                await super().started()
                self.system.spawn(self, "line", self.line())

            async def line(self) -> None:
                await anyio.sleep(5)
                if len(self.starts) == 1:
                    raise ZeroDivisionError("in the line")
                self.got.append("the second line lived")

        async def life(self: Script) -> None:
            await anyio.sleep(7)
            self.link("fragile").post("after")

        two = Two(RESTART)
        play(two, Script("only", life))
        assert two.starts == [0, 5 * SECOND]
        assert two.got == ["after", "the second line lived"]

    def test_when_the_actor_itself_fails_its_lines_are_cancelled(self) -> None:
        class Two(Fragile):
            async def started(self) -> None:
                await super().started()
                self.system.spawn(self, "line", self.line(len(self.starts)))

            async def line(self, number: int) -> None:
                await anyio.sleep(5)
                self.got.append(number)

        two = Two(RESTART)
        play(two, sends("break"))
        assert two.got == [2]

    @pytest.mark.parametrize("directive", [Directive.RESTART, Directive.STOP])
    def test_a_failure_while_the_run_is_wound_down_is_the_rules_too(
        self, directive: Directive
    ) -> None:
        class Late(Actor):
            supervision = Supervision(directive=directive)

            async def run(self) -> None:
                try:
                    await self.receive()
                finally:
                    raise ZeroDivisionError("at the end")

        late = Late("late")
        play(late)
        assert late.life is Life.FAILED

    def test_at_the_last_market_event_is_like_any_other(self) -> None:
        class Feed(Actor):
            def attach(self) -> None:
                self.system.set_feed(self.emit, SECOND, self.fiber)

            def emit(self) -> int:
                self.link("fragile").post("break")
                self.link("fragile").post("after")
                return NEVER

        fragile = Fragile(RESTART)
        play(Feed("feed"), fragile)
        assert fragile.got == ["after"]
        assert fragile.starts == [0, SECOND]


class TestStop:
    def test_the_others_go_on_and_what_waits_is_dead(self) -> None:
        async def life(self: Script) -> None:
            fragile = self.link("fragile")
            for message in (1, "break", 2, 3):
                fragile.post(message)
            await anyio.sleep(5)
            with pytest.raises(Undeliverable, match="only sent to fragile, which has ended: 4"):
                fragile.post(4)
            self.note("went on")

        fragile, only = Fragile(STOP, waits=True), Script("only", life)
        system = play(fragile, only)
        assert only.log == [(5 * SECOND, "went on")]
        assert fragile.got == [1]
        assert fragile.life is Life.FAILED
        assert [(one.envelope.payload, one.reason) for one in system.dead_letters] == [
            ("break", "fragile failed: ZeroDivisionError('it broke')"),
            (2, "fragile was stopped after it failed"),
            (3, "fragile was stopped after it failed"),
        ]
        statistics = system.statistics()
        assert (statistics.sent, statistics.handled, statistics.dead) == (4, 1, 3)

    def test_every_request_fails_wherever_it_is(self) -> None:
        """One is being handled, one waits in the inbox, one was put off, one is under way."""

        class Hoards(Fragile):
            def at_once(self, envelope: Envelope) -> None:
                if envelope.payload != "put off":
                    super().at_once(envelope)

        async def asks(self: Script) -> None:
            try:
                await self.link("fragile").request(self.name)
            except BacktestError as error:
                self.note(type(error), str(error))

        names = ["put off", "break", "in the inbox", "under way"]
        scripts = [Script(name, asks) for name in names]
        system = System()
        for actor in (Hoards(STOP, waits=True), *scripts):
            system.add(actor)
        system.set_latency("under way", "fragile", FixedLatency(60 * SECOND))
        system.simulate()
        stopped = (2 * SECOND, Undeliverable, "fragile was stopped after it failed")
        assert [script.log for script in scripts] == [
            [stopped],
            [
                (
                    2 * SECOND,
                    BacktestError,
                    "fragile failed while it handled 'break': ZeroDivisionError('it broke')",
                )
            ],
            [stopped],
            [stopped],
        ]

    def test_a_failing_line_stops_the_whole_actor(self) -> None:
        class Two(Fragile):
            async def started(self) -> None:
                self.system.spawn(self, "bad", self.bad())
                self.system.spawn(self, "good", self.good())

            async def bad(self) -> None:
                await anyio.sleep(1)
                raise ZeroDivisionError

            async def good(self) -> None:
                await anyio.sleep(2)
                self.got.append("good")

        async def life(self: Script) -> None:
            await anyio.sleep(5)
            with pytest.raises(Undeliverable):
                self.link("fragile").post(1)
            self.note("went on")

        two, only = Two(STOP), Script("only", life)
        play(two, only)
        assert two.got == []
        assert not two.fiber.alive
        assert only.log == [(5 * SECOND, "went on")]


EVENTS = ("start", "stop", "fail")
TABLE = {
    (Life.NEW, "start"): Life.RUNNING,
    (Life.RUNNING, "stop"): Life.STOPPED,
    (Life.RUNNING, "fail"): Life.FAILED,
    (Life.FAILED, "start"): Life.RUNNING,
}


class TestTheLifeCycle:
    @pytest.mark.parametrize("life", list(Life))
    @pytest.mark.parametrize("event", EVENTS)
    def test_is_this_table(self, life: Life, event: str) -> None:
        actor = Actor("x")
        actor.life = life
        if (life, event) in TABLE:
            actor.change(event)
            assert actor.life is TABLE[life, event]
        else:
            with pytest.raises(BacktestError, match=f"x is {life.value} and cannot {event}"):
                actor.change(event)
            assert actor.life is life
        assert LIFECYCLE == TABLE

    def test_of_one_that_lives_to_the_end(self) -> None:
        seen: list[Life] = []

        class Watches(Actor):
            async def started(self) -> None:
                seen.append(self.life)

        actor = Watches("x")
        seen.append(actor.life)
        play(actor)
        seen.append(actor.life)
        assert seen == [Life.NEW, Life.RUNNING, Life.STOPPED]

    def test_of_one_that_returns_before_it(self) -> None:
        async def ends(self: Script) -> None:
            await anyio.sleep(1)

        async def looks(self: Script) -> None:
            await anyio.sleep(2)
            self.note(short.life)

        short, looker = Script("short", ends), Script("looks", looks)
        play(short, looker)
        assert looker.log == [(2 * SECOND, Life.STOPPED)]

    def test_winding_down_has_three_stages_with_all_that_follows_done_in_between(self) -> None:
        log: list[Any] = []

        class Winds(Actor):
            def closing(self, stage: int) -> None:
                log.append((self.name, stage))
                if self.name == "a":
                    self.link("b").post(stage)

            def handle(self, envelope: Envelope) -> None:
                log.append((self.name, "got", envelope.payload))

        play(Winds("a"), Winds("b"))
        assert log == [
            entry
            for stage in range(3)
            for entry in (("a", stage), ("b", stage), ("b", "got", stage))
        ]

    def test_no_time_passes_while_a_run_is_wound_down(self) -> None:
        class Late(Actor):
            def closing(self, stage: int) -> None:
                if stage == 0:
                    self.system.spawn(self, "late", self.late())

            async def late(self) -> None:
                await anyio.sleep(1)
                raise AssertionError("time has moved")

        assert play(Late("late")).now == 0

    def test_an_actor_may_join_a_running_system(self) -> None:
        async def life(self: Script) -> None:
            await anyio.sleep(1)
            self.system.add(Echo("late"))
            self.note(await self.link("late").request("hello"))

        only = Script("only", life)
        play(only)
        assert only.log == [(SECOND, "hello")]

    def test_but_none_that_has_ended(self) -> None:
        system = play(Echo("a"))
        with pytest.raises(SimulationEnded, match="b cannot join"):
            system.add(Echo("b"))
        with pytest.raises(SimulationEnded, match="runs once"):
            system.simulate()

    def test_the_end_can_be_asked_for(self) -> None:
        class Feed(Actor):
            def attach(self) -> None:
                self.sent = 0
                self.system.set_feed(self.emit, SECOND, self.fiber)

            def emit(self) -> int:
                self.link("sink").post(self.sent)
                self.sent += 1
                return self.system.now + SECOND if self.sent < 100 else NEVER

        async def life(self: Script) -> None:
            await anyio.sleep(3)
            self.system.stop()
            self.link("sink").post("what is due now is still done")
            self.link("sink").post_at(self.system.now + 1, "this is not", 0)

        sink = Sink()
        play(Feed("feed"), sink, Script("only", life))
        assert [what for _, what in sink.got] == [0, 1, 2, "what is due now is still done"]
