"""Files as vendors give them: without a header, with one of three lines, with zeros for volumes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.data import open_data
from backtest.errors import DataError
from backtest.models import Bar, Quote, Trade
from backtest.strategies import Strategy
from backtest.times import DAY, MINUTE

D = Decimal
T0 = 1_577_836_800 * 10**9  # 2020-01-01
T2012 = 1_328_054_400 * 10**9  # 2012-02-01
T2024 = 1_704_153_600 * 10**9  # 2024-01-02


def file(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def bar(pair: str, at: int, *numbers: str | None, length: int = MINUTE) -> Bar:
    return Bar(pair, at, at + length, *(None if one is None else D(one) for one in numbers))  # type: ignore[arg-type]


BINANCE_BARS = (
    "1577836800000,7195.24,7196.25,7178.64,7179.78,95.50951600,1577836859999,686317.13,1127,32.7,"
    "235537.29,0\n"
    "1577836860000,7179.76,7188.77,7175.46,7177.02,71.98653700,1577836919999,516739.15,1020,33.1,"
    "235537.29,0\n"
)
HISTDATA_BARS = (
    "20120201 000000;1.306600;1.306600;1.306560;1.306560;0\n"
    "20120201 000100;1.306570;1.306570;1.306470;1.306560;0\n"
)
METATRADER_BARS = (
    "2012.02.01,00:00,1.306600,1.306600,1.306560,1.306560,0\n"
    "2012.02.01,00:01,1.306570,1.306570,1.306470,1.306560,0\n"
)
METATRADER_5 = (
    "2012.02.01\t00:00:00\t1.306600\t1.306600\t1.306560\t1.306560\t41\t0\t3\n"
    "2012.02.01\t00:01:00\t1.306570\t1.306570\t1.306470\t1.306560\t44\t0\t3\n"
)
EURUSD = [
    bar("EURUSD", T2012, "1.306600", "1.306600", "1.306560", "1.306560", None),
    bar("EURUSD", T2012 + MINUTE, "1.306570", "1.306570", "1.306470", "1.306560", None),
]


@pytest.mark.parametrize("stream", [False, True], ids=["load", "stream"])
@pytest.mark.parametrize(
    ("text", "bars"),
    [
        (
            BINANCE_BARS,
            [
                bar("BTCUSDT", T0, "7195.24", "7196.25", "7178.64", "7179.78", "95.50951600"),
                bar(
                    "BTCUSDT", T0 + MINUTE, "7179.76", "7188.77", "7175.46", "7177.02",
                    "71.98653700",
                ),
            ],
        ),
        (HISTDATA_BARS, EURUSD),
        (METATRADER_BARS, EURUSD),
        (METATRADER_5, EURUSD),
    ],
    ids=["binance", "histdata", "metatrader", "metatrader-5"],
)  # fmt: skip
def test_bars_without_a_header(text: str, bars: list[Bar], stream: bool, tmp_path: Path) -> None:
    source = open_data(file(tmp_path, text), bars[0].pair, stream=stream)
    assert list(source) == bars
    # Since 2025 Binance writes microseconds.
    if text == BINANCE_BARS:
        text = text.replace("6800000,", "6800000000,").replace("6859999,", "6859999999,")
        text = text.replace("6860000,", "6860000000,").replace("6919999,", "6919999999,")
        assert list(open_data(file(tmp_path, text, "us.csv"), bars[0].pair)) == bars


@pytest.mark.parametrize(
    "row",
    [
        "26129,0.01633102,4.70443515,27781,27782,1577836800153,true,true",  # spot, aggregated
        "26129,0.01633102,4.70443515,27781,27782,1577836800153,True",  # futures, aggregated
        "26129,0.01633102,4.70443515,0.07682823,1577836800153,true,true",  # spot
        "26129,0.01633102,4.70443515,0.07682823,1577836800153,true",  # futures
    ],
)
def test_binance_trades_without_a_header(row: str, tmp_path: Path) -> None:
    (trade,) = open_data(file(tmp_path, row + "\n"), "ETHBTC")
    at = T0 + 153 * 10**6
    assert trade == Trade("ETHBTC", at, D("0.01633102"), D("4.70443515"), "sell")


def test_a_fault_in_a_file_without_a_header_has_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="close is not a number: 'x'") as caught:
        open_data(
            file(tmp_path, HISTDATA_BARS.replace("1.306470;1.306560", "1.306470;x")), "EURUSD"
        )
    assert caught.value.line == 2


YFINANCE = (
    "Price,Close,High,Low,Open,Volume\n"
    "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL\n"
    "Date,,,,,\n"
    "2024-01-02,184.73,187.5,183.0,186.2,82488700\n"
    "2024-01-03,183.3,184.9,182.5,183.2,58414500\n"
)
APPLE = [
    bar("AAPLUSD", T2024, "186.2", "187.5", "183.0", "184.73", "82488700", length=DAY),
    bar("AAPLUSD", T2024 + DAY, "183.2", "184.9", "182.5", "183.3", "58414500", length=DAY),
]
BY_TICKER = (
    "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL\n"
    "Price,Open,High,Low,Close,Volume\n"
    "Date,,,,,\n"
    "2024-01-02,186.2,187.5,183.0,184.73,82488700\n"
    "2024-01-03,183.2,184.9,182.5,183.3,58414500\n"
)


@pytest.mark.parametrize("text", [YFINANCE, BY_TICKER], ids=["by-price", "by-ticker"])
def test_what_yfinance_saves_has_a_header_of_three_lines(text: str, tmp_path: Path) -> None:
    assert list(open_data(file(tmp_path, text), "AAPLUSD", bar="1d")) == APPLE
    with pytest.raises(DataError, match="is not a number: '-'") as caught:
        open_data(file(tmp_path, text.replace("184.9", "-"), "bad.csv"), "AAPLUSD", bar="1d")
    assert caught.value.line == 5


def test_tickers_side_by_side_are_not_guessed_at(tmp_path: Path) -> None:
    text = YFINANCE.replace("AAPL,AAPL,AAPL,AAPL,AAPL", "AAPL,AAPL,AAPL,AAPL,MSFT")
    with pytest.raises(DataError, match=r"several tickers \(AAPL, MSFT\) side by side"):
        open_data(file(tmp_path, text), "AAPLUSD")


def yfinance_frame(*tickers: str) -> Any:
    """What ``yfinance.download`` gives for these tickers; all prices 1 for the first, 2 ..."""
    pd = pytest.importorskip("pandas")
    prices = ["Close", "High", "Low", "Open", "Volume"]
    columns = pd.MultiIndex.from_product([prices, tickers], names=["Price", "Ticker"])
    row = [float(place + 1) for _ in prices for place in range(len(tickers))]
    index = pd.DatetimeIndex(["2024-01-02", "2024-01-03"], name="Date")
    return pd.DataFrame([row, row], index=index, columns=columns)


@pytest.mark.parametrize(
    ("pair", "symbol", "number"), [("AAPL", None, 1), ("MSFT", None, 2), ("X", "MSFT", 2)]
)
def test_a_frame_of_several_tickers(pair: str, symbol: str | None, number: int) -> None:
    frame = yfinance_frame("AAPL", "MSFT")
    for one in (frame, frame.swaplevel(axis=1)):
        first, _ = open_data(one, pair, bar="1d", symbol=symbol)
        assert first == bar(pair, T2024, *[str(number)] * 5, length=DAY)


def test_the_ticker_of_a_frame_is_not_guessed_at() -> None:
    assert len(list(open_data(yfinance_frame("AAPL"), "AAPLUSD", bar="1d"))) == 2
    with pytest.raises(DataError, match=r"several symbols \('AAPL', 'MSFT'\), and which is X"):
        open_data(yfinance_frame("AAPL", "MSFT"), "X", bar="1d")
    with pytest.raises(DataError, match="has no columns of 'IBM': there are AAPL, MSFT"):
        open_data(yfinance_frame("AAPL", "MSFT"), "X", bar="1d", symbol="IBM")


# -- zeros for volumes that nobody knows ----------------------------------------------------------


ZEROS = "timestamp,open,high,low,close,volume\n" + "".join(
    f"2020-01-01 00:{minute:02}:00,100,101,99,100,0\n" for minute in range(30)
)


class Buys(Strategy):
    """Buys one on the first bar that it sees."""

    async def run(self) -> None:
        await anext(self.bars("BTCUSD"))
        await self.buy("BTCUSD", 1)


@pytest.mark.parametrize("stream", [False, True], ids=["load", "stream"])
def test_a_column_of_zeros_does_not_hold_orders_back(stream: bool, tmp_path: Path) -> None:
    """The order of the first close fills at the second bar's open: it waited for ever before."""
    path = file(tmp_path, ZEROS)
    result = backtest.run(Buys(), data=path, pair="BTCUSD", cash="1000 USD", stream=stream)
    (fill,) = result.fills
    assert (fill.price, fill.volume) == (D(100), D(1))
    said = (
        "the volume column 'volume' of BTCUSD holds zeros only and counts as left out: volume does "
        "not limit fills"
    )
    assert list(result.notices) == [said]
    assert f"Notices\n  {said}\n" in result.report()


def test_one_volume_makes_a_column_of_volumes(tmp_path: Path) -> None:
    text = ZEROS.replace("29:00,100,101,99,100,0", "29:00,100,101,99,100,5")
    source = open_data(file(tmp_path, text), "BTCUSD")
    assert [one.volume for one in source] == [D(0)] * 29 + [D(5)]  # type: ignore[union-attr]
    result = backtest.run(Buys(), data=source, cash="1000 USD")
    (fill,) = result.fills
    assert (fill.timestamp.minute, list(result.notices)) == (30, [])


def test_quotes_whose_sizes_are_all_zero_have_none(tmp_path: Path) -> None:
    text = "time,bid,ask,bid_size,ask_size\n2024-01-02,1.5,1.6,0,0\n2024-01-03,1.6,1.7,0,0\n"
    path = file(tmp_path, text)
    first, _ = open_data(path, "EURUSD")
    assert first == Quote("EURUSD", T2024, D("1.5"), D("1.6"))
    source = open_data(path, "EURUSD", stream=True)
    assert next(iter(source)) == first
    (said,) = source.notices  # type: ignore[union-attr]
    assert said == (
        "the size columns 'bid_size' and 'ask_size' of EURUSD hold zeros only and count as left "
        "out: volume does not limit fills"
    )
    known = file(tmp_path, text.replace("1.7,0,0", "1.7,0,9"), "known.csv")
    first, last = open_data(known, "EURUSD")
    assert first == Quote("EURUSD", T2024, D("1.5"), D("1.6"), D(0), D(0))
    assert last == Quote("EURUSD", T2024 + DAY, D("1.6"), D("1.7"), D(0), D(9))
