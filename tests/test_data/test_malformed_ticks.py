"""Bad quotes and trades by hand: each is refused with the file, the line and the way to mend it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from backtest.data import open_quotes, open_trades
from backtest.errors import DataError
from tests.test_data.test_malformed import CASES as BAR_CASES

QUOTES = "timestamp,bid,ask,bid_size,ask_size\n"
Q1 = "2020-01-01 00:00:00,1.10,1.12,5,6\n"
Q2 = "2020-01-01 00:00:01,1.11,1.13,5,6\n"
TRADES = "timestamp,price,size,side,trade_id\n"
T1 = "2020-01-01 00:00:00,100,5,buy,1\n"
T2 = "2020-01-01 00:00:00,100,5,buy,2\n"


def quote(rest: str = "1.11,1.13,5,6", time: str = "2020-01-01 00:00:02") -> str:
    """A third row, after Q1 and Q2: line 4 of a file."""
    return f"{QUOTES}{Q1}{Q2}{time},{rest}\n"


def trade(rest: str = "100,5,sell,3", time: str = "2020-01-01 00:00:02") -> str:
    """A third row, after T1 and T2: line 4 of a file."""
    return f"{TRADES}{T1}{T2}{time},{rest}\n"


Case = tuple[str, str, str | bytes, dict[str, Any], int | None, str]

CASES: list[Case] = [
    # -- quotes: prices
    ("crossed", "quotes", quote("1.14,1.13,5,6"), {}, 4, "bid 1.14 is above ask 1.13: a crossed"),
    ("crossed-first", "quotes", QUOTES + "2020-01-01,2,1,1,1\n", {}, 2, "are the columns swapped?"),
    ("bid-negative", "quotes", quote("-1.11,1.13,5,6"), {}, 4, "bid must be positive, not -1.11"),
    ("bid-zero", "quotes", quote("0,1.13,5,6"), {}, 4, "bid must be positive, not 0"),
    ("ask-zero", "quotes", quote("1.11,0,5,6"), {}, 4, "ask must be positive, not 0"),
    ("bid-nan", "quotes", quote("nan,1.13,5,6"), {}, 4, "bid is NaN: a price must be a number"),
    ("ask-nan", "quotes", quote("1.11,NaN,5,6"), {}, 4, "ask is NaN"),
    ("bid-snan", "quotes", quote("sNaN,1.13,5,6"), {}, 4, "bid is sNaN"),
    ("ask-infinite", "quotes", quote("1.11,inf,5,6"), {}, 4, "ask is Infinity"),
    ("bid-minus-inf", "quotes", quote("-inf,1.13,5,6"), {}, 4, "bid is -Infinity"),
    ("bid-empty", "quotes", quote(",1.13,5,6"), {}, 4, "bid is empty: fill it in or remove"),
    ("ask-blank", "quotes", quote("1.11, ,5,6"), {}, 4, "ask is empty"),
    ("ask-word", "quotes", quote("1.11,none,5,6"), {}, 4, "ask is not a number: 'none'"),
    ("ask-comma", "quotes", quote('1.11,"1,13",5,6'), {}, 4, "has a comma, '1,13': write a"),
    ("bid-huge", "quotes", quote("1e19,1e30,5,6"), {}, 4, "bid is 1.000000e+19, which is no price"),
    (
        "bid-tiny",
        "quotes",
        quote("1e-30,1.13,5,6"),
        {},
        4,
        "bid is 1.000000e-30, which is no price",
    ),
    ("bid-underscore", "quotes", quote("1_1,12,5,6"), {}, 4, "bid is not a number: '1_1'"),
    # -- quotes: sizes
    ("size-negative", "quotes", quote("1.11,1.13,-5,6"), {}, 4, "bid_size must be non-negative"),
    ("size-nan", "quotes", quote("1.11,1.13,5,nan"), {}, 4, "ask_size is NaN: a volume must be"),
    ("size-infinite", "quotes", quote("1.11,1.13,inf,6"), {}, 4, "bid_size is Infinity"),
    ("size-empty", "quotes", quote("1.11,1.13,,6"), {}, 4, "bid_size is empty"),
    (
        "size-huge",
        "quotes",
        quote("1.11,1.13,1e30,6"),
        {},
        4,
        "bid_size is 1.000000e+30, which is no",
    ),
    (
        "size-tiny",
        "quotes",
        quote("1.11,1.13,5,1e-30"),
        {},
        4,
        "ask_size is 1.000000e-30, which is",
    ),
    # -- quotes: rows and times
    (
        "quote-twice",
        "quotes",
        QUOTES + Q1 + Q2 + Q2,
        {},
        4,
        "is the row before it once more, at 2020",
    ),
    (
        "quotes-back",
        "quotes",
        QUOTES + Q2 + Q1,
        {},
        3,
        "goes back in time, from 2020-01-01T00:00:01",
    ),
    ("field-missing", "quotes", quote("1.11,1.13,5"), {}, 4, "has 4 fields where the header has 5"),
    ("field-too-many", "quotes", quote("1,11,1,13,5,6"), {}, 4, "are there thousands separators"),
    ("quote-cut-off", "quotes", QUOTES + Q1 + "2020-01-0", {}, 3, "is the line cut off?"),
    ("quote-time", "quotes", quote(time="noon"), {}, 4, "timestamp 'noon' is not a time"),
    ("quote-no-time", "quotes", quote(time=""), {}, 4, "timestamp is empty"),
    (
        "quote-1850",
        "quotes",
        QUOTES + "1850-01-01,1,2,1,1\n",
        {},
        2,
        "is not between the years 1900",
    ),
    (
        "quote-dst-gap",
        "quotes",
        QUOTES + "2020-03-29 02:30:00,1,2,1,1\n",
        {"tz": "Europe/Berlin"},
        2,
        "does not exist in Europe/Berlin: the clocks skip it",
    ),
    (
        "quote-dst-twice",
        "quotes",
        QUOTES + "2020-10-25 02:30:00,1,2,1,1\n",
        {"tz": "Europe/Berlin"},
        2,
        "happens twice in Europe/Berlin: the clocks are set back over it",
    ),
    # -- quotes: tables
    ("no-quotes", "quotes", QUOTES, {}, None, "has a header but no rows: give at least one quote"),
    (
        "no-bid",
        "quotes",
        "ts,ask\n1,2\n",
        {},
        1,
        "has no column for bid: its columns are 'ts', 'ask'",
    ),
    ("no-tick-time", "quotes", "bid,ask\n1,2\n", {}, 1, "has no column for time"),
    (
        "two-bids",
        "quotes",
        "ts,bid,bid_price,ask\n",
        {},
        1,
        "several columns for the bid: 'bid', 'b",
    ),
    (
        "bars-as-quotes",
        "quotes",
        "ts,open,high,low,close\n",
        {},
        1,
        "has no column for bid and ask",
    ),
    ("bom-only-quotes", "quotes", b"\xef\xbb\xbf", {}, None, "is empty"),
    (
        "bom-then-bad",
        "quotes",
        b"\xef\xbb\xbf" + quote("2,1,1,1").encode(),
        {},
        4,
        "a crossed quote",
    ),
    ("utf-16-quotes", "quotes", quote().encode("utf-16"), {}, None, "is not UTF-8 but UTF-16"),
    ("bare-crossed", "quotes", "20200101 170000065,1.3,1.2,0\n", {}, 1, "a crossed quote"),
    (
        "bare-then-header",
        "quotes",
        "20200101 170000065,1.1,1.2,0\ntime,bid,ask,volume\n",
        {},
        2,
        "time 'time' is not a time",
    ),
    # -- trades
    ("price-zero", "trades", trade("0,5,sell,3"), {}, 4, "price must be positive, not 0"),
    ("price-negative", "trades", trade("-1,5,sell,3"), {}, 4, "price must be positive, not -1"),
    ("price-nan", "trades", trade("nan,5,sell,3"), {}, 4, "price is NaN: a price must be a number"),
    ("price-empty", "trades", trade(",5,sell,3"), {}, 4, "price is empty"),
    ("volume-zero", "trades", trade("100,0,sell,3"), {}, 4, "size must be positive, not 0"),
    ("volume-negative", "trades", trade("100,-5,sell,3"), {}, 4, "size must be positive, not -5"),
    (
        "volume-infinite",
        "trades",
        trade("100,inf,sell,3"),
        {},
        4,
        "size is Infinity: a volume must",
    ),
    ("volume-word", "trades", trade("100,lots,sell,3"), {}, 4, "size is not a number: 'lots'"),
    ("side-unknown", "trades", trade("100,5,maker,3"), {}, 4, "side is 'maker': write buy or sell"),
    ("id-twice", "trades", trade("100,5,sell,2"), {}, 4, "has the id of the trade before it, 2"),
    ("trades-back", "trades", trade(time="2019-12-31 00:00:00"), {}, 4, "goes back in time"),
    ("trade-short", "trades", trade("100,5,sell"), {}, 4, "has 4 fields where the header has 5"),
    ("trade-epoch", "trades", trade(time="1577836802"), {}, 4, "'1577836802' is not a time"),
    ("no-trades", "trades", TRADES, {}, None, "give at least one trade"),
    ("no-price", "trades", "ts,size\n1,2\n", {}, 1, "has no column for price"),
    ("two-sizes", "trades", "ts,price,size,qty\n", {}, 1, "several columns for the volume: 'size'"),
    ("two-sides", "trades", "ts,price,side,isBuyerMaker\n", {}, 1, "several columns for the side"),
    (
        "maker-unknown",
        "trades",
        "ts_ns,price,is_buyer_maker\n1,100,maybe\n",
        {},
        2,
        "is_buyer_maker is 'maybe': write true or false",
    ),
    (
        "symbols",
        "trades",
        "ts_ns,symbol,price\n1,ETH,1\n2,XRP,1\n",
        {},
        None,
        "holds several symbols ('ETH', 'XRP')",
    ),
]


@pytest.mark.parametrize("stream", [False, True], ids=["load", "stream"])
@pytest.mark.parametrize(
    ("kind", "content", "arguments", "line", "message"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_malformed_ticks_are_refused_with_file_line_and_advice(
    kind: str,
    content: str | bytes,
    arguments: dict[str, Any],
    line: int | None,
    message: str,
    stream: bool,
    tmp_path: Path,
) -> None:
    path = tmp_path / "ticks.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    read = open_quotes if kind == "quotes" else open_trades
    with pytest.raises(DataError) as caught:
        list(read(path, "EURUSD", stream=stream, **arguments))
    assert message in str(caught.value)
    assert (caught.value.source, caught.value.line) == (str(path), line)


def test_the_corpus_is_as_large_as_promised() -> None:
    """Bad rows and files by hand, of bars, quotes and trades: at least 150."""
    assert len(CASES) >= 50
    assert len(CASES) + len(BAR_CASES) >= 150
    assert len({case[0] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("kept", [11, 40, -9, -8, -1], ids=str)
def test_truncated_gzip_of_quotes_is_refused(kept: int, tmp_path: Path) -> None:
    rows = "".join(f"{1577836800 + i},1.1,1.2,{i},{i}\n" for i in range(200))
    path = tmp_path / "quotes.csv.gz"
    path.write_bytes(gzip.compress((QUOTES + rows).encode())[:kept])
    with pytest.raises(DataError, match="the gzip file ends in the middle") as caught:
        open_quotes(path, "EURUSD")
    assert caught.value.source == str(path)


def test_order_and_repetition_are_checked_over_the_seams_of_batches(tmp_path: Path) -> None:
    rows = [f"{1577836800 + i},1.1,1.2,{i},{i}\n" for i in range(20_000)]
    for at in (8_000, 9_001, 17_654):
        path = tmp_path / f"{at}.csv"
        path.write_text(QUOTES + "".join(rows[:at] + rows[at - 1 : at] + rows[at:]))
        with pytest.raises(DataError, match="is the row before it once more") as caught:
            open_quotes(path, "EURUSD")
        assert caught.value.line == at + 2
