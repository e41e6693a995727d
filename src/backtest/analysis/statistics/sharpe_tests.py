"""How probable it is that a Sharpe ratio is not luck, after one trial or after many.

Sharpe ratios here are per period, not annualised. Probabilities are floats: normal distributions
are those of Python's `statistics.NormalDist`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import e, sqrt
from statistics import NormalDist

from backtest.analysis.statistics.ratios import kurtosis, sharpe, skewness
from backtest.errors import FieldError

__all__ = [
    "deflated_sharpe",
    "expected_maximum",
    "least_track_record",
    "probabilistic_sharpe",
    "probability",
    "track_record",
]

_EULER = 0.5772156649015329
"""The constant of Euler and Mascheroni."""
_NORMAL = NormalDist()


def probabilistic_sharpe(returns: Sequence[Decimal], benchmark: float = 0.0) -> float | None:
    """The probability that the true Sharpe ratio is above ``benchmark``, both per period.

    It takes into account how many returns there are, that they are skewed and that their tails are
    fat; it takes them to be independent in time. None where the ratio is not defined, and where the
    moments of the sample leave no variance. Source: D. H. Bailey and M. López de Prado, The Sharpe
    Ratio Efficient Frontier, Journal of Risk 15 (2), 2012.
    """
    moments = _moments(returns)
    if moments is None:
        return None
    ratio, skew, tails = moments
    return probability(ratio, len(returns), skew, tails, benchmark)


def least_track_record(
    returns: Sequence[Decimal], benchmark: float = 0.0, confidence: float = 0.95
) -> float | None:
    """How many returns it takes until the probabilistic Sharpe ratio is ``confidence``.

    None where the ratio is not above ``benchmark``: no number suffices. Source: as there, the
    minimum track record length.
    """
    moments = _moments(returns)
    if moments is None or moments[0] <= benchmark:
        return None
    return track_record(*moments, benchmark, confidence)


def track_record(
    ratio: float, skew: float, tails: float, benchmark: float = 0.0, confidence: float = 0.95
) -> float | None:
    """The same of a ``ratio`` above ``benchmark``, with this skewness and kurtosis."""
    spread = _spread(ratio, skew, tails)
    if spread is None:
        return None
    return 1 + (spread * _NORMAL.inv_cdf(confidence) / (ratio - benchmark)) ** 2


def expected_maximum(trials: int, variance: float) -> float:
    """The Sharpe ratio per period that the best of ``trials`` worthless strategies is expected to
    show, whose ratios have this ``variance``. Raises `FieldError` for fewer than one trial.

    Source: D. H. Bailey and M. López de Prado, The Deflated Sharpe Ratio, Journal of Portfolio
    Management 40 (5), 2014, equation 1.
    """
    if trials < 1:
        raise FieldError("trials", f"must be 1 or more, is {trials}")
    if variance < 0:
        raise FieldError("variance", f"must not be below 0, is {variance}")
    if trials == 1:
        return 0.0
    first = _NORMAL.inv_cdf(1 - 1 / trials)
    second = _NORMAL.inv_cdf(1 - 1 / (trials * e))
    return sqrt(variance) * ((1 - _EULER) * first + _EULER * second)


def deflated_sharpe(
    returns: Sequence[Decimal], trials: int, variance: float | None = None
) -> float | None:
    """The probability that the true Sharpe ratio is above 0, though the run is the best of
    ``trials`` that were tried.

    ``variance`` is that of the trials' Sharpe ratios, per period. Left out it is what chance alone
    gives the ratio of a worthless strategy in so many returns, 1 / (n - 1): that is too little
    where the trials differ much. Source: as `expected_maximum`, equation 2.
    """
    if len(returns) < 2:
        return None
    spread = 1 / (len(returns) - 1) if variance is None else variance
    return probabilistic_sharpe(returns, expected_maximum(trials, spread))


def probability(
    ratio: float, count: int, skew: float = 0.0, tails: float = 3.0, benchmark: float = 0.0
) -> float | None:
    """The same as `probabilistic_sharpe`, of a ``ratio`` per period of ``count`` returns with this
    skewness and kurtosis (3 is that of a normal distribution)."""
    spread = _spread(ratio, skew, tails)
    if spread is None or count < 2:
        return None
    return _NORMAL.cdf((ratio - benchmark) * sqrt(count - 1) / spread)


def _spread(ratio: float, skew: float, tails: float) -> float | None:
    """The standard error of the ratio times √(n - 1)."""
    variance = 1 - skew * ratio + (tails - 1) / 4 * ratio**2
    return sqrt(variance) if variance > 0 else None


def _moments(returns: Sequence[Decimal]) -> tuple[float, float, float] | None:
    """Ratio, skewness and kurtosis of returns."""
    ratio, skew, tails = sharpe(returns), skewness(returns), kurtosis(returns)
    if ratio is None or skew is None or tails is None:
        return None
    return float(ratio), float(skew), float(tails)
