"""Probabilistic and deflated Sharpe ratios: the examples of the papers that they are from."""

from __future__ import annotations

from math import sqrt

import pytest

from backtest.analysis.statistics.ratios import kurtosis, sharpe, skewness
from backtest.analysis.statistics.sharpe_tests import (
    deflated_sharpe,
    expected_maximum,
    least_track_record,
    probabilistic_sharpe,
    probability,
    track_record,
)
from backtest.errors import FieldError
from tests.test_analysis.test_statistics.numbers import RETURNS


def test_the_example_of_the_deflated_sharpe_ratio() -> None:
    # Bailey and López de Prado 2014: 5 years of 250 days, annual ratio 2.5, skewness -3, kurtosis
    # 10, variance of the trials' annual ratios 1/2. After 100 trials the bar is 0.1132 a day and
    # the probability 0.9004; after 46 trials it is 0.9505.
    ratio, variance = 2.5 / sqrt(250), 0.5 / 250
    bar = expected_maximum(100, variance)
    assert bar == pytest.approx(0.1132, abs=5e-5)
    assert probability(ratio, 1250, -3, 10, bar) == pytest.approx(0.9004, abs=5e-4)
    fewer = expected_maximum(46, variance)
    assert probability(ratio, 1250, -3, 10, fewer) == pytest.approx(0.9505, abs=5e-4)


def test_the_example_of_the_probabilistic_sharpe_ratio() -> None:
    # Bailey and López de Prado 2012: two years of months, ratio 0.458 a month. Were the returns
    # normal it would be 0.982; with skewness -2.448 and kurtosis 10.164 it is 0.913.
    assert probability(0.458, 24) == pytest.approx(0.982, abs=1e-3)
    assert probability(0.458, 24, -2.448, 10.164) == pytest.approx(0.913, abs=1e-3)


def test_the_example_of_the_least_track_record() -> None:
    # The same: an annual ratio of 2 takes 2.73 years of days to be above 1 with 95 %.
    days = track_record(2 / sqrt(250), 0, 3, 1 / sqrt(250))
    assert days is not None
    assert days / 250 == pytest.approx(2.73, abs=5e-3)


def test_of_returns_it_is_that_of_their_moments() -> None:
    ratio, skew, tails = sharpe(RETURNS), skewness(RETURNS), kurtosis(RETURNS)
    assert ratio is not None
    assert skew is not None
    assert tails is not None
    told = probability(float(ratio), len(RETURNS), float(skew), float(tails))
    assert probabilistic_sharpe(RETURNS) == told
    # With as many returns as it takes, the probability is what was asked for.
    count = least_track_record(RETURNS)
    assert count is not None
    spread = probability(float(ratio), round(count), float(skew), float(tails))
    assert spread == pytest.approx(0.95, abs=1e-3)


def test_more_trials_leave_less() -> None:
    one, ten, many = (deflated_sharpe(RETURNS, trials) for trials in (1, 10, 1000))
    assert one == probabilistic_sharpe(RETURNS)
    assert one is not None
    assert ten is not None
    assert many is not None
    assert one > ten > many


def test_what_is_not_defined_is_none_and_what_makes_no_sense_is_refused() -> None:
    assert probabilistic_sharpe([]) is None
    assert deflated_sharpe([], 3) is None
    assert least_track_record([-one for one in RETURNS]) is None
    assert probability(3.0, 10, skew=4.0, tails=1.0) is None
    with pytest.raises(FieldError, match="trials"):
        expected_maximum(0, 1.0)
    with pytest.raises(FieldError, match="variance"):
        expected_maximum(2, -1.0)
