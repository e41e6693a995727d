"""Handlers, ``run`` and both at once: what is called when, and how it all ends."""

from __future__ import annotations

import asyncio
import threading
import time
from decimal import Decimal
from itertools import pairwise
from typing import ClassVar

import anyio
import pytest

import backtest
from backtest.actors import OrderEvent
from backtest.data import synthetic_bars
from backtest.errors import FieldError, InboxOverflow, OrderRejected, SimulationEnded
from backtest.models import Bar, Quote
from backtest.strategies import Strategy
from backtest.times import DAY, MINUTE

from .playing import D, Story, market, play


class TestHandlers:
    def test_are_called_in_the_order_of_events(self) -> None:
        class One(Story):
            def on_start(self) -> None:
                self.tell("start")
                self.set_timer("tick", every="1m")

            def on_bar(self, bar: Bar) -> None:
                self.tell("bar", bar.close)
                if self.minute == 1:
                    self.buy("BTCUSD", 1)

            def on_order(self, event: OrderEvent) -> None:
                self.tell("order", event.kind.name)

            def on_timer(self, name: str) -> None:
                self.tell("timer", name)

            def on_stop(self) -> None:
                self.tell("stop")

        one = One()
        play(one, market(100, 101))
        # At one time: order events, then bars, then timers; a fill is heard of before its bar.
        assert one.told == [
            (0, "start"),
            (1, "bar", 100),
            (1, "order", "ACCEPTED"),
            (1, "timer", "tick"),
            (2, "order", "FILLED"),
            (2, "bar", 101),
            (2, "timer", "tick"),
            (2, "stop"),
        ]

    def test_hear_of_an_order_that_was_awaited_when_the_one_that_awaited_is_done(self) -> None:
        # Each event of an order came while the handler that awaited it ran ahead. The handlers of
        # the events wait for more: one after the other, never one inside the other.
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    for price in (90, 91):
                        await self.buy("BTCUSD", 1, limit_price=price)
                        self.tell("sent", price)

            async def on_order(self, event: OrderEvent) -> None:
                self.tell("order", event.kind.name)
                if event.kind.name == "ACCEPTED" and len(self.open_orders()) == 2:
                    await self.open_orders()[0].cancel()
                    self.tell("cancelled")

        one = One()
        play(one, market(100, 101))
        assert one.told == [
            (1, "sent", 90),
            (1, "sent", 91),
            (1, "order", "ACCEPTED"),
            (1, "cancelled"),
            (1, "order", "ACCEPTED"),
            (1, "order", "CANCELLED"),
        ]

    def test_may_be_asynchronous_every_one(self) -> None:
        class One(Story):
            async def on_start(self) -> None:
                await self.sleep(1)
                self.set_timer("once", after=30)
                self.tell("start")

            async def on_bar(self, bar: Bar) -> None:
                await anyio.sleep(6)
                self.tell("bar", bar.close)

            async def on_timer(self, name: str) -> None:
                await anyio.sleep(3)
                self.tell("timer")

            async def on_stop(self) -> None:
                await anyio.lowlevel.checkpoint()
                self.tell("stop")

        one = One()
        play(one, market(100, 101, 102))
        # 1 s + 30 s + 3 s = 34 s. The last bar's six seconds lie after the end of the data.
        assert [(round(minute * 60), *what) for minute, *what in one.told] == [
            (1, "start"),
            (34, "timer"),
            (66, "bar", 100),
            (126, "bar", 101),
            (180, "stop"),
        ]

    def test_of_one_strategy_run_one_at_a_time_and_miss_nothing(self) -> None:
        class One(Story):
            inside = False

            async def on_bar(self, bar: Bar) -> None:
                assert not self.inside
                self.inside = True
                await self.sleep(150)
                self.inside = False
                self.tell(bar.close)

        one = One()
        play(one, market(*range(1, 11)))
        # Each takes two and a half minutes: the first is done at 3.5, the second at 6, then 8.5.
        assert one.told == [(3.5, 1), (6, 2), (8.5, 3)]

    def test_see_what_happened_while_they_were_suspended(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    order = self.long("BTCUSD", 1, leverage=2)
                    await self.sleep("90s")
                    self.tell(order.is_filled, self.position("BTCUSD").volume)

        one = One()
        play(one, market(100, 100, 100))
        assert one.told == [(2.5, True, 1)]


class TestRun:
    def test_and_handlers_mix(self) -> None:
        class One(Story):
            async def run(self) -> None:
                async for bar in self.bars("BTCUSD"):
                    self.tell("run", bar.close)
                    with anyio.move_on_after(30):
                        await anyio.Event().wait()
                    self.tell("half past")

            def on_bar(self, bar: Bar) -> None:
                self.tell("on_bar", bar.close)

        one = One()
        play(one, market(100, 101))
        assert sorted(one.told[:2]) == [(1, "on_bar", 100), (1, "run", 100)]
        assert one.told[2] == (1.5, "half past")
        assert sorted(one.told[3:]) == [(2, "on_bar", 101), (2, "run", 101)]

    def test_has_anyio_and_asyncio_as_they_are(self) -> None:
        class One(Story):
            async def run(self) -> None:
                async with anyio.create_task_group() as group:
                    group.start_soon(self.child, 20)
                    group.start_soon(self.child, 10)
                await asyncio.sleep(10)
                self.tell("asyncio")
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(5):
                        await asyncio.Event().wait()
                order = await self.buy("BTCUSD", 1, limit_price=1)
                with pytest.raises(TimeoutError), anyio.fail_after(5):
                    await order.filled()
                self.tell("end")

            async def child(self, seconds: int) -> None:
                await anyio.sleep(seconds)
                order = await self.buy("BTCUSD", 1, limit_price=2)
                self.tell("child", seconds, order.is_accepted)

        one = One()
        play(one, market(100))
        assert [(round(minute * 60), *what) for minute, *what in one.told] == [
            (10, "child", 10, True),
            (20, "child", 20, True),
            (30, "asyncio"),
            (40, "end"),
        ]

    def test_may_return_before_the_data_ends(self) -> None:
        class One(Story):
            async def run(self) -> None:
                self.tell("run")

            def on_bar(self, bar: Bar) -> None:
                self.tell("bar")

        one = One()
        play(one, market(100, 100))
        assert one.told == [(0, "run"), (1, "bar"), (2, "bar")]

    def test_bars_end_with_the_data_and_the_loop_goes_on_behind(self) -> None:
        class One(Story):
            async def run(self) -> None:
                async for bar in self.bars("BTCUSD"):
                    self.tell(bar.close)
                self.tell("behind", self.balance("USD").available)

            def on_stop(self) -> None:
                self.tell("stop")

        one = One()
        play(one, market(100, 101))
        assert one.told == [(1, 100), (2, 101), (2, "behind", 1000), (2, "stop")]

    def test_sleep_is_exact_and_ends_quietly_with_the_data(self) -> None:
        class One(Story):
            async def run(self) -> None:
                await self.sleep("1500ms")
                self.tell(self.now_ns)
                await self.sleep_until(self.now.replace(microsecond=750_000))
                self.tell(self.now_ns)
                await self.sleep("1d")
                self.tell("never")

            def on_stop(self) -> None:
                self.tell("stop")

        one = One()
        play(one, market(100))
        assert [told[1] for told in one.told] == [1_500_000_000, 1_750_000_000, "stop"]

    def test_bars_are_kept_while_the_body_waits_unless_it_conflates(self) -> None:
        class One(Story):
            conflate: bool = False

            async def run(self) -> None:
                async for bar in self.bars("BTCUSD", conflate=self.conflate):
                    await self.sleep(150)
                    self.tell(bar.close)

        patient, hasty = One(), One(conflate=True)
        play([patient, hasty], market(*range(1, 8)))
        # 2.5 minutes a bar. The hasty one takes the newest there is: at 3.5 bar 3, at 6 bar 6,
        # unless the bar of the same minute comes first (6 is told before bar 6? no: 1 before 3).
        assert patient.told == [(3.5, 1), (6, 2)]
        assert hasty.told == [(3.5, 1), (6, 3)]

    def test_a_loop_that_was_left_keeps_nothing(self) -> None:
        class One(Story):
            async def run(self) -> None:
                for _ in range(3):
                    async for bar in self.bars("BTCUSD"):
                        self.tell(bar.close)
                        break
                await anyio.sleep_forever()

        one = One()
        # With room for five, a stream that nobody reads any more would overflow at the sixth.
        play(one, market(*range(1, 40)), inbox_bound=5)
        assert one.told == [(1, 1), (2, 2), (3, 3)]


class TestTimers:
    def test_after_at_every_and_cancelled(self) -> None:
        class One(Story):
            def on_start(self) -> None:
                self.set_timer("after", after=30)
                self.set_timer("at", at=self.now.replace(minute=2))
                self.every = self.set_timer("every", every="1m")
                self.set_timer("then", after="90s", every="2m")
                self.cancel_timer(self.set_timer("never", after=1))
                self.cancel_timer(12345)

            def on_timer(self, name: str) -> None:
                self.tell(name)
                if name == "every" and self.minute == 2:
                    self.cancel_timer(self.every)

        one = One()
        play(one, market(1, 1, 1, 1))
        assert one.told == [
            (0.5, "after"),
            (1, "every"),
            (1.5, "then"),
            (2, "at"),
            (2, "every"),
            (3.5, "then"),
        ]

    @pytest.mark.parametrize(
        ("when", "said"),
        [({}, "after must be given, or at, or every"), ({"every": 0}, "every must be longer")],
    )
    def test_that_say_not_when_are_refused(self, when: dict[str, int], said: str) -> None:
        class One(Story):
            def on_start(self) -> None:
                self.set_timer("x", **when)  # type: ignore[arg-type]

        with pytest.raises(FieldError, match=said):
            play(One(), market(1))

    def test_behind_the_end_of_the_data_do_not_fire(self) -> None:
        class One(Story):
            def on_start(self) -> None:
                self.set_timer("late", after="61s")
                self.set_timer("last", after="60s")

            def on_timer(self, name: str) -> None:
                self.tell(name)

        one = One()
        play(one, market(1))
        assert one.told == [(1, "last")]


class TestWarmup:
    def test_orders_are_refused_until_enough_bars_were_seen(self) -> None:
        class One(Story):
            warmup_bars = 2

            async def on_bar(self, bar: Bar) -> None:
                self.tell(self.is_warming_up)
                if self.minute == 1:
                    with pytest.raises(OrderRejected, match="1 of 2 warm-up bars seen"):
                        self.buy("BTCUSD", 1)
                elif self.minute == 2:
                    await self.buy("BTCUSD", 1)

        one = One()
        result = play(one, market(1, 1, 1))
        assert one.told == [(1, True), (2, False), (3, False)]
        assert len(result.fills) == 1

    def test_each_pair_must_have_had_enough(self) -> None:
        class One(Story):
            warmup_bars = 2

            async def on_bar(self, bar: Bar) -> None:
                self.tell(bar.pair, self.is_warming_up)
                if not self.is_warming_up:
                    await self.buy("AUSD", 1)

        one = One()
        data = {"AUSD": market(1, 1, 1, pair="AUSD"), "BUSD": market(1, 1, 1, pair="BUSD")}
        play(one, data)
        assert one.told == [
            (1, "AUSD", True),
            (1, "BUSD", True),
            (2, "AUSD", True),  # two of AUSD, one of BUSD
            (2, "BUSD", False),
            (3, "AUSD", False),
            (3, "BUSD", False),
        ]

    def test_a_pair_that_nobody_follows_is_not_waited_for(self) -> None:
        class One(Story):
            warmup_bars = 2

            def on_start(self) -> None:
                self.subscribe("AUSD")

            def on_bar(self, bar: Bar) -> None:
                self.tell(self.is_warming_up)

        one = One()
        play(one, {"AUSD": market(1, 1, pair="AUSD"), "BUSD": market(1, pair="BUSD", minutes=5)})
        assert one.told == [(1, True), (2, False)]

    def test_a_pair_of_longer_bars_is_waited_for(self) -> None:
        class One(Story):
            warmup_bars = 2

            def on_bar(self, bar: Bar) -> None:
                self.tell(bar.pair, self.is_warming_up)

        one = One()
        hours = market(1, 1, pair="BUSD", minutes=3)
        play(one, {"AUSD": market(*[1] * 6, pair="AUSD"), "BUSD": hours})
        assert [what for what in one.told if not what[2]] == [(6, "BUSD", False)]

    def test_bars_that_overlap_count_once(self) -> None:
        class One(Story):
            warmup_bars = 4

            def on_bar(self, bar: Bar) -> None:
                self.tell(self.is_warming_up)

        one = One()
        play(one, {"BTCUSD": [market(*[1] * 4), market(1, 1, minutes=2)]})
        # The longer ones come second at 2 and 4: what counts is the fourth bar of a minute.
        assert one.told == [(1, True), (2, True), (2, True), (3, True), (4, False), (4, False)]

    def test_months_are_bars_of_one_kind_however_long(self) -> None:
        class One(Story):
            warmup_bars = 3

            def on_bar(self, bar: Bar) -> None:
                self.tell(self.is_warming_up)

        edges = [0, 31, 59, 90]
        months = [
            Bar("BTCUSD", begin * DAY, end * DAY, D(1), D(1), D(1), D(1))
            for begin, end in pairwise(edges)
        ]
        one = One()
        backtest.run(one, data=months, pair="BTCUSD", cash="1000 USD")
        assert [what for _, what in one.told] == [True, True, False]

    def test_a_pair_of_quotes_alone_has_no_bars_to_wait_for(self) -> None:
        class One(Story):
            warmup_bars = 2

            def on_bar(self, bar: Bar) -> None:
                self.tell(self.is_warming_up)

        one = One()
        quotes = [Quote("BUSD", MINUTE // 2, Decimal(1), Decimal(2))]
        play(one, {"AUSD": market(1, 1, pair="AUSD"), "BUSD": quotes})
        assert one.told == [(1, True), (2, False)]


class TestSubscriptions:
    data: ClassVar = {"AUSD": market(1, 2, pair="AUSD"), "BUSD": market(3, 4, pair="BUSD")}

    def test_none_means_all_pairs(self) -> None:
        class One(Story):
            def on_bar(self, bar: Bar) -> None:
                self.tell(bar.pair, self.last_price("AUSD"), self.last_price("BUSD"))

        one = One()
        play(one, self.data)
        assert one.told == [
            (1, "AUSD", 1, None),
            (1, "BUSD", 1, 3),
            (2, "AUSD", 2, 3),
            (2, "BUSD", 2, 4),
        ]

    def test_one_pair_only(self) -> None:
        class One(Story):
            def on_start(self) -> None:
                self.subscribe("BUSD")

            def on_bar(self, bar: Bar) -> None:
                self.tell(bar.pair)

        one = One()
        play(one, self.data)
        assert one.told == [(1, "BUSD"), (2, "BUSD")]

    def test_an_iterator_needs_no_subscription(self) -> None:
        class One(Story):
            def on_start(self) -> None:
                self.subscribe("BUSD")

            def on_bar(self, bar: Bar) -> None:
                self.tell(bar.pair)

            async def run(self) -> None:
                async for bar in self.bars("AUSD"):
                    self.tell("run", bar.pair)

        one = One()
        play(one, self.data)
        assert sorted(one.told) == [
            (1, "BUSD"),
            (1, "run", "AUSD"),
            (2, "BUSD"),
            (2, "run", "AUSD"),
        ]

    def test_that_conflate_give_the_latest_bar_to_a_slow_handler(self) -> None:
        class One(Story):
            def on_start(self) -> None:
                self.subscribe("BTCUSD", conflate=True)

            async def on_bar(self, bar: Bar) -> None:
                self.tell(bar.close)
                await self.sleep(210)

        one = One()
        play(one, market(*range(1, 8)), inbox_bound=2)
        # From 1 to 4.5; then bar 4 is the latest; from 4.5 to 8.
        assert one.told == [(1, 1), (4.5, 4)]

    @pytest.mark.parametrize("call", ["bars", "subscribe", "position", "pair_of"])
    def test_a_pair_that_is_not_there_is_told_with_those_that_are(self, call: str) -> None:
        class One(Story):
            def on_start(self) -> None:
                getattr(self, call)("XUSD")

        with pytest.raises(Exception, match=r"there is no pair 'XUSD'; there are: AUSD, BUSD"):
            play(One(), self.data)


class TestFailure:
    def test_of_a_handler_ends_the_run_and_says_where_and_when(self) -> None:
        class Clumsy(Story):
            def on_bar(self, bar: Bar) -> None:
                if self.minute == 2:
                    raise ZeroDivisionError("oops")

        with pytest.raises(ZeroDivisionError, match="oops") as caught:
            play({"clumsy": Clumsy()}, market(1, 2, 3))
        assert "clumsy at 1970-01-01T00:02:00" in caught.value.__notes__[0]
        assert "close=Decimal('2')" in caught.value.__notes__[0]

    def test_of_run_does_so_too(self) -> None:
        class Clumsy(Story):
            async def run(self) -> None:
                async for bar in self.bars("BTCUSD"):
                    await anyio.sleep(10)
                    raise KeyError(bar.pair)

        with pytest.raises(KeyError) as caught:
            play({"clumsy": Clumsy()}, market(1, 2, 3))
        assert "clumsy/run at 1970-01-01T00:01:10" in caught.value.__notes__[0]

    def test_of_on_stop_too(self) -> None:
        class Clumsy(Story):
            def on_stop(self) -> None:
                raise ValueError("at the end")

        with pytest.raises(ValueError, match="at the end"):
            play(Clumsy(), market(1))

    def test_is_the_end_at_once_without_on_stop(self) -> None:
        class Clumsy(Story):
            def on_bar(self, bar: Bar) -> None:
                raise ValueError("oops")

            async def on_stop(self) -> None:
                self.tell("never")

        clumsy, other = Clumsy(), Clumsy()
        with pytest.raises(ValueError, match="oops"):
            play([clumsy, other], market(1, 2))
        assert (clumsy.told, other.told) == ([], [])

    def test_that_was_not_caught_is_an_order_s_refusal(self) -> None:
        class Poor(Story):
            async def on_bar(self, bar: Bar) -> None:
                await self.buy("BTCUSD", 10_000)

        with pytest.raises(OrderRejected, match="INSUFFICIENT_FUNDS") as caught:
            play({"poor": Poor()}, market(1))
        assert "poor at 1970-01-01T00:01:00" in caught.value.__notes__[0]

    def test_of_one_that_sleeps_too_long_names_it(self) -> None:
        class Sleepy(Story):
            async def on_bar(self, bar: Bar) -> None:
                await self.sleep("1d")

        with pytest.raises(InboxOverflow, match="sleepy holds 10 messages") as caught:
            play({"sleepy": Sleepy(), "other": Story()}, market(*range(1, 30)), inbox_bound=10)
        assert "conflate=True" in str(caught.value)


class TestEnd:
    def test_on_stop_may_look_but_orders_come_to_nothing(self) -> None:
        class One(Story):
            async def on_stop(self) -> None:
                order = await self.buy("BTCUSD", 1)
                self.tell(order.status.name, self.balance("USD").unavailable)
                await order.filled()
                self.tell("never")

        one = One()
        result = play(one, market(100))
        # A market order reserves 5 % more than the last price.
        assert one.told == [(1, "PENDING", 105)]
        assert len(result.fills) == 0

    def test_nothing_can_be_sent_once_all_is_over(self) -> None:
        class One(Story):
            pass

        one = One()
        play(one, market(100))
        with pytest.raises(SimulationEnded):
            one.buy("BTCUSD", 1)

    def test_cleaning_up_is_possible(self) -> None:
        class One(Story):
            async def run(self) -> None:
                try:
                    await anyio.sleep_forever()
                finally:
                    self.tell("cleaned up")

        one = One()
        play(one, market(100))
        assert one.told == [(1, "cleaned up")]


class TestRealThings:
    def test_a_thread_that_is_awaited_freezes_time(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                if self.minute == 1:
                    here = threading.get_ident()
                    there = await anyio.to_thread.run_sync(self.slow)
                    self.tell("thread", there != here)

            async def run(self) -> None:
                await self.sleep(90)
                self.tell("later")

            @staticmethod
            def slow() -> int:
                time.sleep(0.05)
                return threading.get_ident()

        one = One()
        play(one, market(1, 2, 3))
        assert one.told == [(1, "thread", True), (1.5, "later")]


class TestParameters:
    def test_are_the_annotated_fields(self) -> None:
        class Base(Strategy):
            pair: str = "BTCUSD"
            count: int = 3

        class More(Base):
            share: Decimal = D("0.5")

        more = More(count=4)
        assert more.parameters == {"pair": "BTCUSD", "count": 4, "share": D("0.5")}
        assert repr(more) == "More(pair='BTCUSD', count=4, share=Decimal('0.5'))"
        with pytest.raises(
            TypeError, match=r"^cuont is no parameter of More; did you mean 'count'\?$"
        ):
            More(cuont=5)  # type: ignore[call-arg]

    def test_what_handlers_set_is_no_parameter(self) -> None:
        class One(Story):
            count: int = 3

            def on_start(self) -> None:
                self.seen = 0

            def on_bar(self, bar: Bar) -> None:
                self.seen += 1
                self.count -= 1

        one = One()
        play(one, market(1, 2))
        assert (one.seen, one.count) == (2, 1)
        assert one.parameters == {"count": 1}

    def test_a_strategy_of_no_parameters_has_none(self) -> None:
        assert Strategy().parameters == {}
        assert repr(Strategy()) == "Strategy()"


class TestOwnThings:
    def test_randomness_is_its_own_and_of_the_seed(self) -> None:
        class One(Story):
            def on_start(self) -> None:
                self.tell(self.name, self.random.random())

        def drawn(*names: str, seed: int) -> dict[str, float]:
            strategies = {name: One() for name in names}
            play(strategies, market(1), seed=seed)
            found = {}
            for name, strategy in strategies.items():
                ((_, told, number),) = strategy.told
                assert told == name
                found[name] = number
            return found

        both = drawn("a", "b", seed=1)
        assert both["a"] != both["b"]
        assert drawn("a", seed=1)["a"] == both["a"]
        assert drawn("a", seed=2)["a"] != both["a"]

    def test_times_are_aware(self) -> None:
        class One(Story):
            def on_bar(self, bar: Bar) -> None:
                self.tell(self.now.isoformat(), self.now_ns)

        one = One()
        play(one, market(1))
        assert one.told == [(1, "1970-01-01T00:01:00+00:00", MINUTE)]


def test_a_run_shorter_than_the_latency_starts_and_ends() -> None:
    """Joining takes no time: the strategy starts with the run, though no bar reaches it."""

    class Started(Strategy):
        async def on_start(self) -> None:
            self.seen: list[str] = [f"start {self.now:%H:%M}"]

        async def on_bar(self, bar: Bar) -> None:
            self.seen.append(f"bar {self.now:%H:%M}")

        async def on_stop(self) -> None:
            self.seen.append(f"stop {self.now:%H:%M}")

    strategy = Started()
    bars = synthetic_bars("BTCUSD", 3, seed=1)
    backtest.run(strategy, data=bars, pair="BTCUSD", cash="100 USD", latency="1h")
    # Bars close at 00:01, 00:02 and 00:03; they would be heard at 01:01 and later.
    assert strategy.seen == ["start 00:00", "stop 00:03"]
