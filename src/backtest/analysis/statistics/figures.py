"""The statistics of a run by name, from samples of its equity: what stands in ``run.json``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from backtest.analysis.statistics.arithmetic import STATISTICS, rounded
from backtest.analysis.statistics.drawdowns import deepest_share, drawdowns
from backtest.analysis.statistics.periods import (
    LEAST_RETURNS,
    Annual,
    annual_of,
    at_ends,
    ends_of,
    returns_of,
)
from backtest.analysis.statistics.ratios import (
    cagr,
    calmar,
    conditional_value_at_risk,
    kurtosis,
    omega,
    sharpe,
    skewness,
    sortino,
    value_at_risk,
    volatility,
)
from backtest.errors import ConfigError, MissingExtra
from backtest.services.calendars import ALWAYS_OPEN, Calendar, calendar_of
from backtest.times import DAY

__all__ = ["Daily", "daily_of", "days_of", "figures_of"]

_HUNDRED = Decimal(100)


def days_of(calendars: Iterable[object], first_ns: int, last_ns: int) -> Calendar:
    """The calendar whose days a run's returns are of: that of its first pair, unless a pair of it
    never closes.

    Calendars go by their names, as ``run.json`` has them, so that whoever checks it finds the same
    days. Those of UTC count too where a name is not known (of a calendar of your own), and where
    the calendar does not know the years of the run.
    """
    try:
        known = [calendar_of(getattr(one, "name", one)) for one in calendars]
        if not known or ALWAYS_OPEN in known:
            return ALWAYS_OPEN
        ends_of("day", first_ns, last_ns, known[0])
    except (ConfigError, MissingExtra):
        return ALWAYS_OPEN
    return known[0]


class Daily:
    """Equity at the start and at the end of each day of a run, and the returns between."""

    def __init__(
        self, ends: Sequence[int], equities: Sequence[Decimal], annual: Annual, first_ns: int
    ) -> None:
        self.first_ns = first_ns
        self.ends = ends
        """The ends of the days, in nanoseconds."""
        self.equities = equities
        """The opening equity, and that at each end."""
        self.returns = returns_of(equities)
        """A return for each day; None where equity was not above zero throughout."""
        self.annual = annual


def daily_of(
    samples: Sequence[tuple[int, Decimal]],
    start: Decimal,
    first_ns: int,
    last_ns: int,
    calendar: Calendar = ALWAYS_OPEN,
) -> Daily:
    """The days of a run, of ``calendar``, from samples ``(nanoseconds, equity)`` in order."""
    ends = ends_of("day", first_ns, last_ns, calendar)
    annual = annual_of(first_ns, last_ns, len(ends), calendar)
    return Daily(ends, at_ends(samples, start, ends), annual, first_ns)


def figures_of(daily: Daily) -> dict[str, Any]:
    """The statistics of daily returns by name, rounded half-even to six digits.

    ``…_percent`` are hundredths, of a year where the name says so. None is not defined, and what
    tells of a year is None where ``not_annualised`` says why.
    """
    annual, returns = daily.annual, daily.returns
    enough = returns is not None and not annual.why_not
    known = returns if returns is not None and enough else []
    some = returns if returns is not None and len(returns) >= LEAST_RETURNS else []
    year = annual.per_year
    yearly = cagr(known, year)
    falls = drawdowns(zip((daily.first_ns, *daily.ends), daily.equities, strict=True))
    longest = max((one.length_ns for one in falls), default=0)
    return {
        "daily_returns": len(daily.ends),
        "days_of_a_year": year,
        "not_annualised": annual.why_not
        or ("" if returns is not None else "equity was not above zero throughout"),
        "cagr_percent": _percent(yearly),
        "volatility_percent": _percent(volatility(known, year)),
        "sharpe": rounded(sharpe(known, year)),
        "sortino": rounded(sortino(known, year)),
        "calmar": rounded(calmar(yearly, deepest_share(daily.equities))),
        "omega": rounded(omega(some)),
        "var_95_percent": _percent(value_at_risk(some)),
        "cvar_95_percent": _percent(conditional_value_at_risk(some)),
        "skewness": rounded(skewness(some)),
        "kurtosis": rounded(kurtosis(some)),
        "best_day_percent": _percent(max(returns, default=None) if returns else None),
        "worst_day_percent": _percent(min(returns, default=None) if returns else None),
        "longest_drawdown_days": rounded(STATISTICS.divide(Decimal(longest), Decimal(DAY))),
    }


def _percent(share: Decimal | None) -> Decimal | None:
    told = rounded(share)
    return None if told is None else STATISTICS.multiply(told, _HUNDRED)
