"""Bounded channels under pressure: floods, slow consumers, every bound; no deadlock, no loss."""

from __future__ import annotations

import tracemalloc
from typing import Any

import anyio
import pytest

from backtest.actors import Actor, Envelope, MarketData, System
from backtest.errors import Deadlock, InboxOverflow, OrderFlood
from backtest.strategies import Strategy
from backtest.testing import assert_ledger_ok, bar, play
from backtest.testing.stage import assemble

from .kernel import US, Script, Sink
from .kernel import play as run

BOUNDS = [0, 1, 2, 16, 1024]
BURST = 10_000


class Slow(Actor):
    """Takes its time over every seventh message; counts, and checks the order."""

    def __init__(self, name: str, bound: int, pace: float = 1e-6) -> None:
        super().__init__(name)
        self.inbox_bound = bound
        self.pace = pace
        self.next = 0
        self.most = 0

    async def handle(self, envelope: Envelope) -> None:
        assert envelope.payload == self.next
        self.next += 1
        self.most = max(self.most, self.fiber.load + 1)
        if self.next % 7 == 0:
            await anyio.sleep(self.pace)


class Relay(Actor):
    """Hands on what it gets, waiting where there is no room."""

    def __init__(self, name: str, bound: int, to: str) -> None:
        super().__init__(name)
        self.inbox_bound = bound
        self.to = to

    async def handle(self, envelope: Envelope) -> None:
        await self.link(self.to).send(envelope.payload)


def _flood(count: int, to: str) -> Script:
    async def life(self: Script) -> None:
        for number in range(count):
            await self.link(to).send(number)

    return Script("source", life)


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_burst_through_a_chain_of_slow_ones(bound: int) -> None:
    slow = Slow("slow", bound)
    relays = [Relay("first", bound, "second"), Relay("second", bound, "slow")]
    system = run(_flood(BURST, "first"), *relays, slow)
    assert slow.next == BURST
    assert slow.most <= max(bound, 1) + 1
    assert system.now == BURST // 7 * US
    counted = system.statistics()
    assert (counted.waiting, counted.dead) == (0, 0)
    assert counted.sent == counted.handled == 3 * BURST


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("next_bound", BOUNDS)
def test_mixed_bounds(bound: int, next_bound: int) -> None:
    slow = Slow("slow", next_bound)
    run(_flood(500, "relay"), Relay("relay", bound, "slow"), slow)
    assert slow.next == 500


@pytest.mark.parametrize("bound", BOUNDS)
def test_several_senders_share_one_bound(bound: int) -> None:
    sink = Sink("sink", bound=bound)

    def source(which: int) -> Script:
        async def life(self: Script) -> None:
            for number in range(500):
                await self.link("sink").send((which, number))
                if number % 50 == which:
                    await anyio.sleep(1e-6)

        return Script(f"source{which}", life)

    run(*(source(which) for which in range(5)), sink)
    got = [payload for _, payload in sink.got]
    assert len(got) == 2500
    for which in range(5):
        assert [number for who, number in got if who == which] == list(range(500))


@pytest.mark.parametrize("bound", BOUNDS)
def test_requests_under_pressure_all_come_back(bound: int) -> None:
    class Server(Actor):
        inbox_bound = max(bound, 5)

        async def handle(self, envelope: Envelope) -> None:
            await anyio.sleep(1e-6)
            self.answer(envelope, -envelope.payload)

    def client(which: int) -> Script:
        async def life(self: Script) -> None:
            for number in range(100):
                assert await self.link("server").request(number) == -number
            self.note("done")

        return Script(f"client{which}", life)

    clients = [client(which) for which in range(5)]
    run(Server("server"), *clients)
    assert all(one.log for one in clients)


def test_a_bound_of_nothing_is_a_meeting() -> None:
    """With a bound of 0 a message can be sent only while the other waits for one."""

    async def sends(self: Script) -> None:
        await anyio.sleep(1)
        with pytest.raises(InboxOverflow, match="holds 0 messages"):
            self.link("meets").post("while it sleeps")
        await self.link("meets").send("first")
        self.note("sent")
        await anyio.sleep(5)
        self.link("meets").post("while it waits")
        with pytest.raises(InboxOverflow):
            self.link("meets").post("one is on its way")
        await self.link("meets").send("last")
        self.note("sent")

    async def meets(self: Script) -> None:
        await anyio.sleep(3)
        for _ in range(3):
            self.note((await self.receive()).payload)

    one, other = Script("sends", sends), Script("meets", meets, bound=0)
    run(one, other)
    second = 10**9
    assert one.log == [(3 * second, "sent"), (8 * second, "sent")]
    assert [payload for _, payload in other.log] == ["first", "while it waits", "last"]


def test_nobody_ever_comes_to_the_meeting() -> None:
    async def sends(self: Script) -> None:
        await self.link("absent").send("hello?")

    async def absent(self: Script) -> None:
        await anyio.sleep_forever()

    with pytest.raises(Deadlock) as caught:
        run(Script("sends", sends), Script("absent", absent, bound=0))
    assert caught.value.waits == (("sends", "absent"),)


@pytest.mark.parametrize("bound", BOUNDS)
def test_full_channels_in_a_circle_are_a_deadlock(bound: int) -> None:
    class Spouting(Actor):
        inbox_bound = bound

        def __init__(self, name: str, to: str) -> None:
            super().__init__(name)
            self.to = to

        async def run(self) -> None:
            while True:
                await self.link(self.to).send("more")

    with pytest.raises(Deadlock) as caught:
        run(Spouting("a", "b"), Spouting("b", "c"), Spouting("c", "a"))
    assert set(caught.value.waits) == {("a", "b"), ("b", "c"), ("c", "a")}


def _peak(count: int) -> int:
    """The most memory that a flood of ``count`` messages took, in bytes."""
    tracemalloc.start()
    try:
        run(_flood(count, "relay"), Relay("relay", 16, "slow"), Slow("slow", 2))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_stays_flat() -> None:
    _peak(100)  # what is made once
    few, many = _peak(500), _peak(8_000)
    assert many < few + 200_000, "sixteen times as many messages take no more room"


class TestTheCast:
    """A strategy that floods, and one that is slow, in a whole simulation."""

    @pytest.mark.parametrize("bound", [1, 2, 16])
    def test_a_slow_strategy_runs_its_inbox_over_and_is_named(self, bound: int) -> None:
        systems: list[System] = []

        class Slowly(Strategy):
            async def on_bar(self, bar: Any) -> None:
                await self.sleep("10h")

        def prepare(system: System) -> None:
            systems.append(system)
            system.actors["s0"].fiber.bound = bound

        bars = [bar(number, 100) for number in range(40)]
        with pytest.raises(InboxOverflow, match=f"the inbox of s0 holds {bound} messages"):
            play(bars, kinds=[Slowly], prepare=prepare)
        assert_ledger_ok(systems[0])

    def test_a_strategy_that_floods_the_venue(self) -> None:
        count = 2_000

        async def script(me: Any) -> None:
            await me.next()
            orders = [me.buy("BTCUSD", "0.001", limit_price=50) for _ in range(count)]
            for order in orders:
                await order
            assert len(me.open_orders()) == count
            cancels = [order.cancel() for order in orders]
            for cancel in cancels:
                await cancel
            assert me.balance("USD").available == 1000

        market = MarketData([bar(0, 100), bar(1, 100)])
        world = assemble(market, [script])
        world.system.tracer = world.system.observer = None
        world.system.simulate()
        assert world.strategies["s0"].has_finished
        assert_ledger_ok(world)
        assert len(world.ledger.entries) == 1 + 2 * count
        counted = world.system.statistics()
        assert counted.sent == counted.handled

    def test_more_commands_at_once_than_the_venue_takes(self) -> None:
        systems: list[System] = []

        async def script(me: Any) -> None:
            await me.next()
            for _ in range(50):
                me.buy("BTCUSD", "0.001", limit_price=50)

        def prepare(system: System) -> None:
            systems.append(system)
            system.actors["broker"].fiber.bound = 20

        with pytest.raises(
            OrderFlood, match="s0 has sent 20 commands that the venue could not look at yet"
        ):
            play([bar(0, 100), bar(1, 100)], script, prepare=prepare)
        assert_ledger_ok(systems[0])


@pytest.mark.soak
@pytest.mark.parametrize("bound", BOUNDS)
def test_a_million_messages(bound: int) -> None:
    slow = Slow("slow", bound)
    run(_flood(1_000_000, "relay"), Relay("relay", bound, "slow"), slow)
    assert slow.next == 1_000_000
