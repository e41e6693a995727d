"""How a series hangs together with itself or with another: correlation, regression, decay.

Plain Python on floats. Sums are exact before they are rounded (`math.fsum`), so that they do not
depend on the Python that runs them. What is not defined is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, log, sqrt
from operator import mul
from typing import NamedTuple

__all__ = [
    "Line",
    "autocorrelation",
    "centred",
    "correlation",
    "cross_correlation",
    "decay_exponent",
    "noise_band",
    "noise_of_forecast",
    "regression",
]

FEWEST = 20
"""Values below which no correlation is told: it would be all noise."""
_95 = 1.96
_FEWEST_LAGS = 4


class Line(NamedTuple):
    """A straight line through points, and how sure its slope is."""

    slope: float
    intercept: float
    error: float
    """The standard error of the slope."""


def centred(values: Sequence[float]) -> list[float]:
    """``values`` less their mean."""
    mean = fsum(values) / len(values) if values else 0.0
    return [value - mean for value in values]


def autocorrelation(values: Sequence[float], lags: int) -> tuple[float, ...] | None:
    """The autocorrelation at the lags 1 to ``lags``.

    rho(k) = sum over t of (x[t] - m)(x[t+k] - m) / sum over t of (x[t] - m)^2, m the mean: the
    estimator of Box & Jenkins, Time Series Analysis (1970), ch. 2. It is biased toward 0, by the
    k missing terms. None when there are fewer values than 20 or than ``lags`` + 2, or when they do
    not vary.
    """
    if len(values) < max(FEWEST, lags + 2):
        return None
    series = centred(values)
    whole = fsum(map(mul, series, series))
    if whole <= _tiny(values):
        return None
    return tuple(fsum(map(mul, series, series[lag:])) / whole for lag in range(1, lags + 1))


def correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's correlation of two series of one length; None when one of them does not vary."""
    if len(first) != len(second) or len(first) < FEWEST:
        return None
    one, other = centred(first), centred(second)
    both = fsum(map(mul, one, one)), fsum(map(mul, other, other))
    if both[0] <= _tiny(first) or both[1] <= _tiny(second):
        return None
    return fsum(map(mul, one, other)) / sqrt(both[0] * both[1])


def cross_correlation(
    first: Sequence[float], second: Sequence[float], lags: int
) -> tuple[float, ...] | None:
    """The correlation of ``first[t]`` with ``second[t + k]``, k from 1 to ``lags``."""
    if len(first) != len(second) or len(first) < FEWEST + lags:
        return None
    found = [correlation(first[:-lag], second[lag:]) for lag in range(1, lags + 1)]
    told = tuple(one for one in found if one is not None)
    return told if len(told) == lags else None


def noise_band(count: int) -> float:
    """How far from 0 a correlation of ``count`` independent pairs strays: 1.96 / sqrt(count).

    In 19 of 20 cases (M. S. Bartlett, 1946). It holds for series without fat tails and is too
    narrow for others.
    """
    return _95 / sqrt(count)


def noise_of_forecast(
    first: Sequence[float], second: Sequence[float], lags: Sequence[int]
) -> float | None:
    """How far from 0 the mean correlation of ``first[t]`` with ``second[t + k]`` strays by chance.

    The mean over the ``lags`` k; in 19 of 20 cases, were the sign of ``first[t]`` of no use to
    forecast ``second``. Unlike `noise_band` it allows for volatility that clusters:
    1.96 sqrt(sum over t of (x[t] times the mean of y[t+k])^2 / (S(xx) S(yy))), the estimator of
    A. W. Lo & A. C. MacKinlay, Stock Market Prices Do Not Follow Random Walks, Review of Financial
    Studies 1 (1988). None where there is no correlation.
    """
    if len(first) != len(second) or len(first) < FEWEST + max(lags):
        return None
    xs, ys = centred(first), centred(second)
    if max(map(abs, xs)) == 0 or max(map(abs, ys)) == 0:
        return None
    ahead = [
        fsum(ys[at + lag] for lag in lags if at + lag < len(ys)) / len(lags)
        for at in range(len(ys))
    ]
    strayed = fsum((x * y) ** 2 for x, y in zip(xs, ahead, strict=True))
    return _95 * sqrt(strayed / (fsum(map(mul, xs, xs)) * fsum(map(mul, ys, ys))))


def regression(first: Sequence[float], second: Sequence[float]) -> Line | None:
    """The line of least squares of ``second`` on ``first``; None for fewer than 3 points.

    slope = S(xy) / S(xx); its standard error = sqrt(sum of squared residuals / (n - 2) / S(xx)).
    """
    count = len(first)
    if count != len(second) or count < 3:
        return None
    xs, ys = centred(first), centred(second)
    spread = fsum(map(mul, xs, xs))
    if spread <= _tiny(first):
        return None
    slope = fsum(map(mul, xs, ys)) / spread
    left = fsum((y - slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
    intercept = fsum(second) / count - slope * fsum(first) / count
    return Line(slope, intercept, sqrt(left / (count - 2) / spread))


def decay_exponent(correlations: Sequence[float], noise: float) -> Line | None:
    """How a positive autocorrelation dies out: rho(k) ~ k^-b; the line's slope is -b.

    The least-squares line of log rho(k) on log k, from lag 1 to the last before rho first sinks
    into the ``noise``. None when that leaves fewer than 4 lags: nothing to see decay.
    """
    seen: list[float] = []
    for one in correlations:
        if one <= noise:
            break
        seen.append(one)
    if len(seen) < _FEWEST_LAGS:
        return None
    return regression([log(lag) for lag in range(1, len(seen) + 1)], [log(one) for one in seen])


def _tiny(values: Sequence[float]) -> float:
    """Squares that are rounding, not variation, of numbers as large as these."""
    largest = max(map(abs, values), default=0.0)
    return len(values) * (largest * 1e-14) ** 2
