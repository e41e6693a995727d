"""Moments and tails of distributions whose answer is known."""

from __future__ import annotations

from math import log, sqrt
from random import Random

import pytest

from backtest.analysis.market.distributions import (
    aggregated,
    excess_kurtosis,
    hill_tail_index,
    kurtosis_error,
    skewness,
)


def test_the_kurtosis_of_a_coin_is_minus_two() -> None:
    # +1 and -1: m2 = 1, m4 = 1, 1 - 3.
    assert excess_kurtosis([1.0, -1.0] * 10) == pytest.approx(-2)


def test_a_kurtosis_worked_out_by_hand() -> None:
    # 18 zeros, +3 and -3: m2 = 18/20 = 0.9, m4 = 162/20 = 8.1, 8.1 / 0.81 - 3 = 7.
    assert excess_kurtosis([0.0] * 18 + [3.0, -3.0]) == pytest.approx(7)


def test_the_kurtosis_is_about_the_mean() -> None:
    assert excess_kurtosis([5.0] * 18 + [8.0, 2.0]) == pytest.approx(7)


def test_a_skewness_worked_out_by_hand() -> None:
    # 19 times +1 and once -19: mean 0, m2 = (19 + 361) / 20 = 19, m3 = (19 - 6859) / 20 = -342,
    # -342 / 19^1.5 = -18 / sqrt(19).
    assert skewness([1.0] * 19 + [-19.0]) == pytest.approx(-18 / sqrt(19))


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [0.1] * 50, [0.0] * 50])
def test_too_few_values_and_such_as_do_not_vary_have_no_moments(values: list[float]) -> None:
    assert excess_kurtosis(values) is None
    assert skewness(values) is None


def test_a_gaussian_has_no_excess_kurtosis() -> None:
    random = Random(5)
    found = excess_kurtosis([random.gauss(0, 1) for _ in range(20_000)])
    assert found is not None
    assert abs(found) < 2 * kurtosis_error(20_000)


def test_the_error_of_the_kurtosis_of_2400_gaussian_values() -> None:
    assert kurtosis_error(2_400) == pytest.approx(0.196)  # 1.96 sqrt(24 / 2400)


def test_a_tail_index_worked_out_by_hand() -> None:
    # Of 200 values the largest 10 count (5 %). Ten are of size 4, by either sign, the next is 2:
    # 1 / alpha = log(4 / 2), error alpha / sqrt(10).
    values = [4.0, -4.0] * 5 + [2.0] + [1.0] * 189
    tail = hill_tail_index(values)
    assert tail is not None
    assert tail.alpha == pytest.approx(1 / log(2))
    assert tail.error == pytest.approx(1 / log(2) / sqrt(10))
    assert tail.used == 10


def test_a_pareto_tail_of_three_is_found() -> None:
    # P(x > u) = u^-3: the inverse of the distribution function at evenly spread points.
    values = [((place + 0.5) / 20_000) ** (-1 / 3) for place in range(20_000)]
    tail = hill_tail_index(values)
    assert tail is not None
    assert tail.alpha == pytest.approx(3, abs=0.02)


@pytest.mark.parametrize("values", [[3.0] * 199, [3.0] * 300, [0.0] * 300])
def test_too_few_values_and_flat_ones_have_no_tail(values: list[float]) -> None:
    assert hill_tail_index(values) is None


def test_returns_over_longer_horizons_are_sums_side_by_side() -> None:
    # The seventh has nobody to be summed with.
    assert aggregated([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 3) == [6.0, 15.0]
