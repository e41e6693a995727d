"""Time that does not move: what goes on for ever at one simulated time ends with its name."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

import backtest
from backtest.actors import Actor, Envelope, System
from backtest.actors.kernel.deadlock import STALL_BOUND
from backtest.errors import BacktestError, Livelock
from backtest.models import Bar
from backtest.strategies import Strategy
from backtest.testing import assert_ledger_ok, bar, play

from .kernel import SECOND, Script, Sink


def _run(*actors: Actor, bound: int = 10_000) -> System:
    system = System()
    system.stall_bound = bound
    for actor in actors:
        system.add(actor)
    system.simulate()
    return system


class Pong(Actor):
    """Sends back what it gets, for ever."""

    def handle(self, envelope: Envelope) -> None:
        self.link(envelope.channel.sender).post(envelope.payload)


class Ping(Pong):
    async def started(self) -> None:
        self.link("pong").post("ball")


async def _spin(self: Any) -> None:
    await anyio.sleep(3)
    while True:
        await anyio.lowlevel.checkpoint()


def test_the_default_is_generous() -> None:
    assert System().stall_bound == STALL_BOUND == 10_000_000


def test_an_actor_that_polls() -> None:
    with pytest.raises(Livelock, match=r"1970-01-01T00:00:03.*busy: poller\.") as caught:
        _run(Script("poller", _spin), Sink())
    assert caught.value.who == ("poller",)
    assert caught.value.steps >= 10_000
    assert isinstance(caught.value, BacktestError)


def test_a_task_of_an_actor_that_polls() -> None:
    async def life(self: Script) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(_spin, self)

    with pytest.raises(Livelock) as caught:
        _run(Script("parent", life))
    assert caught.value.who == ("tests.test_actors.test_stalls._spin",)


def test_two_who_send_each_other_messages() -> None:
    with pytest.raises(Livelock) as caught:
        _run(Ping("ping"), Pong("pong"), Sink())
    assert set(caught.value.who) == {"ping", "pong"}


def test_one_that_writes_to_itself_and_waits_in_between() -> None:
    class Selfish(Actor):
        async def started(self) -> None:
            self.link(self.name).post(1)

        async def handle(self, envelope: Envelope) -> None:
            await anyio.lowlevel.checkpoint()
            self.link(self.name).post(1)

    with pytest.raises(Livelock) as caught:
        _run(Selfish("selfish"))
    assert caught.value.who == ("selfish",)


def test_timers_that_are_due_at_once() -> None:
    async def life(self: Script) -> None:
        while True:
            await self.system.sleep_until(0)

    with pytest.raises(Livelock) as caught:
        _run(Script("impatient", life))
    assert caught.value.steps >= 10_000


# What was ended by force complains when it is collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_refuses_to_be_cancelled_as_well() -> None:
    async def life(self: Script) -> None:
        while True:
            try:
                await anyio.lowlevel.checkpoint()
            except BaseException:
                pass

    with pytest.raises(Livelock):
        _run(Script("stubborn", life))


def test_much_to_do_at_one_time_is_none() -> None:
    async def life(self: Script) -> None:
        for second in range(5):
            for number in range(8_000):
                self.link("sink").post(number)
                if number % 100 == 0:
                    await anyio.lowlevel.checkpoint()
            await anyio.sleep(second)

    sink = Sink()
    system = _run(Script("busy", life), sink, bound=100_000)
    assert len(sink.got) == 40_000
    assert system.now == 10 * SECOND


def test_time_that_moves_is_none() -> None:
    async def life(self: Script) -> None:
        for _ in range(30_000):
            await self.system.sleep_until(self.system.now + 1)

    assert _run(Script("slow", life)).now == 30_000


def test_a_strategy_that_polls_is_named_and_the_ledger_is_whole() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=50)
        while not order.is_filled:
            await me.sleep(0)

    def prepare(system: System) -> None:
        system.stall_bound = 5_000
        systems.append(system)

    systems: list[System] = []
    with pytest.raises(Livelock) as caught:
        play([bar(0, 100), bar(1, 100), bar(2, 50)], script, prepare=prepare)
    assert caught.value.who == ("s0/run",)
    assert_ledger_ok(systems[0])


def test_a_run_may_be_given_more_or_less_patience() -> None:
    class Polls(Strategy):
        async def on_bar(self, bar: Bar) -> None:
            while True:
                await self.sleep(0)

    with pytest.raises(Livelock) as caught:
        backtest.run(Polls(), data=[bar(0, 100)], pair="BTCUSD", cash="1 USD", stall_bound=5_000)
    assert caught.value.who == ("strategy/polls",)
    assert caught.value.steps < 20_000
