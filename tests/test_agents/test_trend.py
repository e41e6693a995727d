"""Agents that follow the trend or go against it: decisions worked out by hand."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from backtest.errors import FieldError
from backtest.models import Bar, TradingRules
from backtest.money import ZERO
from backtest.strategies.agents import LeveragedTrend, MeanReversion, Momentum
from backtest.times import MINUTE

from .running import D, bars, play, sent_orders


def looks(agent: Momentum, *prices: int) -> list[int]:
    agent.prices, agent.fast_sum, agent.slow_sum = deque(), ZERO, ZERO
    return [agent.side(D(price)) for price in prices]


def minutes(*closes: int) -> list[Bar]:
    """Bars that each open where the one before closed."""
    made = []
    before = closes[0]
    for number, close in enumerate(closes):
        begins = number * MINUTE
        prices = (before, max(before, close), min(before, close), close)
        made.append(Bar("BTCUSD", begins, begins + MINUTE, *map(D, prices)))
        before = close
    return made


class TestMomentum:
    def test_decides_by_the_averages_of_its_looks(self) -> None:
        # Averages of 2 and of 4: not before the fourth. 10 10 12 14: 13 > 11.5, buy. 10 12 14 10:
        # 12 > 11.5. 12 14 10 6: 8 < 10.5, sell. 14 10 6 10: 8 < 10. 10 6 10 6: 8 = 8, wait.
        assert looks(Momentum(fast=2, slow=4), 10, 10, 12, 14, 10, 6, 10, 6) == [
            0, 0, 0, 1, 1, -1, -1, 0,
        ]  # fmt: skip

    def test_on_history_it_buys_what_rises(self) -> None:
        agent = Momentum(fast=2, slow=3, random_first=False, limit=4)
        result = play(agent, minutes(*range(100, 130)))
        assert {one.direction.name for one in result.fills} == {"LONG"}
        assert agent.inventory == 4

    @pytest.mark.parametrize("wrong", [{"fast": 0}, {"fast": 5, "slow": 5}, {"every": 0}])
    def test_refuses_averages_that_are_none(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(FieldError, match=r"fast|every"):
            play(Momentum(**wrong), bars(2))


class TestMeanReversion:
    def test_score_is_the_distance_in_standard_deviations(self) -> None:
        agent = MeanReversion(window=4)
        agent.prices = deque(maxlen=4)
        # Of 10 10 10 14: mean 11, squares 1 + 1 + 1 + 9 = 12, deviation sqrt(12/3) = 2: z = 1.5.
        # Then of 10 10 14 6: mean 10, squares 16 + 16 = 32, sqrt(32/3) = 3.266: z = −1.22474.
        found = [agent.score(price) for price in (10, 10, 10, 14, 6)]
        assert found[:3] == [None, None, None]
        assert found[3:] == [pytest.approx(1.5), pytest.approx(-1.2247449)]

    def test_prices_that_do_not_move_say_nothing(self) -> None:
        agent = MeanReversion(window=2)
        agent.prices = deque(maxlen=2)
        assert [agent.score(5.0), agent.score(5.0)] == [None, None]

    def test_on_history_it_sells_the_peak_and_comes_back(self) -> None:
        closes = [100, 101] * 15 + [110] + [100, 101] * 20
        agent = MeanReversion(window=10, entry=2.5, exit=0.6, random_first=False)
        result = play(agent, minutes(*closes))
        sides = [one.direction.name for one in sent_orders(result)]
        assert sides[0] == "SHORT"
        assert "LONG" in sides
        assert agent.inventory == 0

    @pytest.mark.parametrize("wrong", [{"window": 1}, {"entry": 1.0, "exit": 1.0}])
    def test_refuses_bands_that_are_none(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(FieldError, match="entry"):
            play(MeanReversion(**wrong), bars(2))


class TestLeveragedTrend:
    def test_takes_all_that_its_leverage_lets_it(self) -> None:
        # 1 000 USD, nine tenths as margin at 10: 9 000 worth at 102, the price at its third look,
        # when it sees the trend: 88.2353, rounded down.
        agent = LeveragedTrend(fast=2, slow=3, random_first=False)
        result = play(agent, minutes(100, 101, 102, 103, 104), {"USD": "1000"})
        assert [one.volume for one in result.orders] == [D("88.235")]

    def test_turns_when_the_trend_turns(self) -> None:
        up, down = range(100, 110), range(110, 90, -1)
        agent = LeveragedTrend(fast=2, slow=3, leverage=2, random_first=False)
        play(agent, minutes(*up, *down), {"USD": "1000"})
        assert agent.position("BTCUSD").is_underfunded

    def test_has_no_stop_and_is_liquidated(self) -> None:
        # Long at about 103 with 20 times its money: 5 % down it is gone.
        agent = LeveragedTrend(fast=2, slow=3, leverage=20, random_first=False, every="60s")
        falls = minutes(100, 101, 102, 103, 104, 90, 89, 88)
        result = play(
            agent, falls, {"USD": "1000"}, rules=TradingRules(maintenance_rate=D("0.005"))
        )
        assert "liquidation" in {fill.kind for fill in result.fills}

    def test_needs_margin(self) -> None:
        with pytest.raises(FieldError, match="spot"):
            play(LeveragedTrend(spot=True), bars(2))
        with pytest.raises(FieldError, match="use"):
            play(LeveragedTrend(use=0), bars(2))
