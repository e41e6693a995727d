"""The returns of a run per period, from its equity."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from backtest.analysis.curve import curve_of
from backtest.analysis.metrics import start_equity
from backtest.analysis.record import RunRecord
from backtest.analysis.series import pandas_series
from backtest.analysis.statistics.figures import days_of
from backtest.analysis.statistics.periods import at_ends, ends_of, returns_of
from backtest.errors import ConfigError
from backtest.times import from_ns

__all__ = ["for_quantstats", "period_returns"]


def period_returns(record: RunRecord, period: str) -> list[tuple[int, Decimal]]:
    """The return of each period as ``(end in nanoseconds, share)``; days are those of the pairs'
    calendar, weeks end with Sunday, weeks and months are in UTC.

    ``bar`` are the rows of the curve, whose data is read again: raises `ConfigError` where that
    cannot be, for a period that there is not, and where equity was not above zero throughout.
    """
    valuation = record.valuation
    if period == "bar":
        curve = curve_of(record)
        if curve.basis != "event":
            raise ConfigError(f"there are no returns per bar: {curve.why}")
        ends = [time for time, _ in curve.samples[1:]]
        equities = [equity for _, equity in curve.samples]
    else:
        first, last = valuation.first_ns, valuation.last_ns
        calendar = days_of((rules.calendar for rules in record.rules.values()), first, last)
        ends = ends_of(period, first, last, calendar)
        equities = at_ends(valuation.samples, start_equity(record), ends)
    returns = returns_of(equities)
    if returns is None:
        raise ConfigError("equity was not above zero throughout: there are no returns in shares")
    return list(zip(ends, returns, strict=True))


def for_quantstats(record: RunRecord) -> Any:
    """Daily returns as a Series of floats called ``returns``, indexed by the day that each is of,
    naive. Raises `ConfigError` where there are none, `MissingExtra` without pandas."""
    found = period_returns(record, "day")
    series = pandas_series("returns", [time for time, _ in found], [one for _, one in found])
    import pandas as pd

    days = [pd.Timestamp(from_ns(time - 1).date()) for time, _ in found]
    series.index = pd.DatetimeIndex(days, name="timestamp")
    return series
