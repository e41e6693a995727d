"""The value behind a market: who asks, and when, changes nothing; its moments are known."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from math import exp, log, sqrt
from random import Random
from typing import Any

import pytest

from backtest.errors import ConfigError, FieldError
from backtest.services.fundamental import Fundamental
from backtest.times import DAY, HOUR, MINUTE, SECOND
from tests.harness import pair_of


def value(**settings: Any) -> Fundamental:
    return Fundamental(**{"mean": 100, "step": "1m", "seed": 7, **settings})


JUMPY = {"volatility": 0.03, "reversion": 4.0, "unrest": 0.5, "jumps": 40.0, "jump_size": 0.02}


class TestWhoAsks:
    def test_order_and_frequency_of_asking_change_nothing(self) -> None:
        random = Random(2)
        times = [random.randrange(DAY) for _ in range(400)]
        forward = {time: value(**JUMPY, shocks=[("3h", -0.1)]).at(time) for time in times[:20]}
        one = value(**JUMPY, shocks=[("3h", -0.1)])
        other = value(**JUMPY, shocks=[("3h", -0.1)])
        shuffled = {time: one.at(time) for time in times}
        rising = {time: other.at(time) for time in sorted(times)}
        assert shuffled == rising
        assert all(rising[time] == forward[time] for time in forward)

    def test_a_copy_is_the_same_and_a_seed_another(self) -> None:
        one = value(**JUMPY)
        early = one.at(HOUR)
        assert deepcopy(one).at(HOUR) == early
        assert value(**JUMPY).at(HOUR) == early
        assert value(**JUMPY) == one
        assert value(**{**JUMPY, "seed": 8}).at(HOUR) != early
        assert value(**{**JUMPY, "name": "other"}).at(HOUR) != early

    def test_jumps_do_not_change_the_noise(self) -> None:
        still = value(volatility=0.03, reversion=0.0)
        jumpy = value(volatility=0.03, reversion=0.0, shocks=[("90s", 0.25)])
        for time in (0, 89 * SECOND, 90 * SECOND, 10 * MINUTE, DAY):
            extra = 0.25 if time >= 90 * SECOND else 0.0
            assert jumpy.deviation(time) == pytest.approx(still.deviation(time) + extra, abs=1e-12)


class TestPath:
    def test_without_chance_it_goes_back_to_the_mean_as_it_must(self) -> None:
        # x(0) = 0.5; κ = ln 2 per day: half of it is left after a day, a quarter after two.
        calm = value(volatility=0.0, reversion=log(2), initial=150)
        assert calm.at(0) == 150
        assert calm.at(DAY) == pytest.approx(125, rel=1e-9)
        assert calm.at(2 * DAY) == pytest.approx(112.5, rel=1e-9)

    def test_a_shock_is_there_at_its_moment_and_fades(self) -> None:
        # 10 % down after 90 s, κ = 2 per day: 10 e^(-2 (1 day - 90 s)) is missing after a day.
        shocked = value(volatility=0.0, reversion=2.0, shocks=[("90s", -0.1)])
        assert shocked.at(90 * SECOND - 1) == 100
        assert shocked.at(90 * SECOND) == pytest.approx(90)
        left = 10 * exp(-2 * (1 - 90 / 86_400))
        assert shocked.at(DAY) == pytest.approx(100 - left, rel=1e-12)

    def test_it_is_held_within_a_step(self) -> None:
        moving = value(volatility=0.05)
        assert moving.at(MINUTE) == moving.at(2 * MINUTE - 1) != moving.at(2 * MINUTE)

    def test_before_the_start_it_is_the_initial_value(self) -> None:
        late = value(volatility=0.05, initial="99.5", start=datetime(2024, 1, 1, tzinfo=UTC))
        assert late.at(0) == pytest.approx(99.5)
        assert late.start == 1_704_067_200 * SECOND
        assert late.at(late.start + HOUR) != late.at(late.start)

    def test_it_never_falls_below_a_hundredth_of_the_mean(self) -> None:
        fallen = value(volatility=0.0, shocks=[("1m", -3.0)])
        assert fallen.at(MINUTE) == 1.0
        assert fallen.price(MINUTE, pair_of()) == Decimal("1.00")

    def test_prices_are_on_the_grid_of_the_pair(self) -> None:
        moving = value(volatility=0.05)
        price = moving.price(HOUR, pair_of())
        assert price == pair_of().round_price(price)
        assert abs(float(price) - moving.at(HOUR)) <= 0.005


class TestMoments:
    def test_deviations_have_the_variance_of_an_ornstein_uhlenbeck_process(self) -> None:
        # σ² = 0.0004 per day, κ = 8 per day: after 6 hours 0.0004 (1 - e^-4)/16 = 2.4542e-05.
        one = value(volatility=0.02, reversion=8.0)
        expected = 0.0004 * (1 - exp(-4)) / 16
        assert one.variance(6 * HOUR) == pytest.approx(expected, rel=1e-9)
        found = [
            value(volatility=0.02, reversion=8.0, seed=seed, step="1h").deviation(6 * HOUR)
            for seed in range(1_000)
        ]
        assert abs(sum(found) / 1_000) < 4 * sqrt(expected / 1_000)
        second = sum(x * x for x in found) / 1_000
        assert abs(second / expected - 1) < 4 * sqrt(2 / 1_000)

    def test_the_grid_changes_nothing_about_the_variance(self) -> None:
        # A transition is exact: a day in steps of an hour or in one step of a day.
        for step in ("1h", "1d"):
            found = [
                value(volatility=0.02, reversion=2.0, seed=seed, step=step).deviation(DAY)
                for seed in range(1_000)
            ]
            expected = 0.0004 * (1 - exp(-4)) / 4
            assert abs(sum(x * x for x in found) / 1_000 / expected - 1) < 4 * sqrt(2 / 1_000)

    def test_jumps_come_at_their_rate_and_size(self) -> None:
        # 20 a day of 1 % ± 0.2 %, nothing else, never fading: after a day the variance is
        # 20 (0.01² + 0.002²) = 0.00208.
        settings: dict[str, Any] = {"jumps": 20.0, "jump_size": 0.01, "jump_spread": 0.002}
        one = value(volatility=0.0, reversion=0.0, **settings)
        assert one.variance(DAY) == pytest.approx(0.00208)
        assert one.variance(DAY, jumps=False) == 0
        found = [
            value(volatility=0.0, reversion=0.0, seed=seed, step="1d", **settings).deviation(DAY)
            for seed in range(1_000)
        ]
        assert abs(sum(x * x for x in found) / 1_000 / 0.00208 - 1) < 4 * sqrt(2.15 / 1_000)

    def test_unrest_changes_the_variance_of_no_day_on_average(self) -> None:
        # σ = 0.02 with a deviation of 0.5 in its logarithm: E σ² = 0.0004 still. The fourth moment
        # of a step is that of a lognormal mixture, 3 e^(4·0.25) ≈ 8.15, so the variance of one
        # step a seed has the standard error sqrt((8.15 - 1)/4000) = 4.2 %.
        found = [
            value(volatility=0.02, reversion=0.0, unrest=0.5, seed=seed, step="1d").deviation(DAY)
            for seed in range(4_000)
        ]
        second = sum(x * x for x in found) / 4_000 / 0.0004
        assert abs(second - 1) < 4 * 0.042
        assert sum(x**4 for x in found) / 4_000 / 0.0004**2 > 4.5

    def test_with_unrest_wild_times_follow_wild_times(self) -> None:
        def clustering(unrest: float) -> float:
            one = value(volatility=0.02, reversion=0.0, unrest=unrest, unrest_reversion=24.0)
            steps = [
                one.deviation((n + 1) * MINUTE) - one.deviation(n * MINUTE) for n in range(2_000)
            ]
            sizes = [abs(x) for x in steps]
            mean = sum(sizes) / len(sizes)
            spread = sum((x - mean) ** 2 for x in sizes)
            return sum((a - mean) * (b - mean) for a, b in pairwise(sizes)) / spread

        # Without: nothing but noise of 1/sqrt(2000) = 0.022. With: a lognormal volatility with s =
        # 0.8 and a memory of an hour: (e^(s²) - 1)/(π/2 e^(s²) - 1) = 0.45 (Taylor, 1986).
        assert abs(clustering(0.0)) < 4 * 0.023
        assert 0.25 < clustering(0.8) < 0.65

    def test_memory_halves_in_its_half_life(self) -> None:
        assert value(reversion=log(2)).memory(DAY) == pytest.approx(0.5)
        assert value(reversion=0.0).memory(DAY) == 1.0


class TestRefuses:
    @pytest.mark.parametrize(
        ("field", "wrong"),
        [
            ("mean", 0),
            ("mean", "NaN"),
            ("volatility", -0.1),
            ("reversion", float("nan")),
            ("jumps", "3"),
            ("jump_size", True),
            ("step", 0),
        ],
    )
    def test_what_makes_no_sense(self, field: str, wrong: Any) -> None:
        with pytest.raises((FieldError, TypeError), match=field):
            value(**{field: wrong})

    def test_a_start_that_was_forgotten(self) -> None:
        with pytest.raises(ConfigError, match="give start="):
            value(step="1s").at(1_704_067_200 * SECOND)
