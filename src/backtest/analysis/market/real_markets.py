"""What real markets show: for each stylised fact the range that is usual, and who measured it.

Where the source gives numbers, they are the range; where it gives a direction only, the range is
ours, wide on purpose, and `Real.basis` says so. Real markets fall outside it, too: a verdict is a
comparison, not a test.
"""

from __future__ import annotations

from enum import Enum
from math import inf

from attrs import frozen

__all__ = ["REAL", "Real", "Verdict", "verdict_of"]


class Verdict(Enum):
    """How a measured fact compares with real markets."""

    AS_REAL = "as in real markets"
    WEAKER = "weaker"
    STRONGER = "stronger"
    NOT_SEEN = "not seen"
    UNCLEAR = "unclear: within the noise"
    NOT_MEASURED = "not measured"


@frozen
class Real:
    """What real markets show of one fact."""

    title: str
    low: float
    high: float
    absent: float
    """The value it has where there is no such thing: 0 of a correlation, 1 of a concave exponent,
    infinity of a tail index. Within the range: real markets do not have it, either."""
    source: str
    basis: str = "range of the source"


CONT = "Cont (2001), Quantitative Finance 1"
_OURS = "direction of the source, range ours"

REAL = {
    "return_autocorrelation": Real(
        "autocorrelation of returns, lag 1", -0.1, 0.1, 0.0, f"{CONT}, fact 1", _OURS
    ),
    "later_autocorrelation": Real(
        "autocorrelation of returns, mean of lags 2–10", -0.05, 0.05, 0.0, f"{CONT}, fact 1", _OURS
    ),
    "volatility_clustering": Real(
        "autocorrelation of |r|, mean of lags 1–10", 0.1, 0.4, 0.0, f"{CONT}, fact 6", _OURS
    ),
    "squared_clustering": Real(
        "autocorrelation of r², mean of lags 1–10",
        0.05, 0.4, 0.0, f"{CONT}, fact 6; Bollerslev (1986), Journal of Econometrics 31", _OURS,
    ),
    "clustering_decay": Real(
        "exponent of the decay of |r|'s autocorrelation", 0.2, 0.4, inf, f"{CONT}, fact 8"
    ),
    "kurtosis": Real(
        "excess kurtosis of returns", 3.0, 80.0, 0.0,
        f"{CONT}, fact 2: 16 to 74 over five minutes", "source widened to 3 to 80",
    ),
    "gaussianity": Real(
        "excess kurtosis lost at ten times the horizon", 0.2, 1.1, 0.0, f"{CONT}, fact 4", _OURS
    ),
    "tail_index": Real(
        "tail index of |r| (Hill, largest 5 %)", 2.0, 5.0, inf,
        f"{CONT}, fact 2; about 3 in Gopikrishnan et al. (1998), European Physical Journal B 3",
    ),
    "volume_volatility": Real(
        "correlation of volume and |r|", 0.1, 0.8, 0.0,
        f"Karpoff (1987), Journal of Financial and Quantitative Analysis 22; {CONT}, fact 10",
        _OURS,
    ),
    "leverage": Real(
        "correlation of r with later r², mean of lags 1–10", -0.3, -0.01, 0.0,
        f"Bouchaud, Matacz & Potters (2001), Physical Review Letters 87; {CONT}, fact 9", _OURS,
    ),
    "sign_autocorrelation": Real(
        "autocorrelation of order signs, mean of lags 1–10", 0.1, 0.5, 0.0,
        "Bouchaud, Gefen, Potters & Wyart (2004), Quantitative Finance 4", _OURS,
    ),
    "sign_decay": Real(
        "exponent of the decay of the signs' autocorrelation", 0.2, 0.7, inf,
        "Bouchaud et al. (2004), as above; about 0.6 in Lillo & Farmer (2004), "
        "Studies in Nonlinear Dynamics & Econometrics 8",
    ),
    "impact_exponent": Real(
        "exponent of the impact of an order's size", 0.1, 0.6, 1.0,
        "Lillo, Farmer & Mantegna (2003), Nature 421; Bouchaud, Farmer & Lillo (2009), "
        "How Markets Slowly Digest Changes in Supply and Demand",
        "source widened to 0.1 to 0.6",
    ),
    "spread_per_volatility": Real(
        "mean spread in volatilities per trade", 0.8, 2.0, 0.0,
        "Wyart et al. (2008), Quantitative Finance 8: proportional, of order one", _OURS,
    ),
}  # fmt: skip
"""By the name of the fact, in the order in which they are told."""


def verdict_of(value: float | None, error: float | None, real: Real) -> Verdict:
    """How ``value``, sure to within ``error`` (half of a 95 % interval), compares with ``real``.

    *Weaker* lies between absent and the range, *stronger* beyond it; *not seen* is absent, the
    other way round, or short of the range and not to be told from absent. Where the error reaches
    from within the range to its outside, or to absent, it is *unclear*.
    """
    if value is None:
        return Verdict.NOT_MEASURED
    margin = error or 0.0
    if real.low <= real.absent <= real.high:
        if real.low <= value <= real.high:
            return Verdict.AS_REAL
        near = real.low - margin <= value <= real.high + margin
        return Verdict.UNCLEAR if near else Verdict.STRONGER
    # Read so that strength grows upwards from absent.
    upward = real.absent < real.low
    low, high = (real.low, real.high) if upward else (-real.high, -real.low)
    strength, absent = (value, real.absent) if upward else (-value, -real.absent)
    seen = strength - margin > absent
    if strength <= absent or (strength < low and not seen):
        return Verdict.NOT_SEEN
    if strength < low:
        return Verdict.UNCLEAR if strength + margin >= low else Verdict.WEAKER
    if strength > high:
        return Verdict.UNCLEAR if strength - margin <= high else Verdict.STRONGER
    return Verdict.AS_REAL if seen else Verdict.UNCLEAR
