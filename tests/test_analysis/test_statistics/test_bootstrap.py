"""The stationary bootstrap: lengths of blocks, seeds, and how wide intervals are."""

from __future__ import annotations

from math import sqrt
from random import Random

import pytest

from backtest.analysis.statistics.bootstrap import block_length, bootstrap
from backtest.errors import FieldError


def autoregressive(count: int, share: float, seed: int = 1) -> list[float]:
    """Returns of which each keeps ``share`` of the one before."""
    random, found, last = Random(seed), [], 0.0
    for _ in range(count):
        last = share * last + random.gauss(0, 0.01)
        found.append(last)
    return found


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_blocks_are_as_long_as_theory_has_it(share: float) -> None:
    # Of an autoregression of the first order, G / g(0) = 2ρ / (1 - ρ²), so the best mean length is
    # ((2ρ / (1 - ρ²))² n)^(1/3): 26.1 for ρ = 1/2 and n = 10,000.
    best = ((2 * share / (1 - share**2)) ** 2 * 10_000) ** (1 / 3)
    found = [block_length(autoregressive(10_000, share, seed)) for seed in range(4)]
    assert sum(found) / len(found) == pytest.approx(best, rel=0.25)


def test_blocks_of_what_does_not_depend_are_short() -> None:
    assert block_length(autoregressive(2_000, 0.0)) < 6
    assert block_length([0.01] * 50) == 1.0
    assert block_length([0.01, 0.02]) == 1.0


def test_blocks_are_never_longer_than_a_third() -> None:
    trend = [at / 1000 for at in range(60)]
    assert 1 <= block_length(trend) <= 20


def test_one_seed_gives_one_interval() -> None:
    returns = autoregressive(200, 0.2)
    assert bootstrap(returns, 365, seed=3, resamples=50) == bootstrap(
        returns, 365, seed=3, resamples=50
    )
    assert bootstrap(returns, 365, seed=3, resamples=50) != bootstrap(
        returns, 365, seed=4, resamples=50
    )


def test_the_interval_is_as_wide_as_the_standard_error_has_it() -> None:
    # Of independent normal returns the ratio per day has the standard error √((1 + SR²/2) / n), so
    # 95 % are within 1.96 of them (A. W. Lo, The Statistics of Sharpe Ratios, 2002).
    returns = [one + 0.0005 for one in autoregressive(1_000, 0.0, seed=5)]
    interval = bootstrap(returns, 365, seed=1, block=1.0)["sharpe"]
    wide = 2 * 1.96 * sqrt((1 + interval.estimate**2 / 365 / 2) / 1_000) * sqrt(365)
    assert interval.high - interval.low == pytest.approx(wide, rel=0.1)
    assert interval.low < interval.estimate < interval.high


def test_returns_that_depend_make_it_wider() -> None:
    returns = autoregressive(1_000, 0.6)
    apart, together = (
        bootstrap(returns, 365, seed=1, resamples=500, block=one)["sharpe"] for one in (1.0, None)
    )
    assert together.block > 10
    assert together.high - together.low > 1.3 * (apart.high - apart.low)


def test_of_constant_returns_there_is_none() -> None:
    assert bootstrap([0.01] * 9, 365) == {}
    assert bootstrap([0.01], 365) == {}


@pytest.mark.parametrize(
    "settings", [{"resamples": 0}, {"level": 1.0}, {"level": 0.0}, {"block": 0.5}]
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(FieldError, match=next(iter(settings))):
        bootstrap([0.01, 0.02], 365, **settings)  # type: ignore[arg-type]


def test_sums_of_floats_are_the_same_on_every_python() -> None:
    # From 3.12 on, sum() of floats makes up for what rounding lost, so that the last digits of
    # what is added one by one would be others there.
    returns = [((at * at * 7 + at) % 101 - 50) / 1000 for at in range(200)]
    assert block_length(returns) == 8.959628028782154
