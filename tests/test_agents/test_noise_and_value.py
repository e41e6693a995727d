"""Noise, traders on a budget and value agents: what they decide, with dice that are known."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from math import exp, sqrt
from random import Random
from typing import Any

import pytest

from backtest.errors import FieldError
from backtest.models import Depth, DepthLevel
from backtest.services.fundamental import Fundamental
from backtest.strategies.agents import PrivateValue, ValueAgent, ZeroIntelligence
from backtest.strategies.agents.sizes import drawn_size
from backtest.times import DAY, HOUR, MINUTE

from .running import PAIR, D, bars, play, sent_orders


def seen(bid: str | None, ask: str | None, last: str | None = "99.95") -> Depth:
    """Best prices with 5 at each."""
    bids, asks = (() if one is None else (DepthLevel(D(one), D(5)),) for one in (bid, ask))
    return Depth("BTCUSD", 0, 0, bids, asks, None if last is None else D(last))


VIEW = seen("99.90", "100.00")
START = next(iter(bars(1))).open_ns


class Dice(Random):
    """Uniform numbers that are given."""

    def __init__(self, *numbers: float) -> None:
        super().__init__(0)
        self.numbers = list(numbers)

    def random(self) -> float:
        return self.numbers.pop(0)


class Noise(ZeroIntelligence):
    """Noise that throws given dice and is in no run."""

    def throw(self, *numbers: float) -> Noise:
        self.traded, self.dice = PAIR, Dice(*numbers)
        return self

    @property
    def random(self) -> Random:
        return self.dice


class TestZeroIntelligence:
    @pytest.mark.parametrize(
        ("place", "buy", "sell"),
        [
            ("market", None, None),
            ("cross", D("100.00"), D("99.90")),
            ("join", D("99.90"), D("100.00")),
        ],
    )
    def test_places_at_the_best_prices(self, place: str, buy: Any, sell: Any) -> None:
        assert Noise().throw().price(True, place, VIEW) == buy
        assert Noise().throw().price(False, place, VIEW) == sell

    def test_inside_is_strictly_between_the_best_prices(self) -> None:
        # Nine prices are free, 99.91 to 99.99: the die 0.999 takes the last, 0.0 the first.
        assert Noise().throw(0.0).price(True, "inside", VIEW) == D("99.91")
        assert Noise().throw(0.999).price(True, "inside", VIEW) == D("99.99")
        assert Noise().throw(0.0).price(False, "inside", VIEW) == D("99.99")
        # One increment between them leaves nothing: it joins its own side.
        tight = seen("99.99", "100.00", None)
        assert Noise().throw().price(True, "inside", tight) == D("99.99")

    def test_away_is_at_least_one_increment_behind_the_own_side(self) -> None:
        # Exponential by von Neumann: 0.4 is not followed by less (0.5), so it is 0.4; times 5 is
        # 2, and one more: 3 increments.
        assert Noise(distance=5.0).throw(0.4, 0.5).price(True, "away", VIEW) == D("99.87")
        assert Noise(distance=5.0).throw(0.4, 0.5).price(False, "away", VIEW) == D("100.03")
        assert Noise(distance=5.0).throw(0.1, 0.5).price(True, "away", VIEW) == D("99.89")

    def test_where_a_side_is_empty_the_middle_stands_for_it(self) -> None:
        asks = seen(None, "100.00")
        assert Noise().throw(0.1, 0.5).price(True, "join", asks) == D("99.94")
        assert Noise().throw(0.1, 0.5).price(False, "cross", asks) == D("100.00")

    def test_wakes_as_often_as_it_is_told(self) -> None:
        places = {"market": 1.0}
        agent = ZeroIntelligence(wakes=3, every="10s", places=places, first="2m")
        assert len(play(agent, bars(60)).orders) <= 3
        assert agent.woken == 3

    def test_wakes_at_the_given_moment(self) -> None:
        agent = ZeroIntelligence(wakes=1, at="7m", places={"market": 1.0}, sizes="fixed")
        result = play(agent, bars(30))
        (order,) = result.orders
        assert order.create_timestamp.timestamp() * 10**9 - START == 7 * MINUTE
        assert order.volume == 1

    def test_wakes_once_within_the_given_time_wherever_that_is(self) -> None:
        moments = []
        for seed in range(40):
            agent = ZeroIntelligence(wakes=1, first="50m", places={"market": 1.0}, sizes="fixed")
            (order,) = play(agent, bars(60), seed=seed).orders
            moments.append((order.create_timestamp.timestamp() * 10**9 - START) / MINUTE)
        # Uniform in 0..50: mean 25, standard error 50/sqrt(12·40) = 2.3.
        assert 0 <= min(moments) < 12 < 38 < max(moments) <= 50
        assert abs(sum(moments) / 40 - 25) < 4 * 2.3

    def test_wake_ups_are_a_poisson_process_with_the_mean_it_was_given(self) -> None:
        agent = ZeroIntelligence(every="30s")
        play(agent, bars(600))
        # 20 per ten minutes: 1 200 in 600 minutes, give or take 4 × sqrt(1200).
        assert abs(agent.woken - 1_200) < 4 * sqrt(1_200)

    def test_clustered_wake_ups_come_as_often_but_together(self) -> None:
        agent = ZeroIntelligence(every="30s", clustering=0.5, cluster_time="5s")
        play(agent, bars(600))
        # The same rate; the variance of the count is four times that of a Poisson process.
        assert abs(agent.woken - 1_200) < 4 * 2 * sqrt(1_200)

    def test_both_sides_and_all_places_are_used(self) -> None:
        result = play(ZeroIntelligence(every="10s"), bars(200))
        sides = Counter(one.direction.name for one in sent_orders(result))
        assert min(sides.values()) > 0.4 * sum(sides.values())

    def test_orders_go_after_their_lifetime(self) -> None:
        agent = ZeroIntelligence(
            wakes=1, at="2m", places={"away": 1.0}, distance=500.0, lifetime="3m"
        )
        (order,) = play(agent, bars(30)).orders
        assert order.status.name == "CANCELLED"
        assert order.cancel_timestamp is not None
        assert order.cancel_timestamp.timestamp() * 10**9 - START == 5 * MINUTE

    @pytest.mark.parametrize(
        "wrong",
        [{"places": {"below": 1}}, {"places": {"join": -1}}, {"places": {}}, {"sizes": "normal"}],
    )
    def test_refuses_places_and_sizes_that_are_none(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(FieldError, match=r"places|sizes"):
            play(ZeroIntelligence(**wrong), bars(30))


class TestSizes:
    @pytest.mark.parametrize("kind", ["fixed", "exponential", "pareto"])
    def test_have_the_mean_they_were_given(self, kind: str) -> None:
        random = Random(5)
        drawn = [drawn_size(kind, D(4), D("0.001"), random) for _ in range(20_000)]
        assert float(sum(drawn)) / 20_000 == pytest.approx(4, rel=0.05)
        assert min(drawn) > 0

    def test_are_never_less_than_may_be_ordered(self) -> None:
        random = Random(7)
        drawn = [drawn_size("exponential", D(1), D(1), random) for _ in range(100)]
        assert min(drawn) == 1
        assert max(drawn) > 1

    def test_pareto_sizes_have_a_heavy_tail_that_ends(self) -> None:
        random = Random(6)
        drawn = sorted(float(drawn_size("pareto", D(1), D("0.001"), random)) for _ in range(20_000))
        # P(x > c) = 1/(4 c²): of 20 000 above 5 there are 200; none below the 0.5 it begins at.
        assert drawn[0] >= 0.5
        assert drawn[-1] <= 50
        assert abs(sum(one > 5 for one in drawn) - 200) < 4 * sqrt(200)


class TestPrivateValue:
    def offer(self, buy: bool, value: float, share: float, **settings: Any) -> Decimal:
        agent = PrivateValue(band=0.02, **settings)
        agent.centre = D(100)
        return agent.offer(buy, value, share)

    def test_nobody_offers_a_price_at_which_he_could_lose(self) -> None:
        # Worth 101 to it: a buyer half the band away bids 101 × 0.99, a seller asks 101 × 1.01.
        assert self.offer(True, 0.01, 0.5) == pytest.approx(D("99.99"))
        assert self.offer(False, 0.01, 0.5) == pytest.approx(D("102.01"))
        assert self.offer(True, 0.01, 0.0) == pytest.approx(D("101"))

    def test_without_the_constraint_prices_are_on_both_sides(self) -> None:
        # The first quarter of the band from −2 % to 2 % is at −1 %: a bid 1 % above the value.
        assert self.offer(True, 0.0, 0.25, constrained=False) == pytest.approx(D(101))
        assert self.offer(True, 0.0, 0.75, constrained=False) == pytest.approx(D(99))

    @pytest.mark.parametrize("wrong", [{"band": 1.0}, {"spread": -0.1}])
    def test_refuses_prices_that_are_none(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(FieldError, match="band"):
            play(PrivateValue(**wrong), bars(2))


def worth(**settings: Any) -> Fundamental:
    return Fundamental(**{"mean": 100, "start": START, "step": "1m", "seed": 3, **settings})


class Believer(ValueAgent):
    """A value agent in no run."""

    def begin(self) -> Believer:
        assert self.fundamental is not None
        self.traded, self.oracle, self.ahead, self.scale = PAIR, self.fundamental, 0, 100.0
        self.belief = self.doubt = 0.0
        self.believed_at = START
        return self


class TestValueAgent:
    def test_belief_and_doubt_are_those_of_the_filter(self) -> None:
        # σ² = 0.0004 per day, no reversion, noise 0.01. After a day p⁻ = 0.0004, the gain is
        # 0.0004/(0.0004 + 0.0001) = 0.8: an observation of 0.02 makes the belief 0.016 and
        # p = 0.2 × 0.0004 = 0.00008. A day later p⁻ = 0.00048, the gain 0.00048/0.00058 = 0.82759:
        # having seen 0.0 the belief is 0.016 × 0.17241 = 0.0027586.
        agent = Believer(fundamental=worth(volatility=0.02, reversion=0.0), noise=0.01).begin()
        agent.update(START + DAY, 0.02)
        assert agent.belief == pytest.approx(0.016)
        assert agent.doubt == pytest.approx(0.00008)
        agent.update(START + 2 * DAY, 0.0)
        assert agent.belief == pytest.approx(0.016 * 0.0001 / 0.00058)
        assert agent.expected() == pytest.approx(D("100.275862"))

    def test_between_observations_the_belief_goes_back_to_the_mean(self) -> None:
        # κ = 2 per day: after half a day e^-1 of the belief is left before the observation, which
        # with noise far above all else says nothing.
        agent = Believer(
            fundamental=worth(volatility=0.02, reversion=2.0), noise=1e6, alertness=0.0
        ).begin()
        agent.belief = 0.1
        agent.update(START + DAY // 2, 0.5)
        assert agent.belief == pytest.approx(0.1 * exp(-1), rel=1e-6)
        assert agent.doubt == pytest.approx(0.0004 * (1 - exp(-2)) / 4)

    def test_it_believes_a_shock_that_was_not_to_be_expected(self) -> None:
        # A value that never moves (but goes back to the mean, by 0.07 % a minute) leaves no doubt:
        # an observation would say nothing. At least a fifth of it counts: of −0.05 it believes
        # 0.01, then 0.018, then 0.0244. The variance of the belief is 0.2² r after the first, and
        # 0.8² × 0.04 r + 0.04 r = 0.0656 r after two.
        agent = Believer(fundamental=worth(volatility=0.0), noise=0.01, alertness=0.2).begin()
        found = []
        for minute in (1, 2, 3):
            agent.update(START + minute * MINUTE, -0.05)
            found.append(agent.belief)
            if minute == 2:
                assert agent.doubt == pytest.approx(0.0656 * 0.0001, rel=1e-2)
        assert found == pytest.approx([-0.01, -0.018, -0.0244], rel=1e-2)

    def test_without_noise_it_knows_the_value(self) -> None:
        agent = Believer(fundamental=worth(volatility=0.0), noise=0.0).begin()
        agent.update(START + HOUR, 0.03)
        assert agent.belief == 0.03

    def test_it_trades_on_what_it_expects_at_its_horizon(self) -> None:
        agent = Believer(fundamental=worth(reversion=2.0)).begin()
        agent.belief, agent.ahead = 0.1, DAY // 2
        assert float(agent.expected()) == pytest.approx(100 + 10 * exp(-1))

    def test_it_crosses_only_to_a_price_no_worse_than_its_belief(self) -> None:
        agent = Believer(fundamental=worth(), reach=2.0).begin()
        assert agent.price(True, True, D(101), VIEW, 0.0) == D("100.00")
        assert agent.price(False, True, D(99), VIEW, 0.0) == D("99.90")
        # Worth 99.97 to it, it would lose at 100.00: it bids no more than that.
        assert agent.price(True, True, D("99.97"), VIEW, 0.0) == D("99.97")

    def test_it_rests_up_to_its_depth_behind_the_better_price(self) -> None:
        # Twice the spread of 0.10 is 0.20: half of it below 99.99, the best that does not cross.
        agent = Believer(fundamental=worth(), reach=2.0).begin()
        assert agent.price(True, False, D(101), VIEW, 0.5) == D("99.89")
        assert agent.price(False, False, D(99), VIEW, 0.5) == D("100.01")
        assert agent.price(True, False, D("99.95"), VIEW, 0.5) == D("99.85")

    def test_it_is_in_a_hurry_when_a_price_is_better_than_the_noise_can_explain(self) -> None:
        # Noise of 0.002 of 100 is 0.20. Worth 101 to it and asked at 100: five times that, and it
        # pays up to 100.50. At 99.90 somebody bids; worth 99.80 it is half as urgent as that is.
        agent = Believer(fundamental=worth(), noise=0.002).begin()
        assert agent.urgency(True, D(101), VIEW) == pytest.approx(5)
        assert agent.hasty(True, D(101), VIEW) == D("100.50")
        assert agent.urgency(False, D("99.80"), VIEW) == pytest.approx(0.5)
        assert agent.urgency(True, D("99.95"), VIEW) == 0
        assert agent.urgency(True, D(101), seen("99.90", None)) == 0

    def test_where_nobody_offers_it_names_its_own_price(self) -> None:
        agent = Believer(fundamental=worth(), reach=2.0).begin()
        empty = seen(None, None, None)
        assert agent.price(True, True, D(101), empty, 0.0) == D(101)
        # A spread of two increments is taken instead: half of 2 × 0.02 behind.
        assert agent.price(False, False, D(101), empty, 0.5) == D("101.02")

    def test_it_needs_something_to_look_at(self) -> None:
        with pytest.raises(FieldError, match="fundamental"):
            play(ValueAgent(), bars(2))
