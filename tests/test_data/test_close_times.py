"""A column of times of close: what it says is the end of the bar, to the last unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backtest.data import open_bars
from backtest.errors import DataError
from backtest.times import DAY, HOUR, MINUTE, MONTH, SECOND
from tests.kinds_of_data import KINDS, moment, opened, spans

COLUMNS = tuple(kind for kind in KINDS if kind != "pandas index")


def both(*rows: tuple[str, str]) -> dict[str, list[Any]]:
    return {"open_time": [row[0] for row in rows], "close_time": [row[1] for row in rows]}


def epochs(unit: int, *rows: tuple[str, int]) -> dict[str, list[Any]]:
    """Opens, and closes so many units after the open, in a column of whole units."""
    opens = [moment(row[0]) // unit for row in rows]
    return {
        "open_time": opens,
        "close_time": [at + row[1] for at, row in zip(opens, rows, strict=True)],
    }


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("unit", [SECOND, 1_000_000, 1_000])
@pytest.mark.parametrize("bar", [None, "1m"])
def test_a_unit_before_the_end_means_the_end(
    kind: str, unit: int, bar: str | None, tmp_path: Path
) -> None:
    """As Binance writes it: 00:00:59.999. The hole and the last row have no next open to tell."""
    last = MINUTE // unit - 1
    rows = [(f"2020-01-01 00:0{minute}", last) for minute in (0, 1, 2, 5)]
    for stamp in ("open", "close"):
        source = opened(kind, None, tmp_path, epochs(unit, *rows), bar=bar, stamp=stamp)
        assert spans(source) == [
            "2020-01-01 00:00 to 2020-01-01 00:01",
            "2020-01-01 00:01 to 2020-01-01 00:02",
            "2020-01-01 00:02 to 2020-01-01 00:03",
            "2020-01-01 00:05 to 2020-01-01 00:06",
        ]
        assert {one.length for one in source} == {MINUTE}
        assert source.bar_ns == MINUTE


@pytest.mark.parametrize("kind", COLUMNS)
def test_hours_of_which_one_is_short(kind: str, tmp_path: Path) -> None:
    """Nothing need be given: the length stands in the file."""
    rows = [("2020-01-02 09:30:00", "2020-01-02 09:59:59")]
    rows += [(f"2020-01-02 {hour}:00:00", f"2020-01-02 {hour}:59:59") for hour in (10, 11, 15)]
    rows += [("2020-01-03 09:30:00", "2020-01-03 09:59:59")]
    source = opened(kind, None, tmp_path, both(*rows))
    assert spans(source) == [
        "2020-01-02 09:30 to 2020-01-02 10:00",
        "2020-01-02 10:00 to 2020-01-02 11:00",
        "2020-01-02 11:00 to 2020-01-02 12:00",
        "2020-01-02 15:00 to 2020-01-02 16:00",
        # A second before nothing that is known: it is what it says.
        "2020-01-03 09:30 to 2020-01-03 09:59",
    ]
    assert source.bar_ns == HOUR
    assert {one.nominal_length for one in source} == {HOUR}


@pytest.mark.parametrize("kind", COLUMNS)
def test_closes_that_are_the_end_stay(kind: str, tmp_path: Path) -> None:
    rows = [(f"2020-01-01 00:0{n}:00", f"2020-01-01 00:0{n + 1}:00") for n in (0, 1, 2, 4)]
    source = opened(kind, None, tmp_path, both(*rows))
    assert [one.length for one in source] == [MINUTE] * 4
    # Each a second short of the next one: but others end where it opens, so these are gaps.
    rows = [("2020-01-01 00:00:00", "2020-01-01 00:00:01")]
    rows += [("2020-01-01 00:00:01", "2020-01-01 00:00:02")]
    rows += [("2020-01-01 00:00:03", "2020-01-01 00:00:04")]
    rows += [("2020-01-01 00:00:05", "2020-01-01 00:00:06")]
    source = opened(kind, None, tmp_path, both(*rows))
    assert [one.length for one in source] == [SECOND] * 4
    # So is one that is a second short of the next one, and not of the length that most have.
    rows = [(f"2020-01-01 00:0{n}:00", f"2020-01-01 00:0{n + 1}:00") for n in (0, 1)]
    rows += [("2020-01-01 00:02:00", "2020-01-01 00:03:29")]
    rows += [("2020-01-01 00:03:30", "2020-01-01 00:04:30")]
    source = opened(kind, None, tmp_path, both(*rows))
    assert [one.length // SECOND for one in source] == [60, 60, 89, 60]


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("bar", [None, "1M"])
def test_dates_of_the_last_day(kind: str, bar: str | None, tmp_path: Path) -> None:
    rows = [
        ("2020-01-01", "2020-01-31"),
        ("2020-02-01", "2020-02-29"),
        ("2020-04-01", "2020-04-30"),
    ]
    source = opened(kind, None, tmp_path, both(*rows), bar=bar)
    assert spans(source) == [
        "2020-01-01 00:00 to 2020-02-01 00:00",
        "2020-02-01 00:00 to 2020-03-01 00:00",
        "2020-04-01 00:00 to 2020-05-01 00:00",
    ]
    assert source.bar_ns == MONTH


@pytest.mark.parametrize("kind", COLUMNS)
def test_dates_of_the_day_itself_and_of_the_next(kind: str, tmp_path: Path) -> None:
    days = [f"2020-03-{day}" for day in (27, 28, 29, 30, 31)]
    for closes in (days, [*days[1:], "2020-04-01"]):
        rows = both(*zip(days, closes, strict=True))
        source = opened(kind, None, tmp_path, rows, tz="Europe/Berlin")
        assert [one.length // HOUR for one in source] == [24, 24, 23, 24, 24]
        assert source.bar_ns == DAY


def test_times_to_the_minute(tmp_path: Path) -> None:
    rows = [("2020-01-01 00:00", "2020-01-01 00:29"), ("2020-01-01 00:30", "2020-01-01 00:59")]
    source = opened("csv", None, tmp_path, both(*rows))
    assert [one.length for one in source] == [30 * MINUTE] * 2
    # Written to the second, half an hour less a minute is what it is.
    rows = [(f"{start}:00", f"{end}:00") for start, end in rows]
    source = opened("csv", None, tmp_path, both(*rows))
    assert [one.length for one in source] == [29 * MINUTE] * 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bar", [None, "1m"])
def test_closes_alone_that_are_a_unit_early(kind: str, bar: str | None, tmp_path: Path) -> None:
    closes = [f"2020-01-01 00:0{minute}:59.999" for minute in (0, 1, 2, 5)]
    source = opened(kind, closes, tmp_path, bar=bar, stamp="close")
    assert spans(source)[0] == "2020-01-01 00:00 to 2020-01-01 00:01"
    assert {one.length for one in source} == {MINUTE}
    assert {one.close_ns % MINUTE for one in source} == {0}


def test_closes_alone_to_the_minute(tmp_path: Path) -> None:
    closes = ["2020-01-02 10:14", "2020-01-02 11:14", "2020-01-02 12:14"]
    source = opened("csv", closes, tmp_path, stamp="close")
    assert spans(source)[0] == "2020-01-02 09:15 to 2020-01-02 10:15"
    round_ones = ["2020-01-02 10:15", "2020-01-02 11:15", "2020-01-02 12:15"]
    assert spans(opened("csv", round_ones, tmp_path, stamp="close")) == spans(source)
    minutes = ["2020-01-02 10:13", "2020-01-02 10:14", "2020-01-02 10:15"]
    source = opened("csv", minutes, tmp_path, stamp="close")
    assert spans(source)[0] == "2020-01-02 10:12 to 2020-01-02 10:13"


def test_a_date_as_close_is_its_midnight_where_days_are_meant(tmp_path: Path) -> None:
    source = opened("csv", ["2020-01-02", "2020-01-03"], tmp_path, stamp="close")
    assert spans(source)[0] == "2020-01-01 00:00 to 2020-01-02 00:00"


def test_the_column_may_tell_its_unit(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("open_time_s,close_time_ms,o,h,l,c\n60,119999,1,1,1,1\n120,179999,1,1,1,1\n")
    assert [(one.open_ns // SECOND, one.close_ns // SECOND) for one in open_bars(path, "X")] == [
        (60, 120),
        (120, 180),
    ]


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize(
    ("rows", "how", "message"),
    [
        ([("00:01", "00:00"), ("00:02", "00:03")], {}, "closes at 2020-01-01T00:00:00+00:00, not"),
        (
            [("00:00", "00:02"), ("00:01", "00:03")],
            {},
            "after the next row opens, 2020-01",
        ),
        (
            [("00:00", "00:01"), ("00:01", "00:02"), ("00:02", "00:03")],
            {"bar": "1h"},
            "its times of close are not those of bars of 1h: most frequent are 1m; leave out bar",
        ),
    ],
)
def test_times_of_close_that_cannot_be(
    kind: str, rows: list[tuple[str, str]], how: dict[str, Any], message: str, tmp_path: Path
) -> None:
    columns = both(*((f"2020-01-01 {a}:00", f"2020-01-01 {b}:00") for a, b in rows))
    with pytest.raises(DataError) as caught:
        opened(kind, None, tmp_path, columns, **how)
    assert message in caught.value.problem


@pytest.mark.parametrize("kind", COLUMNS)
def test_sessions_are_days_if_they_are_called_so(kind: str, tmp_path: Path) -> None:
    days = ("2020-01-02", "2020-01-03", "2020-01-06")
    rows = both(*((f"{day} 14:30:00", f"{day} 21:00:00") for day in days))
    for bar, nominal in ((None, 13 * HOUR // 2), ("1d", DAY)):
        source = opened(kind, None, tmp_path, rows, bar=bar)
        assert [one.length for one in source] == [13 * HOUR // 2] * 3
        assert {one.nominal_length for one in source} == {source.bar_ns} == {nominal}
    # Of shorter ones it is the wrong name, whether there are gaps between them or not.
    for bar in ("4d", "5h"):
        with pytest.raises(DataError, match="are not those of bars of"):
            opened(kind, None, tmp_path, rows, bar=bar)


def test_two_columns_of_times_of_close(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("ts,close_time,Close Time,o,h,l,c\n")
    with pytest.raises(DataError, match="several columns for the close time"):
        open_bars(path, "X")
