"""Channels: bounds, requests and their failures, what cannot be delivered, deadlocks."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from backtest.actors import NEVER, Actor, Envelope, FixedLatency, Stream, System
from backtest.actors.kernel.signal import UNSET
from backtest.errors import BacktestError, Deadlock, InboxOverflow, Undeliverable

from .kernel import SECOND, Echo, Script, Sink, play


class Slow(Sink):
    """Takes a second for each message."""

    async def handle(self, envelope: Envelope) -> None:  # type: ignore[override]
        await anyio.sleep(1)
        super().handle(envelope)


class TestBounds:
    def test_a_sender_waits_for_room(self) -> None:
        async def life(self: Script) -> None:
            for number in range(6):
                await self.link("slow").send(number)
                self.note(number)

        slow = Slow("slow", bound=2)
        only = Script("only", life)
        play(only, slow)
        # Two fit in; then the first is taken at once, and each further one as the next is taken.
        assert [at for at, _ in only.log] == [n * SECOND for n in (0, 0, 0, 1, 2, 3)]
        assert slow.got == [((n + 1) * SECOND, n) for n in range(6)]

    def test_several_senders_are_served_in_turn(self) -> None:
        async def life(self: Script) -> None:
            for number in range(3):
                await self.link("slow").send((self.name, number))

        slow = Slow("slow", bound=1)
        play(*(Script(name, life) for name in "abc"), slow)
        assert sorted(what for _, what in slow.got) == [(n, i) for n in "abc" for i in range(3)]
        for name in "abc":
            assert [i for _, (n, i) in slow.got if n == name] == [0, 1, 2]

    def test_child_tasks_wait_for_room_too_and_may_give_up(self) -> None:
        async def life(self: Script) -> None:
            slow = self.link("slow")

            async def sends(number: int, patience: float) -> None:
                with anyio.move_on_after(patience):
                    await slow.send(number)
                    return
                self.note("gave up", number)

            async with anyio.create_task_group() as group:
                group.start_soon(sends, 0, 9)
                group.start_soon(sends, 1, 9)
                group.start_soon(sends, 2, 0.5)
                group.start_soon(sends, 3, 9)

        only, slow = Script("only", life), Slow("slow", bound=1)
        play(only, slow)
        assert only.log == [(SECOND // 2, "gave up", 2)]
        assert [what for _, what in slow.got] == [0, 1, 3]

    @pytest.mark.parametrize("bound", [0, 1, 2, 16, 1024])
    def test_a_flood_loses_nothing(self, bound: int) -> None:
        async def life(self: Script) -> None:
            for number in range(5_000):
                await self.link("relay").send(number)

        class Relay(Actor):
            inbox_bound = bound

            async def handle(self, envelope: Envelope) -> None:
                await self.link("sink").send(envelope.payload)

        sink = Sink(bound=bound)
        system = play(Script("only", life), Relay("relay"), sink)
        assert [what for _, what in sink.got] == list(range(5_000))
        assert system.now == 0

    def test_a_post_beyond_the_bound_names_the_target(self) -> None:
        async def life(self: Script) -> None:
            slow = self.link("slow")
            for number in range(3):
                slow.post(number)
            assert (slow.statistics().sent, slow.statistics().waiting) == (3, 3)
            for later in (False, True):
                with pytest.raises(InboxOverflow, match="inbox of slow holds 3 messages") as caught:
                    slow.post_at(5, "too many", 0) if later else slow.post("too many")
                assert (caught.value.actor, caught.value.bound) == ("slow", 3)
            # Nothing was counted, nothing was sent.
            assert (slow.statistics().sent, slow.statistics().waiting) == (3, 3)

        slow = Slow("slow", bound=3)
        play(Script("only", life), slow)
        assert [what for _, what in slow.got] == [0, 1, 2]

    def test_what_is_on_its_way_counts(self) -> None:
        async def life(self: Script) -> None:
            self.link("sink").post(1)
            self.link("sink").post(2)
            with pytest.raises(InboxOverflow):
                self.link("sink").post(3)
            await anyio.sleep(1)
            self.link("sink").post(4)

        sink = Sink(bound=2)
        play(Script("only", life), sink, only__sink=FixedLatency(9))
        assert [what for _, what in sink.got] == [1, 2, 4]

    def test_the_feed_never_waits(self) -> None:
        # Market data for one who sleeps is kept up to the bound; then the run ends, saying who.
        class Feed(Actor):
            def attach(self) -> None:
                self.system.set_feed(self.emit, 0, self.fiber)

            def emit(self) -> int:
                self.link("sleeper").post("bar")
                return self.system.now + SECOND

        async def sleeps(self: Script) -> None:
            await anyio.sleep(10**6)

        with pytest.raises(InboxOverflow, match="inbox of sleeper holds 5") as caught:
            play(Feed("feed"), Script("sleeper", sleeps, bound=5))
        assert "in feed at 1970-01-01T00:00:05" in caught.value.__notes__[0]

    def test_a_bound_is_not_negative(self) -> None:
        with pytest.raises(BacktestError, match="bound of at least 0, not -1"):
            play(Sink(bound=-1))

    def test_streams_have_theirs(self) -> None:
        system = System()
        stream: Stream[int] = Stream(system, "bars of x", 2)
        stream.push(1)
        stream.push(2)
        with pytest.raises(InboxOverflow, match="bars of x holds 2"):
            stream.push(3)
        latest: Stream[int] = Stream(system, "x", 2, conflate=True)
        for number in range(5):
            latest.push(number)
        assert len(latest) == 1


class TestRequests:
    def test_an_exception_as_answer_is_raised_at_the_asker(self) -> None:
        class Refuses(Actor):
            def handle(self, envelope: Envelope) -> None:
                self.answer(envelope, KeyError("no such thing"))

        async def life(self: Script) -> None:
            for _ in range(2):
                with pytest.raises(KeyError, match="no such thing"):
                    await self.link("refuses").request("?")
            self.note("went on")

        only = Script("only", life)
        play(only, Refuses("refuses"))
        assert only.log == [(0, "went on")]

    def test_may_be_answered_later_and_in_any_order(self) -> None:
        class Desk(Actor):
            waiting: list[Envelope]

            async def started(self) -> None:
                self.waiting = []

            def handle(self, envelope: Envelope) -> None:
                self.waiting.append(envelope)
                if len(self.waiting) == 3:
                    while self.waiting:
                        one = self.waiting.pop()
                        self.answer(one, one.payload)

        async def life(self: Script) -> None:
            self.note(await self.link("desk").request(self.name))

        actors = [Script(name, life) for name in "abc"]
        play(*actors, Desk("desk"))
        assert [actor.log for actor in actors] == [[(0, name)] for name in "abc"]

    def test_are_answered_once(self) -> None:
        class Twice(Actor):
            def handle(self, envelope: Envelope) -> None:
                self.answer(envelope, 1)
                self.answer(envelope, 2)

        async def life(self: Script) -> None:
            await self.link("twice").request("?")

        with pytest.raises(BacktestError, match=r"'\?' from only was answered already"):
            play(Script("only", life), Twice("twice"))

    def test_are_what_is_answered(self) -> None:
        class Answers(Actor):
            def handle(self, envelope: Envelope) -> None:
                self.answer(envelope, 1)

        async def life(self: Script) -> None:
            self.link("answers").post("news")

        with pytest.raises(BacktestError, match="'news' from only asks for no answer"):
            play(Script("only", life), Answers("answers"))

    def test_to_oneself_while_waiting_is_a_deadlock(self) -> None:
        async def life(self: Script) -> None:
            await self.link("only").request("?")

        with pytest.raises(Deadlock) as caught:
            play(Script("only", life))
        assert caught.value.waits == (("only", "only"),)


class TestWhatCannotBeDelivered:
    def test_to_an_unknown_actor(self) -> None:
        async def life(self: Script) -> None:
            self.link("nobody")

        with pytest.raises(Undeliverable, match="only knows no actor 'nobody'; there are: only, x"):
            play(Script("only", life), Sink("x"))

    def test_to_one_that_has_ended(self) -> None:
        async def ends(self: Script) -> None:
            await anyio.sleep(1)

        async def life(self: Script) -> None:
            ends = self.link("ends")
            ends.post("unread")
            asked: list[str] = []

            async def asks() -> None:
                with pytest.raises(Undeliverable, match="ends has ended"):
                    await ends.request("?")
                asked.append("failed")

            async with anyio.create_task_group() as group:
                group.start_soon(asks)
                await anyio.sleep(2)
            assert asked == ["failed"]
            for later in (False, True):
                with pytest.raises(Undeliverable, match="only sent to ends, which has ended: 'x'"):
                    ends.post_at(9, "x", 0) if later else ends.post("x")
            with pytest.raises(Undeliverable):
                await ends.send("x")
            with pytest.raises(Undeliverable):
                await ends.request("x")
            self.note("done")

        only = Script("only", life)
        system = play(Script("ends", ends), only)
        assert only.log == [(2 * SECOND, "done")]
        assert [(one.envelope.payload, one.reason) for one in system.dead_letters] == [
            ("unread", "ends has ended"),
            ("?", "ends has ended"),
        ]

    def test_what_is_under_way_when_it_ends(self) -> None:
        async def ends(self: Script) -> None:
            await anyio.sleep(1)

        async def life(self: Script) -> None:
            with pytest.raises(Undeliverable, match="ends has ended"):
                await self.link("ends").request("slow")
            self.note("told at once")

        only = Script("only", life)
        system = play(Script("ends", ends), only, only__ends=FixedLatency(5 * SECOND))
        assert only.log == [(SECOND, "told at once")]
        assert [(one.envelope.payload, one.reason) for one in system.dead_letters] == [
            ("slow", "ends has ended")
        ]

    def test_those_who_wait_for_its_room_are_told(self) -> None:
        async def ends(self: Script) -> None:
            await anyio.sleep(1)

        async def life(self: Script) -> None:
            await self.link("ends").send(1)
            with pytest.raises(Undeliverable):
                await self.link("ends").send(2)
            self.note("told")

        only = Script("only", life)
        play(Script("ends", ends, bound=1), only)
        assert only.log == [(SECOND, "told")]

    def test_an_actor_without_a_handler_says_so(self) -> None:
        async def life(self: Script) -> None:
            self.link("bare").post("hello")

        with pytest.raises(BacktestError, match="bare has no handler for 'hello'"):
            play(Script("only", life), Actor("bare"))


class TestDeadlocks:
    def test_two_who_ask_each_other(self) -> None:
        async def asks(self: Script) -> None:
            await anyio.sleep(1)
            await self.link("b" if self.name == "a" else "a").request("?")

        with pytest.raises(Deadlock, match="a waits for b; b waits for a") as caught:
            play(Script("a", asks), Script("b", asks))
        assert caught.value.waits == (("a", "b"), ("b", "a"))

    def test_a_reply_that_nobody_gives(self) -> None:
        async def life(self: Script) -> None:
            await self.link("sink").request("?")

        with pytest.raises(Deadlock, match="only waits for sink"):
            play(Script("only", life), Sink())

    def test_full_channels_in_a_circle(self) -> None:
        async def sends(self: Script) -> None:
            other = self.link("b" if self.name == "a" else "a")
            for number in range(3):
                await other.send(number)

        with pytest.raises(Deadlock) as caught:
            play(Script("a", sends, bound=1), Script("b", sends, bound=1))
        assert caught.value.waits == (("a", "b"), ("b", "a"))

    def test_a_child_task_that_asks_in_vain(self) -> None:
        async def life(self: Script) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(self.link("sink").request, "?")

        with pytest.raises(Deadlock, match="a task of only waits for sink"):
            play(Script("only", life), Sink())

    def test_a_circle_is_seen_also_when_the_data_end(self) -> None:
        async def asks(self: Script) -> None:
            await self.link("b" if self.name == "a" else "a").request("?")

        async def sleeps(self: Script) -> None:
            await anyio.sleep(10**6)

        class Feed(Actor):
            def attach(self) -> None:
                self.system.set_feed(lambda: NEVER, SECOND, self.fiber)

        with pytest.raises(Deadlock) as caught:
            play(Feed("feed"), Script("a", asks), Script("b", asks), Script("sleeps", sleeps))
        assert caught.value.waits == (("a", "b"), ("b", "a"))

    @pytest.mark.parametrize("how", ["receive", "sleep", "sleep_until", "answer under way"])
    def test_the_end_of_the_data_is_none(self, how: str) -> None:
        class Feed(Actor):
            def attach(self) -> None:
                self.system.set_feed(lambda: NEVER, SECOND, self.fiber)

        async def life(self: Script) -> None:
            waits: dict[str, Any] = {
                "receive": self.receive,
                "sleep": lambda: anyio.sleep(9),
                "sleep_until": lambda: self.system.sleep_until(10**12),
                "answer under way": lambda: self.link("echo").request(1),
            }
            try:
                await waits[how]()
            finally:
                self.note("over")

        only = Script("only", life)
        play(Feed("feed"), Echo("echo"), only, echo__only=FixedLatency(9 * SECOND))
        assert only.log == [(SECOND, "over")]

    def test_nothing_to_do_is_none(self) -> None:
        async def life(self: Script) -> None:
            await self.receive()

        assert play(Script("a", life), Script("b", life)).now == 0


class Counter(Actor):
    """Answers at once with how often it was asked; refuses ``"no"``, breaks at ``"break"``."""

    handles_inside = False

    def attach(self) -> None:
        self.asked = 0

    def handle(self, envelope: Envelope) -> None:
        self.answer(envelope, self.respond(envelope.payload, envelope.cause))

    def respond(self, payload: Any, cause: int) -> Any:
        if payload == "break":
            raise ZeroDivisionError("broken")
        self.asked += 1
        return ValueError("refused") if payload == "no" else (self.asked, cause)


class Asker(Actor):
    """Asks the short way where there is one, as the venue does."""

    handles_inside = False

    def attach(self) -> None:
        self.heard: list[Any] = []
        self.ways: list[bool] = []

    async def handle(self, envelope: Envelope) -> None:
        link = self.link("counter")
        try:
            value = link.ask(envelope.payload)
            self.ways.append(value is not UNSET)
            self.heard.append(await link.request(envelope.payload) if value is UNSET else value)
        except ValueError as refusal:
            self.heard.append(str(refusal))


class Starter(Actor):
    """Sends what it was given, one after the other; then something to somebody else, perhaps."""

    def __init__(self, payloads: list[Any], other: str) -> None:
        super().__init__("starter")
        self.payloads = payloads
        self.other = other

    async def started(self) -> None:
        for payload in self.payloads:
            self.link("asker").post(payload)
        if self.other:
            self.link(self.other).post("b")


def asking(
    payloads: list[Any],
    *,
    watched: bool = False,
    counter: type[Counter] = Counter,
    other: str = "",
) -> Any:
    system = System(3)
    asker, counted = Asker("asker"), counter("counter")
    for one in (counted, asker, Asker("third"), Starter(payloads, other)):
        system.add(one)
    if watched:
        system.observer = lambda message: None
    try:
        system.simulate()
    finally:
        books = system.statistics()
    return asker, counted, books, system.events.sequence


def test_asking_the_short_way_is_a_request_and_its_answer_in_every_number() -> None:
    short, one, books, sequence = asking(["a", "no", "b"])
    long, other, same_books, same_sequence = asking(["a", "no", "b"], watched=True)
    # The first question meets messages that wait for the asker itself, which is busy: it comes
    # first. The second is refused by `ask` itself.
    assert short.ways == [True, True]
    assert long.ways == [False, False, False]
    # Three are asked: the second is refused. Causes are the numbers of what the asker handled.
    assert short.heard == long.heard == [(1, 1), "refused", (3, 3)]
    assert one.asked == other.asked == 3
    assert books == same_books
    assert sequence == same_sequence


def test_a_question_does_not_pass_what_waits_for_somebody_else() -> None:
    short, one, books, sequence = asking(["a", "b"], other="third")
    long, _, same_books, same_sequence = asking(["a", "b"], other="third", watched=True)
    # While there is a message for the third, whose question comes before its answer, none.
    assert short.ways == [False, False]
    assert short.heard == long.heard
    assert one.asked == 3
    assert (books, sequence) == (same_books, same_sequence)


def test_what_breaks_when_asked_the_short_way_breaks_as_a_request_does() -> None:
    with pytest.raises(ZeroDivisionError, match="broken"):
        asking(["break"])


def test_a_handler_further_down_has_the_last_word() -> None:
    class Other(Counter):
        def handle(self, envelope: Envelope) -> None:
            self.answer(envelope, "mine")

    asker, _, _, _ = asking(["a"], counter=Other)
    assert asker.heard == ["mine"]
    assert asker.ways == [False]
