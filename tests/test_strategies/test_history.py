"""What a strategy has seen: the last bars of a pair, and indicators that are fed with them."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from backtest.errors import ConfigError, FieldError, FieldTypeError
from backtest.models import Bar
from backtest.strategies import FloatBar, IndicatorFeed, Strategy

from .playing import D, Story, market, play


class TestHistory:
    def test_gives_the_last_bars_or_a_column(self) -> None:
        class Looking(Story):
            def on_bar(self, bar: Bar) -> None:
                bars = self.history("BTCUSD", 2)
                assert bars[-1] is bar
                self.tell([one.close for one in bars], self.history("BTCUSD", 2, "high"))
                exact = self.history("BTCUSD", 1, "close", exact=True)
                assert type(exact[0]) is Decimal

        story = Looking()
        play(story, market(100, 101, 99))
        # A bar opens at the close before: so the high of the third is 101.
        assert story.told == [
            (1, [100], [100.0]),
            (2, [100, 101], [100.0, 101.0]),
            (3, [101, 99], [101.0, 101.0]),
        ]
        assert all(type(one) is float for one in story.told[0][2])

    def test_a_volume_that_is_not_known_is_no_number(self) -> None:
        class Looking(Story):
            def on_bar(self, bar: Bar) -> None:
                self.tell(math.isnan(self.history("BTCUSD", 1, "volume")[0]))
                self.tell(self.history("BTCUSD", 1, "volume", exact=True))

        story = Looking()
        play(story, market(100))
        assert story.told == [(1, True), (1, [None])]

    def test_of_a_length_where_there_are_several(self) -> None:
        class Looking(Story):
            def on_bar(self, bar: Bar) -> None:
                if self.minute == 4:
                    self.tell(self.history("BTCUSD", 9, "close", length="2m"))

        story = Looking()
        minutes = market(100, 101, 102, 103)
        play(story, {"BTCUSD": [minutes, market(101, 103, minutes=2)]})
        assert story.told[-1] == (4, [101.0, 103.0])

    def test_keeps_so_many_and_says_how_to_keep_more(self) -> None:
        class Few(Story):
            history_bars = 2

            def on_bar(self, bar: Bar) -> None:
                self.tell(self.history("BTCUSD", 2, "close"))
                with pytest.raises(FieldError, match="history_bars = 3"):
                    self.history("BTCUSD", 3)

        story = Few()
        play(story, market(100, 101, 102))
        assert story.told[-1] == (3, [101.0, 102.0])

    def test_what_asks_from_elsewhere_is_told_how_to_have_them_kept(self) -> None:
        class Elsewhere(Story):
            def on_bar(self, bar: Bar) -> None:
                closes(self)

        with pytest.raises(ConfigError, match="history_bars = 5 in it"):
            play(Elsewhere(), market(100))

        class Keeping(Elsewhere):
            history_bars = 5

        play(Keeping(), market(100))

    @pytest.mark.parametrize(
        ("ask", "said"),
        [
            (lambda one: one.history("BTCUSD", -1), "non-negative"),
            (lambda one: one.history("BTCUSD", 1.5), "must be an int"),
            (lambda one: one.history("BTCUSD", 1, "clse"), "did you mean 'close'"),
            (lambda one: one.history("BTCEUR", 1), "there is no pair 'BTCEUR'"),
        ],
    )
    def test_what_cannot_be_asked(self, ask: Any, said: str) -> None:
        class Asking(Story):
            history_bars = 5

            def on_bar(self, bar: Bar) -> None:
                ask(self)

        with pytest.raises(Exception, match=said):
            play(Asking(), market(100))

    def test_pairs_that_it_did_not_subscribe_to_are_kept_and_call_no_handler(self) -> None:
        class One(Story):
            def on_start(self) -> None:
                self.subscribe("BTCUSD")

            def on_bar(self, bar: Bar) -> None:
                self.tell(bar.pair, self.history("ETHUSD", 5, "close"))

        story = One()
        play(story, {"ETHUSD": market(10, 11, pair="ETHUSD"), "BTCUSD": market(100, 101)})
        assert story.told == [(1, "BTCUSD", [10.0]), (2, "BTCUSD", [10.0, 11.0])]


def closes(strategy: Strategy) -> list[float]:
    return strategy.history("BTCUSD", 5, "close")


class Mean:
    """Any object with ``add``: the mean of all, ready after two."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def add(self, value: Any) -> None:
        self.seen.append(value)

    @property
    def is_ready(self) -> bool:
        return len(self.seen) > 1

    @property
    def value(self) -> Any:
        return sum(self.seen) / len(self.seen)


class Using(Story):
    make: Any = Mean
    how: Any = None

    def on_start(self) -> None:
        self.feed = self.use(self.make(), "BTCUSD", **(self.how or {}))

    def on_bar(self, bar: Bar) -> None:
        self.tell(self.feed.is_ready, self.feed.value)


class TestIndicators:
    def test_one_of_any_make_is_ready_when_it_says_so(self) -> None:
        story = Using()
        play(story, market(100, 101, 105))
        assert story.told == [(1, False, None), (2, True, 100.5), (3, True, 102.0)]
        assert story.feed.indicator.seen == [100.0, 101.0, 105.0]
        assert all(type(one) is float for one in story.feed.indicator.seen)
        assert (story.feed.count, story.feed.decimal) == (3, D("102.0"))

    def test_decimals_and_other_columns_on_request(self) -> None:
        story = Using(how={"exact": True, "column": "high"})
        play(story, market(100, 101, 99))
        assert story.told[-1] == (3, True, D(302) / 3)
        assert all(type(one) is Decimal for one in story.feed.indicator.seen)

    def test_whole_bars_on_request(self) -> None:
        for exact, kind in ((False, FloatBar), (True, Bar)):
            story = Keeping(how={"exact": exact, "column": "bar"})
            play(story, market(100))
            assert [type(one) for one in story.feed.indicator.seen] == [kind]

    def test_what_it_gives_back_counts_too(self) -> None:
        class Doubling:
            def add(self, value: float) -> float:
                return 2 * value

        story = Using(make=Doubling)
        play(story, market(100))
        assert story.told == [(1, True, 200.0)]

    def test_what_is_no_number_is_not_ready(self) -> None:
        @dataclass
        class Parts:
            line: float
            signal: float

        for kind in (Parts, lambda line, signal: signal):

            class Late:
                def __init__(self) -> None:
                    self.seen = 0

                def add(self, value: float, kind: Any = kind) -> Any:
                    self.seen += 1
                    return kind(value, value if self.seen > 1 else math.nan)

            story = Using(make=Late)
            play(story, market(100, 101))
            assert [one[1] for one in story.told] == [False, True]

    def test_the_bars_of_the_warm_up_count(self) -> None:
        class Warming(Using):
            warmup_bars = 3

        story = Warming()
        play(story, market(100, 101, 105, 107))
        assert story.told[1] == (2, True, 100.5)

    def test_used_late_it_gets_what_was_kept(self) -> None:
        class Late(Story):
            history_bars = 10

            def on_bar(self, bar: Bar) -> None:
                if self.minute == 2:
                    self.feed = self.use(Mean(), "BTCUSD")
                if self.minute >= 2:
                    self.tell(self.feed.count)

        story = Late()
        play(story, market(100, 101, 105))
        assert story.told == [(2, 2), (3, 3)]

    def test_it_is_there_before_the_coroutine_goes_on(self) -> None:
        class Running(Story):
            async def run(self) -> None:
                feed = self.use(Mean(), "BTCUSD")
                async for bar in self.bars("BTCUSD"):
                    self.tell(bar.close, feed.count)

        story = Running()
        play(story, market(100, 101))
        assert story.told == [(1, 100, 1), (2, 101, 2)]

    def test_what_cannot_be_fed(self) -> None:
        with pytest.raises(FieldTypeError, match=r"must have a method add\(value\)"):
            play(Using(make=object), market(100))
        with pytest.raises(FieldError, match="did you mean 'close'"):
            play(Using(how={"column": "clse"}), market(100))


class Keeping(Using):
    class Bars:
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def add(self, value: Any) -> None:
            self.seen.append(value)

    make: Any = Bars


class TestTalipp:
    def test_an_average_is_ready_when_it_has_its_period(self) -> None:
        indicators = pytest.importorskip("talipp.indicators")
        story = Using(make=lambda: indicators.SMA(period=3))
        play(story, market(100, 101, 105, 106))
        assert story.told == [
            (1, False, None),
            (2, False, None),
            (3, True, 102.0),
            (4, True, 104.0),
        ]

    def test_what_takes_whole_bars_gets_them(self) -> None:
        indicators = pytest.importorskip("talipp.indicators")
        story = Using(make=lambda: indicators.ATR(period=2))
        play(story, market(100, (100, 104, 99, 100), (100, 103, 100, 102)))
        # True ranges 0, 5 and 3: (0 + 5) / 2 = 2.5, then (2.5 + 3) / 2.
        assert story.told == [(1, False, None), (2, True, 2.5), (3, True, 2.75)]

    def test_a_half_of_an_answer_is_none(self) -> None:
        indicators = pytest.importorskip("talipp.indicators")
        make = lambda: indicators.MACD(fast_period=1, slow_period=2, signal_period=2)  # noqa: E731
        story = Using(make=make)
        play(story, market(100, 101, 102))
        # The MACD begins with the second bar, its signal with the third.
        assert [one[1] for one in story.told] == [False, False, True]

    def test_each_of_them_takes_what_it_is_given(self) -> None:
        indicators = pytest.importorskip("talipp.indicators")
        bars = market(*[100 + i % 7 for i in range(60)], volume=5)
        tried = 0
        for name, kind in vars(indicators).items():
            needed = (
                [
                    one.name
                    for one in inspect.signature(kind).parameters.values()
                    if one.default is inspect.Parameter.empty
                ]
                if inspect.isclass(kind)
                else ["no class"]
            )
            if all("period" in one for one in needed) and hasattr(kind, "add"):
                feed = IndicatorFeed(kind(**dict.fromkeys(needed, 5)), "BTCUSD", None, False)
                for bar in bars:
                    feed.take(bar)
                tried += 1
                assert feed.count == 60, name
        assert tried > 20
