"""Returns beside those of a benchmark, period by period."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from attrs import frozen

from backtest.analysis.statistics.arithmetic import (
    STATISTICS,
    covariance,
    deviation,
    mean,
    variance,
)
from backtest.analysis.statistics.ratios import sharpe

__all__ = ["Comparison", "compared"]


@frozen(kw_only=True)
class Comparison:
    """What a run's returns were beside a benchmark's; None where it is not defined."""

    beta: Decimal | None
    """Covariance with the benchmark over the benchmark's variance: how far it goes along."""
    alpha: Decimal | None
    """(mean - beta x mean of the benchmark) x periods of a year, a share of a year; riskless rate
    0. Source: M. C. Jensen, The Performance of Mutual Funds in the Period 1945-1964, Journal of
    Finance 23 (2), 1968."""
    correlation: Decimal | None
    """From -1 to 1."""
    tracking_error: Decimal | None
    """Standard deviation (n - 1) of the differences, times the root of the periods of a year."""
    information_ratio: Decimal | None
    """Mean of the differences over their standard deviation, times the root of the periods of a
    year. Source: T. H. Goodwin, The Information Ratio, Financial Analysts Journal 54 (4), 1998."""


def compared(returns: Sequence[Decimal], benchmark: Sequence[Decimal], per_year: int) -> Comparison:
    """``returns`` beside those of a ``benchmark`` over the same periods, of which a year has
    ``per_year``. Raises `ValueError` where they are not equally many."""
    if len(returns) != len(benchmark):
        raise ValueError(
            f"there are {len(returns)} returns and {len(benchmark)} of the benchmark: both must be "
            "of the same periods"
        )
    if len(returns) < 2:
        return Comparison(
            beta=None, alpha=None, correlation=None, tracking_error=None, information_ratio=None
        )
    context = STATISTICS
    differences = [context.subtract(a, b) for a, b in zip(returns, benchmark, strict=True)]
    both = covariance(returns, benchmark)
    here, there = deviation(returns), deviation(benchmark)
    beta = context.divide(both, variance(benchmark)) if there else None
    alpha = None
    if beta is not None:
        explained = context.multiply(beta, mean(benchmark))
        beyond = context.subtract(mean(returns), explained)
        alpha = context.multiply(beyond, Decimal(per_year))
    return Comparison(
        beta=beta,
        alpha=alpha,
        correlation=context.divide(both, context.multiply(here, there)) if here and there else None,
        tracking_error=context.multiply(deviation(differences), context.sqrt(Decimal(per_year))),
        information_ratio=sharpe(differences, per_year),
    )
