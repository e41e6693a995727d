"""Good CSV files of many makes, all read to the same exact bars."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from backtest.data import CsvBars, MemoryBars, read_csv, write_csv
from backtest.errors import DataError
from backtest.models.bar import Bar
from backtest.models.trading_pair import TradingPair
from backtest.times import DAY, HOUR, MINUTE

T = 1_577_836_800_000_000_000  # 2020-01-01 00:00:00 UTC


def bar(at: int, *numbers: str | None, length: int = MINUTE) -> Bar:
    o, h, lo, c, v = numbers
    volume = None if v is None else Decimal(v)
    assert o is not None
    assert h is not None
    assert lo is not None
    assert c is not None
    return Bar("BTCUSD", at, at + length, Decimal(o), Decimal(h), Decimal(lo), Decimal(c), volume)


TWO = [
    bar(T, "10.1", "12", "9.5", "11", "5"),
    bar(T + MINUTE, "11", "13", "10", "12.25", "0"),
]
WITHOUT_VOLUME = [
    bar(T, "10.1", "12", "9.5", "11", None),
    bar(T + MINUTE, "11", "13", "10", "12.25", None),
]
A, B = "10.1,12,9.5,11,5", "11,13,10,12.25,0"


def file(tmp_path: Path, text: str | bytes, name: str = "bars.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def both(header: str, first: str, second: str) -> str:
    return f"{header}\n{first},{A}\n{second},{B}\n"


PLAIN = both("timestamp,open,high,low,close,volume", "2020-01-01 00:00:00", "2020-01-01 00:01:00")


@pytest.mark.parametrize("stream", [False, True], ids=["load", "stream"])
@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.removesuffix("\n"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("\n", "\n\n"),
        "\n \n" + PLAIN + "\n  \n",
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ", "),
        PLAIN.replace(",", " ,"),
        "\ufeff" + PLAIN,
        PLAIN.upper(),
        '"' + PLAIN.replace(",", '","').replace("\n", '"\n"').removesuffix('"'),
        PLAIN.replace("timestamp", '"timestamp"'),
        PLAIN.replace("10.1,", '"10.1",'),
        both("Date,o,h,l,c,v", "2020-01-01", "2020-01-01T00:01"),
        both("datetime,Open,High,Low,Close,Vol", "2020/01/01 00:00:00", "2020/01/01 00:01:00"),
        both(
            "<DTYYYYMMDD>,x,<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
            "1,2,2020.01.01",
            "1,2,2020.01.01 00:01",
        ),
        both("date,time,open,high,low,close,volume", "2020-01-01,00:00", "2020-01-01,00:01"),
        both("time,date,open,high,low,close,volume", "00:00:00,2020-01-01", "00:01:00,2020-01-01"),
        both(
            "<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>", "20200101,000000", "20200101,000100"
        ),
        both("date,open,high,low,close,volume", "20200101", "20200101 000100"),
        both("date,open,high,low,close,volume", "20200101000000", "20200101000100"),
        both("ts,open,high,low,close,volume", "2020-01-01T00:00:00Z", "2020-01-01T00:01:00+00:00"),
        both(
            "ts,open,high,low,close,volume", "2020-01-01T01:00:00+01:00", "2019-12-31T19:01:00-0500"
        ),
        both(
            "ts,open,high,low,close,volume", "2020-01-01 05:30:00+05:30", "2020-01-01 00:01:00 UTC"
        ),
        both(
            "ts,open,high,low,close,volume",
            "2020-01-01 00:00:00.000",
            "2020-01-01 00:01:00.000000000",
        ),
        both("unix,open,high,low,close,volume", "1577836800", "1577836860"),
        both("epoch,open,high,low,close,volume", "1577836800.0", "1577836860.000"),
        both("time,open,high,low,close,volume", "1577836800000", "1577836860000"),
        both("Open Time,open,high,low,close,volume", "1577836800000000", "1577836860000000"),
        both("ts_ns,open,high,low,close,volume", f"{T}", f"{T + MINUTE}"),
        both("timestamp_ms,open,high,low,close,volume", "1577836800000", "1577836860000"),
        both("ts_us,open,high,low,close,volume", "1577836800000000", "1577836860000000"),
        both("ts_s,open,high,low,close,volume", "1577836800", "1577836860"),
        both("timestamp,open,high,low,close,volume", "1.5778368e9", "1.57783686e9"),
        both("unix,date,symbol,open,high,low,close,Volume BTC", "1577836800,x,y", "1577836860,z,y"),
        "v;c;l;h;o;ts\n5;11;9.5;12;10.1;2020-01-01\n0;12.25;10;13;11;2020-01-01 00:01\n",
        PLAIN.replace("11,5", "1.1e1,5").replace(",0\n", ",0.000\n"),
        PLAIN.replace("volume", "volume,Adj Close,")
        .replace(",5\n", ",5,9,\n")
        .replace(",0\n", ",0,,\n"),
    ],
)
def test_the_same_bars_from_many_spellings(text: str, stream: bool, tmp_path: Path) -> None:
    source = read_csv(file(tmp_path, text), "BTCUSD", stream=stream)
    assert list(source) == TWO
    assert source.bar_ns == MINUTE


def test_numbers_are_the_text_and_not_a_float(tmp_path: Path) -> None:
    text = "ts,open,high,low,close,volume\n2020-01-01,0.1,0.30000000000000004,0.1,0.10,0.7\n"
    (only,) = read_csv(file(tmp_path, text), "BTCUSD", bar="1m")
    assert [
        str(number) for number in (only.open, only.high, only.low, only.close, only.volume)
    ] == [
        "0.1",
        "0.30000000000000004",
        "0.1",
        "0.10",
        "0.7",
    ]


def test_without_a_volume_column_the_volume_is_unknown(tmp_path: Path) -> None:
    text = PLAIN.replace(",volume", "").replace(",5\n", "\n").replace(",0\n", "\n")
    assert list(read_csv(file(tmp_path, text), "BTCUSD")) == WITHOUT_VOLUME


def test_volume_of_the_quote_asset_is_not_the_volume(tmp_path: Path) -> None:
    text = PLAIN.replace("volume", "Volume USD")
    assert list(read_csv(file(tmp_path, text), "BTCUSD")) == WITHOUT_VOLUME


def test_gzip_is_read_by_content(tmp_path: Path) -> None:
    packed = gzip.compress(PLAIN.encode())
    assert list(read_csv(file(tmp_path, packed, "bars.csv.gz"), "BTCUSD")) == TWO
    assert list(read_csv(file(tmp_path, packed, "bars.csv"), "BTCUSD", stream=True)) == TWO


def test_stamp_close_shifts_the_bar_before_its_time(tmp_path: Path) -> None:
    # 00:00 and 00:01 are closes now, so the first bar opened at 23:59 of the day before
    bars = list(read_csv(file(tmp_path, PLAIN), "BTCUSD", stamp="close"))
    assert [(b.open_ns - T, b.close_ns - T) for b in bars] == [(-MINUTE, 0), (0, MINUTE)]


def test_close_time_column_is_taken_when_the_stamp_is_the_close(tmp_path: Path) -> None:
    rows = "2020-01-01,2020-01-02,1,1,1,1\n2020-01-02,2020-01-03,1,1,1,1\n"
    text = "open_time,close_time,o,h,l,c\n" + rows
    path = file(tmp_path, text)
    for stamp in ("open", "close"):
        bars = list(read_csv(path, "BTCUSD", stamp=stamp))
        assert [(b.open_ns - T, b.close_ns - T) for b in bars] == [(0, DAY), (DAY, 2 * DAY)]


def test_bar_length_is_what_all_gaps_are_multiples_of_and_gaps_stay(tmp_path: Path) -> None:
    times = ["00:00", "00:05", "00:06", "03:00"]
    rows = "".join(f"2020-01-01 {time},1,1,1,1\n" for time in times)
    source = read_csv(file(tmp_path, "ts,o,h,l,c\n" + rows), "BTCUSD")
    assert source.bar_ns == MINUTE
    assert [b.open_ns - T for b in source] == [0, 5 * MINUTE, 6 * MINUTE, 180 * MINUTE]
    assert {b.close_ns - b.open_ns for b in source} == {MINUTE}


@pytest.mark.parametrize("length", ["30s", 30_000_000_000, timedelta(seconds=30)])
def test_bar_length_given(length: Any, tmp_path: Path) -> None:
    source = read_csv(file(tmp_path, PLAIN), "BTCUSD", bar=length)
    assert source.bar_ns == 30_000_000_000
    assert [b.close_ns - b.open_ns for b in source] == [30_000_000_000] * 2


def test_single_row_with_a_given_length(tmp_path: Path) -> None:
    text = "ts,o,h,l,c,v\n2020-01-01," + A
    assert list(read_csv(file(tmp_path, text), "BTCUSD", bar="1m")) == TWO[:1]


def test_one_short_gap_far_down_in_the_file_is_not_the_length(tmp_path: Path) -> None:
    """Minutes, but for one pair of rows ten seconds apart: no bar may be shortened by that."""
    times = [1577836800 + 60 * i for i in range(20_000)]
    times[15_001] = times[15_000] + 10
    rows = "".join(f"{time},1,1,1,1\n" for time in times)
    path = file(tmp_path, "ts,o,h,l,c\n" + rows)
    for stream in (False, True):
        with pytest.raises(DataError, match=r"1m 19997 times .*, 10s once \(to .*, row 15002\)"):
            read_csv(path, "BTCUSD", stream=stream)
        bars = list(read_csv(path, "BTCUSD", bar="1m", stream=stream))
        # The one before ends where it opens, and it a minute later as all the others.
        assert [b.length // 10**9 for b in bars[14_999:15_003]] == [60, 10, 60, 60]


def test_nanoseconds_are_kept(tmp_path: Path) -> None:
    text = (
        "ts,o,h,l,c\n2020-01-01 00:00:00.000000001,1,1,1,1\n2020-01-01 00:00:00.000000003,1,1,1,1\n"
    )
    source = read_csv(file(tmp_path, text), "BTCUSD")
    assert (source.bar_ns, [b.open_ns - T for b in source]) == (2, [1, 3])


def test_times_of_a_zone(tmp_path: Path) -> None:
    # Berlin is UTC+1 in winter; on 2020-03-29 it goes to UTC+2 at 02:00 local
    times = ["2020-01-01 01:00", "2020-03-29 01:30", "2020-03-29 03:30", "2020-07-01 02:00"]
    utc = ["2020-01-01 00:00", "2020-03-29 00:30", "2020-03-29 01:30", "2020-07-01 00:00"]
    path = file(tmp_path, "ts,o,h,l,c\n" + "".join(f"{time},1,1,1,1\n" for time in times))
    wanted = [datetime.fromisoformat(time).replace(tzinfo=UTC) for time in utc]
    source = read_csv(path, "BTCUSD", bar="1h", tz="Europe/Berlin")
    assert [b.open_time for b in source] == wanted


def test_a_named_offset_is_stronger_than_the_zone(tmp_path: Path) -> None:
    text = "ts,o,h,l,c\n2020-10-25 02:30:00+02:00,1,1,1,1\n2020-10-25 02:30:00+01:00,1,1,1,1\n"
    bars = list(read_csv(file(tmp_path, text), "BTCUSD", tz="Europe/Berlin"))
    assert [b.open_time.hour * 60 + b.open_time.minute for b in bars] == [30, 90]


def test_a_fixed_offset_as_zone(tmp_path: Path) -> None:
    zone = timezone(timedelta(hours=-5))
    (first, _) = read_csv(file(tmp_path, PLAIN), "BTCUSD", tz=zone)
    assert first.open_ns == T + 5 * HOUR


TWO_SYMBOLS = (
    f"symbol,timestamp,open,high,low,close,volume\nBTC/USD,2020-01-01,{A}\nETHUSD,2020-01-01,1,1,1,1,1\n"
    f"BTC/USD,2020-01-01 00:01,{B}\nETHUSD,2020-01-01 00:01,2,2,2,2,2\n"
)


def test_symbol_column_selects_the_pair_s_rows(tmp_path: Path) -> None:
    path = file(tmp_path, TWO_SYMBOLS)
    for stream in (False, True):
        assert list(read_csv(path, "BTCUSD", stream=stream)) == TWO
        eth = list(read_csv(path, "X", symbol="ETHUSD", stream=stream))
        assert [(b.pair, str(b.close)) for b in eth] == [("X", "1"), ("X", "2")]
    padded = file(tmp_path, TWO_SYMBOLS.replace("ETHUSD", " ETHUSD "), "padded.csv")
    assert len(list(read_csv(padded, "X", symbol="ETHUSD"))) == 2


def test_a_single_symbol_may_have_any_name(tmp_path: Path) -> None:
    text = both("ticker,ts,o,h,l,c,v", "XBT,2020-01-01", "XBT,2020-01-01 00:01")
    assert list(read_csv(file(tmp_path, text), "BTCUSD")) == TWO


def test_pair_may_be_a_trading_pair_and_volume_off_its_increment(tmp_path: Path) -> None:
    pair = TradingPair("BTCUSD", "BTC", "USD", volume_increment=Decimal("3"))
    source = read_csv(file(tmp_path, PLAIN), pair)
    assert source.pair == "BTCUSD"
    assert list(source) == TWO


def test_a_source_can_be_read_again_and_knows_its_digest(tmp_path: Path) -> None:
    path = file(tmp_path, PLAIN)
    for stream in (False, True):
        source = read_csv(path, "BTCUSD", stream=stream)
        assert list(source) == list(source) == TWO
        assert source.digest() == sha256(PLAIN.encode()).hexdigest()
        assert str(path) in repr(source)
        assert isinstance(source, CsvBars if stream else MemoryBars)


def test_two_iterations_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    source = CsvBars(file(tmp_path, PLAIN), "BTCUSD")
    first, second = iter(source), iter(source)
    assert [next(first), next(second), next(first), next(second)] == [
        TWO[0],
        TWO[0],
        TWO[1],
        TWO[1],
    ]


def test_the_caller_s_decimal_context_does_not_matter(tmp_path: Path) -> None:
    path = file(tmp_path, PLAIN)
    bad = file(tmp_path, PLAIN.replace("10.1", "x"), "bad.csv")
    with localcontext() as context:
        context.prec = 1
        context.traps = dict.fromkeys(context.traps, False)
        assert list(read_csv(path, "BTCUSD")) == TWO
        with pytest.raises(DataError, match="open is not a number: 'x'"):
            read_csv(bad, "BTCUSD")


def test_a_quoted_field_may_come_late_in_a_large_file(tmp_path: Path) -> None:
    rows = [f"{1577836800 + 60 * i},1,1,1,1\n" for i in range(20_000)]
    rows[15_000] = rows[15_000].replace(",1,", ',"1",', 1)
    source = read_csv(file(tmp_path, "ts,o,h,l,c\n" + "".join(rows)), "BTCUSD", stream=True)
    assert [b.open_ns for b in source] == [T + i * MINUTE for i in range(20_000)]


def test_streaming_takes_no_more_memory_for_a_longer_file(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = file(
            tmp_path,
            "ts,o,h,l,c,v\n" + "".join(f"{1577836800 + 60 * i},{A}\n" for i in range(rows)),
            f"{rows}.csv",
        )
        source = CsvBars(path, "BTCUSD")
        tracemalloc.start()
        try:
            assert sum(1 for _ in source) == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(20_000)  # warms up what is imported and remembered once
    assert peak(60_000) < 1.3 * peak(20_000)


def test_written_bars_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    assert write_csv(path, TWO) == 2
    assert path.read_text() == (
        "ts_ns,open,high,low,close,volume\n"
        "1577836800000000000,10.1,12,9.5,11,5\n"
        "1577836860000000000,11,13,10,12.25,0\n"
    )
    assert list(read_csv(path, "BTCUSD")) == TWO
    assert write_csv(path, WITHOUT_VOLUME) == 2
    assert list(read_csv(path, "BTCUSD")) == WITHOUT_VOLUME
    with pytest.raises(DataError, match="bar 1 differs from the first in having a volume or not"):
        write_csv(path, [TWO[0], WITHOUT_VOLUME[1]])


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are of another kind there")
def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path, PLAIN)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\): check its perm"):
        read_csv(path, "BTCUSD")
