"""Whatever calendar a file is of, whatever rows it lacks: no bar ends before its time."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.data import open_bars
from backtest.errors import DataError
from backtest.times import SECOND
from tests.effort import examples

ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",  # whose clocks skip midnight
        "Atlantic/Azores",  # where it comes twice
        "Australia/Lord_Howe",  # by half an hour
        "Pacific/Chatham",  # at UTC+12:45
        "Pacific/Kiritimati",  # at UTC+14
        "Asia/Kathmandu",
    ]
)
UNITS = st.sampled_from(["1d", "2d", "1w", "1M", "1q", "1y"])


def after(day: date, unit: str) -> date:
    """The first day of the next unit, by the almanac."""
    if unit[-1] in "dw":
        return day + timedelta(days=int(unit[:-1]) * (7 if unit[-1] == "w" else 1))
    month = day.month - 1 + {"1M": 1, "1q": 3, "1y": 12}[unit]
    return date(day.year + month // 12, month % 12 + 1, 1)


@cache
def begins(day: date, zone: str) -> int:
    """The first minute at which the clocks of ``zone`` show ``day``, found by looking at them."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
    while moment.astimezone(ZoneInfo(zone)).date() < day:
        moment += timedelta(minutes=15)
    while (moment - timedelta(minutes=1)).astimezone(ZoneInfo(zone)).date() == day:
        moment -= timedelta(minutes=1)
    return int(moment.timestamp()) * SECOND


@st.composite
def files(draw: st.DrawFn) -> tuple[list[date], str, str, bool]:
    """Days on which bars open, their unit, the zone, and whether they are written as epochs."""
    unit = draw(UNITS)
    day = date(draw(st.integers(2015, 2019)), draw(st.sampled_from([1, 4, 10])), 1)
    if unit == "1y":
        day = date(day.year, 1, 1)
    days = [day]
    for _ in range(draw(st.integers(1, 60))):
        days.append(day := after(day, unit))
    kept = [one for one in days if not draw(st.integers(0, 9)) >= 8] or days[:1]
    return kept, unit, draw(ZONES), draw(st.booleans())


def opened(
    days: list[date], zone: str, epochs: bool, bar: str | None = None
) -> list[tuple[int, int]]:
    stamps = [begins(day, zone) // SECOND if epochs else day for day in days]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bars.csv")
        path.write_text("time,o,h,l,c\n" + "".join(f"{stamp},1,1,1,1\n" for stamp in stamps))
        return [(one.open_ns, one.close_ns) for one in open_bars(path, "X", tz=zone, bar=bar)]


@settings(max_examples=examples(150), deadline=None)
@given(files())
def test_given_units_end_where_the_almanac_says(made: tuple[list[date], str, str, bool]) -> None:
    days, unit, zone, epochs = made
    assert opened(days, zone, epochs, bar=unit) == [
        (begins(day, zone), begins(after(day, unit), zone)) for day in days
    ]


@settings(max_examples=examples(150), deadline=None)
@given(files())
def test_units_that_are_told_end_there_or_later(made: tuple[list[date], str, str, bool]) -> None:
    """Where many rows are missing the gaps may agree on more, and bars are then told late."""
    days, unit, zone, epochs = made
    try:
        bars = opened(days, zone, epochs)
    except DataError:
        return  # the gaps disagree
    assert [opens for opens, _ in bars] == [begins(day, zone) for day in days]
    for day, (_, closes) in zip(days, bars, strict=True):
        assert closes >= begins(after(day, unit), zone)


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=60),
    st.sampled_from([1, 60, 3600]),
    st.integers(0, 10**6),
)
def test_spans_are_told_where_all_agree_and_a_given_one_is_cut(
    gaps: list[int], unit: int, first: int
) -> None:
    seconds = [1_577_836_800 + first]
    for gap in gaps:
        seconds.append(seconds[-1] + gap * unit)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bars.csv")
        path.write_text("unix,o,h,l,c\n" + "".join(f"{second},1,1,1,1\n" for second in seconds))
        smallest = min(gaps)
        agree = not any(gap % smallest for gap in gaps)
        if agree and gaps.count(smallest) == max(map(gaps.count, gaps)):
            assert open_bars(path, "X").bar_ns == smallest * unit * SECOND
        else:
            try:
                length = open_bars(path, "X").bar_ns
            except DataError:
                pass
            else:  # days or months, which these seconds can only be by chance
                assert length % (86_400 * SECOND) == 0 or length > 28 * 86_400 * SECOND
        span = 7 * unit
        if 2 * sum(gap < 7 for gap in gaps) > len(gaps):
            return
        for one, following in zip(
            open_bars(path, "X", bar=span * SECOND), [*seconds[1:], 10**12], strict=True
        ):
            assert one.close_ns == min(one.open_ns + span * SECOND, following * SECOND)
            assert one.nominal_length == span * SECOND
