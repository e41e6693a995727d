"""Ratios of returns: by hand, and as empyrical-reloaded has them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

import pytest

from backtest.analysis.statistics.benchmark import compared
from backtest.analysis.statistics.drawdowns import deepest_share
from backtest.analysis.statistics.ratios import (
    cagr,
    calmar,
    conditional_value_at_risk,
    kurtosis,
    omega,
    sharpe,
    skewness,
    sortino,
    value_at_risk,
    volatility,
)
from tests.test_analysis.test_statistics.numbers import BENCHMARK, RETURNS

# 2 %, -1 %, 3 %, 0 %: mean 1 %, squares of what is away from it 1, 4, 4, 1 (of 10^-4) = 10.
FOUR = [D("0.02"), D("-0.01"), D("0.03"), D(0)]


def curve(returns: list[D]) -> list[D]:
    """What one unit becomes."""
    found = [D(1)]
    for one in returns:
        found.append(found[-1] * (1 + one))
    return found


def test_ratios_by_hand() -> None:
    # Deviation √(10/3 x 10^-4), so mean over deviation = √(10^-4 / (10/3 x 10^-4)) = √0.3.
    assert abs((sharpe(FOUR) or D(0)) - D("0.3").sqrt()) < D("1e-26")
    # Four periods a year: twice that.
    assert abs((sharpe(FOUR, 4) or 0) - 2 * D("0.3").sqrt()) < D("1e-26")
    # Downside √(10^-4 / 4) = 0.005: 0.01 / 0.005.
    assert sortino(FOUR) == D(2)
    # Gains 5 %, losses 1 %.
    assert omega(FOUR) == D(5)
    # 1.02 x 0.99 x 1.03 in four periods of four a year.
    assert cagr(FOUR, 4) == D("1.02") * D("0.99") * D("1.03") - 1
    # Of two periods a year it took two years: the root of it.
    grown = D("1.02") * D("0.99") * D("1.03")
    assert abs((cagr(FOUR, 2) or 0) - (grown.sqrt() - 1)) < D("1e-26")
    assert calmar(D("0.3"), D("0.2")) == D("1.5")


def test_value_at_risk_by_hand() -> None:
    # Sorted -1 %, 0, 2 %, 3 %. A tail of half: place 1.5, half way from 0 to 2 %.
    assert value_at_risk(FOUR, D("0.5")) == D("0.01")
    # Those not above it: -1 % and 0.
    assert conditional_value_at_risk(FOUR, D("0.5")) == D("-0.005")
    assert value_at_risk(FOUR, D(1)) == D("0.03")


@pytest.mark.parametrize("figure", [sharpe, sortino, omega, skewness, kurtosis])
@pytest.mark.parametrize("returns", [[], [D("0.01")] * 3, [D(0)] * 3])
def test_what_is_not_defined_is_none(figure: Callable[[Any], Any], returns: list[D]) -> None:
    assert figure(returns) is None


def test_nothing_grows_from_nothing_or_to_nothing() -> None:
    assert cagr([], 365) is None
    assert cagr([D(-1)], 365) is None
    assert volatility([D(1)], 365) is None
    assert calmar(None, D(1)) is None
    assert calmar(D(1), D(0)) is None
    assert value_at_risk([]) is None
    assert conditional_value_at_risk([]) is None


# What empyrical-reloaded 0.7.1 gives for the same returns, with annualization=252, and scipy
# 1.17.1 for skewness and kurtosis.
REFERENCE = {
    "cagr": 0.4125796761157623,
    "volatility": 0.18362354340709783,
    "sharpe": 1.9738017972808075,
    "sortino": 3.055927111858662,
    "calmar": 4.480607047904636,
    "omega": 1.334312704552216,
    "var": -0.017442,
    "cvar": -0.018253846153846152,
    "drawdown": 0.09208120053926755,
    "beta": -0.12855867372496999,
    "information": 0.07083797054629977,
    "skewness": -0.10361212068538024,
    "kurtosis": 1.7938642767898458,
}


def ours(returns: list[D], benchmark: list[D], per_year: int) -> dict[str, float]:
    """The same by our functions."""
    beside = compared(returns, benchmark, per_year)
    deepest = deepest_share(curve(returns))
    information = beside.information_ratio
    assert information is not None
    found = {
        "cagr": cagr(returns, per_year),
        "volatility": volatility(returns, per_year),
        "sharpe": sharpe(returns, per_year),
        "sortino": sortino(returns, per_year),
        "calmar": calmar(cagr(returns, per_year), deepest),
        "omega": omega(returns),
        "var": value_at_risk(returns),
        "cvar": conditional_value_at_risk(returns),
        "drawdown": deepest,
        "beta": beside.beta,
        "information": information / D(per_year).sqrt(),  # theirs is not annualised
        "skewness": skewness(returns),
        "kurtosis": kurtosis(returns),
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def test_figures_are_those_of_empyrical() -> None:
    assert ours(RETURNS, BENCHMARK, 252) == pytest.approx(REFERENCE, rel=1e-12)


@pytest.mark.parametrize("per_year", [252, 365])
def test_figures_are_those_of_the_empyrical_that_is_installed(per_year: int) -> None:
    pd: Any = pytest.importorskip("pandas")
    theirs: Any = pytest.importorskip("empyrical", reason="empyrical-reloaded is not installed")
    series, other = (pd.Series([float(one) for one in them]) for them in (RETURNS, BENCHMARK))
    found = ours(RETURNS, BENCHMARK, per_year)
    expected = {
        "cagr": theirs.annual_return(series, annualization=per_year),
        "volatility": theirs.annual_volatility(series, annualization=per_year),
        "sharpe": theirs.sharpe_ratio(series, annualization=per_year),
        "sortino": theirs.sortino_ratio(series, annualization=per_year),
        "calmar": theirs.calmar_ratio(series, annualization=per_year),
        "omega": theirs.omega_ratio(series),
        "var": theirs.value_at_risk(series),
        "cvar": theirs.conditional_value_at_risk(series),
        "drawdown": -theirs.max_drawdown(series),
        "beta": theirs.beta(series, other),
        "information": theirs.excess_sharpe(series, other),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)


def test_beside_itself_and_beside_twice_itself() -> None:
    itself = compared(FOUR, FOUR, 4)
    assert itself.beta == 1
    assert itself.alpha == 0
    assert itself.tracking_error == 0
    assert itself.information_ratio is None
    # Half of the benchmark, and 1 % more in each of four periods of a year: alpha is 4 %.
    twice = [2 * (one - D("0.01")) for one in FOUR]
    beside = compared(FOUR, twice, 4)
    assert abs((beside.beta or D(0)) - D("0.5")) < D("1e-26")
    assert abs((beside.alpha or D(0)) - D("0.04")) < D("1e-26")
    assert abs((beside.correlation or D(0)) - 1) < D("1e-26")


def test_returns_of_other_periods_are_refused() -> None:
    with pytest.raises(ValueError, match="4 returns and 3 of the benchmark"):
        compared(FOUR, FOUR[1:], 4)
