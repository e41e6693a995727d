"""Quotes and trades from files and tables."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from backtest.data import (
    BarSource,
    MemoryTicks,
    TickSource,
    open_bars,
    open_data,
    open_quotes,
    open_trades,
    tick_digest,
    write_csv,
)
from backtest.errors import ConfigError, DataError
from backtest.models import Asset, Bar, Quote, Trade, TradingPair
from tests.generators import D

S = 10**9
T0 = 1_577_836_800 * S  # 2020-01-01
QUOTES = [
    Quote("EURUSD", T0, D("1.10"), D("1.11"), D(5), D(0)),
    Quote("EURUSD", T0 + 1, D("1.10"), D("1.10"), D(3), D("2.5")),
    Quote("EURUSD", T0 + 1, D("1.10"), D("1.12"), D(3), D("2.5")),
]
TRADES = [
    Trade("BTCUSD", T0, D("7000.10"), D("0.5"), "buy"),
    Trade("BTCUSD", T0, D("7000.10"), D("0.5"), "buy"),  # twice the same is two trades
    Trade("BTCUSD", T0 + S, D("6999"), D(2), "sell"),
]


def file(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("stream", [False, True], ids=["load", "stream"])
def test_written_ticks_are_read_back(stream: bool, tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    assert write_csv(path, QUOTES) == 3
    source = open_data(path, "EURUSD", stream=stream)
    assert isinstance(source, TickSource)
    assert (source.kind, list(source), list(source)) == ("quotes", QUOTES, QUOTES)
    write_csv(path, TRADES)
    source = open_data(path, "BTCUSD", stream=stream)
    assert isinstance(source, TickSource)
    assert (source.kind, list(source)) == ("trades", TRADES)
    assert source.digest() == open_trades(path, "BTCUSD").digest() != tick_digest(TRADES)


def test_ticks_that_differ_in_kind_are_not_written(tmp_path: Path) -> None:
    bare = Quote("EURUSD", T0, D(1), D(1))
    with pytest.raises(DataError, match="quote 1 differs from the first in having a ask_size"):
        write_csv(tmp_path / "x.csv", [QUOTES[0], bare])
    with pytest.raises(DataError, match="trade 1 differs from the first"):
        write_csv(tmp_path / "x.csv", [QUOTES[0], TRADES[0]])


def test_quotes_without_sizes_and_a_header_in_other_words(tmp_path: Path) -> None:
    path = file(tmp_path, "Ask Price;Date;Time;Bid Price\n1.2;2020-01-01;00:00:01;1.1\n")
    assert list(open_quotes(path, "EURUSD")) == [Quote("EURUSD", T0 + S, D("1.1"), D("1.2"))]


def test_trades_as_an_exchange_writes_them(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        "id,price,qty,quoteQty,time,isBuyerMaker\n"
        "1,7000.1,0.5,3500.05,1577836800000,false\n2,6999,2,13998,1577836801000,TRUE\n",
    )
    assert list(open_data(path, "BTCUSD")) == [TRADES[0], TRADES[2]]


def test_a_side_may_be_unknown_and_a_volume_left_out(tmp_path: Path) -> None:
    path = file(tmp_path, "ts_ns,price,side\n1,10,B\n2,11,\n3,12,Sell\n")
    assert [(t.volume, t.aggressor) for t in open_trades(path, "X") if isinstance(t, Trade)] == [
        (None, "buy"),
        (None, None),
        (None, "sell"),
    ]


def test_histdata_has_no_header(tmp_path: Path) -> None:
    text = "20200101 170000065,1.1212,1.12172,0\n20200101 170010447,1.1212,1.12192,0\n"
    for name, content in (("a.csv", text.encode()), ("b.csv.gz", gzip.compress(text.encode()))):
        path = tmp_path / name
        path.write_bytes(b"\xef\xbb\xbf" + content if name == "a.csv" else content)
        quotes = list(open_data(path, "EURUSD", tz="Etc/GMT+5"))
        assert [one.close_ns - T0 for one in quotes] == [79_200_065 * 10**6, 79_210_447 * 10**6]
        assert quotes[0] == Quote("EURUSD", T0 + 79_200_065 * 10**6, D("1.1212"), D("1.12172"))
    bad = file(tmp_path, "\n" + text + "20200101 170011000,1.2,1.1,0\n")
    with pytest.raises(DataError, match="a crossed quote") as caught:
        open_data(bad, "EURUSD")
    assert caught.value.line == 4


def test_the_rows_of_one_symbol(tmp_path: Path) -> None:
    path = file(tmp_path, "ts_ns,symbol,bid,ask\n1,EUR/USD,1,2\n2,USDJPY,3,4\n3,EUR/USD,2,2\n")
    assert [one.close_ns for one in open_quotes(path, "EURUSD")] == [1, 3]
    assert [one.close_ns for one in open_quotes(path, "X", symbol="USDJPY")] == [2]
    with pytest.raises(DataError, match="no row of symbol 'Z': give at least one quote"):
        open_quotes(path, "X", symbol="Z")


def test_bars_win_where_there_are_open_high_low_and_close(tmp_path: Path) -> None:
    path = file(tmp_path, "ts_ns,open,high,low,close,bid,ask\n1,1,1,1,1,1,1\n9,1,1,1,1,1,1\n")
    assert isinstance(open_data(path, "X"), BarSource)
    assert [q.bid for q in open_quotes(path, "X") if isinstance(q, Quote)] == [D(1), D(1)]


def test_pandas_and_parquet(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pair = TradingPair("BTCUSD", "BTC", Asset("USD", 2), price_increment=D("0.01"))
    frame = pd.DataFrame(
        {
            "timestamp": pd.to_datetime(["2020-01-01 00:00:00", "2020-01-01 00:00:01"], utc=True),
            "price": [7000.1, 0.1 + 0.2],
            "size": [1, 2],
            "side": ["buy", None],
        }
    )
    source = open_data(frame, pair)
    assert getattr(source, "rounded", False)
    assert [(str(t.price), t.volume, t.aggressor) for t in source if isinstance(t, Trade)] == [
        ("7000.1", D(1), "buy"),
        ("0.30000000000000004", D(2), None),
    ]
    assert source.digest() == tick_digest(source)  # type: ignore[arg-type]
    pytest.importorskip("pyarrow")
    frame.to_parquet(tmp_path / "trades.parquet")
    for stream in (False, True):
        read = open_data(tmp_path / "trades.parquet", pair, stream=stream)
        assert list(read) == list(source)
    frame = pd.DataFrame({"ts_ns": [1, 2], "price": [1, 2], "is_buyer_maker": [True, False]})
    for one in (frame, pytest.importorskip("pyarrow").table(frame)):
        sides = [t.aggressor for t in open_data(one, "X") if isinstance(t, Trade)]
        assert sides == ["sell", "buy"]
    crossed = pd.DataFrame({"ts_ns": [1, 2], "bid": [1.0, 3.0], "ask": [2.0, 2.0]})
    with pytest.raises(DataError, match=r"dataframe:2: bid 3\.0 is above ask 2\.0"):
        open_data(crossed, "X")


def test_ticks_in_memory() -> None:
    source = open_data(QUOTES, "EURUSD")
    assert isinstance(source, MemoryTicks)
    assert (source.kind, len(source), list(source)) == ("quotes", 3, QUOTES)
    assert source.digest() == tick_digest(QUOTES) == open_quotes(source, "EURUSD").digest()
    assert repr(source) == "<3 quotes of EURUSD from ticks in memory>"


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda: open_data(QUOTES[::-1], "EURUSD"), "item 2 is of 2020-01-01.*before the one"),
        (lambda: open_data(QUOTES, "X"), "item 0 is of EURUSD, not of X"),
        (lambda: open_data([QUOTES[0], TRADES[0]], "EURUSD"), "item 1 is a Trade, not a Quote"),
        (lambda: open_quotes([], "EURUSD"), "there are no ticks"),
        (lambda: open_trades(QUOTES, "EURUSD"), "holds quotes, not trades"),
        (lambda: open_bars(MemoryTicks(QUOTES, "EURUSD"), "EURUSD"), "holds quotes, not bars"),
        (lambda: open_quotes(MemoryTicks(QUOTES, "EURUSD"), "X"), "holds quotes of EURUSD, not of"),
        (
            lambda: open_quotes([Bar("X", 0, 1, D(1), D(1), D(1), D(1))], "X"),
            "item 0 is a Bar, not a Trade",
        ),
    ],
)
def test_what_is_no_source(what: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        what()


def test_an_unknown_kind() -> None:
    with pytest.raises(ConfigError, match="kind must be 'quotes' or 'trades', not 'news'"):
        open_data(QUOTES, "EURUSD", kind="news")
