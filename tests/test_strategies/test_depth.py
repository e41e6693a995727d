"""Reading the depth: of history, whose quotes are all that is known of a book, and of a venue that
publishes to subscribers only."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

import backtest
from backtest.actors import BROKER, Actor, Envelope, FixedLatency, StrategyHost, System
from backtest.actors.protocol import Hello, ReadDepth, Subscribe, Welcome
from backtest.actors.venue.snapshots import give_depth
from backtest.errors import BacktestError, DepthGap, FieldError, FieldTypeError, SimulationEnded
from backtest.models import (
    Asset,
    Bar,
    Depth,
    DepthChange,
    DepthLevel,
    DepthUpdate,
    Quote,
    Trade,
    TradingPair,
    TradingRules,
)
from backtest.strategies import Strategy
from backtest.testing import quote, trade
from backtest.times import MINUTE
from tests.harness import play as watched

from .playing import D, Story, market, play

SECOND = 1_000_000_000
MS = 1_000_000


def levels(depth: Depth) -> Any:
    """A depth in few words: its sides as price and volume, and the mark."""
    sides = [[(one.price, one.volume) for one in side] for side in (depth.bids, depth.asks)]
    return (*sides, depth.last)


class TestHistory:
    def test_bars_know_no_levels_but_the_mark(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                depth = await self.depth("BTCUSD")
                self.tell(depth.pair, depth.time_ns // MINUTE, depth.sequence, levels(depth))

        one = One()
        play(one, market(100, 101))
        assert one.told == [
            (1, "BTCUSD", 1, 0, ([], [], 100)),
            (2, "BTCUSD", 2, 0, ([], [], 101)),
        ]

    def test_quotes_are_one_level_a_side(self) -> None:
        seen = []

        async def script(me: Any) -> None:
            before = await me.depth("BTCUSD")
            assert levels(before) == ([], [], None)
            async for _ in me.quotes("BTCUSD"):
                seen.append(levels(await me.depth("BTCUSD", levels=5)))

        quotes: list[Any] = [quote(1, 99, 101, 2, 3), quote(2, 99, 100, 0, None), trade(3, 100)]
        watched(quotes, script)
        # The mark is the middle: 100, then 99.50; nothing is to be had where the size is 0.
        assert seen == [
            ([(99, 2)], [(101, 3)], 100),
            ([], [(100, None)], D("99.5")),
        ]

    def test_takes_the_time_of_the_link_both_ways(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                depth = await self.depth("BTCUSD")
                self.tell(self.now_ns, depth.time_ns, depth.last)

        one = One()
        play(one, market(100, 101, 102), latency="3s")
        # Bar 1 closes at 60 s and is here at 63; the question is there at 66, the answer here at
        # 69. What it says is what was at 66.
        first, second = one.told[0], one.told[1]
        assert first[1:] == (69 * SECOND, 66 * SECOND, 100)
        assert second[1:] == (129 * SECOND, 126 * SECOND, 101)

    def test_the_answer_travels_as_market_data_does(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                depth = await self.depth("BTCUSD")
                self.tell(self.now_ns, depth.time_ns, depth.last)

        one = One()
        latency = {"orders": "1s", "market_data": "10s", "order_events": "100s"}
        play(one, market(100, 101), latency=latency)
        # Bar 1 is here at 70 s, the question there at 71, the answer here at 81.
        assert one.told[0][1:] == (81 * SECOND, 71 * SECOND, 100)

    def test_looking_and_asking_leave_the_same_ids(self) -> None:
        class Reader(Strategy):
            async def on_bar(self, bar: Bar) -> None:
                await self.depth("BTCUSD")
                await self.buy("BTCUSD", 1)
                await self.depth("BTCUSD")

        bars = market(100, 101, 99, 100)
        runs = []
        for watch in (False, True):
            ids: list[int] = []
            settings: dict[str, Any] = {"data": bars, "pair": "BTCUSD", "cash": "1000 USD"}
            if watch:
                settings["tracer"] = lambda envelope, ids=ids: ids.append(envelope.id)
            runner = backtest.BacktestRunner(strategies=Reader(), **settings)
            result = runner.run()
            sent = [runner.system.channel(*ends).sent for ends in _LINKS]
            runs.append((result.journal_sha256, runner.system.events.sequence, sent))
            if watch:
                # Every message has passed, each with a number of its own.
                assert len(set(ids)) == len(ids)
        assert runs[0] == runs[1]

    def test_for_who_does_not_wait(self) -> None:
        class One(Story):
            def on_quote(self, quote: Quote) -> None:
                self.ask_depth("BTCUSD")

            def on_snapshot(self, depth: Depth) -> None:
                self.tell(self.now_ns, levels(depth))

        one = One()
        play(one, [quote(1, 99, 101, 2, 3), quote(9, 98, 99)], pair="BTCUSD", latency="2s")
        # The quote of second 1 is here at 3, the question there at 5, the answer here at 7.
        assert [what[1:] for what in one.told] == [(7 * SECOND, ([(99, 2)], [(101, 3)], 100))]

    def test_nobody_has_to_hear_the_answer(self) -> None:
        class One(Story):
            def on_bar(self, bar: Bar) -> None:
                self.ask_depth("BTCUSD")

        play(One(), market(100, 101))

    def test_on_depth_and_depths_show_the_quotes(self) -> None:
        class One(Story):
            def on_quote(self, quote: Quote) -> None:
                self.tell("quote", quote.bid)

            def on_depth(self, news: Depth | DepthUpdate) -> None:
                assert type(news) is Depth
                self.tell("depth", levels(news))

            async def run(self) -> None:
                async for depth in self.depths("BTCUSD"):
                    self.tell("stream", levels(depth))

        one = One()
        play(one, [quote(60, 99, 101, 2, 3)], pair="BTCUSD")
        both = ([(99, 2)], [(101, 3)], 100)
        assert one.told == [
            (1, "quote", 99),
            (1, "depth", both),
            (1, "stream", both),
        ]

    @pytest.mark.parametrize("plain", [True, False])
    def test_on_depth_may_be_asynchronous_and_stand_alone(self, plain: bool) -> None:
        class One(Story):
            async def on_depth(self, news: Depth | DepthUpdate) -> None:
                await self.sleep(60)
                self.tell("depth", news.time_ns // MINUTE)

        class Both(One):
            async def on_quote(self, quote: Quote) -> None:
                await self.sleep(60)
                self.tell("quote")

        one = One() if plain else Both()
        play(one, [quote(60, 99, 101), quote(600, 98, 99)], pair="BTCUSD")
        begin: list[Any] = [] if plain else [(2, "quote")]
        assert one.told == [*begin, (2 if plain else 3, "depth", 1)]

    def test_a_handler_for_a_pair_that_was_not_subscribed_to_hears_nothing(self) -> None:
        class One(Story):
            def on_start(self) -> None:
                self.subscribe("ETHUSD")

            def on_depth(self, news: Depth | DepthUpdate) -> None:
                self.tell(news.pair)

        one = One()
        data = {"BTCUSD": [quote(60, 99, 101)], "ETHUSD": [quote(120, 9, 10, pair="ETHUSD")]}
        play(one, data)
        assert one.told == [(2, "ETHUSD")]

    def test_what_is_refused(self) -> None:
        class One(Story):
            async def on_bar(self, bar: Bar) -> None:
                with pytest.raises(BacktestError, match="there is no pair 'X'; there are: BTCUSD"):
                    await self.depth("X")
                with pytest.raises(BacktestError, match="there is no pair 'X'"):
                    self.ask_depth("X")
                with pytest.raises(BacktestError, match="there is no pair 'X'"):
                    self.depths("X")
                with pytest.raises(FieldError, match="levels must be non-negative"):
                    await self.depth("BTCUSD", -1)
                with pytest.raises(FieldTypeError, match="levels must be an int"):
                    await self.depth("BTCUSD", 1.5)  # type: ignore[arg-type]
                self.tell("done")

            async def on_stop(self) -> None:
                depth = await self.depth("BTCUSD")
                self.tell("after", depth.last)

        one = One()
        play(one, market(100))
        assert one.told == [(1, "done"), (1, "after", 100)]

    def test_a_question_without_reply_about_no_pair_breaks_the_run(self) -> None:
        class Stranger(Actor):
            async def started(self) -> None:
                self.link(BROKER).post(ReadDepth("X"))

        def join(system: System) -> None:
            system.add(Stranger("stranger"))

        with pytest.raises(BacktestError, match="there is no pair 'X' here"):
            watched(market(100), _idle, prepare=join)

    def test_the_venue_knows_no_pair_that_it_was_not_told_of(self) -> None:
        class Stranger(Actor):
            async def started(self) -> None:
                try:
                    await self.link(BROKER).request(ReadDepth("X"))
                except BacktestError as error:
                    self.error = str(error)

        stranger = Stranger("stranger")

        def join(system: System) -> None:
            system.add(stranger)

        watched(market(100), _idle, prepare=join)
        assert stranger.error == "there is no pair 'X' here"


async def _idle(me: Any) -> None:
    await me.next()


_LINKS = (
    ("strategy/reader", BROKER),
    (BROKER, "strategy/reader"),
    (BROKER, "account"),
    ("account", BROKER),
)


class Publisher(Actor):
    """A venue of two pairs that publishes to subscribers only, and does what its script says."""

    def __init__(self, *script: tuple[int, Any]) -> None:
        super().__init__(BROKER)
        self.script = script
        self.asked: list[tuple[int, Any]] = []
        self.book = Depth("A", 0, 7, (DepthLevel(D(9), D(1), 1),), (DepthLevel(D(10), D(1), 1),))

    async def started(self) -> None:
        for at, what in self.script:
            self.link(BROKER).post_at(at, what, 0)

    def handle(self, envelope: Envelope) -> None:
        said = envelope.payload
        me = self.link("s")
        if type(said) is Hello:
            self.wants = said.wants
            pairs = {code: TradingPair(code, Asset(code), Asset("USD", 2)) for code in ("A", "B")}
            self.answer(envelope, _welcome(pairs))
        elif type(said) is ReadDepth:
            give_depth(self, envelope, self.book)
        elif type(said) is Subscribe:
            self.asked.append((self.system.now, said))
            if said.kind == "depth" and said.on:
                me.post(self.book, 2)
        elif said == "stop":
            self.system.stop()
        else:
            me.post(said, 2)


def _welcome(pairs: Mapping[str, Any]) -> Welcome:
    account = (UUID(int=1), "main")
    rules = {code: TradingRules() for code in pairs}
    return Welcome(pairs, (account,), {}, UUID(int=2), UUID(int=3), UUID(int=4), rules, {}, True)


def publish(strategy: Strategy, *script: tuple[int, Any], latency: Any = None) -> Publisher:
    venue = Publisher(*script)
    system = System(1)
    system.add(venue)
    system.add(StrategyHost("s", strategy, latency=latency))
    system.simulate()
    return venue


def change(sequence: int, *changes: tuple[bool, int, int], last: Decimal | None = None) -> Any:
    made = tuple(DepthChange(buy, D(price), D(volume), 1) for buy, price, volume in changes)
    return DepthUpdate("A", sequence, sequence, made, last)


class TestPublished:
    def test_handlers_are_what_it_wants(self) -> None:
        class Nothing(Strategy):
            pass

        class Trades(Nothing):
            def on_trade(self, trade: Trade) -> None: ...

        class More(Trades):
            def on_bar(self, bar: Bar) -> None: ...
            def on_quote(self, quote: Quote) -> None: ...
            def on_depth(self, news: Depth | DepthUpdate) -> None: ...

        wants = [publish(kind(), (1, "stop")).wants for kind in (Nothing, Trades, More)]
        assert wants == [set(), {"trades"}, {"bars", "quotes", "trades", "depth"}]

    def test_iterators_subscribe_once_and_leave(self) -> None:
        class One(Strategy):
            async def run(self) -> None:
                async for _ in self.quotes("A"):
                    break
                gc.collect()
                self.kept = (self.trades("B"), self.trades("B"), self.bars("B"))
                await self.sleep(10)
                self.kept = ()  # type: ignore[assignment]
                gc.collect()
                await self.sleep(10)

        venue = publish(
            One(),
            (1, Quote("A", 1, D(9), D(10))),
            (2, Quote("A", 2, D(9), D(10))),
            (3, Trade("B", 3, D(9))),
            (12 * SECOND, Trade("B", 12 * SECOND, D(9))),
            (30 * SECOND, "stop"),
        )
        assert venue.asked == [
            (0, Subscribe("A", "quotes", True)),
            (1, Subscribe("B", "trades", True)),
            (1, Subscribe("B", "bars", True)),
            (2, Subscribe("A", "quotes", False)),
            (12 * SECOND, Subscribe("B", "trades", False)),
        ]

    def test_what_a_handler_gets_needs_no_further_word(self) -> None:
        class One(Strategy):
            def on_trade(self, trade: Trade) -> None: ...

            async def run(self) -> None:
                async for _ in self.trades("A"):
                    break
                gc.collect()

        stop = (9, "stop")
        venue = publish(One(), (1, Trade("A", 1, D(9))), (2, Trade("A", 2, D(9))), stop)
        assert venue.asked == []

    def test_choosing_pairs_switches_the_others_off(self) -> None:
        class One(Strategy):
            def on_start(self) -> None:
                self.subscribe("B")
                self.stream = self.quotes("A")
                self.subscribe("A")
                self.subscribe("A")

            def on_trade(self, trade: Trade) -> None: ...
            def on_quote(self, quote: Quote) -> None: ...

        assert [one for _, one in publish(One(), (1, "stop")).asked] == [
            Subscribe("A", "quotes", False),
            Subscribe("A", "trades", False),
            Subscribe("A", "quotes", True),
            Subscribe("A", "trades", True),
        ]

    def test_depths_follow_the_increments(self) -> None:
        class One(Story):
            async def run(self) -> None:
                async for depth in self.depths("A", levels=1):
                    self.tell(depth.sequence, levels(depth))

            def on_depth(self, news: Depth | DepthUpdate) -> None:
                self.tell("news", news.sequence)

        one = One()
        venue = publish(
            one,
            (8, change(8, (False, 10, 0), (False, 12, 4), last=D(10))),
            (9, change(9, (True, 10, 2))),
            (10, "stop"),
        )
        # The handler wants all levels already: a second subscription may not ask for fewer.
        assert venue.asked == [(0, Subscribe("A", "depth", True, 0))]
        assert [what[1:] for what in one.told] == [
            ("news", 7),
            (7, ([(9, 1)], [(10, 1)], None)),
            ("news", 8),
            (8, ([(9, 1)], [(12, 4)], 10)),
            ("news", 9),
            (9, ([(10, 2)], [(12, 4)], 10)),
        ]
        assert one.last_price("A") == 10

    def test_the_depth_is_asked_for_with_the_most_levels_that_anybody_wants(self) -> None:
        class One(Strategy):
            def on_start(self) -> None:
                self.kept = [self.depths("A", levels=n) for n in (5, 3, 8, 0, 2)]

        asked = [one.levels for _, one in publish(One(), (1, "stop")).asked]
        assert asked == [5, 5, 8, 0, 0]

    def test_a_depth_that_nobody_reads_any_more_is_left(self) -> None:
        class One(Story):
            async def run(self) -> None:
                async for depth in self.depths("A", conflate=True):
                    self.tell(depth.sequence)
                    break
                gc.collect()

        one = One()
        venue = publish(
            one, (8, change(8, (True, 9, 3))), (9, change(9, (True, 9, 2))), (10, "stop")
        )
        assert [said for _, said in venue.asked] == [
            Subscribe("A", "depth", True, 10),
            Subscribe("A", "depth", False),
        ]
        assert [what[1] for what in one.told] == [7]

    def test_a_lost_update_is_an_error(self) -> None:
        class One(Strategy):
            async def run(self) -> None:
                async for _ in self.depths("A"):
                    pass

        with pytest.raises(DepthGap, match="9"):
            publish(One(), (9, change(9, (True, 10, 2))), (10, "stop"))

    def test_questions_take_the_latencies_of_their_ways(self) -> None:
        class One(Story):
            async def run(self) -> None:
                depth = await self.depth("A")
                self.tell(self.now_ns, depth.best_bid)
                self.ask_depth("A", 3)
                await self.sleep(1)

            async def on_snapshot(self, depth: Depth) -> None:
                self.tell(self.now_ns, depth.best_ask)

        one = One()
        publish(one, (SECOND, "stop"), latency=FixedLatency(3 * MS))
        assert [what[1:] for what in one.told] == [(6 * MS, 9), (12 * MS, 10)]

    def test_a_snapshot_names_the_mark(self) -> None:
        class One(Story):
            async def run(self) -> None:
                self.tell(self.last_price("A"))
                await self.depth("A")
                self.tell(self.last_price("A"))

        one = One()
        venue = Publisher((1, "stop"))
        venue.book = Depth("A", 0, 7, (), (), D(5))
        system = System(1)
        system.add(venue)
        system.add(StrategyHost("s", one))
        system.simulate()
        assert [what[1] for what in one.told] == [None, 5]

    def test_after_the_end(self) -> None:
        class One(Story):
            def on_stop(self) -> None:
                stream: Any = self.depths("A")
                assert stream.closed
                assert not len(stream)

        publish(One(), (1, "stop"))


def test_a_venue_that_has_ended_answers_no_more() -> None:
    class One(Story):
        async def run(self) -> None:
            await self.sleep(5)

        async def on_stop(self) -> None:
            self.system_of().actors[BROKER].fiber.shut()
            with pytest.raises(SimulationEnded):
                self.ask_depth("A")
            with pytest.raises(SimulationEnded):
                await self.depth("A")
            self.tell("refused")

        def system_of(self) -> System:
            return self._host.system

    one = One()
    publish(one, (1, "stop"))
    assert [what[1] for what in one.told] == ["refused"]
