"""Parquet files and dataframes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from backtest.data import (
    FrameBars,
    MemoryBars,
    ParquetBars,
    canonical_digest,
    open_bars,
    read_frame,
    read_parquet,
    synthetic_bars,
)
from backtest.errors import DataError, MissingExtra
from backtest.models.bar import Bar
from backtest.models.trading_pair import TradingPair
from backtest.times import DAY, MINUTE

np: Any = pytest.importorskip("numpy")
pa: Any = pytest.importorskip("pyarrow")
pq: Any = pytest.importorskip("pyarrow.parquet")
pd: Any = pytest.importorskip("pandas")

T = 1_577_836_800_000_000_000  # 2020-01-01 00:00:00 UTC
NAMES = ("open", "high", "low", "close", "volume")
NUMBERS = {
    "open": ["10.1", "11"],
    "high": ["12", "13"],
    "low": ["9.5", "10"],
    "close": ["11", "12.25"],
    "volume": ["5", "0.125"],
}
STAMPS = [T, T + MINUTE]


def decimals(name: str) -> list[Decimal]:
    return [Decimal(text) for text in NUMBERS[name]]


def floats(name: str) -> list[float]:
    return [float(text) for text in NUMBERS[name]]


TWO = [
    Bar("BTCUSD", STAMPS[i], STAMPS[i] + MINUTE, *(decimals(name)[i] for name in NAMES))
    for i in (0, 1)
]


def table(times: Any = None, **columns: Any) -> Any:
    """A pyarrow table of the two bars, with floats unless told otherwise."""
    named = {"ts_ns": pa.array(STAMPS)} if times is None else times
    return pa.table({**named, **{name: columns.get(name, floats(name)) for name in NAMES}})


class Foreign:
    """A frame of an unknown library: all it has is an Arrow stream, as polars frames do."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._frame.__arrow_c_stream__(requested_schema)


KINDS: dict[str, Callable[[Any], Any]] = {
    "arrow": lambda frame: frame,
    "foreign": Foreign,
    "pandas": lambda frame: frame.to_pandas(),
    "pandas-arrow": lambda frame: frame.to_pandas(types_mapper=pd.ArrowDtype),
    "pandas-objects": lambda frame: frame.to_pandas().astype(object),
}


@pytest.fixture(params=[*KINDS, "parquet"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    """Opens an Arrow table by way of each kind of frame."""

    def open_it(frame: Any, pair: Any = "BTCUSD", **arguments: Any) -> Any:
        if request.param == "parquet":
            path = tmp_path / "bars.parquet"
            pq.write_table(frame, path)
            return open_bars(path, pair, **arguments)
        return open_bars(KINDS[request.param](frame), pair, **arguments)

    return open_it


@pytest.mark.parametrize("stream", [False, True], ids=["load", "stream"])
@pytest.mark.parametrize(
    "times",
    [
        {"ts_ns": STAMPS},
        {"timestamp": STAMPS},
        {"ts_ns": pa.array(STAMPS, pa.uint64())},
        {"time": [at // 10**9 for at in STAMPS]},
        {"unix": [at / 1e9 for at in STAMPS]},
        {"ts_ms": [at // 10**6 for at in STAMPS]},
        {"ts": ["2020-01-01", "2020-01-01 00:01:00"]},
        {"ts": pa.array(["2020-01-01T00:00Z", "2020-01-01T00:01Z"], pa.large_string())},
        {"Date": ["2020-01-01"] * 2, "Time": ["00:00", "00:01"]},
        {"timestamp": pa.array(STAMPS, pa.timestamp("ns"))},
        {"timestamp": pa.array([at // 10**9 for at in STAMPS], pa.timestamp("s"))},
        {"timestamp": pa.array([at // 10**6 for at in STAMPS], pa.timestamp("ms", "UTC"))},
        {"timestamp": pa.array([at // 10**3 for at in STAMPS], pa.timestamp("us", "Asia/Tokyo"))},
    ],
    # Without the addresses that an Arrow array prints: two processes must name a test alike.
    ids=lambda times: " ".join(f"{name} {pa.array(times[name]).type}" for name in times),
)
def test_times_of_every_type(opened: Callable[..., Any], times: Any, stream: bool) -> None:
    source = opened(table(times), stream=stream)
    assert list(source) == TWO
    assert source.bar_ns == MINUTE
    assert source.rounded


@pytest.mark.parametrize("type_", [pa.date32(), pa.date64()], ids=str)
def test_dates(opened: Callable[..., Any], type_: Any) -> None:
    days = pa.array([date(2020, 1, 1), date(2020, 1, 2)], type_)
    source = opened(table({"date": days}))
    assert [(b.open_ns - T, b.close_ns - T) for b in source] == [(0, DAY), (DAY, 2 * DAY)]


def test_naive_times_of_a_zone(opened: Callable[..., Any]) -> None:
    moments = [datetime(2020, 3, 29, 1, 30), datetime(2020, 3, 29, 3, 30)]
    source = opened(table({"ts": pa.array(moments, pa.timestamp("us"))}), tz="Europe/Berlin")
    assert [b.open_time for b in source] == [
        datetime(2020, 3, 29, 0, 30, tzinfo=UTC),
        datetime(2020, 3, 29, 1, 30, tzinfo=UTC),
    ]
    gap = [datetime(2020, 3, 29, 1, 30), datetime(2020, 3, 29, 2, 30)]
    with pytest.raises(DataError, match="ts 2020-03-29 02:30:00 does not exist") as caught:
        opened(table({"ts": pa.array(gap, pa.timestamp("us"))}), tz="Europe/Berlin")
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "convert",
    [
        lambda name: pa.array(decimals(name), pa.decimal128(20, 8)),
        lambda name: pa.array(decimals(name), pa.decimal256(50, 20)),
        lambda name: NUMBERS[name],
        lambda name: pa.array(NUMBERS[name]).dictionary_encode(),
        lambda name: pa.array(decimals(name)).dictionary_encode(),
    ],
    ids=["decimal128", "decimal256", "text", "dictionary", "dictionary of decimals"],
)
def test_exact_numbers_are_taken_exactly(opened: Callable[..., Any], convert: Any) -> None:
    source = opened(table(**{name: convert(name) for name in NAMES}))
    assert list(source) == TWO
    assert not source.rounded


def test_many_digits_of_a_decimal_survive(opened: Callable[..., Any]) -> None:
    price = Decimal("1.000000000000000001")
    columns = {name: pa.array([price] * 2, pa.decimal128(38, 18)) for name in NAMES}
    assert [b.close for b in opened(table(**columns))] == [price, price]


def test_integers_are_exact(opened: Callable[..., Any]) -> None:
    source = opened(table(**{name: [7, 8] for name in NAMES}))
    assert [str(b.close) for b in source] == ["7", "8"]
    assert not source.rounded


def test_floats_keep_their_digits_whatever_the_increments(opened: Callable[..., Any]) -> None:
    pair = TradingPair(
        "BTCUSD", "BTC", "USD", price_increment=Decimal("0.25"), volume_increment=Decimal("0.01")
    )
    columns = {
        "open": [1.125, 1.2345e-6],
        "high": [2.3, 2.4],
        "low": [1.0, 1e-7],
        "close": [0.1 + 0.2 + 1, 1.13],
        "volume": [0.125, 1e-9],
    }
    source = opened(table(**columns), pair)
    assert source.rounded
    shown = [[str(one) for one in (b.open, b.high, b.low, b.close, b.volume)] for b in source]
    assert shown == [
        ["1.125", "2.3", "1.0", "1.3", "0.125"],
        ["0.0000012345", "2.4", "1E-7", "1.13", "1E-9"],
    ]


def test_the_noise_of_floats_is_in_the_data_and_stays(opened: Callable[..., Any]) -> None:
    noisy = [0.1 + 0.2, 7160.69]
    source = opened(table(**dict.fromkeys(NAMES, noisy)))
    assert [str(b.close) for b in source] == ["0.30000000000000004", "7160.69"]


def test_single_precision_is_read_by_its_shortest_text(opened: Callable[..., Any]) -> None:
    single = pa.array([7160.69, 0.1], pa.float32())
    source = opened(table(**dict.fromkeys(NAMES, single)))
    found = [str(b.close) for b in source]
    # A frame of Python objects holds doubles: what they were of is lost.
    assert found in (["7160.69", "0.1"], ["7160.68994140625", "0.10000000149011612"])
    assert source.rounded


def test_scalars_of_numpy_among_objects_too() -> None:
    for kind in (np.float32, np.float64):
        values = pd.Series([kind("7160.69"), kind("0.1")], dtype=object)
        frame = pd.DataFrame({"ts_ns": STAMPS, **dict.fromkeys(NAMES, values)})
        source = open_bars(frame, "BTCUSD")
        assert [str(b.close) for b in source] == ["7160.69", "0.1"], kind
        assert source.rounded  # type: ignore[attr-defined]


def test_thousands_by_underscore_are_no_number_in_any_source(opened: Callable[..., Any]) -> None:
    texts = {**{name: ["10", "10"] for name in NAMES}, "open": ["10", "1_0"]}
    with pytest.raises(DataError, match="open is not a number: '1_0'") as caught:
        opened(table(**texts))
    assert caught.value.line == 2


def test_without_volume(opened: Callable[..., Any]) -> None:
    source = opened(table().drop_columns(["volume"]))
    assert [b.volume for b in source] == [None, None]


def test_stamp_and_bar(opened: Callable[..., Any]) -> None:
    (first, _) = opened(table(), stamp="close", bar="30s")
    assert (first.open_ns, first.close_ns) == (T - MINUTE // 2, T)


def test_symbols(opened: Callable[..., Any]) -> None:
    frame = pa.concat_tables([table(), table()])
    frame = frame.append_column("symbol", [["BTC-USD", "BTC-USD", "ETH-USD", "ETH-USD"]])
    for arguments in ({}, {"symbol": "BTC-USD"}):
        assert list(opened(frame, **arguments)) == TWO
    assert [b.pair for b in opened(frame, "X", symbol="ETH-USD", stream=True)] == ["X", "X"]
    with pytest.raises(DataError, match="has no row of symbol 'SOL'"):
        opened(frame, symbol="SOL")
    with pytest.raises(DataError, match="has no row of symbol 'SOL'"):
        opened(frame, symbol="SOL", bar="1m")
    with pytest.raises(DataError, match="holds several symbols \\('BTC-USD', 'ETH-USD'\\)"):
        opened(frame, "SOLUSD")
    with pytest.raises(DataError, match="has no symbol column"):
        opened(table(), symbol="SOL")


def test_symbols_as_categories_of_string_views_as_polars_gives_them() -> None:
    views = pa.DictionaryArray.from_arrays([0, 0], pa.array(["A"], pa.string_view()))
    closes = pa.array(NUMBERS["close"], pa.string_view())
    frame = Foreign(table(close=closes).append_column("symbol", views))
    assert list(open_bars(frame, "BTCUSD", symbol="A")) == TWO


def test_row_of_an_error_counts_rows_of_all_symbols(opened: Callable[..., Any]) -> None:
    frame = pa.concat_tables(
        [table(), table({"ts_ns": [T + 2 * MINUTE, T + 3 * MINUTE]}, low=[1.0, 0.0])]
    )
    frame = frame.append_column("symbol", [["A", "B", "B", "A"]])
    with pytest.raises(DataError, match="low must be positive, not 0") as caught:
        opened(frame, symbol="A")
    assert caught.value.line == 4


BAD: list[tuple[str, Any, int | None, str]] = [
    ("nan", lambda: table(close=[11.0, float("nan")]), 2, "close is "),
    ("infinity", lambda: table(high=[float("inf"), 13.0]), 1, "high is Infinity"),
    ("null", lambda: table(close=[11.0, None]), 2, "close is "),
    ("null-decimal", lambda: table(close=pa.array([Decimal(11), None])), 2, "close is empty"),
    ("huge", lambda: table(high=[1e300, 13.0]), 1, "which is no price"),
    ("negative", lambda: table(volume=[5.0, -1.0]), 2, "volume must be non-negative, not -1"),
    ("zero", lambda: table(low=[9.5, 0.0]), 2, "low must be positive, not 0"),
    ("high-low", lambda: table(high=[12.0, 1.0]), 2, "high 1.0 is below low 10"),
    ("text", lambda: table(open=["10.1", "abc"]), 2, "open is not a number: 'abc'"),
    ("duplicate", lambda: table({"ts_ns": [T, T]}), 2, "has the time of the row before it"),
    ("backwards", lambda: table({"ts_ns": [T, T - 1]}), 2, "goes back in time"),
    ("null-time", lambda: table({"ts": pa.array([T, None], pa.timestamp("ns"))}), 2, "ts is empty"),
    ("null-epoch", lambda: table({"ts": [T, None]}), 2, "ts "),
    ("bad-time", lambda: table({"ts": ["2020-01-01", "soon"]}), 2, "ts 'soon' is not a time"),
    ("bool", lambda: table(open=[True, False]), 1, "open is not a number: 'True'"),
    ("list", lambda: table(open=[[1], [2]]), None, "the column 'open' holds values of type"),
    (
        "time-as-price",
        lambda: table(open=pa.array(STAMPS, pa.timestamp("ns"))),
        None,
        "holds times",
    ),
    ("no-rows", lambda: table().slice(0, 0), None, "has a header but no rows"),
    ("one-row", lambda: table().slice(0, 1), None, "has a single row"),
    ("no-close", lambda: table().drop_columns(["close"]), None, "has no column for close"),
    ("empty", lambda: pa.table({}), None, "has no column for time and open"),
    ("quotes", lambda: pa.table({"ts": [1], "bid": [1], "ask": [1]}), None, "holds quotes"),
]


@pytest.mark.parametrize(("make", "line", "message"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_bad_frames_are_refused_with_the_row(
    opened: Callable[..., Any], make: Any, line: int | None, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        opened(make())
    assert message in str(caught.value)
    assert caught.value.line == line
    assert caught.value.source is not None


def test_pandas_index_of_times_counts_as_a_column() -> None:
    frame = table().to_pandas()
    moments = pd.to_datetime(frame.pop("ts_ns"), utc=True)
    for index in (moments, moments.rename("Date"), moments.rename(None).dt.tz_localize(None)):
        assert list(open_bars(frame.set_index(pd.Index(index)), "BTCUSD")) == TWO


def test_pandas_index_of_another_name_is_no_matter_and_a_clash_is_told() -> None:
    frame = table().to_pandas()
    frame.index.name = "id"
    assert list(open_bars(frame, "BTCUSD")) == TWO
    frame.index.name = "open"
    with pytest.raises(DataError, match=r"the index cannot be taken as a column .*: rename it"):
        open_bars(frame, "BTCUSD")


def test_pandas_objects_of_many_kinds() -> None:
    frame = table().to_pandas().astype(object)
    frame["close"] = pd.Series([np.int64(11), 12.25], dtype=object)
    frame["open"] = pd.Series([Decimal("10.1"), "11"], dtype=object)
    for first, second in (
        (datetime(2020, 1, 1), datetime(2020, 1, 1, 0, 1)),
        (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, 0, 1, tzinfo=UTC)),
        (pd.Timestamp("2020-01-01", tz="UTC"), pd.Timestamp("2020-01-01 09:01", tz="Asia/Tokyo")),
    ):
        frame["ts_ns"] = pd.Series([first, second], dtype=object)
        assert list(open_bars(frame.rename(columns={"ts_ns": "ts"}), "BTCUSD")) == TWO
    frame["ts_ns"] = pd.Series([date(2020, 1, 1), date(2020, 1, 2)], dtype=object)
    assert open_bars(frame.rename(columns={"ts_ns": "ts"}), "BTCUSD").bar_ns == DAY
    for odd in (datetime(2020, 1, 2, tzinfo=UTC), "2020-01-02", 7, None, pd.NaT):
        frame["ts_ns"] = pd.Series([datetime(2020, 1, 1), odd], dtype=object)
        with pytest.raises(DataError, match="ts is empty or no time") as caught:
            open_bars(frame.rename(columns={"ts_ns": "ts"}), "BTCUSD")
        assert caught.value.line == 2


def test_pandas_nanoseconds_are_kept() -> None:
    frame = table({"ts": pa.array([T + 1, T + 3], pa.timestamp("ns"))}).to_pandas()
    assert [b.open_ns for b in open_bars(frame, "BTCUSD")] == [T + 1, T + 3]
    assert [b.open_ns for b in open_bars(frame.astype(object), "BTCUSD")] == [T + 1, T + 3]


def test_pandas_nullable_columns() -> None:
    frame = table().to_pandas().astype({"close": "Float64", "ts_ns": "Int64"})
    assert list(open_bars(frame, "BTCUSD")) == TWO
    frame.loc[1, "close"] = pd.NA
    with pytest.raises(DataError, match="close is empty") as caught:
        open_bars(frame, "BTCUSD")
    assert caught.value.line == 2


def test_every_batch_is_read_and_the_order_is_checked_over_their_seams(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backtest.data._tables._BATCH_ROWS", 7)
    bars = list(synthetic_bars("BTCUSD", 40, seed=2, gap_rate=0.2))
    columns = {name: [float(getattr(b, name)) for b in bars] for name in NAMES}
    times = [b.open_ns for b in bars]
    assert list(opened(table({"ts_ns": times}, **columns), stream=True)) == bars
    times[21] = times[20]  # the first of a batch has the time of the last of the batch before it
    with pytest.raises(DataError, match="has the time of the row before it") as caught:
        opened(table({"ts_ns": times}, **columns), bar="1m")
    assert caught.value.line == 22


def test_digests(tmp_path: Path) -> None:
    path = tmp_path / "bars.pq"
    pq.write_table(table(), path)
    for stream in (False, True):
        of_file = open_bars(path, "BTCUSD", stream=stream)
        assert of_file.digest() == sha256(path.read_bytes()).hexdigest()
        of_frame = open_bars(table(), "BTCUSD", stream=stream)
        assert of_frame.digest() == of_frame.digest() == canonical_digest(TWO)
        assert list(of_file) == list(of_file) == list(of_frame) == list(of_frame)
    assert repr(ParquetBars(path, "BTCUSD")) == f"<bars of BTCUSD in {path}>"
    assert repr(FrameBars(table(), "BTCUSD")) == "<bars of BTCUSD in dataframe>"
    assert isinstance(read_parquet(path, "BTCUSD"), MemoryBars)
    assert isinstance(read_frame(table(), "BTCUSD"), MemoryBars)


def test_files_that_are_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    with pytest.raises(DataError, match="there is no such file"):
        open_bars(path, "BTCUSD")
    path.write_bytes(b"ts,open\n")
    with pytest.raises(DataError, match="is not a readable Parquet file"):
        open_bars(path, "BTCUSD")
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is not a readable Parquet file"):
        open_bars(path, "BTCUSD")


def test_a_parquet_file_damaged_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    n = 30_000
    columns = {name: [float(i % 97 + 1) for i in range(n)] for name in NAMES}
    whole = table({"ts_ns": [T + i * MINUTE for i in range(n)]}, **columns)
    pq.write_table(whole, path, compression="gzip", row_group_size=5_000)
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 2, len(content) // 2 + 2000):
        content[at] = 0xAA
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"the Parquet file is damaged .*: fetch it again"
    ) as caught:
        list(open_bars(path, "BTCUSD", bar="1m", stream=True))
    assert caught.value.line is not None


def test_a_frame_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="dataframe: cannot be read as a table"):
        FrameBars(7, "BTCUSD")


def test_missing_pyarrow_is_told_with_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bars.parquet"
    pq.write_table(table(), path)
    frame, foreign = table().to_pandas(), Foreign(table())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for data in (path, foreign):
        with pytest.raises(
            MissingExtra, match=r"pip install 'backtest-actors\[parquet\]'"
        ) as caught:
            open_bars(data, "BTCUSD")
        assert (caught.value.package, caught.value.extra) == ("pyarrow", "parquet")
    assert list(open_bars(frame, "BTCUSD")) == TWO  # pandas does without it


def test_moments_before_1970() -> None:
    moments = [datetime(1969, 12, 31, 23, 59, 59, 500_000), datetime(1970, 1, 1)]
    frame = table().to_pandas().drop(columns="ts_ns")
    frame["date"] = pd.Series(moments, dtype=object)
    source = open_bars(frame, "BTCUSD")
    assert [b.open_ns for b in source] == [-500_000_000, 0]
    assert source.bar_ns == timedelta(milliseconds=500).microseconds * 1000
