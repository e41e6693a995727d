"""Ends of periods, equity at them, and when a year may be told of."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal as D

import pytest

from backtest.analysis.statistics.figures import daily_of, days_of, figures_of
from backtest.analysis.statistics.periods import annual_of, at_ends, ends_of, returns_of
from backtest.errors import ConfigError
from backtest.services.calendars import ALWAYS_OPEN, from_exchange
from backtest.times import DAY, HOUR, to_ns


def at(year: int, month: int, day: int, hour: int = 0) -> int:
    return to_ns(datetime(year, month, day, hour, tzinfo=UTC))


def test_ends_belong_to_their_periods() -> None:
    begin, end = at(2024, 2, 28, 12), at(2024, 3, 4, 1)
    assert ends_of("day", begin, end, ALWAYS_OPEN) == [
        at(2024, 2, 29), at(2024, 3, 1), at(2024, 3, 2), at(2024, 3, 3), at(2024, 3, 4),
        at(2024, 3, 5),
    ]  # fmt: skip
    # 28 February 2024 was a Wednesday: weeks end as Monday, 4 and 11 March, begins.
    assert ends_of("week", begin, end, ALWAYS_OPEN) == [at(2024, 3, 4), at(2024, 3, 11)]
    assert ends_of("month", begin, end, ALWAYS_OPEN) == [at(2024, 3, 1), at(2024, 4, 1)]
    assert ends_of("month", at(2023, 12, 5), at(2024, 1, 1), ALWAYS_OPEN) == [at(2024, 1, 1)]
    assert ends_of("hour", begin, begin + 2 * HOUR, ALWAYS_OPEN) == [begin + HOUR, begin + 2 * HOUR]
    assert ends_of("day", begin, begin, ALWAYS_OPEN) == []
    with pytest.raises(ConfigError, match="hour, day, week, month, not 'fortnight'"):
        ends_of("fortnight", begin, end, ALWAYS_OPEN)


def test_equity_at_an_end_is_that_of_the_last_sample_until_then() -> None:
    samples = [(1, D(11)), (5, D(12)), (10, D(9)), (11, D(8))]
    assert at_ends(samples, D(10), [0, 5, 7, 10, 20]) == [10, 10, 12, 12, 9, 8]


def test_returns_are_shares_and_there_are_none_of_nothing() -> None:
    assert returns_of([D(10), D(11), D("8.8")]) == [D("0.1"), D("-0.2")]
    assert returns_of([D(10), D(0), D(1)]) is None
    assert returns_of([]) is None


def test_a_year_is_told_of_from_thirty_days_on() -> None:
    short = annual_of(0, 30 * DAY - 1, 30, ALWAYS_OPEN)
    assert short.basis == "too short"
    assert "less than 30 days" in short.why_not
    enough = annual_of(0, 30 * DAY, 30, ALWAYS_OPEN)
    assert (enough.basis, enough.per_year, enough.why_not) == ("daily", 365, "")
    few = annual_of(0, 30 * DAY, 19, ALWAYS_OPEN)
    assert few.why_not == "there are 19 daily returns, fewer than 20"


def test_days_are_sessions_where_a_market_has_them() -> None:
    pytest.importorskip("exchange_calendars")
    begin, end = at(2024, 1, 1), at(2024, 3, 1)
    stocks = days_of(["XNYS"], begin, end)
    # January 2024 had 21 sessions in New York, February 20.
    assert len(ends_of("day", begin, end, stocks)) == 41 + 1  # and that of 1 March, to be whole
    assert annual_of(begin, end, 42, stocks).per_year == 252
    # A pair that never closes makes every day one.
    assert days_of(["XNYS", "always_open"], begin, end) is ALWAYS_OPEN
    assert days_of(["of my own"], begin, end) is ALWAYS_OPEN
    assert from_exchange("XNYS").name == "XNYS"


def test_figures_of_a_run_that_is_too_short_say_so() -> None:
    figures = figures_of(daily_of([(HOUR, D(11))], D(10), 0, 6 * HOUR))
    assert figures["not_annualised"] == "the run spans 6h, less than 30 days"
    assert figures["daily_returns"] == 1
    for name in ("cagr_percent", "volatility_percent", "sharpe", "sortino", "calmar", "omega"):
        assert figures[name] is None
    assert figures["best_day_percent"] == D(10)


def test_figures_of_forty_days_by_hand() -> None:
    # 1 % up and 0.5 % down in turn for 40 days.
    samples, equity = [], D(100)
    for day in range(40):
        equity *= D("1.01") if day % 2 == 0 else D("0.995")
        samples.append(((day + 1) * DAY, equity))
    figures = figures_of(daily_of(samples, D(100), 0, 40 * DAY))
    assert figures["not_annualised"] == ""
    assert figures["days_of_a_year"] == 365
    # Mean 0.25 %; downside √(0.005² / 2) = 0.353553 %: 0.707107 x √365.
    assert figures["sortino"] == D("13.509256")
    assert figures["omega"] == D(2)
    # 1.00495^(365/2) - 1
    assert float(figures["cagr_percent"]) == pytest.approx((1.00495**182.5 - 1) * 100, abs=1e-4)
    assert figures["worst_day_percent"] == D("-0.5")
    # Each fall is made good a day later; the last is not.
    assert figures["longest_drawdown_days"] == D(2)


def test_equity_below_zero_has_no_returns() -> None:
    figures = figures_of(daily_of([(DAY, D(-1))], D(10), 0, 40 * DAY))
    assert figures["not_annualised"] == "equity was not above zero throughout"
    assert figures["sharpe"] is None
