"""The real files that lie beside the project, where they do."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from backtest.data import TickSource, open_bars, open_data, open_quotes
from backtest.errors import DataError
from backtest.models import Quote
from backtest.times import DAY, MINUTE, format_ns

FOLDER = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared data are not here")


@pytest.mark.parametrize("stream", [False, True], ids=["load", "stream"])
@pytest.mark.parametrize(
    ("name", "count", "length", "opens", "closes", "last"),
    [
        (
            "bitstamp_btcusd_min_2020_01_01.csv",
            1440,
            MINUTE,
            "2020-01-01T00:00:00+00:00",
            "2020-01-02T00:00:00+00:00",
            "7178.68",
        ),
        (
            "bitstamp_btcusd_day_2015.csv",
            365,
            DAY,
            "2015-01-01T00:00:00+00:00",
            "2016-01-01T00:00:00+00:00",
            "430.89",
        ),
        (
            "binance_btcusdt_day_2020.csv",
            366,
            DAY,
            "2020-01-01T00:00:00+00:00",
            "2021-01-01T00:00:00+00:00",
            "28923.63000000",
        ),
        (
            "btc-perp-20211231-20220201_1m.csv",
            45_031,
            MINUTE,
            "2021-12-31T23:01:00+00:00",
            "2022-02-01T05:32:00+00:00",
            "38544.0",
        ),
    ],
)
def test_bars(
    name: str, count: int, length: int, opens: str, closes: str, last: str, stream: bool
) -> None:
    source = open_bars(FOLDER / name, "BTCUSD", stream=stream)
    bars = list(source)
    assert (len(bars), source.bar_ns) == (count, length)
    assert format_ns(bars[0].open_ns) == opens
    assert format_ns(bars[-1].close_ns) == closes
    assert str(bars[-1].close) == last
    assert all(b.volume is not None and b.volume >= Decimal(0) for b in bars)


def test_quotes_are_no_bars() -> None:
    with pytest.raises(DataError, match=r"holds quotes .* open_quotes or open_data") as caught:
        open_bars(FOLDER / "eurusd_quote_ticks.csv", "EURUSD")
    assert caught.value.line == 1


@pytest.mark.parametrize("stream", [False, True], ids=["load", "stream"])
def test_quotes_without_a_header_in_eastern_time(stream: bool) -> None:
    # 17:00:00.065 in New York's winter time, which the file keeps all year, is 22:00:00.065 UTC.
    path = FOLDER / "eurusd_quote_ticks.csv"
    source = open_data(path, "EURUSD", tz="Etc/GMT+5", stream=stream)
    assert isinstance(source, TickSource)
    assert source.kind == "quotes"
    quotes = [one for one in source if isinstance(one, Quote)]
    assert len(quotes) == 9_500
    first, last = quotes[0], quotes[-1]
    assert format_ns(first.time_ns) == "2020-01-01T22:00:00.065000+00:00"
    assert (str(first.bid), str(first.ask)) == ("1.121200", "1.121720")
    assert first.bid_size is None  # a column of zeros that is neither bid's nor ask's
    assert format_ns(last.time_ns) == "2020-01-02T04:00:52.125000+00:00"
    assert (str(last.bid), str(last.ask)) == ("1.121300", "1.121320")
    assert list(open_quotes(path, "EURUSD", tz="Etc/GMT+5")) == quotes
