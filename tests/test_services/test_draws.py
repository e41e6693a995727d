"""Draws without the C library: their distributions, their decay, their streams."""

from __future__ import annotations

from math import erf, exp, sqrt
from random import Random

import pytest

from backtest.errors import FieldError
from backtest.services.draws import decay, exponential, growth, normal, stream

COUNT = 40_000


def moments(values: list[float]) -> tuple[float, float, float]:
    """Mean, second and fourth moment."""
    n = len(values)
    return sum(values) / n, sum(x**2 for x in values) / n, sum(x**4 for x in values) / n


class TestExponential:
    def test_has_the_moments_of_the_distribution(self) -> None:
        # Means n! of x to the n; their standard errors are sqrt(((2n)! - n!²)/N).
        random = Random(1)
        mean, second, fourth = moments([exponential(random) for _ in range(COUNT)])
        assert abs(mean - 1) < 4 * sqrt(1 / COUNT)
        assert abs(second - 2) < 4 * sqrt(20 / COUNT)
        assert abs(fourth - 24) < 4 * sqrt((40320 - 576) / COUNT)

    def test_falls_below_every_quantile_as_often_as_it_should(self) -> None:
        random = Random(2)
        drawn = [exponential(random) for _ in range(COUNT)]
        for edge in (0.05, 0.5, 1.0, 1.5, 2.5, 4.0):
            share = 1 - exp(-edge)
            found = sum(one <= edge for one in drawn) / COUNT
            assert abs(found - share) < 4 * sqrt(share * (1 - share) / COUNT)


class TestNormal:
    def test_has_the_moments_of_the_distribution(self) -> None:
        random = Random(3)
        mean, second, fourth = moments([normal(random) for _ in range(COUNT)])
        assert abs(mean) < 4 * sqrt(1 / COUNT)
        assert abs(second - 1) < 4 * sqrt(2 / COUNT)
        assert abs(fourth - 3) < 4 * sqrt((105 - 9) / COUNT)

    def test_falls_below_every_quantile_as_often_as_it_should(self) -> None:
        random = Random(4)
        drawn = [normal(random) for _ in range(COUNT)]
        for edge in (-2.5, -1.0, -0.3, 0.0, 0.7, 1.6, 3.0):
            share = (1 + erf(edge / sqrt(2))) / 2
            found = sum(one <= edge for one in drawn) / COUNT
            assert abs(found - share) < 4 * sqrt(share * (1 - share) / COUNT)


class TestDecay:
    @pytest.mark.parametrize("x", [0.0, 1e-9, 0.25, 0.5, 0.500001, 1.0, 7.3, 60.0, 300.0, 745.0])
    def test_is_the_exponential_function(self, x: float) -> None:
        assert decay(x) == pytest.approx(exp(-x), rel=1e-11)

    def test_vanishes_where_no_float_is_small_enough(self) -> None:
        assert decay(1e9) == 0.0

    @pytest.mark.parametrize("x", [-0.1, float("nan")])
    def test_refuses_what_would_grow(self, x: float) -> None:
        with pytest.raises(FieldError, match="non-negative"):
            decay(x)


@pytest.mark.parametrize("x", [-40.0, -0.3, 0.0, 0.7, 12.5, 600.0])
def test_growth_is_the_exponential_function_of_either_sign(x: float) -> None:
    assert growth(x) == pytest.approx(exp(x), rel=1e-11)


def test_the_numbers_are_these_on_every_machine() -> None:
    # Nothing but comparisons, the four operations and Python's own stream of uniform numbers.
    random = stream(7, "some/name")
    assert [exponential(random), normal(random)] == [1.0355302993200286, 0.00211710829744427]
    assert stream(7, "some/other").random() != stream(7, "some/name").random()
