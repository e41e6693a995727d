"""Arrivals beside what is known of them in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from math import sqrt
from random import Random

import pytest

from backtest.errors import FieldError
from backtest.services.arrivals import hawkes, poisson
from backtest.times import SECOND


def counts(times: Iterator[int], windows: int, length_ns: int, begins: int = 0) -> list[int]:
    """How many arrive in each of so many windows, one after the other."""
    found = [0] * windows
    for time in times:
        number = (time - begins) // length_ns
        if number >= windows:
            return found
        if number >= 0:
            found[number] += 1
    raise AssertionError("arrivals never end")


def mean_and_variance(values: list[int]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, sum((one - mean) ** 2 for one in values) / (len(values) - 1)


class TestPoisson:
    def test_counts_have_the_mean_and_the_variance_of_the_rate(self) -> None:
        # Rate 0.5/s in windows of 40 s: 20 on average, variance 20. Over 1 000 windows the mean has
        # the standard error sqrt(20/1000) = 0.14, the variance one of 20·sqrt(2/1000) ≈ 0.9.
        mean, variance = mean_and_variance(counts(poisson(0.5, Random(1)), 1_000, 40 * SECOND))
        assert abs(mean - 20) < 4 * 0.14
        assert abs(variance - 20) < 4 * 0.9

    def test_windows_beside_each_other_know_nothing_of_each_other(self) -> None:
        found = counts(poisson(0.5, Random(2)), 1_000, 40 * SECOND)
        mean, variance = mean_and_variance(found)
        together = sum((a - mean) * (b - mean) for a, b in pairwise(found)) / 999
        assert abs(together / variance) < 4 / sqrt(1_000)

    def test_times_are_whole_and_rise_from_the_start(self) -> None:
        times = list(islice(poisson(1e10, Random(3), start_ns=5), 1_000))
        assert times[0] > 5
        assert all(a < b for a, b in pairwise(times))

    @pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
    def test_refuses_rates_that_are_none(self, rate: float) -> None:
        with pytest.raises(FieldError, match="rate"):
            next(poisson(rate, Random(1)))


class TestHawkes:
    def test_counts_have_the_mean_and_the_variance_of_the_closed_form(self) -> None:
        # Rate 1/s, each brings on n = 0.5 others within about 0.5 s. In windows of 50 s, far longer
        # than that: mean 50, variance 50/(1 - 0.5)² = 200 (a little less, for the windows end).
        # Standard errors over 1 000 windows: sqrt(200/1000) = 0.45; 200·sqrt(2/1000) ≈ 9.
        times = hawkes(1.0, 0.5, 0.5, Random(4))
        mean, variance = mean_and_variance(counts(times, 1_000, 50 * SECOND, 100 * SECOND))
        assert abs(mean - 50) < 4 * 0.45
        assert abs(variance - 200) < 4 * 9 + 6

    def test_without_excitation_it_is_a_poisson_process(self) -> None:
        times = hawkes(0.5, 0.0, 1.0, Random(5))
        mean, variance = mean_and_variance(counts(times, 1_000, 40 * SECOND))
        assert abs(mean - 20) < 4 * 0.14
        assert abs(variance - 20) < 4 * 0.9

    def test_an_arrival_is_followed_by_others(self) -> None:
        # Within 50 ms of an arrival: 0.05 × (base 0.5 + the felt excitement), far above the 0.05
        # of a Poisson process with the same rate; at least the n β × 0.05 × e^(-0.05 β) ≈ 0.045 of
        # the arrival's own children more.
        times = list(islice(hawkes(1.0, 0.5, 0.5, Random(6)), 20_000))
        close = sum(b - a < SECOND // 20 for a, b in pairwise(times)) / len(times)
        assert close > 0.05 + 0.04

    def test_refuses_what_explodes(self) -> None:
        with pytest.raises(FieldError, match="below 1"):
            next(hawkes(1.0, 1.0, 1.0, Random(1)))
