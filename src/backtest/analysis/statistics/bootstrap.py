"""Between what a Sharpe ratio and a growth rate may lie: the stationary bootstrap.

A history is put together anew from blocks of random length of the returns, many times, and the
figure is taken of each. Blocks keep what returns have to do with those before them. Floats; the
random numbers are those of a named stream, so one seed gives one interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import cbrt, ceil, exp, floor, fsum, log, log1p, log10, sqrt
from random import Random

from attrs import frozen

from backtest.errors import FieldError
from backtest.services.draws import stream

__all__ = ["Interval", "block_length", "bootstrap"]

RESAMPLES = 2_000
LEVEL = 0.95


@frozen(kw_only=True)
class Interval:
    """Between what a figure lies in the share ``level`` of the histories put together anew."""

    low: float
    high: float
    estimate: float
    """The figure of the returns as they were."""
    level: float
    resamples: int
    """Of how many histories: those of which the figure is defined."""
    block: float
    """The mean length of the blocks, in periods."""
    seed: int


def block_length(returns: Sequence[float]) -> float:
    """The mean length of blocks that is best for the stationary bootstrap of these returns.

    At least 1, at most the smaller of 3√n and n/3. It grows with the autocorrelation. Source: D. N.
    Politis and H. White, Automatic Block-Length Selection for the Dependent Bootstrap, Econometric
    Reviews 23 (1), 2004, with the correction of A. Patton, D. N. Politis and H. White, Econometric
    Reviews 28 (4), 2009.
    """
    count = len(returns)
    if count < 3 or max(returns) == min(returns):
        return 1.0
    highest = ceil(min(3 * sqrt(count), count / 3))
    middle = fsum(returns) / count
    away = [one - middle for one in returns]
    run = max(5, ceil(log10(count)))
    most = min(ceil(sqrt(count)) + run, count - 1)

    covariances = [
        fsum(away[at] * away[at + lag] for at in range(count - lag)) / count
        for lag in range(most + 1)
    ]
    bandwidth = min(2 * max(_lags_that_matter(covariances, count, run), 1), most)
    g = spectrum = 0.0
    for lag in range(-bandwidth, bandwidth + 1):
        weight = _flat_top(lag / bandwidth) * covariances[abs(lag)]
        g += abs(lag) * weight
        spectrum += weight
    if not spectrum:
        return float(highest)
    best = cbrt(g**2 / spectrum**2 * count)
    return min(max(best, 1.0), float(highest))


def _lags_that_matter(covariances: Sequence[float], count: int, run: int) -> int:
    """The last lag before ``run`` many whose autocorrelations are no more than chance; else the
    last of all that is more."""
    bound = 2 * sqrt(log10(count) / count)
    large = [abs(one / covariances[0]) >= bound for one in covariances[1:]]
    for lag in range(len(large) - run + 1):
        if not any(large[lag : lag + run]):
            return lag
    return max((lag for lag, one in enumerate(large, 1) if one), default=1)


def _flat_top(x: float) -> float:
    """The trapezoidal window: 1 until a half, from there in a line to 0 at 1."""
    return min(1.0, max(0.0, 2 * (1 - abs(x))))


def bootstrap(
    returns: Sequence[float],
    per_year: int,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    block: float | None = None,
) -> dict[str, Interval]:
    """Intervals for ``sharpe`` and ``cagr``, both annualised by ``per_year`` periods of a year.

    ``block`` is the mean length of the blocks, that of `block_length` where it is left out. The
    bounds are percentiles of the histories. Returns must be above -1; of fewer than two, or where
    they do not vary, nothing is given. Raises `FieldError` for settings that make no sense. Source:
    D. N. Politis and J. P. Romano, The Stationary Bootstrap, Journal of the American Statistical
    Association 89 (428), 1994.
    """
    if resamples < 1:
        raise FieldError("resamples", f"must be 1 or more, is {resamples}")
    if not 0 < level < 1:
        raise FieldError("level", f"must be between 0 and 1, is {level}")
    if block is not None and not block >= 1:
        raise FieldError("block", f"must be 1 or more, is {block}")
    count = len(returns)
    if count < 2 or max(returns) == min(returns):
        return {}
    length = block_length(returns) if block is None else block
    # Shifted by the mean, squares of small numbers lose no digits.
    middle = fsum(returns) / count
    sums = _Sums(returns, middle)
    histories = [
        sums.history(_blocks(stream(seed, f"bootstrap/{number}"), count, length))
        for number in range(resamples)
    ]
    found = {}
    for name, figure in (("sharpe", _sharpe), ("cagr", _cagr)):
        original = figure(sums.history([(0, count)]), count, middle, per_year)
        values = [figure(one, count, middle, per_year) for one in histories]
        defined = sorted(one for one in values if one is not None)
        if original is not None and defined:
            tail = (1 - level) / 2
            found[name] = Interval(
                low=_percentile(defined, tail),
                high=_percentile(defined, 1 - tail),
                estimate=original,
                level=level,
                resamples=len(defined),
                block=length,
                seed=seed,
            )
    return found


def _blocks(random: Random, count: int, length: float) -> list[tuple[int, int]]:
    """Beginnings and lengths of blocks that are ``count`` periods together: beginnings uniform,
    lengths geometric with the mean ``length``."""
    found, left = [], count
    stay = 1 - 1 / length
    while left:
        size = 1
        if stay > 0:
            size = min(1 + floor(log(1 - random.random()) / log(stay)), left)
        found.append((random.randrange(count), size))
        left -= size
    return found


History = tuple[float, float, float]
"""Sums over a history: of returns less their mean, of the squares of these, of log(1 + r)."""


class _Sums:
    """Sums over any stretch of the returns, which go round in a circle, in a few steps."""

    def __init__(self, returns: Sequence[float], middle: float) -> None:
        away = [one - middle for one in returns] * 2
        self._first = [0.0, *accumulate(away)]
        self._second = [0.0, *accumulate(one * one for one in away)]
        self._logs = [0.0, *accumulate(log1p(one) for one in (*returns, *returns))]

    def history(self, blocks: Sequence[tuple[int, int]]) -> History:
        """The sums over blocks, one after the other."""
        first = second = logs = 0.0
        for begin, size in blocks:
            end = begin + size
            first += self._first[end] - self._first[begin]
            second += self._second[end] - self._second[begin]
            logs += self._logs[end] - self._logs[begin]
        return first, second, logs


def _sharpe(history: History, count: int, middle: float, per_year: int) -> float | None:
    first, second, _ = history
    variance = (second - first * first / count) / (count - 1)
    return (middle + first / count) / sqrt(variance) * sqrt(per_year) if variance > 1e-30 else None


def _cagr(history: History, count: int, middle: float, per_year: int) -> float | None:
    power = history[2] * per_year / count
    return exp(power) - 1 if power < 700 else None


def _percentile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = floor(place)
    if low + 1 >= len(ordered):
        return ordered[-1]
    return ordered[low] + (ordered[low + 1] - ordered[low]) * (place - low)
