"""Bad files by hand: each is refused with the file, the line and the way to mend it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from backtest.data import read_csv
from backtest.errors import ConfigError, DataError

HEADER = "timestamp,open,high,low,close,volume\n"
R1 = "2020-01-01 00:00:00,10,12,9,11,5\n"
R2 = "2020-01-01 00:01:00,11,13,10,12,6\n"
R3 = "2020-01-01 00:02:00,12,14,11,13,7\n"
GOOD = HEADER + R1 + R2


def row(time: str = "2020-01-01 00:02:00", rest: str = "12,14,11,13,7") -> str:
    """A third row, after R1 and R2: line 4 of a file."""
    return f"{GOOD}{time},{rest}\n"


def local(*times: str) -> str:
    return HEADER + "".join(f"{time},12,14,11,13,7\n" for time in times)


BERLIN: dict[str, Any] = {"tz": "Europe/Berlin"}
MINUTE: dict[str, Any] = {"bar": "1m"}
Case = tuple[str, str | bytes, dict[str, Any], int | None, str]

CASES: list[Case] = [
    # -- no table at all
    ("empty", "", {}, None, "is empty: give a file with a header"),
    ("blank-lines-only", "\n\n  \n", {}, None, "is empty: give a file with a header"),
    ("bom-only", b"\xef\xbb\xbf", {}, None, "is empty"),
    ("header-only", HEADER, {}, None, "has a header but no rows: give at least one bar"),
    ("header-only-bar-given", HEADER, MINUTE, None, "has a header but no rows"),
    ("header-and-blank-lines", HEADER + "\n\n", {}, None, "has a header but no rows"),
    ("no-header", R1 + R2, {}, 1, "has no header: the first line is '2020-01-01 00:00:00', '10'"),
    ("no-header-after-blank", "\n" + R1 + R2, {}, 2, "has no header"),
    ("a-sentence", "hello world\n", {}, 1, "put a line of column names before it"),
    ("words-before-header", "My download\n" + GOOD, {}, 1, "has no header"),
    ("pipe-delimiter", GOOD.replace(",", "|"), {}, 1, "has no header"),
    ("quotes-no-header", "20200101 170000065,1.12,1.13,0\n", {}, 1, "holds quotes (columns 'time'"),
    ("quotes", "timestamp,bid,ask\n2020-01-01,1,2\n", {}, 1, "holds quotes (columns 'timestamp'"),
    ("trades", "timestamp,price,size\n2020-01-01,1,2\n", {}, 1, "holds trades"),
    # -- not text
    ("utf-16", GOOD.encode("utf-16"), {}, None, "is not UTF-8 but UTF-16: save it as UTF-8"),
    ("latin-1-row", (GOOD + "\xe4\n").encode("latin-1"), {}, 4, "is not UTF-8 text"),
    ("latin-1-header", b"\xe4," + GOOD.encode(), {}, 1, "is not UTF-8 text"),
    ("nul-bytes", GOOD.encode() + b"\0\0\0\n", {}, 4, "has 1 fields where the header has 6"),
    ("nul-in-number", row(rest="1\0002,14,11,13,7"), {}, 4, "open is not a number"),
    ("zip", b"PK\x03\x04rest", {}, None, "is a zip archive: unzip it first"),
    ("parquet", b"PAR1rest", {}, None, "is a Parquet file: call it something.parquet"),
    ("bzip2", b"BZh9rest", {}, None, "is compressed with bzip2"),
    ("xz", b"\xfd7zXZ\0rest", {}, None, "is compressed with xz"),
    ("zstd", b"(\xb5/\xfdrest", {}, None, "is compressed with zstd"),
    # -- columns
    ("no-close", HEADER.replace("close", "x") + R1, {}, 1, "has no column for close: its columns"),
    ("no-prices", "timestamp,volume\n2020-01-01,1\n", {}, 1, "for open and high and low and close"),
    ("no-time", HEADER.replace("timestamp", "when") + R1, {}, 1, "has no column for time"),
    ("adjusted-close-only", HEADER.replace("close", "Adj Close") + R1, {}, 1, "column for close"),
    ("two-closes", "ts,o,h,l,c,close\n" + R1, {}, 1, "several columns for the close: 'close', 'c'"),
    ("same-name-twice", "ts,o,h,l,c,C\n" + R1, {}, 1, "several columns for the close: 'c', 'C'"),
    ("two-times", "time,o,h,l,c,TIME\n" + R1, {}, 1, "several columns for the time"),
    ("two-volumes", "ts,o,h,l,c,v,vol\n", {}, 1, "several columns for the volume: 'vol', 'v'"),
    ("close-times", "close_time,o,h,l,c,v\n" + R1, {}, 1, "say so with stamp='close'"),
    ("open-times", "open_time,o,h,l,c,v\n" + R1, {"stamp": "close"}, 1, "leave out stamp='close'"),
    # -- fields
    ("field-missing", row(rest="12,14,11,13"), {}, 4, "has 5 fields where the header has 6"),
    ("field-too-many", row(rest="12,14,11,13,7,1"), {}, 4, "has 7 fields where the header has 6"),
    ("thousands", row(rest="1,200,1,400,1,100,1,300,7"), {}, 4, "are there thousands separators"),
    ("underscores", row(rest="1_200,1_400,1_100,1_300,7"), {}, 4, "1_200"),
    ("cut-off", GOOD + "2020-01-01 00:0", {}, 4, "is the line cut off?"),
    ("other-delimiter", GOOD + R3.replace(",", ";"), {}, 4, "has 1 fields where the header has 6"),
    ("after-a-blank-line", GOOD + "\n\n" + "x\n", {}, 6, "has 1 fields"),
    ("stray-quote", GOOD + '"' + R3, {}, 4, "look for a stray quotation mark"),
    ("quote-inside", row(rest='"12"3,14,11,13,7'), {}, 4, "look for a stray quotation mark"),
    ("quoted-word", row(rest='"ab",14,11,13,7'), {}, 4, "open is not a number: 'ab'"),
    # -- numbers
    ("word", row(rest="12,abc,11,13,7"), {}, 4, "high is not a number: 'abc'"),
    ("dash", row(rest="12,14,-,13,7"), {}, 4, "low is not a number: '-'"),
    ("currency", row(rest="$12,14,11,13,7"), {}, 4, "open is not a number: '$12'"),
    ("two-points", row(rest="12,14,11,1.3.0,7"), {}, 4, "close is not a number: '1.3.0'"),
    ("hexadecimal", row(rest="0x12,14,11,13,7"), {}, 4, "open is not a number: '0x12'"),
    ("null", row(rest="12,14,11,null,7"), {}, 4, "close is not a number: 'null'"),
    ("long-word", row(rest=f"{'x' * 99},14,11,13,7"), {}, 4, f"'{'x' * 37}...'"),
    ("empty-price", row(rest="12,14,,13,7"), {}, 4, "low is empty: fill it in or remove the row"),
    ("blank-price", row(rest="12,14, ,13,7"), {}, 4, "low is empty"),
    ("empty-volume", row(rest="12,14,11,13,"), {}, 4, "volume is empty"),
    ("decimal-comma", row(rest='"12,5",14,11,13,7'), {}, 4, "has a comma, '12,5': write a decimal"),
    ("nan-price", row(rest="12,NaN,11,13,7"), {}, 4, "high is NaN: prices must be numbers"),
    ("signalling-nan", row(rest="12,14,11,sNaN,7"), {}, 4, "close is sNaN"),
    ("infinite-price", row(rest="12,inf,11,13,7"), {}, 4, "high is Infinity"),
    ("minus-infinity", row(rest="12,14,-Infinity,13,7"), {}, 4, "low is -Infinity"),
    ("nan-volume", row(rest="12,14,11,13,nan"), {}, 4, "volume is NaN: volumes must be numbers"),
    ("infinite-volume", row(rest="12,14,11,13,inf"), {}, 4, "volume is Infinity"),
    ("zero-open", row(rest="0,14,11,13,7"), {}, 4, "open must be positive, not 0"),
    ("zero-row", row(rest="0,0,0,0,0"), {}, 4, "open must be positive, not 0"),
    ("negative-low", row(rest="12,14,-11,13,7"), {}, 4, "low must be positive, not -11"),
    ("negative-volume", row(rest="12,14,11,13,-7"), {}, 4, "volume must be non-negative, not -7"),
    ("huge-price", row(rest="12,1e30,11,13,7"), {}, 4, "high is 1.000000e+30, which is no price"),
    ("monstrous", row(rest="12,1e99999999,11,13,7"), {}, 4, "which is no price"),
    ("tiny-price", row(rest="12,14,1e-30,13,7"), {}, 4, "low is 1.000000e-30, which is no price"),
    ("huge-volume", row(rest="12,14,11,13,1e30"), {}, 4, "volume is 1.000000e+30, which is no vol"),
    ("tiny-volume", row(rest="12,14,11,13,1e-30"), {}, 4, "volume is 1.000000e-30, which is no vo"),
    (
        "high-below-low",
        row(rest="12,11,14,13,7"),
        {},
        4,
        "high 11 is below low 14: are the columns",
    ),
    ("open-above-high", row(rest="15,14,11,13,7"), {}, 4, "open 15 is above high 14"),
    ("open-below-low", row(rest="10,14,11,13,7"), {}, 4, "open 10 is below low 11"),
    ("close-above-high", row(rest="12,14,11,14.01,7"), {}, 4, "close 14.01 is above high 14"),
    ("close-below-low", row(rest="12,14,11,10.99,7"), {}, 4, "close 10.99 is below low 11"),
    # -- order
    (
        "duplicate",
        row("2020-01-01 00:01:00"),
        {},
        4,
        "has the time of the row before it, 2020-01-0",
    ),
    ("backwards", row("2019-12-31 00:00:00"), {}, 4, "goes back in time, from 2020-01-01T00:01"),
    ("newest-first", HEADER + R3 + R2 + R1, {}, 3, "sort the rows, oldest first"),
    (
        "duplicate-bar-given",
        row("2020-01-01 00:01:00"),
        MINUTE,
        4,
        "has the time of the row before",
    ),
    ("overlap", GOOD, {"bar": "5m"}, 3, "overlaps the row before it"),
    (
        "overlap-later",
        row("2020-01-01 00:01:30") + "2020-01-01 00:01:40,12,14,11,13,7\n",
        MINUTE,
        4,
        "(2020-01-01T00:01:30+00:00 is 30s after 2020-01-01T00:01:00+00:00), as most rows do",
    ),
    ("single-row", HEADER + R1, {}, None, "has a single row, from which a bar's length cannot be"),
    # -- times
    ("empty-time", row(""), {}, 4, "timestamp is empty: write 2020-01-31"),
    ("empty-first-time", HEADER + row("").removeprefix(GOOD), {}, 2, "timestamp is empty"),
    ("no-time-at-all", row("yesterday"), {}, 4, "timestamp 'yesterday' is not a time"),
    ("day-first", HEADER + "31.01.2020 00:00,12,14,11,13,7\n", {}, 2, "may be day or month first"),
    ("american", HEADER + "01/31/2020,12,14,11,13,7\n", {}, 2, "write 2020-01-31, year first"),
    ("month-13", row("2020-13-01 00:00:00"), {}, 4, "is no date of the calendar"),
    ("february-30", row("2020-02-30 00:00:00"), {}, 4, "is no date of the calendar"),
    ("no-leap-year", row("2021-02-29"), {}, 4, "'2021-02-29' is no date of the calendar"),
    ("hour-24", row("2020-01-01 24:00:00"), {}, 4, "is no time of day (00:00:00 to 23:59:59)"),
    ("minute-60", row("2020-01-01 00:60:00"), {}, 4, "is no time of day"),
    ("leap-second", row("2020-01-01 23:59:60"), {}, 4, "is no time of day"),
    ("ten-digits", row("2020-01-01 00:02:00.1234567890"), {}, 4, "is not a time"),
    ("am-pm", row("2020-01-01 01:00 PM"), {}, 4, "is not a time"),
    ("mixed-separators", row("2020-01/01 00:02:00"), {}, 4, "is not a time"),
    ("year-0001", row("0001-01-01"), {}, 4, "is not between the years 1900 and 2262"),
    ("year-9999-local", local("9999-12-31"), BERLIN, 2, "is not between the years 1900 and 2262"),
    ("year-9999", row("9999-12-31"), {}, 4, "is not between the years 1900 and 2262"),
    ("opens-too-early", local("1900-01-01"), {"bar": "1d", "stamp": "close"}, 2, "is not between"),
    ("closes-too-late", local("2262-04-11"), {"bar": "1w"}, 2, "is not between the years 1900 and"),
    ("epoch-after-calendar", row("1577836920"), {}, 4, "timestamp '1577836920' is not a time"),
    (
        "calendar-after-epoch",
        HEADER + "1577836800,10,12,9,11,5\n2020-01-01 00:01:00,10,12,9,11,5\n",
        {},
        3,
        "'2020-01-01 00:01:00' is not an epoch number, as the column's other times are",
    ),
    (
        "two-units",
        HEADER + "1577836800,10,12,9,11,5\n1577836860000,10,12,9,11,5\n",
        {},
        3,
        "out of range for an epoch number in seconds, in which this column is read",
    ),
    ("small-epoch", HEADER + "60,10,12,9,11,5\n", {}, 2, "name the column ts_s, ts_ms, ts_us or"),
    # Neither a date nor a spreadsheet's day is an epoch: no unit is offered for them.
    ("serial", HEADER + "43831,10,12,9,11,5\n", {}, 2, "'43831' is no time, but may be a spread"),
    ("serial-clock", HEADER + "43831.5,10,12,9,11,5\n", {}, 2, "column the format 2020-01-31"),
    ("float-date", HEADER + "20200131.0,10,12,9,11,5\n", {}, 2, "may be a date: write 2020-01-31"),
    ("short-year", HEADER + "200131,10,12,9,11,5\n", {}, 2, "may be a date: write 2020-01-31"),
    ("month", HEADER + "202001,10,12,9,11,5\n", {}, 2, "may be a date: write 2020-01-31"),
    ("year", HEADER + "2020,10,12,9,11,5\n", {}, 2, "may be a date: write 2020-01-31"),
    ("huge-epoch", HEADER + "9" * 30 + ",10,12,9,11,5\n", {}, 2, "does not tell its unit"),
    ("negative-epoch", HEADER + "-1577836800,10,12,9,11,5\n", {}, 2, "does not tell its unit"),
    ("finer-than-ns", "ts_ns,o,h,l,c,v\n1.5,10,12,9,11,5\n", {}, 2, "is finer than a nanosecond"),
    ("named-unit", "ts_ns,o,h,l,c,v\n" + R1, {}, 2, "is not an epoch number"),
    ("year-2286", HEADER + "9999999999,10,12,9,11,5\n", {}, 2, "is out of range for an epoch"),
    ("beyond-2262", "ts_s,o,h,l,c,v\n9999999999,1,1,1,1,5\n", {}, 2, "is out of range"),
    ("time-of-day-only", "time,o,h,l,c,v\n00:01:00,10,12,9,11,5\n", {}, 2, "is not a time"),
    ("date-and-bad-time", "date,time,o,h,l,c\n2020-01-01,9h,1,1,1,1\n", {}, 2, "date time '2020-"),
    # -- local times: 2020-03-29 02:00 to 03:00 does not exist in Berlin; 2020-10-25 02:00 to 03:00
    #    is there twice
    (
        "dst-gap",
        local("2020-03-29 01:59:00", "2020-03-29 02:00:00"),
        BERLIN,
        3,
        "2020-03-29 02:00:00 does not exist in Europe/Berlin: the clocks skip it",
    ),
    (
        "dst-twice",
        local("2020-10-25 01:59:00", "2020-10-25 02:30:00"),
        BERLIN,
        3,
        "2020-10-25 02:30:00 happens twice in Europe/Berlin: the clocks are set back over it",
    ),
    # -- symbols
    (
        "several-symbols",
        "symbol," + HEADER + "ETH," + R1 + "XRP," + R1,
        {},
        None,
        "holds several symbols ('ETH', 'XRP'), and which is BTCUSD cannot be told: pass symbol=",
    ),
    (
        "no-such-symbol",
        "symbol," + HEADER + "A," + R1,
        {"symbol": "B"},
        None,
        "no row of symbol 'B'",
    ),
    ("no-symbol-column", GOOD, {"symbol": "B"}, None, "has no symbol column in which to look for"),
    (
        "wrong-row-of-a-symbol",
        "symbol,"
        + HEADER
        + "A,"
        + R1
        + "B,"
        + R1
        + "A,"
        + R2
        + "B,"
        + R2
        + "A,2020-01-02,1,1,1,1,x\n",
        {"symbol": "A"},
        6,
        "volume is not a number: 'x'",
    ),
]


@pytest.mark.parametrize("stream", [False, True], ids=["load", "stream"])
@pytest.mark.parametrize(
    ("content", "arguments", "line", "message"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_malformed_file_is_refused_with_file_line_and_advice(
    content: str | bytes,
    arguments: dict[str, Any],
    line: int | None,
    message: str,
    stream: bool,
    tmp_path: Path,
) -> None:
    path = tmp_path / "bars.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        list(read_csv(path, "BTCUSD", stream=stream, **arguments))
    assert message in str(caught.value)
    assert (caught.value.source, caught.value.line) == (str(path), line)
    where = f"{path}: " if line is None else f"{path}:{line}: "
    assert str(caught.value).startswith(where)


def test_the_table_is_as_large_as_promised() -> None:
    assert len(CASES) >= 100
    assert len({case[0] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("kept", [11, 40, -9, -8, -1], ids=str)
def test_truncated_gzip_is_refused(kept: int, tmp_path: Path) -> None:
    rows = "".join(f"{1577836800 + 60 * i},10,12,9,11,{i}\n" for i in range(200))
    packed = gzip.compress((HEADER + rows).encode())
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(packed[:kept])
    with pytest.raises(
        DataError, match=r"the gzip file ends in the middle .*: fetch it again"
    ) as caught:
        read_csv(path, "BTCUSD")
    assert caught.value.source == str(path)
    assert caught.value.line is not None
    if kept in (-8, -1):  # all rows are there, only the checksum is cut: line 202 would be next
        assert caught.value.line == 202


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress((HEADER + R1 + R2).encode()))
    packed[-6] ^= 1  # one bit of the checksum
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(packed)
    with pytest.raises(DataError, match=r"the gzip file is damaged .*CRC"):
        read_csv(path, "BTCUSD")


def test_file_called_gz_that_is_not(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv.gz"
    path.write_text(GOOD)
    with pytest.raises(DataError, match=r"is not a gzip file: remove \.gz from its name"):
        read_csv(path, "BTCUSD")


def test_error_deep_in_a_large_file_has_its_line(tmp_path: Path) -> None:
    rows = [f"{1577836800 + 60 * i},10,12,9,11,5\n" for i in range(20_000)]
    rows[17_654] = rows[17_654].replace(",11,", ",13,")
    path = tmp_path / "bars.csv"
    path.write_text(HEADER + "".join(rows))
    with pytest.raises(DataError, match="close 13 is above high 12") as caught:
        read_csv(path, "BTCUSD")
    assert caught.value.line == 17_656  # the header is line 1, row 0 is line 2


def test_error_at_the_seam_of_two_batches(tmp_path: Path) -> None:
    """The order is checked from the last row of a batch to the first of the next as well."""
    rows = [f"{1577836800 + 60 * i},10,12,9,11,5\n" for i in range(20_000)]
    for at in (8_000, 9_000, 10_000):
        path = tmp_path / f"{at}.csv"
        path.write_text(HEADER + "".join(rows[:at] + rows[at - 1 : at] + rows[at:]))
        with pytest.raises(DataError, match="has the time of the row before it") as caught:
            read_csv(path, "BTCUSD", bar="1m")
        assert caught.value.line == at + 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bar": "soon"}, "bar must be a length of time"),
        ({"bar": 0}, "bar must be longer than zero"),
        ({"bar": "0m"}, "bar must be longer than zero"),
        ({"bar": -60_000_000_000}, "bar must be longer than zero"),
        ({"bar": 60}, "bar=60 means 60 nanoseconds: write '60s'"),
        ({"bar": 60.0}, "bar must be a length such as '1m'"),
        ({"bar": True}, "bar must be a length such as '1m'"),
        ({"stamp": "middle"}, "stamp must be 'open' or 'close'"),
        ({"tz": "Berlin"}, "unknown time zone 'Berlin': write a name of the IANA list"),
        ({"tz": "../etc"}, "unknown time zone"),
        ({"tz": ""}, "unknown time zone"),
        ({"pair": ""}, "pair must be a code such as 'BTCUSD'"),
        ({"pair": 7}, "pair must be a code such as 'BTCUSD'"),
    ],
)
def test_arguments_that_make_no_sense(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(GOOD)
    with pytest.raises(ValueError) as caught:
        read_csv(path, **{"pair": "BTCUSD", **arguments})
    assert message in str(caught.value)
    assert isinstance(caught.value, ConfigError) or "length of time" in message


def test_file_that_is_not_there_or_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: there is no such file: check the path"):
        read_csv(tmp_path / "none.csv", "BTCUSD")
    with pytest.raises(DataError, match="is not a file"):
        read_csv(tmp_path, "BTCUSD")
    with pytest.raises(DataError, match="cannot be read"):
        read_csv(tmp_path / ("x" * 300), "BTCUSD")


def test_file_that_changes_between_two_readings(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(GOOD)
    source = read_csv(path, "BTCUSD", stream=True)
    assert len(list(source)) == 2
    path.write_text(GOOD + R3)
    with pytest.raises(DataError, match="has changed while it was being read: start again"):
        list(source)
    with pytest.raises(DataError, match="has changed"):
        source.digest()
