"""How long the bars of a file are: told where nothing is guessed, else given."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from backtest.data import MemoryBars, open_bars
from backtest.errors import ConfigError, DataError
from backtest.models import Bar, BarLength
from backtest.times import DAY, HOUR, MINUTE, MONTH, SECOND
from tests.kinds_of_data import KINDS, opened, spans

US_HOURS = [
    f"2020-01-0{day} {clock}:00"
    for day in (2, 3, 6)
    for clock in ("09:30", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00")
]
"""The hours of an exchange that opens at half past nine; the 4th and 5th are a weekend."""
DAYS_AT_WORK = ["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07", "2020-01-08"]
MINUTES_WITH_HOLES = [f"2020-01-01 00:{minute:02}:00" for minute in (0, 1, 2, 5, 6, 9, 30)]


@pytest.mark.parametrize("kind", KINDS)
def test_hours_that_begin_with_half_of_one_are_not_told(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        opened(kind, US_HOURS, tmp_path)
    # Three days of five full gaps each; most frequent first, and of equals the shorter first.
    assert caught.value.problem == (
        "a bar's length cannot be told from the gaps between the rows: "
        "1h 15 times (to 2020-01-02T11:00:00+00:00, row 3), "
        "30m 3 times (to 2020-01-02T10:00:00+00:00, row 2), "
        "18h30m once (to 2020-01-03T09:30:00+00:00, row 8), "
        "2d18h30m once (to 2020-01-06T09:30:00+00:00, row 15); give it, bar='1h' (--bar 1h), say: "
        "a bar then ends where the next one opens, if that is earlier"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_given_length_ends_where_the_next_bar_opens(kind: str, tmp_path: Path) -> None:
    source = opened(kind, US_HOURS, tmp_path, bar="1h")
    bars = list(source)
    assert spans(bars)[:3] == [
        "2020-01-02 09:30 to 2020-01-02 10:00",
        "2020-01-02 10:00 to 2020-01-02 11:00",
        "2020-01-02 11:00 to 2020-01-02 12:00",
    ]
    # The last of a day is an hour long, however long the night is.
    assert spans(bars)[6:8] == [
        "2020-01-02 15:00 to 2020-01-02 16:00",
        "2020-01-03 09:30 to 2020-01-03 10:00",
    ]
    assert [bar.length // MINUTE for bar in bars] == [30, 60, 60, 60, 60, 60, 60] * 3
    assert {bar.nominal_length for bar in bars} == {HOUR}
    assert source.bar_ns == HOUR


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("times", "length"),
    [
        (DAYS_AT_WORK, DAY),  # 1, 3, 1, 1 days
        (["2020-01-02", "2020-01-03", "2020-01-06"], DAY),  # 1 and 3: a tie
        (["2020-01-01", "2020-01-02"], DAY),
        (["2020-01-01 14:30:00", "2020-01-02 14:30:00", "2020-01-06 14:30:00"], DAY),
        (MINUTES_WITH_HOLES, MINUTE),  # 1, 1, 3, 1, 3, 21 minutes
        (["2020-01-06", "2020-01-13", "2020-01-27", "2020-02-03"], 7 * DAY),
        (["2020-01-03", "2020-01-10", "2020-01-17"], 7 * DAY),  # of Fridays, too
        (["2020-01-01 00:00:00", "2020-01-01 00:00:05"], 5 * SECOND),
    ],
)
def test_what_all_gaps_agree_on(kind: str, times: list[str], length: int, tmp_path: Path) -> None:
    source = opened(kind, times, tmp_path)
    assert source.bar_ns == length
    assert [bar.length for bar in source] == [length] * len(times)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("times", "listed"),
    [
        # One odd second.
        (
            ["2020-01-01 00:00:00", "2020-01-01 00:01:00", "2020-01-01 00:01:59"],
            "59s once (to 2020-01-01T00:01:59+00:00, row 3), 1m once",
        ),
        # All are multiples of a minute, but two minutes are more frequent: who knows?
        (
            [f"2020-01-01 00:0{minute}:00" for minute in (0, 2, 4, 5, 7)],
            "2m 3 times (to 2020-01-01T00:02:00+00:00, row 2), 1m once",
        ),
        # Last days of months are no calendar's units.
        (["2020-01-30", "2020-02-28", "2020-03-31"], "29d once"),
    ],
)
def test_what_would_be_a_guess_is_an_error(
    kind: str, times: list[str], listed: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="a bar's length cannot be told") as caught:
        opened(kind, times, tmp_path)
    assert listed in caught.value.problem
    assert "give it, bar='" in caught.value.problem
    assert "(--bar " in caught.value.problem


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_row_needs_a_length(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has a single row, from which a bar's length cannot"):
        opened(kind, ["2020-01-01 00:00:00"], tmp_path)
    (bar,) = opened(kind, ["2020-01-01 00:00:00"], tmp_path, bar="4h")
    assert bar.length == 4 * HOUR


@pytest.mark.parametrize("kind", KINDS)
def test_a_length_that_exceeds_most_gaps_is_refused(kind: str, tmp_path: Path) -> None:
    minutes = [f"2020-01-01 00:0{minute}:00" for minute in (0, 1, 2, 7)]
    with pytest.raises(
        DataError, match=r"overlaps the row before it .*, as most rows do"
    ) as caught:
        list(opened(kind, minutes, tmp_path, bar="5m"))  # two of three gaps are shorter
    assert caught.value.line in (2, 3)  # of a table the second row, of a CSV file behind its header
    assert "1m 2 times" in caught.value.problem
    half = [*minutes, "2020-01-01 00:12:00"]
    bars = list(opened(kind, half, tmp_path, bar="5m"))  # two of four: not most
    assert [bar.length // MINUTE for bar in bars] == [1, 1, 5, 5, 5]


@pytest.mark.parametrize("kind", KINDS)
def test_of_close_stamps_the_open_is_cut(kind: str, tmp_path: Path) -> None:
    closes = [f"2020-01-02 {clock}:00" for clock in ("10:00", "11:00", "12:00", "12:30", "15:30")]
    bars = list(opened(kind, closes, tmp_path, bar="1h", stamp="close"))
    assert spans(bars) == [
        "2020-01-02 09:00 to 2020-01-02 10:00",
        "2020-01-02 10:00 to 2020-01-02 11:00",
        "2020-01-02 11:00 to 2020-01-02 12:00",
        "2020-01-02 12:00 to 2020-01-02 12:30",
        "2020-01-02 14:30 to 2020-01-02 15:30",
    ]
    assert {bar.nominal_length for bar in bars} == {HOUR}
    with pytest.raises(DataError, match="a bar's length cannot be told"):
        opened(kind, closes, tmp_path, stamp="close")
    with pytest.raises(DataError, match="overlaps the row before it"):
        list(opened(kind, closes[:3], tmp_path, bar="2h", stamp="close"))


def write_minutes(path: Path, seconds: list[int]) -> None:
    rows = "".join(f"{1577836800 + second},1,1,1,1\n" for second in seconds)
    path.write_text("unix,o,h,l,c\n" + rows)


def test_a_bar_at_the_seam_of_two_batches_ends_where_the_next_opens(tmp_path: Path) -> None:
    """The last row of a batch waits for the first of the next: at every seam there may be."""
    path = tmp_path / "bars.csv"
    seconds = [60 * n - 30 * (n % 7 == 3) for n in range(30_000)]
    write_minutes(path, seconds)
    wanted = [min(60, b - a) for a, b in zip(seconds, [*seconds[1:], 10**9], strict=True)]
    for stream in (False, True):
        source = open_bars(path, "BTCUSD", bar="1m", stream=stream)
        assert [bar.length // SECOND for bar in source] == wanted
        assert [bar.nominal_length for bar in source] == [MINUTE] * 30_000


def test_a_stream_that_was_told_a_wrong_length_ends_with_the_error(tmp_path: Path) -> None:
    """Its first batches may look right: what most gaps are is known when all were seen."""
    path = tmp_path / "bars.csv"
    write_minutes(path, [60 * n for n in range(9_000)] + [540_000 + 10 * n for n in range(20_000)])
    with pytest.raises(DataError, match="as most rows do"):
        open_bars(path, "BTCUSD", bar="1m")
    source = iter(open_bars(path, "BTCUSD", bar="1m", stream=True))
    assert [next(source).length for _ in range(8_999)] == [MINUTE] * 8_999
    with pytest.raises(DataError, match=r"10s 19999 times .*give the bar's true length") as caught:
        list(source)
    assert caught.value.line == 9_003  # behind the header and 9001 minutes
    # Where the first rows say so, all are looked at before a run begins.
    write_minutes(path, [10 * n for n in range(9_000)])
    with pytest.raises(DataError, match="as most rows do"):
        open_bars(path, "BTCUSD", bar="1m", stream=True)


def bar(start: int, end: int) -> Bar:
    return Bar("BTCUSD", start, end, *map(Decimal, (1, 1, 1, 1)))


def test_of_bars_in_memory_the_most_frequent_length_counts_not_the_shortest() -> None:
    hours = [bar(0, HOUR // 2), bar(HOUR // 2, 3 * HOUR // 2), bar(3 * HOUR // 2, 5 * HOUR // 2)]
    source = MemoryBars(hours, "BTCUSD")
    assert source.bar_ns == HOUR
    assert open_bars(hours, "BTCUSD", bar="1h") is not None
    assert list(source) == hours


@pytest.mark.parametrize(
    ("hours", "nominal", "name"),
    [
        ((24, 23, 24), DAY, "1d"),
        ((24, 25, 24), DAY, "1d"),
        ((168, 167), 7 * DAY, "1w"),
        ((31 * 24, 28 * 24, 31 * 24, 30 * 24), MONTH, "1M"),
        ((90 * 24, 91 * 24, 92 * 24), 3 * MONTH, "1q"),
        ((365 * 24, 366 * 24), 12 * MONTH, "1y"),
    ],
)
def test_bars_in_memory_that_are_units_of_a_calendar(
    hours: tuple[int, ...], nominal: int, name: str
) -> None:
    bars, at = [], 0
    for length in hours:
        bars.append(bar(at, at + length * HOUR))
        at += length * HOUR
    source = open_bars(bars, "BTCUSD", bar=name)
    assert source.bar_ns == nominal == BarLength.of(name).ns
    assert [one.nominal_length for one in source] == [nominal] * len(hours)
    assert list(source) == bars


def test_sessions_of_23_hours_are_what_they_are() -> None:
    bars = [bar(day * DAY, day * DAY + 23 * HOUR) for day in range(3)]
    assert MemoryBars(bars, "BTCUSD").bar_ns == 23 * HOUR
    assert open_bars(bars, "BTCUSD", bar="1d").bar_ns == 23 * HOUR


@pytest.mark.parametrize("bar", ["1M2", "M", "0M", "-1M", "soon", 1.5, True])
def test_lengths_that_are_none(bar: object, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, ValueError)):
        opened("csv", DAYS_AT_WORK, tmp_path, bar=bar)
