"""What the figures of a run may be worth: beside a benchmark, under chance, at other costs.

These are looked at on request, and in floats where chance is in them. What is certain of a run
stands in its summary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from attrs import frozen

from backtest.analysis.curve import marks_of
from backtest.analysis.metrics import daily, held, summarise
from backtest.analysis.record import RunRecord
from backtest.analysis.rereading import market_events
from backtest.analysis.statistics.arithmetic import STATISTICS, mean
from backtest.analysis.statistics.benchmark import Comparison, compared
from backtest.analysis.statistics.bootstrap import LEVEL, RESAMPLES, Interval, bootstrap
from backtest.analysis.statistics.periods import at_ends, returns_of
from backtest.analysis.statistics.sharpe_tests import (
    deflated_sharpe,
    least_track_record,
    probabilistic_sharpe,
)
from backtest.errors import ConfigError
from backtest.money import ZERO, add, mul, sub

__all__ = ["Confidence", "Costs", "beside_buy_and_hold", "confidence", "costs", "turnover"]


@frozen(kw_only=True)
class Confidence:
    """How far the Sharpe ratio and the growth of a run may be luck. Floats."""

    not_annualised: str
    """Why there are no intervals, in words; empty where there are."""
    sharpe: Interval | None
    """Of the annualised Sharpe ratio of daily returns, and"""
    cagr: Interval | None
    """of the compound annual growth rate, as a share."""
    probabilistic_sharpe: float | None
    """The probability that the true Sharpe ratio is above 0, had there been one trial."""
    deflated_sharpe: float | None
    """The same, the run being the best of so many ``trials``."""
    trials: int
    least_track_record_days: float | None
    """How many daily returns such a ratio takes to be above 0 with 95 %; None: none suffice."""


@frozen(kw_only=True)
class Costs:
    """The final equity, had every fee been so many times what it was.

    The same fills, other fees: the run is not repeated. A strategy that has more or less money, or
    asks what it has, would have traded otherwise, a liquidation may have come earlier; slippage and
    spreads are in the prices and stay.
    """

    factor: Decimal
    final_equity: Decimal
    profit: Decimal


def confidence(
    record: RunRecord,
    *,
    trials: int = 1,
    trial_variance: float | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Confidence:
    """What chance may have in the Sharpe ratio and the growth of ``record``.

    ``trials`` is how many strategies or parameters were tried before this one was chosen, and
    ``trial_variance`` the variance of their Sharpe ratios per day, where it is known. Raises
    `FieldError` for settings that make no sense.
    """
    days = daily(record)
    returns = days.returns or []
    why = days.annual.why_not
    if days.returns is None:
        why = why or "equity was not above zero throughout"
    if why:
        returns = []
    floats = [float(one) for one in returns]
    found = bootstrap(floats, days.annual.per_year, seed=seed, resamples=resamples, level=level)
    return Confidence(
        not_annualised=why,
        sharpe=found.get("sharpe"),
        cagr=found.get("cagr"),
        probabilistic_sharpe=probabilistic_sharpe(returns),
        deflated_sharpe=deflated_sharpe(returns, trials, trial_variance),
        trials=trials,
        least_track_record_days=least_track_record(returns),
    )


def costs(record: RunRecord, factors: Sequence[Decimal]) -> list[Costs]:
    """`Costs` for each of ``factors``, from the fees in the ledger at the last prices.

    Exact where fees were paid in the cash asset. A fee without a price counts nothing.
    """
    figures = summarise(record)
    fees = ZERO
    for asset, amount in figures["fees_total"].items():
        fees = add(fees, record.valuation.worth(asset, amount) or ZERO)
    found = []
    for factor in factors:
        more = mul(fees, sub(factor, Decimal(1)))
        final = sub(figures["final_equity"], more)
        profit = sub(figures["profit"], more)
        found.append(Costs(factor=factor, final_equity=final, profit=profit))
    return found


def turnover(record: RunRecord) -> Decimal | None:
    """How often equity was turned over: the notional of all fills, buys and sells, over the mean of
    equity at the ends of days. At last prices where it is not in the cash asset."""
    notional = ZERO
    for fill in record.records.fills:
        quote = record.pairs[fill.pair].quote.code
        worth = record.valuation.worth(quote, fill.notional)
        notional = add(notional, worth or ZERO)
    if not notional:
        return ZERO
    equity = mean(daily(record).equities)
    return STATISTICS.divide(notional, equity) if equity > ZERO else None


def beside_buy_and_hold(
    record: RunRecord, held: Sequence[tuple[int, Decimal]] | None = None
) -> Comparison:
    """The daily returns of a run beside those of buying and holding the same data.

    The data is read again, unless the equity of holding it is given: moments in nanoseconds, the
    last one with news of each day among them. Raises `ConfigError` where that cannot be, and where
    nothing is annualised, with the reason.
    """
    days = daily(record)
    if days.annual.why_not:
        raise ConfigError(f"nothing is compared with buy and hold: {days.annual.why_not}")
    if days.returns is None:
        raise ConfigError("equity was not above zero throughout: there are no returns to compare")
    samples = _held(record) if held is None else held
    benchmark = returns_of(at_ends(samples, days.equities[0], days.ends)) or []
    return compared(days.returns, benchmark, days.annual.per_year)


def _held(record: RunRecord) -> list[tuple[int, Decimal]]:
    """The equity of buying and holding, moment by moment. A pair without a price yet is cash."""
    events, why = market_events(record.sources, record.inputs, record.config)
    if events is None:
        raise ConfigError(f"the data cannot be read again: {why}")
    first: Mapping[str, Decimal] = record.valuation.first_prices
    start = daily(record).equities[0]
    found = []
    for time, prices in marks_of(record, events):
        now = held(start, first, {**first, **prices})["final_equity"]
        if now is not None:
            found.append((time, now))
    return found
