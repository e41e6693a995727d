"""What returns come to in a year, and what was risked for it.

Every function takes returns per period as shares (0.01 is one percent) and gives an unrounded
`Decimal` of 34 digits, or None where the figure is not defined. The riskless rate is 0, and so is
the return below which something counts as lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from backtest.analysis.statistics.arithmetic import STATISTICS, deviation, mean, total

__all__ = [
    "cagr",
    "calmar",
    "conditional_value_at_risk",
    "growth",
    "kurtosis",
    "omega",
    "sharpe",
    "skewness",
    "sortino",
    "value_at_risk",
    "volatility",
]

_ZERO, _ONE = Decimal(0), Decimal(1)
_TAIL = Decimal("0.05")
Returns = Sequence[Decimal]


def growth(returns: Returns) -> Decimal:
    """What one unit became: the product of 1 + r."""
    found = _ONE
    for one in returns:
        found = STATISTICS.multiply(found, STATISTICS.add(_ONE, one))
    return found


def cagr(returns: Returns, per_year: int) -> Decimal | None:
    """The compound annual growth rate: growth ^ (``per_year`` / n) - 1.

    None without returns, and where all was lost. Source: the definition.
    """
    grown = growth(returns)
    if not returns or grown <= _ZERO:
        return None
    years = STATISTICS.divide(Decimal(per_year), Decimal(len(returns)))
    return STATISTICS.subtract(STATISTICS.power(grown, years), _ONE)


def volatility(returns: Returns, per_year: int) -> Decimal | None:
    """The standard deviation of the returns (n - 1), times √``per_year``; None of fewer than two.

    It takes returns to be uncorrelated in time. Source: the definition.
    """
    if len(returns) < 2:
        return None
    return STATISTICS.multiply(deviation(returns), STATISTICS.sqrt(Decimal(per_year)))


def sharpe(returns: Returns, per_year: int = 1) -> Decimal | None:
    """Mean over standard deviation (n - 1), times √``per_year``; None where returns do not vary.

    Source: W. F. Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21 (1), 1994.
    """
    if len(returns) < 2:
        return None
    spread = deviation(returns)
    if not spread:
        return None
    return _annual(STATISTICS.divide(mean(returns), spread), per_year)


def sortino(returns: Returns, per_year: int = 1) -> Decimal | None:
    """Mean over downside deviation, times √``per_year``; None where nothing was lost.

    The downside deviation is the root of the mean of min(r, 0)² over *all* returns. Source: F. A.
    Sortino and L. N. Price, Performance Measurement in a Downside Risk Framework, Journal of
    Investing 3 (3), 1994.
    """
    losses = [STATISTICS.power(one, 2) if one < _ZERO else _ZERO for one in returns]
    if not any(losses):
        return None
    return _annual(STATISTICS.divide(mean(returns), STATISTICS.sqrt(mean(losses))), per_year)


def calmar(yearly: Decimal | None, fall: Decimal) -> Decimal | None:
    """The compound annual growth rate ``yearly`` over the deepest ``fall``, both as shares.

    None where equity never fell. Over the whole run; Young took 36 months. Source: T. W. Young,
    Calmar Ratio: A Smoother Tool, Futures 20 (1), 1991.
    """
    return STATISTICS.divide(yearly, fall) if yearly is not None and fall else None


def omega(returns: Returns) -> Decimal | None:
    """What was gained over what was lost, return by return; None where nothing was lost.

    Source: C. Keating and W. F. Shadwick, A Universal Performance Measure, Journal of Performance
    Measurement 6 (3), 2002; the threshold is 0.
    """
    lost = total([one.copy_abs() for one in returns if one < _ZERO])
    return STATISTICS.divide(total([one for one in returns if one > _ZERO]), lost) if lost else None


def value_at_risk(returns: Returns, tail: Decimal = _TAIL) -> Decimal | None:
    """The return per period that the worst ``tail`` of them stay below: the empirical quantile,
    interpolated. Negative is a loss; None of no returns.

    Source: R. J. Hyndman and Y. Fan, Sample Quantiles in Statistical Packages, American
    Statistician 50 (4), 1996, definition 7.
    """
    if not returns:
        return None
    ordered = sorted(returns)
    place = STATISTICS.multiply(tail, Decimal(len(ordered) - 1))
    low = int(place)
    if low + 1 == len(ordered):
        return ordered[low]
    step = STATISTICS.subtract(ordered[low + 1], ordered[low])
    part = STATISTICS.subtract(place, Decimal(low))
    return STATISTICS.add(ordered[low], STATISTICS.multiply(step, part))


def conditional_value_at_risk(returns: Returns, tail: Decimal = _TAIL) -> Decimal | None:
    """The mean of the returns that are not above the value at risk: expected shortfall.

    Source: R. T. Rockafellar and S. Uryasev, Optimization of Conditional Value-at-Risk, Journal of
    Risk 2 (3), 2000.
    """
    if not returns:
        return None
    count = int(STATISTICS.multiply(tail, Decimal(len(returns) - 1))) + 1
    return mean(sorted(returns)[:count])


def skewness(returns: Returns) -> Decimal | None:
    """The third central moment over the second to the power of 3/2 (of a population)."""
    return _moment(returns, 3)


def kurtosis(returns: Returns) -> Decimal | None:
    """The fourth central moment over the square of the second (of a population): 3 if normal."""
    return _moment(returns, 4)


def _moment(returns: Returns, power: int) -> Decimal | None:
    if len(returns) < 2:
        return None
    middle = mean(returns)
    away = [STATISTICS.subtract(one, middle) for one in returns]
    second = mean([STATISTICS.power(one, 2) for one in away])
    if not second:
        return None
    raised = mean([STATISTICS.power(one, power) for one in away])
    return STATISTICS.divide(raised, STATISTICS.power(STATISTICS.sqrt(second), power))


def _annual(ratio: Decimal, per_year: int) -> Decimal:
    return STATISTICS.multiply(ratio, STATISTICS.sqrt(Decimal(per_year)))
