"""What agents say to each other: who hears it, when, and in which order."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

import backtest
from backtest.actors import (
    BROKER,
    Actor,
    Directive,
    Envelope,
    FixedLatency,
    Message,
    RealClock,
    StrategyHost,
    Supervision,
    System,
    TopicActor,
    UniformLatency,
)
from backtest.actors.kernel.pubsub import TOPICS
from backtest.actors.protocol import Hello, Welcome
from backtest.errors import (
    BacktestError,
    FieldTypeError,
    InboxOverflow,
    SimulationEnded,
    Undeliverable,
)
from backtest.models import Bar
from backtest.strategies import Strategy
from backtest.times import MINUTE

from .playing import Story, market, play

MS = 1_000_000
CASH = {"crier": "1000 USD", "one": "1000 USD", "two": "1000 USD"}


class Crier(Story):
    """Says the close of every bar."""

    def on_bar(self, bar: Bar) -> None:
        self.publish("closes", bar.close)
        self.tell("said", bar.close)


class Listener(Story):
    """Hears by handler."""

    def on_start(self) -> None:
        self.listen("closes")

    def on_bar(self, bar: Bar) -> None:
        self.tell("bar", bar.close)

    def on_message(self, topic: str, payload: Any, sender: str) -> None:
        self.tell(topic, payload, sender, self.now_ns)


def test_everybody_who_listens_hears_what_is_said_and_nobody_else() -> None:
    class Deaf(Story):
        def on_message(self, topic: str, payload: Any, sender: str) -> None:
            self.tell(payload)

    crier, one, two = Crier(), Listener(), Deaf()
    play({"crier": crier, "one": one, "two": two}, market(100, 101), CASH)
    # It is as urgent as the bar in whose handling it was said, and sent later: both have the bar.
    assert one.told == [
        (1, "bar", 100),
        (1, "closes", 100, "crier", MINUTE),
        (2, "bar", 101),
        (2, "closes", 101, "crier", 2 * MINUTE),
    ]
    assert two.told == []


def test_each_copy_takes_the_time_of_its_own_link_and_stays_in_order() -> None:
    class Three(Story):
        def on_bar(self, bar: Bar) -> None:
            for number in range(3):
                self.publish("closes", number)

    one, two = Listener(), Listener()
    runner = backtest.BacktestRunner(
        strategies={"crier": Three(), "one": one, "two": two},
        data=market(100, 101),
        pair="BTCUSD",
        cash=CASH,
    )
    system = runner.prepare()
    system.set_latency("strategy/crier", "strategy/one", FixedLatency(7 * MS))
    system.set_latency("strategy/crier", "strategy/two", UniformLatency(1 * MS, 9 * MS))
    system.simulate()
    heard = [what for what in one.told if what[1] == "closes"]
    # Of bar 1, at 60.007 s; what is said at the end of the data is never heard.
    assert [what[2:] for what in heard] == [
        (number, "crier", MINUTE + 7 * MS) for number in range(3)
    ]
    late = [what for what in two.told if what[1] == "closes"]
    assert [what[2] for what in late] == [0, 1, 2]
    assert MINUTE + MS <= late[0][4] <= late[1][4] <= late[2][4] <= MINUTE + 9 * MS


def test_iterators_hear_too_and_end_with_the_data() -> None:
    class Reader(Story):
        async def run(self) -> None:
            async for message in self.listen("closes"):
                assert type(message) is Message
                self.tell(*message)
            self.tell("over")

    reader = Reader()
    play({"crier": Crier(), "one": reader, "two": Crier()}, market(100, 101), CASH)
    assert reader.told == [
        (1, "closes", 100, "crier"),
        (1, "closes", 100, "two"),
        (2, "closes", 101, "crier"),
        (2, "closes", 101, "two"),
        (2, "over"),
    ]


def test_a_loop_that_was_left_listens_no_longer() -> None:
    class Once(Story):
        messages: Any = None

        async def run(self) -> None:
            async for message in self.listen("closes"):
                self.tell(message.payload)
                break
            gc.collect()

    runner = backtest.BacktestRunner(
        strategies={"crier": Crier(), "one": Once(), "two": Once()},
        data=market(100, 101, 102, 103),
        pair="BTCUSD",
        cash=CASH,
    )
    runner.run()
    link = runner.system.channel("strategy/crier", "strategy/one")
    # The second message tells that nobody reads any more; there is no third.
    assert link.sent == 2


def test_the_latest_only() -> None:
    class Slow(Story):
        async def run(self) -> None:
            async for message in self.listen("closes", conflate=True):
                self.tell(message.payload)
                await self.sleep(150)

    slow = Slow()
    play({"crier": Crier(), "one": slow, "two": Crier()}, market(1, 2, 3, 4, 5), CASH)
    assert slow.told == [(1, 1), (3.5, 3)]  # the next would be at minute 6, after the end


def test_one_alone_may_be_told() -> None:
    class Talker(Story):
        def on_bar(self, bar: Bar) -> None:
            self.publish("offer", ("buy", 3), to="two")

    one, two = Listener(), Listener()
    play({"crier": Talker(), "one": one, "two": two}, market(100), CASH)
    assert [what[1:] for what in two.told] == [
        ("bar", 100),
        ("offer", ("buy", 3), "crier", MINUTE),
    ]
    assert one.told == [(1, "bar", 100)]


def test_two_agents_negotiate() -> None:
    class Asks(Story):
        async def run(self) -> None:
            answers = self.listen("answer")
            async for bar in self.bars("BTCUSD"):
                self.publish("ask", bar.close)
                answer = await anext(answers, None)
                if answer is not None:  # the data ends before the last is answered
                    self.tell(answer.payload, answer.sender)

    class Answers(Story):
        def on_start(self) -> None:
            self.listen("ask")

        async def on_message(self, topic: str, payload: Any, sender: str) -> None:
            await self.sleep(6)
            self.publish("answer", payload + 1, to=sender)

    asks = Asks()
    play(
        {"crier": asks, "one": Answers()}, market(100, 101, 102), {"crier": "9 USD", "one": "9 USD"}
    )
    assert asks.told == [(1.1, 101, "one"), (2.1, 102, "one")]


def test_the_speaker_does_not_hear_itself() -> None:
    class Both(Crier):
        def on_start(self) -> None:
            self.listen("closes")

        def on_message(self, topic: str, payload: Any, sender: str) -> None:
            self.tell("heard", sender)

    both, other = Both(), Both()
    play({"crier": both, "one": other}, market(100), {"crier": "9 USD", "one": "9 USD"})
    assert [what[1:] for what in both.told] == [("said", 100), ("heard", "one")]
    assert [what[1:] for what in other.told] == [("said", 100), ("heard", "crier")]


def test_what_is_refused() -> None:
    class One(Story):
        def on_bar(self, bar: Bar) -> None:
            with pytest.raises(FieldTypeError, match="payload is a list, which can be changed"):
                self.publish("t", [1])
            with pytest.raises(FieldTypeError, match="topic must be text"):
                self.publish(1, "x")  # type: ignore[arg-type]
            with pytest.raises(FieldTypeError, match="topic must be text"):
                self.listen(None)  # type: ignore[arg-type]
            for nobody in ("nobody", "broker", "account"):
                with pytest.raises(Undeliverable, match=f"one knows no agent '{nobody}'; there"):
                    self.publish("t", "x", to=nobody)
            self.tell("refused")

        async def on_stop(self) -> None:
            with pytest.raises(SimulationEnded):
                self.publish("t", "x")
            assert [message async for message in self.listen("t")] == []
            self.tell("over")

    one = One()
    play({"one": one}, market(100), "9 USD")
    assert one.told == [(1, "refused"), (1, "over")]


def test_an_inbox_that_is_full_ends_the_run_and_names_whose_it_is() -> None:
    class Flood(Story):
        def on_bar(self, bar: Bar) -> None:
            for number in range(20):
                self.publish("closes", number)

    class Asleep(Listener):
        async def on_message(  # type: ignore[override]
            self, topic: str, payload: Any, sender: str
        ) -> None:
            await self.sleep("1h")

    strategies = {"crier": Flood(), "one": Asleep(), "two": Crier()}
    with pytest.raises(InboxOverflow, match="strategy/one holds 10 messages"):
        play(strategies, market(*range(100, 140)), CASH, inbox_bound=10)


def test_a_listener_that_its_rule_has_stopped_is_forgotten() -> None:
    class Breaks(Listener):
        def on_message(self, topic: str, payload: Any, sender: str) -> None:
            raise ValueError("broken")

    two = Listener()
    runner = backtest.BacktestRunner(
        strategies={"crier": Crier(), "one": Breaks(), "two": two},
        data=market(100, 101, 102),
        pair="BTCUSD",
        cash=CASH,
    )
    system = runner.prepare()
    system.actors["strategy/one"].supervision = Supervision(directive=Directive.STOP)
    system.simulate()
    assert [what[2] for what in two.told if what[1] == "closes"] == [100, 101, 102]
    buried = [one.envelope.payload for one in system.dead_letters]
    assert Message("closes", 101, "crier") in [said for said in buried if type(said) is Message]
    assert Message("closes", 102, "crier") not in [one for one in buried if type(one) is Message]


def test_who_is_restarted_goes_on_listening() -> None:
    class Breaks(Listener):
        def on_message(self, topic: str, payload: Any, sender: str) -> None:
            self.tell(payload)
            if payload == 101:
                raise ValueError("broken")

    one = Breaks()
    runner = backtest.BacktestRunner(
        strategies={"crier": Crier(), "one": one, "two": Listener()},
        data=market(100, 101, 102),
        pair="BTCUSD",
        cash=CASH,
    )
    system = runner.prepare()
    system.actors["strategy/one"].supervision = Supervision(directive=Directive.RESTART)
    system.simulate()
    assert [what[1] for what in one.told if len(what) == 2] == [100, 101, 102]
    # Listening a second time is the same as listening once.
    assert system.channel("strategy/crier", "strategy/one").sent == 3


def test_no_actor_joins_where_nobody_speaks() -> None:
    runner = backtest.BacktestRunner(
        strategies=Strategy(), data=market(100), pair="BTCUSD", cash="9 USD"
    )
    runner.run()
    assert TOPICS not in runner.system.actors


def test_talk_changes_no_journal_of_others() -> None:
    class Trader(Strategy):
        def on_bar(self, bar: Bar) -> None:
            if self.random.random() < 0.5:
                self.buy("BTCUSD", 1)

    def journal(*others: Strategy) -> str:
        named = {"trader": Trader(), **{f"other-{n}": one for n, one in enumerate(others)}}
        cash = dict.fromkeys(("trader", "other-0", "other-1"), "1000 USD")
        accounts = {name: name for name in named}
        result = play(named, market(*range(100, 120)), cash, accounts=accounts)
        assert result.fills
        return result.journal_sha256

    class Quiet(Strategy):
        def on_bar(self, bar: Bar) -> None: ...

    assert journal(Quiet(), Quiet()) == journal(Crier(), Listener())


def test_the_same_seed_hears_the_same() -> None:
    def once() -> Any:
        one = Listener()
        runner = backtest.BacktestRunner(
            strategies={"crier": Crier(), "one": one, "two": Crier()},
            data=market(*range(100, 130)),
            pair="BTCUSD",
            cash=CASH,
            seed=5,
        )
        system = runner.prepare()
        for name in ("crier", "two"):
            system.set_latency(f"strategy/{name}", "strategy/one", UniformLatency(1, MINUTE))
        system.simulate()
        return one.told

    first = once()
    assert first == once()
    assert {what[3] for what in first if what[1] == "closes"} == {"crier", "two"}


def test_what_the_topics_do_not_understand() -> None:
    class Odd(Actor):
        async def started(self) -> None:
            self.link(TOPICS).post("what?")

    system = System(1)
    system.add(TopicActor())
    system.add(Odd("odd"))
    with pytest.raises(BacktestError, match="the topics do not understand 'what\\?'"):
        system.simulate()


class Hall(Actor):
    """A venue where nothing is traded: it welcomes, and ends the run after a while."""

    def handle(self, envelope: Envelope) -> None:
        if type(envelope.payload) is Hello:
            nobody: Any = None
            self.answer(envelope, Welcome({}, (), {}, nobody, nobody, nobody, {}, {}, True))
        else:
            self.system.stop()

    async def started(self) -> None:
        self.link(BROKER).post_at(self.system.now + 50 * MS, "stop", 3)


@pytest.mark.asyncio
async def test_live_it_is_the_same() -> None:
    heard: list[Any] = []

    class Speaks(Strategy):
        async def run(self) -> None:
            await self.sleep(0.005)
            for number in range(3):
                self.publish("n", number)

    class Hears(Strategy):
        async def run(self) -> None:
            messages: AsyncIterator[Message] = self.listen("n")
            async for message in messages:
                heard.append((message.payload, message.sender))

    await _live(speaks=Speaks(), hears=Hears())
    assert heard == [(0, "speaks"), (1, "speaks"), (2, "speaks")]


@pytest.mark.asyncio
async def test_live_thinking_takes_real_time() -> None:
    heard: list[Any] = []

    class Thinks(Strategy):
        def on_timer(self, name: str) -> None:
            if name == "first":
                self.begin = self.now_ns
                self.think("15ms")
                self.publish("n", "late", to="hears")
            heard.append((name, self.now_ns - self.begin >= 15 * MS))

        def on_start(self) -> None:
            self.set_timer("first", after=0)
            self.set_timer("second", after=0.001)

    class Hears(Strategy):
        def on_message(self, topic: str, payload: Any, sender: str) -> None:
            heard.append((payload, self.now_ns - thinks.begin >= 15 * MS))

    thinks = Thinks()
    await _live(thinks=thinks, hears=Hears())
    assert heard[0] == ("first", False)
    assert sorted(heard[1:]) == [("late", True), ("second", True)]


async def _live(**strategies: Strategy) -> None:
    system = System(1, RealClock())
    system.add(Hall(BROKER))
    for name, strategy in strategies.items():
        system.add(StrategyHost(name, strategy))
    await system.run()
