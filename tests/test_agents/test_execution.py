"""Execution agents: slices worked out by hand, which sum to the whole exactly."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

import backtest
from backtest import RunResult
from backtest.errors import FieldError
from backtest.models import Bar, Trade
from backtest.strategies.agents import Execution, LearntVwap, Participation, Twap, Vwap
from backtest.strategies.handle import Number
from backtest.times import MINUTE

from .running import PAIR, D, bars, play, sent_orders

START = next(iter(bars(1))).open_ns


def sent(result: RunResult) -> list[tuple[int, Decimal]]:
    """Minute since the start and volume of each order, as it was sent (of one that was filled in
    parts the first part)."""
    return [
        (round((one.create_timestamp.timestamp() * 10**9 - START) / MINUTE), one.volume)
        for one in sent_orders(result)
    ]


def traded(*volumes: int) -> list[Bar]:
    """Minute bars with these volumes."""
    return [
        evolve(bar, volume=D(volume))
        for bar, volume in zip(bars(len(volumes)), volumes, strict=True)
    ]


def quiet(count: int) -> Sequence[Bar]:
    """Minute bars that fill whatever comes."""
    return list(bars(count, volume=None))


class TestTwap:
    def test_slices_differ_by_one_increment_and_sum_to_the_whole(self) -> None:
        # 0.010 in 4 slices, of increments of 0.001: 2.5, 5, 7.5 and 10 of them are due, rounded
        # down 2, 5, 7, 10: slices of 2, 3, 2, 3.
        agent = Twap(volume="0.010", duration="4m", slices=4, after="1m")
        result = play(agent, quiet(10))
        assert sent(result) == [(1, D("0.002")), (2, D("0.003")), (3, D("0.002")), (4, D("0.003"))]
        assert agent.executed == D("0.010")
        assert agent.remaining == 0
        assert sum(fill.volume for fill in result.fills) == D("0.010")

    def test_a_slice_that_was_refused_is_part_of_the_next(self) -> None:
        # Before the first bar there is no price, so that no market order can be taken.
        result = play(Twap(volume=6, duration="3m", slices=3), quiet(10))
        assert sent(result) == [(1, D(4)), (2, D(2))]

    def test_it_begins_when_it_should(self) -> None:
        result = play(Twap(volume=6, duration="6m", slices=3, after="5m"), quiet(20))
        assert sent(result) == [(5, D(2)), (7, D(2)), (9, D(2))]

    @pytest.mark.parametrize("slices", [1, 7, 13, 97])
    def test_any_division_sums_to_the_whole(self, slices: int) -> None:
        agent = Twap(side="sell", volume="12.345", duration="59m", slices=slices, after="1m")
        result = play(agent, quiet(70))
        assert sum(fill.volume for fill in result.fills) == D("12.345")
        assert len(sent(result)) == slices

    def test_what_an_order_does_not_get_is_not_sent_twice(self) -> None:
        # One a minute of the bars' volume; slices of 3: orders wait, and their rest counts.
        agent = Twap(volume=9, duration="3m", slices=3, after="1m")
        result = play(agent, traded(*[1] * 15))
        assert [minute for minute, _ in sent(result)] == [1, 2, 3]
        assert sum(fill.volume for fill in result.fills) == 9

    def test_passive_slices_rest_and_what_is_left_takes_in_the_end(self) -> None:
        # Prices only rise, so that no bid at the last price is ever met.
        agent = Twap(volume=9, duration="9m", slices=3, passive=True, after="1m", every="1m")
        rising = [
            Bar("BTCUSD", START + n * MINUTE, START + (n + 1) * MINUTE, *[D(100 + n)] * 4)
            for n in range(30)
        ]
        result = play(agent, rising)
        orders = [(one.status.name, one.limit_price is not None) for one in result.orders]
        assert orders == [("CANCELLED", True)] * 3 + [("FILLED", False)]
        # Each takes up what the one before did not get.
        assert sent(result) == [(1, D(3)), (4, D(6)), (7, D(9)), (10, D(9))]
        assert agent.remaining == 0

    def test_slices_too_small_for_the_market_are_put_together(self) -> None:
        # At least 1 per order; a tenth of 3 is due every minute. At the fourth slice 1.2 are due,
        # which will do. At the seventh 2.1 should be traded; the 0.9 that would be left could not
        # be by themselves, so all 1.8 are sent.
        coarse = evolve(PAIR, min_volume=D(1))
        agent = Twap(volume=3, duration="10m", slices=10, after="1m")
        result = backtest.run(agent, data={coarse: quiet(20)}, cash="1000000 USD")
        assert sent(result) == [(4, D("1.2")), (7, D("1.8"))]

    @pytest.mark.parametrize(
        "wrong",
        [{"slices": 0}, {"duration": 0}, {"side": "long"}, {"volume": 0}, {"volume": "0.0001"}],
    )
    def test_refuses_what_is_no_schedule(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(FieldError, match=r"slices|side|volume"):
            play(Twap(**wrong), quiet(2))


class TestVwap:
    def test_slices_are_in_the_proportion_of_the_profile(self) -> None:
        # 3 : 1 : 2 of 12 is 6, 2 and 4.
        result = play(Vwap(volume=12, duration="3m", profile=[3, 1, 2], after="1m"), quiet(10))
        assert sent(result) == [(1, D(6)), (2, D(2)), (3, D(4))]

    def test_decimal_weights_count_exactly(self) -> None:
        # 0.1 : 0.25 : 0 : 0.65 of 0.010: 1, 3.5, 3.5, 10 increments, rounded down 1, 3, 3, 10.
        profile: list[Number] = ["0.1", "0.25", 0, "0.65"]
        agent = Vwap(volume="0.010", duration="4m", profile=profile, after="1m")
        assert sent(play(agent, quiet(10))) == [
            (1, D("0.001")),
            (2, D("0.002")),
            (4, D("0.007")),
        ]

    def test_without_a_profile_slices_are_equal(self) -> None:
        result = play(Vwap(volume=6, duration="3m", slices=3, after="1m"), quiet(10))
        assert sent(result) == [(1, D(2)), (2, D(2)), (3, D(2))]

    @pytest.mark.parametrize("profile", [[0, 0], [1, -1]])
    def test_refuses_weights_that_are_none(self, profile: list[int]) -> None:
        with pytest.raises(FieldError, match="profile"):
            play(Vwap(profile=profile), quiet(2))


class TestLearntVwap:
    def test_the_profile_is_what_was_traded_a_period_ago(self) -> None:
        # Begins after 8 minutes, for 4, in two slices. In the period of 4 minutes before that
        # (4..8) bars had 10, 20 | 30, 60; in the one before (0..4) 10, 20 | 0, 30: together 60 in
        # the first halves and 120 in the second. 9 in the proportion 1 : 2.
        data = traded(10, 20, 0, 30, 10, 20, 30, 60, *[50] * 10)
        agent = LearntVwap(volume=9, after="8m", duration="4m", slices=2, period="4m")
        assert sent(play(agent, data)) == [(8, D(3)), (10, D(6))]

    def test_minutes_outside_its_window_do_not_count(self) -> None:
        # Period 8 minutes: only the first 4 of the last 8 are the times of its slices: 10+20, 0+30.
        data = traded(10, 20, 0, 30, 999, 999, 999, 999, *[50] * 10)
        agent = LearntVwap(volume=10, after="8m", duration="4m", slices=2, period="8m")
        assert sent(play(agent, data)) == [(8, D(5)), (10, D(5))]

    def test_having_seen_nothing_slices_are_equal(self) -> None:
        agent = LearntVwap(volume=6, duration="3m", slices=3, after="1m")
        assert sent(play(agent, quiet(10))) == [(1, D(2)), (2, D(2)), (3, D(2))]


class TestParticipation:
    def test_it_trades_its_share_of_what_the_market_trades(self) -> None:
        # 20 % of 10, 30, 0, 25: 2, 8 and 8 and 13 are due in all: 2, 6, nothing, 5; then the 2
        # that are left of 15, though 20 % of 100 would be 20.
        agent = Participation(volume=15, rate=0.2, every="1m")
        result = play(agent, traded(10, 30, 0, 25, 100, 100, 100))
        assert sent(result) == [(1, D(2)), (2, D(6)), (4, D(5)), (5, D(2))]
        assert agent.remaining == 0

    def test_trades_count_where_there_are_any(self) -> None:
        # Two trades of 10 in the second minute, and bars of 500 beside them: half of 20.
        def tick(second: int) -> Trade:
            return Trade("BTCUSD", START + second * 10**9, D(100), D(10), "buy")

        data: list[Any] = [traded(500, 500, 500), [tick(61), tick(75)]]
        agent = Participation(volume=100, rate=0.5, after="61s", every="1m")
        result = play(agent, data)
        assert sum(volume for _, volume in sent(result)) == D(10)

    @pytest.mark.parametrize("rate", [0.0, 1.5])
    def test_refuses_shares_that_are_none(self, rate: float) -> None:
        with pytest.raises(FieldError, match="rate"):
            play(Participation(rate=rate), quiet(2))


def test_the_plain_one_trades_all_at_once() -> None:
    agent = Execution(side="sell", volume=5, after="2m")
    assert sent(play(agent, quiet(10))) == [(2, D(5))]
    assert agent.inventory == -5
