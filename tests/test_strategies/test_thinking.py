"""The time that a strategy takes to think, and networks of strategies: worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

import backtest
from backtest.actors import (
    CubicLatency,
    DistanceLatency,
    EventKind,
    FixedLatency,
    OrderEvent,
    StrategyHost,
)
from backtest.actors.host.compute_delay import Thinking
from backtest.errors import ConfigError, FieldError
from backtest.models import Bar, Depth
from backtest.strategies import Strategy
from backtest.times import MINUTE

from .playing import Story, market, play

MS = 1_000_000


class Late(Story):
    """Notes when things happen, in ms since the last full minute."""

    def late(self, *what: Any) -> None:
        self.tell(*what, (self.now_ns % MINUTE) / MS)

    def on_order(self, event: OrderEvent) -> None:
        if event.kind is EventKind.ACCEPTED:
            self.late("accepted", (event.time % MINUTE) / MS)

    @property
    def heard(self) -> list[Any]:
        return [what[1:] for what in self.told]


def test_what_is_sent_after_it_leaves_that_much_later() -> None:
    class One(Late):
        def on_bar(self, bar: Bar) -> None:
            if self.minute == 1:
                self.buy("BTCUSD", 1)
                self.think("3ms")
                self.buy("BTCUSD", 1)
                self.think("2ms")
                self.buy("BTCUSD", 1)
                self.late("sent")

    one = One()
    play(one, market(100, 101, 102), latency={"orders": "4ms", "order_events": "1ms"})
    # At the venue after 4, 3 + 4 and 5 + 4 ms. Told 1 ms later: the first at 5, when it is free.
    assert one.heard == [
        ("sent", 0),
        ("accepted", 4, 5),
        ("accepted", 7, 8),
        ("accepted", 9, 10),
    ]


def test_no_handler_is_called_before_it_is_free() -> None:
    class One(Late):
        def on_bar(self, bar: Bar) -> None:
            self.late("bar")
            if self.minute == 1:
                self.set_timer("soon", after=0.002)
                self.set_timer("later", after=0.015)
                self.order = self.buy("BTCUSD", 1)
                self.think(0.01)

        def on_timer(self, name: str) -> None:
            assert self.order.is_accepted
            self.late(name)

    one = One()
    play(one, market(100, 101))
    # The order left before the thinking: it is accepted at once, and on_order hears of it at 10 ms.
    assert one.heard == [("bar", 0), ("accepted", 0, 10), ("soon", 10), ("later", 15), ("bar", 0)]


def test_each_wake_up_takes_its_time() -> None:
    class One(Late):
        computation_delay = "10ms"

        def on_start(self) -> None:
            self.late("start")

        def on_bar(self, bar: Bar) -> None:
            self.late("bar")
            if self.minute == 1:
                self.set_timer("now", after=0)
                self.set_timer("too", after=0)
                self.think("5ms")
                self.buy("BTCUSD", 1)

        def on_timer(self, name: str) -> None:
            self.late(name)

    one = One()
    play(one, market(100, 101))
    # The bar keeps it until 15 ms, when the order leaves; the timers take 10 ms each.
    assert one.heard == [
        ("start", 0),
        ("bar", 0),
        ("now", 15),
        ("too", 25),
        ("accepted", 15, 35),
        ("bar", 0),
    ]


def test_a_host_may_say_it_for_the_strategy() -> None:
    class One(Late):
        def on_bar(self, bar: Bar) -> None:
            self.buy("BTCUSD", 1)

    one = One()
    runner = backtest.BacktestRunner(
        strategies=one, data=market(100, 101, 102), pair="BTCUSD", cash="1000 USD"
    )
    host = runner.prepare().actors["strategy/one"]
    assert isinstance(host, StrategyHost)
    host._thinking = Thinking(7 * MS)  # as its argument ``computation`` does
    runner.system.simulate()
    # Of bar 3, which is the last, nothing arrives any more.
    assert one.heard == [("accepted", 7, 7), ("accepted", 7, 7)]


def test_run_and_its_iterators_take_it_too() -> None:
    class One(Late):
        computation_delay = "10ms"

        async def run(self) -> None:
            async for _ in self.bars("BTCUSD"):
                self.late("bar")
                order = await self.buy("BTCUSD", 1)
                self.late("known", order.is_accepted)
                depth = await self.depth("BTCUSD")
                self.late("depth", (depth.time_ns % MINUTE) / MS)
                self.think("40ms")

    class Plain(One):
        on_order = Strategy.on_order

    one = Plain()
    play(one, market(100, 101))
    # Woken at 0, the order leaves at 10. That it was accepted wakes it again: the question leaves
    # at 20, and the answer wakes it, until 30; then it thinks until 70.
    assert one.heard[:3] == [("bar", 0), ("known", True, 10), ("depth", 20, 20)]


def test_answers_that_nobody_waits_for() -> None:
    class One(Late):
        def on_bar(self, bar: Bar) -> None:
            self.think("3ms")
            self.ask_depth("BTCUSD")
            self.publish("t", "x", to="two")

        def on_snapshot(self, depth: Depth) -> None:
            self.late("snapshot", (depth.time_ns % MINUTE) / MS)

    class Two(Late):
        def on_message(self, topic: str, payload: Any, sender: str) -> None:
            self.late(topic)

    one, two = One(), Two()
    cash = {"one": "9 USD", "two": "9 USD"}
    play({"one": one, "two": two}, market(100, 101), cash)
    assert one.heard == [("snapshot", 3, 3)]
    assert two.heard == [("t", 3)]


def test_events_of_others_wake_nobody() -> None:
    class One(Late):
        computation_delay = "10ms"

        def on_start(self) -> None:
            self.subscribe("ETHUSD")

        def on_bar(self, bar: Bar) -> None:
            self.late(bar.pair)

    one = One()
    play(one, {"BTCUSD": market(100), "ETHUSD": market(10, pair="ETHUSD")})
    assert one.heard == [("ETHUSD", 0)]


def test_state_is_current_while_it_thinks() -> None:
    class One(Late):
        async def on_bar(self, bar: Bar) -> None:
            if self.minute == 1:
                order = self.buy("BTCUSD", 1)
                self.think("10s")
                await self.sleep(1)
                assert order.is_accepted
                assert self.balance("USD").unavailable
                self.late("slept")

    one = One()
    play(one, market(100, 101))
    assert one.heard == [("slept", 1_000), ("accepted", 0, 10_000)]


def test_what_is_no_duration() -> None:
    class One(Strategy):
        def on_bar(self, bar: Bar) -> None:
            self.think(-1)

    with pytest.raises(FieldError, match="duration must be non-negative"):
        play(One(), market(100))


def test_the_same_bytes_with_it() -> None:
    class One(Strategy):
        computation_delay = "70s"

        def on_bar(self, bar: Bar) -> None:
            if self.random.random() < 0.7:
                self.think(self.random.random())
                self.buy("BTCUSD", 1)

    results = [play(One(), market(*range(100, 140)), "9999 USD", seed=3) for _ in range(2)]
    assert results[0].fills
    assert results[0].journal_sha256 == results[1].journal_sha256


class TestNetworks:
    def test_strategies_at_distances_from_the_venue_and_each_other(self) -> None:
        class Far(Late):
            def on_start(self) -> None:
                self.listen("t")

            def on_bar(self, bar: Bar) -> None:
                self.late("bar")
                self.publish("t", "x")
                if self.minute < 2:
                    self.buy("BTCUSD", 1)

            def on_message(self, topic: str, payload: Any, sender: str) -> None:
                self.late(sender)

        near, far = Far(), Far()
        # 5 us for each km: 1 ms to the venue, 5 ms, and 4 ms between the two.
        latency = DistanceLatency({"broker": 0, "near": 200, "far": 1_000})
        cash = {"near": "900 USD", "far": "900 USD"}
        play({"near": near, "far": far}, market(100, 101), cash, latency=latency)
        assert near.heard == [("bar", 1), ("accepted", 2, 3), ("far", 9)]
        assert far.heard == [("bar", 5), ("near", 5), ("accepted", 10, 15)]

    def test_the_manifest_names_it(self) -> None:
        latency = DistanceLatency({"broker": 0}, spread=100, jitter=CubicLatency)
        result = play(Strategy(), market(100, 101), latency=latency)
        assert result.config["latency"] == repr(latency)

    def test_there_is_one(self) -> None:
        runner = backtest.BacktestRunner(
            strategies={"a": Strategy(), "b": Strategy()},
            data=market(100),
            pair="BTCUSD",
            cash={"a": "9 USD", "b": "9 USD"},
            latency=DistanceLatency(spread=10),
        )
        other: Any = runner.prepare().actors["strategy/b"]
        other._latency = DistanceLatency(spread=20)
        with pytest.raises(ConfigError, match="there is one network"):
            runner.system.simulate()

    def test_the_topics_of_a_fixed_latency_take_no_time(self) -> None:
        class Says(Late):
            def on_bar(self, bar: Bar) -> None:
                self.publish("t", "x", to="b")

        class Hears(Late):
            def on_message(self, topic: str, payload: Any, sender: str) -> None:
                self.late(topic)

        one = Hears()
        cash = {"a": "9 USD", "b": "9 USD"}
        play({"a": Says(), "b": one}, market(100, 101), cash, latency=FixedLatency(5 * MS))
        assert one.heard == [("t", 5)]
