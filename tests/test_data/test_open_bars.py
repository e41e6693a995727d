"""The one door: `open_bars`."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backtest.data import (
    BarSource,
    CsvBars,
    MemoryBars,
    canonical_digest,
    open_bars,
    synthetic_bars,
    write_csv,
)
from backtest.errors import ConfigError, DataError
from backtest.models.bar import Bar
from backtest.models.trading_pair import TradingPair
from backtest.times import MINUTE

BARS = list(synthetic_bars("BTCUSD", 5, seed=1))


@pytest.mark.parametrize("name", ["a.csv", "a.CSV", "a.tsv", "a.txt", "a.b.csv"])
def test_csv_by_the_end_of_its_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_csv(path, BARS)
    for given in (path, str(path)):
        assert list(open_bars(given, "BTCUSD")) == BARS
    assert isinstance(open_bars(path, "BTCUSD", stream=True), CsvBars)
    assert isinstance(open_bars(path, "BTCUSD"), MemoryBars)


def test_gzip_by_the_end_of_its_name(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", BARS)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    assert list(open_bars(path, "BTCUSD")) == BARS


@pytest.mark.parametrize("name", ["a", "a.xlsx", "a.json", "a.gz", "a.csv.zip", ".csvrc"])
def test_other_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"tells no format: name it \.csv, \.csv\.gz or \.parquet"):
        open_bars(tmp_path / name, "BTCUSD")


@pytest.mark.parametrize(
    "data", [BARS, tuple(BARS), (b for b in BARS)], ids=["list", "tuple", "iter"]
)
def test_bars_in_memory(data: Any) -> None:
    source = open_bars(data, "BTCUSD")
    assert list(source) == list(source) == BARS
    assert (source.pair, source.bar_ns, len(source)) == ("BTCUSD", MINUTE, 5)  # type: ignore[arg-type]
    assert source.digest() == canonical_digest(BARS)
    assert isinstance(source, MemoryBars)
    assert repr(source) == "<5 bars of BTCUSD from bars in memory>"
    assert not source.rounded


def test_canonical_digest_is_of_numbers_not_of_their_spelling() -> None:
    one, ten = Decimal(1), Decimal("1e1")
    plain = [Bar("X", 0, 1, one, ten, one, one, ten)]
    other = [Bar("X", 0, 1, Decimal("1.00"), ten, Decimal("1.0"), one, Decimal("10.0"))]
    assert canonical_digest(plain) == canonical_digest(other)
    # sha256 of "X,0,1,1,10,1,1,10\n"
    assert canonical_digest(plain) == (
        "2f68b8805cce534be0b68b15f5fd4518f845d13c85353e1f7fe8d9c2ce0939d3"
    )
    for changed in (
        Bar("Y", 0, 1, one, ten, one, one, ten),
        Bar("X", 0, 2, one, ten, one, one, ten),
        Bar("X", 0, 1, one, ten, one, one, None),
        Bar("X", 0, 1, one, ten, one, ten, ten),
    ):
        assert canonical_digest([changed]) != canonical_digest(plain)


def test_a_source_is_handed_back() -> None:
    source = synthetic_bars("BTCUSD", 5)
    pair = TradingPair("BTCUSD", "BTC", "USD")
    assert isinstance(source, BarSource)
    assert open_bars(source, "BTCUSD") is source
    assert open_bars(source, pair, bar="1m", stamp="close", tz="UTC", stream=True) is source


def test_a_source_of_one_s_own() -> None:
    class Own:
        pair = "BTCUSD"
        bar_ns = MINUTE

        def __iter__(self) -> Iterator[Bar]:
            return iter(BARS)

        def digest(self) -> str:
            return "mine"

    own = Own()
    assert open_bars(own, "BTCUSD") is own
    with pytest.raises(DataError, match="source: holds bars of BTCUSD, not of ETHUSD"):
        open_bars(own, "ETHUSD")
    with pytest.raises(
        DataError, match="holds bars of 60000000000 ns, not of the 3600000000000 ns"
    ):
        open_bars(own, "BTCUSD", bar="1h")


def moved(bar: Bar, by: int, length: int = MINUTE) -> Bar:
    at = bar.open_ns + by
    return Bar(bar.pair, at, at + length, bar.open, bar.high, bar.low, bar.close)


@pytest.mark.parametrize(
    ("bars", "message"),
    [
        ([], "there are no bars: give at least one"),
        ([BARS[0], "x"], "item 1 is a str, not a Bar"),
        ([1, 2, 3], "item 0 is a int, not a Bar"),
        ([*BARS, *synthetic_bars("ETHUSD", 1)], "bar 5 is of ETHUSD, not of BTCUSD"),
        (
            [BARS[0], BARS[0]],
            "bar 1 opens at 2020-01-01T00:00:00+00:00, before the close of the one",
        ),
        ([BARS[1], BARS[0]], "sort the bars and remove duplicates"),
        ([BARS[0], moved(BARS[0], MINUTE - 1)], "before the close of the one before it"),
    ],
)
def test_bars_that_are_no_series(bars: list[Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        open_bars(bars, "BTCUSD")
    assert message in str(caught.value)
    assert caught.value.source == "bars in memory"


def test_bars_of_several_lengths_count_as_the_shortest() -> None:
    bars = [BARS[0], moved(BARS[0], MINUTE, 5 * MINUTE), moved(BARS[0], 6 * MINUTE)]
    assert open_bars(bars, "BTCUSD").bar_ns == MINUTE
    with pytest.raises(DataError, match="leave out bar"):
        open_bars(bars, "BTCUSD", bar="5m")


class LazyFrame:
    """Called as polars calls a frame that is not worked out yet."""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "data must be the path of a file, a dataframe, Bars or a BarSource, not NoneType"),
        (7, "not int"),
        (b"a.csv", "not bytes"),
        ({"open": [1]}, "not dict"),
        (BARS[0], "not Bar"),
        (LazyFrame(), "not a LazyFrame: collect() it first"),
    ],
)
def test_what_is_no_data(data: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        open_bars(data, "BTCUSD")
    assert message in str(caught.value)


@pytest.mark.parametrize("arguments", [{"bar": "x"}, {"stamp": "x"}, {"tz": "x"}, {"pair": ""}])
def test_arguments_are_checked_whatever_the_data(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        open_bars(BARS, **{"pair": "BTCUSD", **arguments})
    assert isinstance(caught.value, ConfigError) or "bar must be a length" in str(caught.value)
