"""The spread between best bid and best ask: how wide, for how long, and beside what moves."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from math import fsum, sqrt
from typing import NamedTuple

from backtest.analysis.market.order_flow import Incoming
from backtest.analysis.market.samples import BestQuote
from backtest.money import sub

__all__ = ["SpreadStatistics", "spread_per_volatility", "spread_statistics", "volatility_per_trade"]

_FEWEST_ORDERS = 50


class SpreadStatistics(NamedTuple):
    """The spread over time: each moment counts for as long as it lasted."""

    mean: float
    """In the quote asset."""
    mean_bp: float
    """In hundredths of a percent of the mid."""
    mean_ticks: float | None
    """In price increments; None where the increment is not known."""
    median: float
    """Half of the time it was no wider."""
    widest: float
    one_sided: float
    """The share of the time in which a side of the book was empty; it counts for nothing else."""


def spread_statistics(
    quotes: Sequence[BestQuote], end_ns: int, tick: Decimal | None = None
) -> SpreadStatistics | None:
    """The spread from the first quote until ``end_ns``, weighted by time; None without quotes."""
    widths: dict[float, int] = {}
    relative: list[float] = []
    both = empty = 0
    for at, (time_ns, bid, ask, _, _) in enumerate(quotes):
        until = quotes[at + 1].time_ns if at + 1 < len(quotes) else end_ns
        lasted = max(0, until - time_ns)
        if bid is None or ask is None:
            empty += lasted
            continue
        width = float(sub(ask, bid))
        widths[width] = widths.get(width, 0) + lasted
        relative.append(lasted * width / (float(bid) + float(ask)) * 2)
        both += lasted
    if not both:
        return None
    mean = fsum(width * lasted for width, lasted in widths.items()) / both
    passed = 0
    median = 0.0
    for width in sorted(widths):
        passed += widths[width]
        if 2 * passed >= both:
            median = width
            break
    return SpreadStatistics(
        mean=mean,
        mean_bp=fsum(relative) / both * 10_000,
        mean_ticks=None if tick is None else mean / float(tick),
        median=median,
        widest=max(width for width, lasted in widths.items() if lasted),
        one_sided=empty / (both + empty),
    )


def volatility_per_trade(orders: Sequence[Incoming]) -> float | None:
    """The root of the mean squared log return of the price from one incoming order to the next.

    Prices are those just before each order. None below 50 orders.
    """
    prices = [one.before for one in orders if one.before is not None]
    if len(prices) < _FEWEST_ORDERS:
        return None
    moves = [(after - before) ** 2 for before, after in pairwise(prices)]
    return sqrt(fsum(moves) / len(moves))


def spread_per_volatility(
    spread: SpreadStatistics | None, orders: Sequence[Incoming]
) -> float | None:
    """The mean spread in volatilities per trade: near 1 to 2 where makers compete.

    M. Wyart, J.-P. Bouchaud, J. Kockelkoren, M. Potters & M. Vettorazzo, Relation Between Bid-Ask
    Spread, Impact and Volatility in Order-Driven Markets, Quantitative Finance 8 (2008).
    """
    volatility = volatility_per_trade(orders)
    if spread is None or not volatility:
        return None
    return spread.mean_bp / 10_000 / volatility
