"""Lengths of bars by name: what is a month, and when a bar is one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backtest.errors import BacktestError
from backtest.models import Bar, BarLength, trusted_bar
from backtest.times import DAY, HOUR, MINUTE, MONTH, SECOND, duration_ns, format_span
from tests.generators import D


@pytest.mark.parametrize(
    ("given", "count", "unit", "text"),
    [
        ("1m", MINUTE, "ns", "1m"),
        ("1min", MINUTE, "ns", "1m"),
        ("1Min", MINUTE, "ns", "1m"),
        ("1M", 1, "month", "1M"),
        (" 1 M ", 1, "month", "1M"),
        ("1mo", 1, "month", "1M"),
        ("1MO", 1, "month", "1M"),
        ("2M", 2, "month", "2M"),
        ("1q", 3, "month", "1q"),
        ("3M", 3, "month", "1q"),
        ("1Y", 12, "month", "1y"),
        ("18M", 18, "month", "6q"),
        ("1d", 1, "day", "1d"),
        ("1D", 1, "day", "1d"),
        ("1w", 7, "day", "1w"),
        ("14d", 14, "day", "2w"),
        ("24h", DAY, "ns", "24h"),
        ("1H", HOUR, "ns", "1h"),
        ("90s", 90 * SECOND, "ns", "90s"),
        ("500ms", SECOND // 2, "ns", "500ms"),
        ("7ns", 7, "ns", "7ns"),
        (DAY, DAY, "ns", "24h"),
        (timedelta(minutes=5), 5 * MINUTE, "ns", "5m"),
    ],
)
def test_what_is_given(given: Any, count: int, unit: str, text: str) -> None:
    length = BarLength.of(given)
    assert (length.count, length.unit, str(length)) == (count, unit, text)
    assert BarLength.of(text) == length == BarLength.of(length)


@pytest.mark.parametrize("given", ["", "M", "1", "1 month", "0M", "0d", 0, -5, 5, True, 1.5, "-1M"])
def test_what_is_none(given: Any) -> None:
    with pytest.raises(BacktestError, match="bar"):
        BarLength.of(given)


def test_a_month_is_no_fixed_length_of_time() -> None:
    for months in ("1M", "1mo", "1q", "1y"):
        with pytest.raises(BacktestError, match="latency must be a fixed length of time, which"):
            duration_ns(months, "latency")
        with pytest.raises(BacktestError, match="interval must be a fixed length"):
            BarLength.span_of(months, "interval")
    assert BarLength.span_of("1d") == DAY
    assert duration_ns("1m") == MINUTE
    assert duration_ns("1MIN") == MINUTE


def test_lengths_are_compared_by_what_they_count_as() -> None:
    assert (BarLength.of("1M").ns, BarLength.of("1q").ns) == (MONTH, 3 * MONTH)
    # 365.2425 days, the Gregorian year: so that four centuries of months are four centuries.
    assert BarLength.of("1y").ns * 400 == 146_097 * DAY
    assert BarLength.of("1d").longest_ns == 25 * HOUR
    assert BarLength.of("1M").longest_ns == 31 * DAY + HOUR
    assert BarLength.of("1h").longest_ns == HOUR


def bar(length: int, nominal: int | None = None) -> Bar:
    return Bar("X", 0, length, D(1), D(1), D(1), D(1), nominal_ns=nominal)


@pytest.mark.parametrize(
    ("hours", "name", "is_one"),
    [
        (24, "1d", True), (23, "1d", True), (25, "1d", True), (22, "1d", False), (24, "24h", True),
        (167, "1w", True), (169, "7d", True), (28 * 24, "1M", True), (31 * 24, "1M", True),
        (28 * 24 - 1, "1M", True), (27 * 24, "1M", False), (90 * 24, "1q", True),
        (92 * 24, "1q", True), (366 * 24, "1y", True), (365 * 24, "1y", True), (60, "1q", False),
        (1, "1h", True), (2, "1h", False), (48, "1d", False), (47, "2d", True),
    ],
)  # fmt: skip
def test_a_bar_that_has_no_name_goes_by_its_length(hours: int, name: str, is_one: bool) -> None:
    assert bar(hours * HOUR).lasts(BarLength.of(name).ns) is is_one


def test_a_bar_that_has_a_name_goes_by_that() -> None:
    half = bar(HOUR // 2, HOUR)
    assert (half.length, half.nominal_length) == (HOUR // 2, HOUR)
    assert half.lasts(HOUR)
    assert not half.lasts(HOUR // 2)
    # What it is called is no part of what it is.
    assert half == bar(HOUR // 2)
    assert hash(half) == hash(bar(HOUR // 2))
    assert repr(half) == repr(bar(HOUR // 2))
    assert trusted_bar("X", 0, HOUR // 2, D(1), D(1), D(1), D(1), None, HOUR).nominal_length == HOUR
    for wrong in (0, 1.5, "1h"):
        with pytest.raises(BacktestError, match="nominal_ns must be"):
            bar(HOUR, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"), (HOUR, "1h"), (66 * HOUR + 30 * MINUTE, "2d18h30m"),
        (60 * SECOND - 1_000_000, "59s999ms"), (1_001, "1us1ns"),
    ],
)  # fmt: skip
def test_a_span_in_words(ns: int, text: str) -> None:
    assert format_span(ns) == text
