"""Coarser bars of finer data: what is in them, and that they never know the future."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.data import MemoryBars, MemoryTicks, open_data, resample, synthetic_bars
from backtest.errors import ConfigError, DataError
from backtest.models import Bar, BarLength, Quote, Trade
from backtest.services.calendars import Session
from backtest.services.resampling import Resampler
from backtest.times import to_ns

D = Decimal
S = 10**9
M = 60 * S
H = 60 * M
DAY = 24 * H


def trade(at: int, price: int | str, volume: int | str | None = 1) -> Trade:
    return Trade("X", at, D(price), None if volume is None else D(volume))


def bar(at: int, o: int, h: int, low: int, c: int, v: int | None = 1, length: int = M) -> Bar:
    volume = None if v is None else D(v)
    return Bar("X", at, at + length, D(o), D(h), D(low), D(c), volume)


def made(items: Iterable[Any], length: int | str, **more: Any) -> list[tuple[Any, ...]]:
    return [shown(one) for one in resample(open_data(list(items), "X"), length, **more)]


def shown(one: Bar) -> tuple[Any, ...]:
    numbers = (one.open, one.high, one.low, one.close)
    volume = None if one.volume is None else str(one.volume)
    return one.open_ns // S, one.close_ns // S, *map(str, numbers), volume


def test_trades_to_minutes() -> None:
    ticks = [
        trade(5 * S, 100, "0.1"),
        trade(20 * S, 103, "0.2"),
        trade(20 * S, 99, "0.3"),
        trade(59 * S, 101, "0.4"),
        trade(60 * S, 102, 7),  # the boundary is of the later bar
        trade(250 * S, 104, 1),  # nothing in the minutes between: no bars
    ]
    assert made(ticks, "1m") == [
        (0, 60, "100", "103", "99", "101", "1.0"),
        (60, 120, "102", "102", "102", "102", "7"),
        (240, 300, "104", "104", "104", "104", "1"),
    ]


def test_an_unknown_volume_makes_the_sum_unknown() -> None:
    assert made([trade(0, 1, 5), trade(1, 1, None)], "1m")[0][-1] is None


@pytest.mark.parametrize(
    ("price", "wanted"),
    [("mid", ("100.5", "102.5", "100.5", "102.5")), ("bid", ("100", "102", "100", "102")),
     ("ask", ("101", "103", "101", "103"))],
)  # fmt: skip
def test_quotes(price: str, wanted: tuple[str, ...]) -> None:
    quotes = [Quote("X", 0, D(100), D(101)), Quote("X", 1, D(102), D(103))]
    assert made(quotes, "1m", price=price) == [(0, 60, *wanted, None)]


def test_bars_to_longer_bars_and_weeks_begin_on_monday() -> None:
    minutes = [bar(n * M, n, n + 5, max(1, n - 5), n + 1, n) for n in range(1, 8)]
    assert made(minutes, "5m") == [
        (0, 300, "1", "9", "1", "5", "10"),
        (300, 600, "5", "12", "1", "8", "18"),
    ]
    days = [bar(n * DAY, n, n, n, n, length=DAY) for n in range(3, 13)]  # 1970-01-04 is a Sunday
    assert [one[:2] for one in made(days, "1w")] == [
        (-3 * DAY // S, 4 * DAY // S),
        (4 * DAY // S, 11 * DAY // S),
        (11 * DAY // S, 18 * DAY // S),
    ]


def test_a_bar_is_given_when_an_event_proves_it_complete_and_not_before() -> None:
    ticks = Resampler("X", M)
    assert [len(ticks.add(trade(at, 1))) for at in (0, M - 1)] == [0, 0]
    assert [one.close_ns for one in ticks.add(trade(M, 1))] == [M]
    assert [one.close_ns for one in ticks.end()] == [2 * M]
    assert ticks.end() == []
    bars = Resampler("X", 2 * M)
    assert bars.add(bar(0, 1, 1, 1, 1)) == []
    # A bar that ends with the interval leaves no room for another one.
    assert [one.close_ns for one in bars.add(bar(M, 1, 1, 1, 1))] == [2 * M]
    # After a gap the one before and, if it fills its own, the new one.
    assert bars.add(bar(2 * M, 1, 1, 1, 1)) == []
    assert [one.close_ns for one in bars.add(bar(7 * M, 1, 1, 1, 1))] == [4 * M, 8 * M]


def test_what_cannot_be_resampled() -> None:
    source = MemoryBars(
        [bar(0, 1, 1, 1, 1, length=7 * M), bar(7 * M, 1, 1, 1, 1, length=7 * M)], "X"
    )
    with pytest.raises(DataError, match="does not fit into one bar from 1970-01-01T00:00:00"):
        list(resample(source, "10m"))
    with pytest.raises(ConfigError, match="cannot be made shorter"):
        resample(source, "1m")
    with pytest.raises(ConfigError, match="price must be one of mid, bid, ask, not 'last'"):
        resample(source, "1h", price="last")
    with pytest.raises(DataError, match="only a source can be resampled, not a list: open it"):
        resample([trade(0, 1)], "1m")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="length must be given"):
        resample(source, None)  # type: ignore[arg-type]


class Festival:
    """A market of three days that never comes again: open from 10:00 to 12:00 on each."""

    name = "festival"

    def session(self, ns: int) -> Session | None:
        day = ns // DAY
        opens, closes = day * DAY + 10 * H, day * DAY + 12 * H
        return Session(opens, closes, day) if day < 3 and opens <= ns <= closes else None

    def day_end(self, ns: int) -> int:
        return ((ns - 12 * H) // DAY + 1) * DAY + 12 * H

    def rollover(self, ns: int, time_of_day: int) -> int:
        return self.day_end(ns)


def test_a_week_ends_with_the_last_session_that_there_is() -> None:
    # 1970-01-01 was a Thursday: its week would go on to Sunday, the market only to Saturday.
    items = [trade(day * DAY + 11 * H, price) for day, price in ((0, 5), (1, 7), (2, 6), (3, 99))]
    weeks = list(resample(MemoryTicks(items, "X"), "1w", calendar=Festival()))
    assert [(one.open_ns, one.close_ns) for one in weeks] == [(10 * H, 2 * DAY + 12 * H)]
    assert [shown(one)[2:] for one in weeks] == [shown(bar(0, 5, 7, 5, 6, 3))[2:]]


def ns(year: int, month: int) -> int:
    return to_ns(datetime(year, month, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("length", "opens"),
    [
        ("1M", [(2019, 12), (2020, 1), (2020, 2), (2020, 3), (2020, 4), (2020, 5)]),
        ("1q", [(2019, 10), (2020, 1), (2020, 4), (2020, 7)]),
        ("1y", [(2019, 1), (2020, 1), (2021, 1)]),
        ("6M", [(2019, 7), (2020, 1), (2020, 7)]),
    ],
)
def test_days_to_months_quarters_and_years(length: str, opens: list[tuple[int, int]]) -> None:
    """From 31 December 2019 to 1 April 2020."""
    first = ns(2020, 1) // DAY - 1
    days = [bar(n * DAY, n, n, n, n, length=DAY) for n in range(first, first + 93)]
    source = resample(MemoryBars(days, "X"), length)
    moments = [ns(*one) for one in opens]
    bars = list(source)
    assert [one.open_ns for one in bars] == moments[: len(bars)]
    assert [one.close_ns for one in bars] == moments[1 : len(bars) + 1]
    assert sum(one.volume for one in bars if one.volume is not None) == 93
    assert bars[-1].close == first + 92
    assert {one.nominal_length for one in bars} == {source.bar_ns} == {BarLength.of(length).ns}


def test_months_of_sessions() -> None:
    # The market of three days ends on Saturday, 3 January: its month ends with its last session.
    items = [trade(day * DAY + 11 * H, price) for day, price in ((0, 5), (1, 7), (2, 6), (3, 99))]
    (month,) = resample(MemoryTicks(items, "X"), "1M", calendar=Festival())
    assert (month.open_ns, month.close_ns) == (10 * H, 2 * DAY + 12 * H)
    assert shown(month)[2:] == ("5", "7", "5", "6", "3")
    with pytest.raises(ConfigError, match=r"less than a day, '1d', '1w' or months \('1M'\)"):
        resample(MemoryTicks(items, "X"), "2d", calendar=Festival())


def test_a_month_is_not_made_of_weeks_that_reach_into_the_next() -> None:
    weeks = [bar((4 + 7 * n) * DAY, 1, 1, 1, 1, length=7 * DAY) for n in range(6)]
    with pytest.raises(DataError, match="does not fit into one bar"):
        list(resample(MemoryBars(weeks, "X"), "1M"))


def test_a_source_of_its_own() -> None:
    source = synthetic_bars("X", 200, seed=3, bar="1m")
    hours = resample(source, "1h")
    assert (hours.pair, hours.bar_ns, list(hours)) == ("X", H, list(hours))
    assert hours.digest() == resample(source, H).digest() != resample(source, "2h").digest()
    assert open_data(hours, "X") is hours
    assert "resampled" in repr(hours)


# -- properties ------------------------------------------------------------------------------------

TRADES = st.lists(
    st.tuples(st.integers(0, 40 * M), st.integers(1, 10**6), st.integers(1, 10**9)), min_size=1
).map(
    lambda rows: [
        Trade("X", at, D(price).scaleb(-2), D(volume).scaleb(-8))
        for at, price, volume in sorted(rows, key=lambda row: row[0])
    ]
)


def total(items: Sequence[Trade | Bar]) -> Decimal:
    return sum((one.volume for one in items if one.volume is not None), D(0))


@given(TRADES)
def test_resampling_twice_is_resampling_once(trades: list[Trade]) -> None:
    source = MemoryTicks(trades, "X")
    assert list(resample(resample(source, "1m"), "5m")) == list(resample(source, "5m"))
    assert list(resample(resample(source, "5m"), "5m")) == list(resample(source, "5m"))


@given(TRADES, st.sampled_from(["1s", "1m", "7m", "1h"]))
def test_volume_is_kept_and_prices_are_those_of_the_interval(
    trades: list[Trade], length: str
) -> None:
    bars = list(resample(MemoryTicks(trades, "X"), length))
    assert total(bars) == total(trades)
    for one in bars:
        inside = [t.price for t in trades if one.open_ns <= t.time_ns < one.close_ns]
        assert (one.open, one.close) == (inside[0], inside[-1])
        assert (one.high, one.low) == (max(inside), min(inside))
        prices = (one.open, one.high, one.low, one.close)
        assert one == Bar("X", one.open_ns, one.close_ns, *prices, one.volume)
    assert [b.close_ns for b in bars] == sorted({b.close_ns for b in bars})


@given(TRADES, st.integers(0, 60))
def test_what_comes_later_changes_no_bar_before_it(trades: list[Trade], cut: int) -> None:
    """Look-ahead: what was given before a moment does not depend on what comes after it."""
    whole, part = Resampler("X", 5 * M), Resampler("X", 5 * M)
    for place, one in enumerate(trades):
        early = place < cut
        changed = one if early else Trade("X", one.time_ns, one.price + 1, D(1))
        given_whole, given_part = whole.add(one), part.add(changed)
        if early:
            assert given_whole == given_part
        assert all(done.close_ns <= one.time_ns for done in given_whole)
