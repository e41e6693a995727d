"""The stylised facts of a market as numbers, with what real markets show beside each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import fsum, inf, isfinite, log
from typing import Any

from attrs import field, frozen

from backtest.analysis.market.correlations import (
    autocorrelation,
    correlation,
    cross_correlation,
    decay_exponent,
    noise_band,
    noise_of_forecast,
)
from backtest.analysis.market.distributions import (
    aggregated,
    excess_kurtosis,
    hill_tail_index,
    kurtosis_error,
)
from backtest.analysis.market.order_flow import (
    Impact,
    Incoming,
    impact_of,
    sign_autocorrelation,
)
from backtest.analysis.market.real_markets import REAL, Real, Verdict, verdict_of
from backtest.analysis.market.spreads import SpreadStatistics, spread_per_volatility
from backtest.times import SECOND

__all__ = ["Fact", "StylisedFacts", "log_returns", "measure"]

RETURN_LAGS = 50
SIGN_LAGS = 100
HORIZONS = (1, 2, 5, 10, 20, 30)
_NEAR = 10
"""Lags over which clustering, leverage and signs are averaged."""
_95 = 1.96


@frozen
class Fact:
    """One stylised fact: what was measured, and what real markets show."""

    name: str
    value: float | None
    """None: it was not measured, for want of data; infinity of a decay: gone at once."""
    error: float | None
    """Half of the interval that holds it in 19 of 20 cases, were there no such thing."""
    real: Real

    @property
    def title(self) -> str:
        return self.real.title

    @property
    def verdict(self) -> Verdict:
        """How it compares with real markets."""
        return verdict_of(self.value, self.error, self.real)


@frozen(kw_only=True)
class StylisedFacts:
    """What a market shows of what real markets show.

    ``facts[name]`` is one `Fact`; the curves behind them are there for pictures. `str` gives the
    table.
    """

    facts: Mapping[str, Fact]
    interval_ns: int
    """Of the returns."""
    price: str
    """What returns were taken from: ``"mid"``, ``"trade"`` or ``"close"``."""
    returns: Sequence[float] = field(repr=False)
    autocorrelation: Sequence[float] = field(default=(), repr=False)
    """Of returns, by lag from 1."""
    absolute_autocorrelation: Sequence[float] = field(default=(), repr=False)
    squared_autocorrelation: Sequence[float] = field(default=(), repr=False)
    sign_autocorrelation: Sequence[float] = field(default=(), repr=False)
    """Of the signs of incoming orders, by lag in orders from 1."""
    kurtosis_by_horizon: Mapping[int, float] = field(factory=dict, repr=False)
    """Excess kurtosis of returns over so many intervals."""
    impact: Impact | None = field(default=None, repr=False)
    spread: SpreadStatistics | None = field(default=None, repr=False)
    orders: int = 0
    """Incoming orders that met others."""

    def __getitem__(self, name: str) -> Fact:
        return self.facts[name]

    def verdicts(self) -> dict[str, str]:
        """The verdicts by the name of the fact."""
        return {name: fact.verdict.value for name, fact in self.facts.items()}

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """As text: title, measured, range of real markets, verdict, source."""
        return [
            (
                fact.title,
                _told(fact),
                f"{_number(fact.real.low)} to {_number(fact.real.high)}",
                fact.verdict.value,
                f"{fact.real.source} ({fact.real.basis})",
            )
            for fact in self.facts.values()
        ]

    def plain(self) -> dict[str, Any]:
        """As JSON takes it: numbers rounded to six digits."""
        return {
            name: {
                "value": _rounded(fact.value),
                "error": _rounded(fact.error),
                "real": [fact.real.low, fact.real.high],
                "verdict": fact.verdict.value,
                "source": fact.real.source,
            }
            for name, fact in self.facts.items()
        }

    def __str__(self) -> str:
        rows = [("stylised fact", "measured", "real markets", "verdict")]
        rows += [row[:4] for row in self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        seconds = self.interval_ns / SECOND
        lines.append(
            f"{len(self.returns):,} returns over {seconds:g} s each, of the {self.price}; "
            f"{self.orders:,} incoming orders"
        )
        return "\n".join(lines)


def log_returns(prices: Sequence[float | None]) -> list[float]:
    """The logs of each price over the one before it; gaps (None) break the chain."""
    logs = [None if price is None else log(price) for price in prices]
    return [
        after - before
        for before, after in pairwise(logs)
        if before is not None and after is not None
    ]


def measure(
    *,
    returns: Sequence[float],
    interval_ns: int,
    price: str,
    volumes: Sequence[float] | None = None,
    orders: Sequence[Incoming] = (),
    spread: SpreadStatistics | None = None,
) -> StylisedFacts:
    """All facts that the data allow; the others are told as not measured.

    ``returns`` are log returns over ``interval_ns`` each, ``volumes`` what was traded in the same
    intervals.
    """
    absolute = [abs(one) for one in returns]
    squared = [one * one for one in returns]
    lags = max(_NEAR, min(RETURN_LAGS, len(returns) // 4))
    plain = autocorrelation(returns, lags) or ()
    clustered = autocorrelation(absolute, lags) or ()
    squares = autocorrelation(squared, lags) or ()
    noise = noise_band(len(returns)) if returns else None
    near = None if noise is None else noise / _NEAR**0.5
    horizons = _kurtosis_by_horizon(returns)
    tail = hill_tail_index(returns)
    signs = sign_autocorrelation(orders, min(SIGN_LAGS, len(orders) // 4)) or ()
    sign_noise = noise_band(len(orders)) if orders else None
    impact = impact_of(orders)
    later = cross_correlation(returns, squared, _NEAR)
    values: dict[str, tuple[float | None, float | None]] = {
        "return_autocorrelation": (
            plain[0] if plain else None, noise_of_forecast(returns, returns, (1,)),
        ),
        "later_autocorrelation": (
            _mean(plain[1:_NEAR]), noise_of_forecast(returns, returns, range(2, _NEAR + 1)),
        ),
        "volatility_clustering": (_mean(clustered[:_NEAR]), near),
        "squared_clustering": (_mean(squares[:_NEAR]), near),
        "clustering_decay": _decay(clustered, noise),
        "kurtosis": (horizons.get(1), kurtosis_error(len(returns)) if returns else None),
        "gaussianity": _lost(horizons, len(returns)),
        "tail_index": (None, None) if tail is None else (tail.alpha, _95 * tail.error),
        "volume_volatility": (None if volumes is None else correlation(volumes, absolute), noise),
        "leverage": (
            _mean(later or ()), noise_of_forecast(returns, squared, range(1, _NEAR + 1)),
        ),
        "sign_autocorrelation": (
            _mean(signs[:_NEAR]), None if sign_noise is None else sign_noise / _NEAR**0.5,
        ),
        "sign_decay": _decay(signs, sign_noise),
        "impact_exponent": _exponent(impact),
        "spread_per_volatility": (spread_per_volatility(spread, orders), None),
    }  # fmt: skip
    return StylisedFacts(
        facts={
            name: Fact(name, value, None if value is None else error, REAL[name])
            for name, (value, error) in values.items()
        },
        interval_ns=interval_ns,
        price=price,
        returns=tuple(returns),
        autocorrelation=plain,
        absolute_autocorrelation=clustered,
        squared_autocorrelation=squares,
        sign_autocorrelation=signs,
        kurtosis_by_horizon=horizons,
        impact=impact,
        spread=spread,
        orders=len(orders),
    )


def _mean(values: Sequence[float]) -> float | None:
    return fsum(values) / len(values) if values else None


def _kurtosis_by_horizon(returns: Sequence[float]) -> dict[int, float]:
    found = {}
    for horizon in HORIZONS:
        kurtosis = excess_kurtosis(aggregated(returns, horizon))
        if kurtosis is not None:
            found[horizon] = kurtosis
    return found


def _lost(horizons: Mapping[int, float], count: int) -> tuple[float | None, float | None]:
    """The share of the excess kurtosis that ten intervals together have lost.

    None where one interval has none to lose, beyond the noise of ``count`` returns.
    """
    short, long = horizons.get(1), horizons.get(10)
    if short is None or long is None or short <= kurtosis_error(count):
        return None, None
    return 1 - long / short, kurtosis_error(count // 10) / short


def _decay(correlations: Sequence[float], noise: float | None) -> tuple[float | None, float | None]:
    if noise is None or not correlations:
        return None, None
    line = decay_exponent(correlations, noise)
    # Gone within three lags: there is no memory whose decay could be measured.
    return (inf, None) if line is None else (-line.slope, _95 * line.error)


def _exponent(impact: Impact | None) -> tuple[float | None, float | None]:
    if impact is None or impact.exponent is None or impact.exponent_error is None:
        return None, None
    return impact.exponent, _95 * impact.exponent_error


# -- in words --------------------------------------------------------------------------------------


def _number(value: float) -> str:
    if not isfinite(value):
        return "∞"
    text = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text.replace("-", "−")


def _told(fact: Fact) -> str:
    if fact.value is None:
        return "–"
    return _number(fact.value) + ("" if fact.error is None else f" ± {_number(fact.error)}")


def _rounded(value: float | None) -> float | None:
    return None if value is None or not isfinite(value) else float(f"{value:.6g}")
