"""How returns are distributed: their fourth moment, their tails, and both by horizon."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, log, sqrt
from typing import NamedTuple

from backtest.analysis.market.correlations import FEWEST, centred

__all__ = ["Tail", "aggregated", "excess_kurtosis", "hill_tail_index", "kurtosis_error", "skewness"]

_95 = 1.96
TAIL_SHARE = 0.05
"""Of the returns, the largest that count as the tail."""
_FEWEST_IN_TAIL = 10


class Tail(NamedTuple):
    """How a tail dies out: P(|r| > x) ~ x^-alpha."""

    alpha: float
    error: float
    """Its standard error."""
    used: int
    """Returns that it was taken from."""


def aggregated(returns: Sequence[float], count: int) -> list[float]:
    """Log returns over ``count`` intervals each, side by side; a rest too short is left out."""
    whole = len(returns) - len(returns) % count
    return [fsum(returns[at : at + count]) for at in range(0, whole, count)]


def excess_kurtosis(values: Sequence[float]) -> float | None:
    """m4 / m2^2 - 3, with the moments about the mean: 0 for a Gaussian, more for fat tails.

    Cont (2001), section 3.1, defines it so. None below 20 values, or when they do not vary.
    """
    second, fourth = _moment(values, 2), _moment(values, 4)
    return None if not second or fourth is None else fourth / second**2 - 3.0


def skewness(values: Sequence[float]) -> float | None:
    """m3 / m2^(3/2): below 0 where large falls are larger than large rises."""
    second, third = _moment(values, 2), _moment(values, 3)
    return None if not second or third is None else third / second**1.5


def kurtosis_error(count: int) -> float:
    """How far from 0 the excess kurtosis of ``count`` Gaussian values strays: 1.96 sqrt(24 / n)."""
    return _95 * sqrt(24 / count)


def hill_tail_index(values: Sequence[float], share: float = TAIL_SHARE) -> Tail | None:
    """Hill's index of the tail of |x|, taken from the ``share`` of the values that are largest.

    1 / alpha = mean over i = 1..k of log(|x|(i) / |x|(k+1)), |x|(1) the largest; standard error
    alpha / sqrt(k). Source: B. M. Hill, A Simple General Approach to Inference About the Tail of a
    Distribution, Annals of Statistics 3 (1975). None when fewer than 10 values would be used, or
    when they are all as large as the next.
    """
    used = int(len(values) * share)
    if used < _FEWEST_IN_TAIL:
        return None
    largest = sorted(map(abs, values), reverse=True)[: used + 1]
    least = largest[-1]
    if least <= 0:
        return None
    mean = fsum(log(one / least) for one in largest[:-1]) / used
    if mean <= 0:
        return None
    return Tail(1 / mean, 1 / mean / sqrt(used), used)


def _moment(values: Sequence[float], power: int) -> float | None:
    if len(values) < FEWEST:
        return None
    largest = max(map(abs, values))
    around = centred(values)
    # Values that differ by rounding alone do not vary.
    if max(map(abs, around)) <= largest * 1e-12:
        return None
    return fsum(one**power for one in around) / len(values)
