"""Correlations of series whose answer is known."""

from __future__ import annotations

from math import log, sqrt
from random import Random

import pytest

from backtest.analysis.market.correlations import (
    autocorrelation,
    correlation,
    cross_correlation,
    decay_exponent,
    noise_band,
    noise_of_forecast,
    regression,
)


def test_the_autocorrelation_of_a_series_worked_out_by_hand() -> None:
    # 20 values, +1 -1 +1 -1 ...: the mean is 0 and the sum of squares 20. At lag 1 there are 19
    # products of -1, at lag 2 there are 18 of +1: -19/20 and 18/20.
    series = [1.0, -1.0] * 10
    assert autocorrelation(series, 2) == (-19 / 20, 18 / 20)


def test_the_autocorrelation_is_about_the_mean() -> None:
    # Twenty values 5 + x are as correlated with each other as x.
    series = [float(value % 7) for value in range(30)]
    moved = [value + 5.0 for value in series]
    assert autocorrelation(moved, 3) == pytest.approx(autocorrelation(series, 3))


def test_an_autoregressive_series_has_the_powers_of_its_coefficient() -> None:
    # x(t) = 0.8 x(t-1) + noise: rho(k) = 0.8^k, to within about 1 / sqrt(n).
    random = Random(3)
    series, last = [], 0.0
    for _ in range(40_000):
        last = 0.8 * last + random.gauss(0, 1)
        series.append(last)
    found = autocorrelation(series, 3)
    assert found is not None
    assert found == pytest.approx((0.8, 0.64, 0.512), abs=0.02)


@pytest.mark.parametrize("series", [[], [1.0] * 19, [1.0] * 100, [0.1] * 100])
def test_too_short_a_series_and_one_that_does_not_vary_have_none(series: list[float]) -> None:
    assert autocorrelation(series, 1) is None
    assert correlation(series, series) is None


def test_no_more_lags_than_the_series_has() -> None:
    assert autocorrelation([1.0, -1.0] * 10, 19) is None


def test_a_correlation_worked_out_by_hand() -> None:
    # Ten times (0, 0), (1, 1), (2, 0): x less its mean 1 is -1, 0, 1 and y less 1/3 is -1/3, 2/3,
    # -1/3. Their products sum to 1/3 - 1/3 = 0, though y is a function of x.
    assert correlation([0.0, 1.0, 2.0] * 10, [0.0, 1.0, 0.0] * 10) == pytest.approx(0, abs=1e-12)
    # (0, 0), (1, 0), (1, 1), (2, 1) ten times: x about 1: -1, 0, 0, 1; y about 1/2: -1/2, -1/2,
    # 1/2, 1/2. Sxy = 1/2 + 1/2 = 1, Sxx = 2, Syy = 1: 1 / sqrt(2).
    xs, ys = [0.0, 1.0, 1.0, 2.0] * 10, [0.0, 0.0, 1.0, 1.0] * 10
    assert correlation(xs, ys) == pytest.approx(1 / sqrt(2))


def test_series_of_different_lengths_have_no_correlation() -> None:
    assert correlation([1.0, 2.0] * 20, [1.0, 2.0] * 21) is None


def test_a_series_correlates_with_what_follows_it() -> None:
    # The second is the first, one later, with the other sign: -1 at lag 1.
    random = Random(1)
    first = [random.gauss(0, 1) for _ in range(200)]
    second = [0.0, *(-value for value in first[:-1])]
    found = cross_correlation(first, second, 3)
    assert found is not None
    assert found[0] == pytest.approx(-1)
    assert abs(found[1]) < 0.2
    assert abs(found[2]) < 0.2


def test_the_noise_band_of_a_hundred_values() -> None:
    assert noise_band(100) == pytest.approx(0.196)


def test_the_noise_of_a_forecast_of_a_coin_is_about_the_noise_band() -> None:
    # 100 times +1 or -1: each of 99 products is 1, so 1.96 sqrt(99) / 100.
    coin = [1.0, -1.0] * 50
    assert noise_of_forecast(coin, coin, (1,)) == pytest.approx(1.96 * sqrt(99) / 100)


def test_the_noise_of_a_forecast_is_wider_where_volatility_clusters() -> None:
    # Fifty values of +-1, then fifty of +-3: sum of squares 50 + 450 = 500; products of squares at
    # lag 1: 49 x 1 + 1 x 9 + 49 x 81 = 4027. 1.96 sqrt(4027) / 500 = 0.249, not 0.196.
    series = [1.0, -1.0] * 25 + [3.0, -3.0] * 25
    found = noise_of_forecast(series, series, (1,))
    assert found == pytest.approx(1.96 * sqrt(4027) / 500)


def test_what_does_not_vary_has_no_noise() -> None:
    assert noise_of_forecast([1.0] * 50, [1.0] * 50, (1,)) is None
    assert noise_of_forecast([1.0, -1.0] * 10, [1.0, -1.0] * 10, (1, 2)) is None


def test_a_regression_worked_out_by_hand() -> None:
    # (0, 1), (1, 2), (2, 6): x about 1: -1, 0, 1, y about 3: -2, -1, 3. Sxy = 2 + 3 = 5, Sxx = 2:
    # slope 2.5, intercept 3 - 2.5 = 0.5. Fitted 0.5, 3, 5.5: residuals 0.5, -1, 0.5, squares sum
    # to 1.5, over n - 2 = 1 and Sxx: sqrt(0.75).
    line = regression([0.0, 1.0, 2.0], [1.0, 2.0, 6.0])
    assert line is not None
    assert line == pytest.approx((2.5, 0.5, sqrt(0.75)))


def test_points_one_above_the_other_have_no_line() -> None:
    assert regression([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]) is None
    assert regression([1.0, 2.0], [1.0, 2.0]) is None


def test_a_power_law_has_its_exponent() -> None:
    # rho(k) = 0.5 k^-0.3 exactly, so the line has no error.
    line = decay_exponent([0.5 * lag**-0.3 for lag in range(1, 30)], 0.01)
    assert line is not None
    assert line.slope == pytest.approx(-0.3)
    assert line.intercept == pytest.approx(log(0.5))
    assert line.error == pytest.approx(0, abs=1e-9)


def test_the_decay_ends_where_the_noise_begins() -> None:
    # Four lags above 0.1, then one below: what comes after is not looked at.
    with_noise = [0.4, 0.2, 0.4 / 3, 0.101, 0.05, 0.9, 0.9]
    line = decay_exponent(with_noise, 0.1)
    assert line is not None
    assert line.slope == pytest.approx(-1, abs=0.01)  # 0.4 / k, nearly
    assert decay_exponent([0.4, 0.2, 0.4 / 3, 0.05, 0.9], 0.1) is None
