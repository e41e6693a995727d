"""Days, weeks, months, quarters and years: as long as the calendar of the zone says."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from backtest.data import open_bars
from backtest.errors import DataError
from backtest.models import BarLength
from backtest.times import DAY, HOUR, MINUTE, MONTH
from tests.kinds_of_data import KINDS, moment, opened, spans

BERLIN = "Europe/Berlin"


def dates(first: str, count: int) -> list[str]:
    return [f"{day:%Y-%m-%d}" for day in pd.date_range(first, periods=count)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bar", [None, "1d"])
def test_days_of_23_and_25_hours(kind: str, bar: str | None, tmp_path: Path) -> None:
    """Berlin is UTC+1, and from 2020-03-29 to 2020-10-25 UTC+2."""
    spring = opened(kind, dates("2020-03-27", 5), tmp_path, bar=bar, tz=BERLIN)
    assert [one.length // HOUR for one in spring] == [24, 24, 23, 24, 24]
    assert spans(spring)[2] == "2020-03-28 23:00 to 2020-03-29 22:00"
    assert {one.nominal_length for one in spring} == {DAY}
    assert spring.bar_ns == DAY
    autumn = opened(kind, dates("2020-10-23", 5), tmp_path, bar=bar, tz=BERLIN)
    assert [one.length // HOUR for one in autumn] == [24, 24, 25, 24, 24]


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_day_before_a_hole_is_as_long_as_its_day(kind: str, tmp_path: Path) -> None:
    """The Sunday on which the clocks go forward is the last row, and one before a holiday."""
    days = [*dates("2020-03-26", 4), "2020-03-31"]
    assert [one.length // HOUR for one in opened(kind, days, tmp_path, tz=BERLIN)] == [
        24,
        24,
        24,
        23,
        24,
    ]
    (*_, last) = opened(kind, days[:4], tmp_path, tz=BERLIN)
    assert last.length == 23 * HOUR


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("zone", "first", "opens"),
    [
        # The clocks skip midnight: the day begins at one o'clock, three hours behind UTC before.
        ("America/Sao_Paulo", "2018-11-03", ["11-03 03:00", "11-04 03:00", "11-05 02:00"]),
        # At one o'clock they are set back: midnight comes twice, the day begins with the first.
        ("Atlantic/Azores", "2020-10-24", ["10-24 00:00", "10-25 00:00", "10-26 01:00"]),
        # The day is UTC's of the day before, at UTC+12, +13 and +14.
        ("Pacific/Auckland", "2020-09-26", ["09-25 12:00", "09-26 12:00", "09-27 11:00"]),
        ("Pacific/Kiritimati", "2020-01-01", ["12-31 10:00", "01-01 10:00", "01-02 10:00"]),
        ("Pacific/Apia", "2020-01-01", ["12-31 10:00", "01-01 10:00", "01-02 10:00"]),
    ],
)
def test_days_begin_where_their_zone_says(
    kind: str, zone: str, first: str, opens: list[str], tmp_path: Path
) -> None:
    source = opened(kind, dates(first, 3), tmp_path, tz=zone)
    bars = list(source)
    assert [f"{one.open_time:%m-%d %H:%M}" for one in bars] == opens
    assert [one.close_ns for one in bars[:-1]] == [one.open_ns for one in bars[1:]]
    assert source.bar_ns == DAY


def test_a_day_that_a_zone_left_out(tmp_path: Path) -> None:
    """Samoa had no 30 December 2011: it went from UTC-10 to UTC+14."""
    days = ["2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01"]
    source = opened("csv", days, tmp_path, tz="Pacific/Apia")
    assert spans(source) == [
        "2011-12-28 10:00 to 2011-12-29 10:00",
        "2011-12-29 10:00 to 2011-12-30 10:00",
        "2011-12-30 10:00 to 2011-12-31 10:00",
        "2011-12-31 10:00 to 2012-01-01 10:00",
    ]


MONTHS = ["2019-12-01", "2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bar", [None, "1M", "1mo", "1MO"])
def test_months(kind: str, bar: str | None, tmp_path: Path) -> None:
    source = opened(kind, MONTHS, tmp_path, bar=bar)
    assert [one.length // DAY for one in source] == [31, 31, 29, 31, 30]
    assert {one.nominal_length for one in source} == {MONTH}
    assert source.bar_ns == MONTH
    with_hole = opened(kind, [*MONTHS[:2], *MONTHS[3:]], tmp_path, bar=bar)
    assert [one.length // DAY for one in with_hole] == [31, 31, 31, 30]


@pytest.mark.parametrize("kind", KINDS)
def test_months_of_a_zone_and_of_a_year_that_is_no_leap_year(kind: str, tmp_path: Path) -> None:
    months = ["2021-02-01", "2021-03-01", "2021-04-01"]
    source = opened(kind, months, tmp_path, tz="America/New_York")
    # New York is UTC-5, from 14 March UTC-4: March has 31 days less an hour.
    assert spans(source) == [
        "2021-02-01 05:00 to 2021-03-01 05:00",
        "2021-03-01 05:00 to 2021-04-01 04:00",
        "2021-04-01 04:00 to 2021-05-01 04:00",
    ]
    assert [one.length // HOUR for one in source] == [28 * 24, 31 * 24 - 1, 30 * 24]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("times", "name", "days"),
    [
        (["2020-01-01", "2020-04-01", "2020-07-01", "2020-10-01"], "1q", [91, 91, 92, 92]),
        (["2019-01-01", "2020-01-01", "2021-01-01"], "1y", [365, 366, 365]),
        (["2020-01-06", "2020-01-13", "2020-01-20"], "1w", [7, 7, 7]),
        (["2019-07-01", "2020-07-01"], "1y", [366, 365]),
        (["2020-01-01", "2020-07-01", "2021-01-01"], "6M", [182, 184, 181]),
        (["2020-01-01", "2020-01-04", "2020-01-07"], "3d", [3, 3, 3]),
    ],
)
def test_quarters_years_and_weeks(
    kind: str, times: list[str], name: str, days: list[int], tmp_path: Path
) -> None:
    for bar in (None, name):
        source = opened(kind, times, tmp_path, bar=bar)
        assert [one.length // DAY for one in source] == days
        assert source.bar_ns == BarLength.of(name).ns


def test_weeks_with_a_change_of_the_clocks(tmp_path: Path) -> None:
    weeks = ["2020-03-16", "2020-03-23", "2020-03-30"]
    source = opened("csv", weeks, tmp_path, tz=BERLIN)
    assert [one.length // HOUR for one in source] == [168, 167, 168]
    assert {one.nominal_length for one in source} == {7 * DAY}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bar", [None, "1M"])
def test_months_by_their_close(kind: str, bar: str | None, tmp_path: Path) -> None:
    """The first of the next month, or, as pandas labels them, the date of the last day."""
    firsts = ["2020-02-01", "2020-03-01", "2020-04-01", "2020-05-01"]
    lasts = ["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"]
    for times in (firsts, lasts):
        source = opened(kind, times, tmp_path, bar=bar, stamp="close")
        assert spans(source) == [
            "2020-01-01 00:00 to 2020-02-01 00:00",
            "2020-02-01 00:00 to 2020-03-01 00:00",
            "2020-03-01 00:00 to 2020-04-01 00:00",
            "2020-04-01 00:00 to 2020-05-01 00:00",
        ]


def test_epochs_have_no_zone_and_tz_names_it(tmp_path: Path) -> None:
    opens = [moment("2020-03-27 23:00"), moment("2020-03-28 23:00"), moment("2020-03-29 22:00")]
    for unit in (1, 10**3, 10**6, 10**9):
        path = tmp_path / f"{unit}.csv"
        path.write_text("unix,o,h,l,c\n" + "".join(f"{at // unit},1,1,1,1\n" for at in opens))
        with pytest.raises(DataError, match=r"23h once .*days of a zone .*name it, tz= \(--tz\)"):
            open_bars(path, "BTCUSD")
        for bar in (None, "1d"):
            source = open_bars(path, "BTCUSD", bar=bar, tz=BERLIN)
            assert [one.open_ns for one in source] == opens
            assert [one.length // HOUR for one in source] == [24, 23, 24]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stamp", ["open", "close"])
def test_days_of_utc_are_no_days_of_a_zone(kind: str, stamp: str, tmp_path: Path) -> None:
    """Called days of New York, the one after the change of the clocks would end at 23:00 UTC."""
    days = [f"2020-03-{day:02}T00:00:00Z" for day in range(5, 12)]
    how: dict[str, Any] = {"tz": "America/New_York", "stamp": stamp}
    with pytest.raises(DataError, match="these are no days of that zone; leave out tz, or"):
        list(opened(kind, days, tmp_path, bar="1d", **how))
    for bar in (None, "24h"):
        source = opened(kind, days, tmp_path, bar=bar, **how)
        assert [one.length for one in source] == [DAY] * 7
        assert source.bar_ns == DAY


def test_times_with_an_offset_have_no_zone_either(tmp_path: Path) -> None:
    rows = [
        "2020-03-01T00:00:00-05:00",
        "2020-04-01T00:00:00-04:00",
        "2020-05-01T00:00:00-04:00",
    ]
    path = tmp_path / "bars.csv"
    path.write_text("ts,o,h,l,c\n" + "".join(f"{row},1,1,1,1\n" for row in rows))
    source = open_bars(path, "BTCUSD", tz="America/New_York")
    assert spans(source)[-1] == "2020-05-01 04:00 to 2020-06-01 04:00"
    assert source.bar_ns == MONTH
    with pytest.raises(DataError, match="cannot be told"):
        open_bars(path, "BTCUSD")


@pytest.mark.parametrize("as_type", ["pandas", "arrow", "parquet"])
def test_a_frame_may_know_its_zone(as_type: str, tmp_path: Path) -> None:
    index = pd.date_range("2020-03-27", periods=4, tz=BERLIN)
    frame = pd.DataFrame({"ts": index, "o": 1.0, "h": 1.0, "l": 1.0, "c": 1.0})
    data: Any = frame
    if as_type == "arrow":
        data = frame.convert_dtypes(dtype_backend="pyarrow")
    elif as_type == "parquet":
        data = tmp_path / "bars.parquet"
        frame.to_parquet(data)
    assert [one.length // HOUR for one in open_bars(data, "BTCUSD")] == [24, 24, 23, 24]
    # What is said is stronger: these are no days of London's.
    with pytest.raises(DataError, match="cannot be told"):
        open_bars(data, "BTCUSD", tz="UTC")


def test_hours_and_minutes_of_a_zone_are_those_of_the_clock_that_runs(tmp_path: Path) -> None:
    """Local hours skip one when the clocks go forward: to UTC they follow each other."""
    local = [f"2020-03-29 {hour:02}:00:00" for hour in (0, 1, 3, 4)]
    source = opened("csv", local, tmp_path, tz=BERLIN)
    assert [one.length for one in source] == [HOUR] * 4
    assert all(before.close_ns == after.open_ns for before, after in pairwise(source))


def test_midnights_of_hours_are_not_taken_for_days(tmp_path: Path) -> None:
    """Midnight comes twice on the Azores: which of the two an hour begins at, nobody can tell."""
    hours = ["2020-10-24 23:00:00", "2020-10-25 00:00:00", "2020-10-25 02:00:00"]
    for bar in (None, "1h"):
        with pytest.raises(DataError, match="happens twice in Atlantic/Azores"):
            opened("csv", hours, tmp_path, bar=bar, tz="Atlantic/Azores")


def test_twenty_four_hours_are_no_day(tmp_path: Path) -> None:
    source = opened("csv", dates("2020-03-28", 3), tmp_path, bar="24h", tz=BERLIN)
    assert [one.length // HOUR for one in source] == [24, 23, 24]  # cut by the next one
    source = opened("csv", dates("2020-10-24", 3), tmp_path, bar="24h", tz=BERLIN)
    assert [one.length // HOUR for one in source] == [24, 24, 24]


def test_days_at_a_time_of_day_keep_it(tmp_path: Path) -> None:
    """Days that begin at 17:00 in New York, as those of currencies do."""
    days = [f"2020-03-0{day} 17:00:00" for day in (5, 6, 8, 9)]
    source = opened("csv", days, tmp_path, tz="America/New_York")
    assert spans(source) == [
        "2020-03-05 22:00 to 2020-03-06 22:00",
        "2020-03-06 22:00 to 2020-03-07 22:00",
        "2020-03-08 21:00 to 2020-03-09 21:00",
        "2020-03-09 21:00 to 2020-03-10 21:00",
    ]
    on_saturday = opened("csv", [*days[:2], *days[3:]], tmp_path, bar="1d", tz="America/New_York")
    assert [one.length // HOUR for one in on_saturday] == [24, 24, 24]


def test_a_minute_is_not_a_month(tmp_path: Path) -> None:
    source = opened("csv", MONTHS, tmp_path, bar="1m")
    assert {one.length for one in source} == {MINUTE}
