"""The real files that lie beside the project, where they do."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from backtest.data import open_bars
from backtest.errors import DataError
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


def test_quotes_are_refused_with_the_reason() -> None:
    with pytest.raises(DataError, match="quotes are not supported yet") as caught:
        open_bars(FOLDER / "eurusd_quote_ticks.csv", "EURUSD")
    assert caught.value.line == 1
