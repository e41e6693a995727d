"""Files as others make them: epoch numbers of another unit, addresses above headers, indexes."""

from __future__ import annotations

from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from backtest.data import read_csv, read_frame, read_parquet
from backtest.errors import DataError

START = 1_577_836_800
"""1 January 2020, in seconds."""


def written(folder: Path, *lines: str) -> str:
    """The path of a file of ``lines``."""
    (folder / "bars.csv").write_text("\n".join([*lines, ""]))
    return str(folder / "bars.csv")


@pytest.mark.parametrize(
    ("name", "factor", "size", "right"),
    [
        ("ts_ns", 1, "seconds", "ts_s"),
        ("ts_ns", 10**3, "milliseconds", "ts_ms"),
        ("ts_ns", 10**6, "microseconds", "ts_us"),
        ("ts_us", 1, "seconds", "ts_s"),
        ("open_time_ms", 1, "seconds", "ts_s"),
        ("ts_s", 10**3, "milliseconds", "ts_ms"),
        ("ts_ms", 10**6, "microseconds", "ts_us"),
        ("ts_us", 10**9, "nanoseconds", "ts_ns"),
    ],
)
@pytest.mark.parametrize("gap", [60, 86_400])
def test_epoch_numbers_of_another_unit_than_their_name_tells_are_refused(
    tmp_path: Path, name: str, factor: int, size: str, right: str, gap: int
) -> None:
    """They would be of 1970, in silence."""
    rows = [f"{(START + at * gap) * factor},1,1,1,1" for at in range(3)]
    path = written(tmp_path, f"{name},open,high,low,close", *rows)
    with pytest.raises(DataError) as raised:
        read_csv(path, "BTCUSD")
    assert str(raised.value) == (
        f"{path}:2: {name} '{START * factor}' has the size of an epoch number in {size}, and the "
        f"column's name tells another unit: call it {right}"
    )
    frame = pd.read_csv(path)
    with pytest.raises(DataError, match=f"has the size of an epoch number in {size}"):
        list(read_frame(frame, "BTCUSD"))


@pytest.mark.parametrize("begin", [0, 5, 100, 86_400, 8_640_000])
@pytest.mark.parametrize("gap", [1, 60, 86_400])
def test_bars_of_1970_are_read_as_their_name_tells(tmp_path: Path, begin: int, gap: int) -> None:
    rows = [f"{(begin + at * gap) * 10**9},1,1,1,1" for at in range(3)]
    bars = list(read_csv(written(tmp_path, "ts_ns,open,high,low,close", *rows), "BTCUSD"))
    assert [bar.open_ns for bar in bars] == [(begin + at * gap) * 10**9 for at in range(3)]


CDD = (
    "https://www.CryptoDataDownload.com",
    "unix,date,symbol,open,high,low,close,Volume BTC,Volume USD",
    "1577836800,2020-01-01 00:00:00,BTC/USD,100,110,90,105,10,1000",
    "1577836860,2020-01-01 00:01:00,BTC/USD,105,110,90,107,20,2000",
)


def test_an_address_above_the_header_is_passed_over(tmp_path: Path) -> None:
    first, second = read_csv(written(tmp_path, *CDD), "BTCUSD")
    assert (first.open_ns, first.close, first.volume) == (START * 10**9, D(105), D(10))
    assert (second.close, second.volume) == (D(107), D(20))
    plain = written(tmp_path, CDD[0], "", "ts_s,open,high,low,close", "0,1,1,1,1", "60,1,1,1,x")
    with pytest.raises(DataError, match=r"bars\.csv:5: close is not a number: 'x'"):
        list(read_csv(plain, "BTCUSD"))
    upside = written(tmp_path, *CDD[:2], *CDD[:1:-1])
    with pytest.raises(DataError, match=r"bars\.csv:4: goes back in time.*oldest first"):
        list(read_csv(upside, "BTCUSD"))


@pytest.mark.parametrize("how", ["parquet", "csv", "reset", "reset csv", "reset parquet"])
def test_an_index_without_a_name_is_the_time(tmp_path: Path, how: str) -> None:
    index = pd.date_range("2020-01-01", periods=3, freq="1min", tz="UTC")
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), 1), index=index)
    frame = frame.reset_index() if "reset" in how else frame
    path, made = str(tmp_path / f"bars.{how.rpartition(' ')[2]}"), how.rpartition(" ")[2]
    bars: Any = read_frame(frame, "BTCUSD")
    if made == "parquet":
        frame.to_parquet(path)
        bars = read_parquet(path, "BTCUSD")
    elif made == "csv":
        frame.to_csv(path, index="reset" not in how)
        bars = read_csv(path, "BTCUSD")
    assert [bar.open_ns for bar in bars] == [(START + 60 * at) * 10**9 for at in range(3)]


def test_a_time_of_another_name_comes_before_an_index(tmp_path: Path) -> None:
    path = written(
        tmp_path, ",ts_s,open,high,low,close", f"0,{START},1,1,1,1", f"1,{START + 60},1,1,1,1"
    )
    assert [bar.open_ns // 10**9 for bar in read_csv(path, "BTCUSD")] == [START, START + 60]
