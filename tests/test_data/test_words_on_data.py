"""Settings and numbers of market data that would be taken otherwise than they are meant."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.data import open_data, open_quotes
from backtest.errors import ConfigError, DataError, FieldError
from backtest.models import Bar, Funding, Quote, Trade, TradingRules
from backtest.strategies import Strategy
from backtest.testing import bar
from backtest.times import DAY, SECOND

D = Decimal
QUOTES = """\
time,bid,ask
2020-01-01 00:00:00,1.10,1.11
2020-01-01 00:00:01,1.10,1.12
"""


class Idle(Strategy):
    def on_quote(self, quote: Quote) -> None:
        """Looks."""

    def on_bar(self, bar: Bar) -> None:
        """Looks."""


class TestSettingsForBars:
    @pytest.mark.parametrize("stream", [False, True])
    def test_of_a_file_of_quotes_they_are_told(self, tmp_path: Path, stream: bool) -> None:
        path = tmp_path / "quotes.csv"
        path.write_text(QUOTES)
        source = open_data(path, "EURUSD", bar="1m", stamp="close", stream=stream)
        (told,) = source.notices  # type: ignore[union-attr]
        assert told == (
            "bar='1m' and stamp='close' say nothing of EURUSD, of which there are quotes: they are "
            "for bars (which self.bars('EURUSD', length=..., resample='quotes') makes)"
        )
        assert not open_data(path, "EURUSD").notices  # type: ignore[union-attr]

    def test_so_does_the_report_of_a_run_on_trades_in_memory(self) -> None:
        trades = [Trade("EURUSD", at, D("1.1"), D(1)) for at in (0, SECOND)]
        result = backtest.run(Idle(), data=trades, pair="EURUSD", cash="10 USD", bar="1m")
        assert result.notices[0].startswith("bar='1m' say nothing of EURUSD, of which there are tr")
        assert result.notices[0] in result.report()


class TestQuotesThatCross:
    def test_by_the_noise_of_floats_they_are_exchanged(self, tmp_path: Path) -> None:
        path = tmp_path / "quotes.csv"
        # 1e-16 of 1.1: what is left of sums of floats.
        path.write_text(QUOTES.replace("1.10,1.11", "1.1000000000000001,1.1"))
        source = open_quotes(path, "EURUSD")
        first = next(iter(source))
        assert (first.bid, first.ask) == (D("1.1"), D("1.1000000000000001"))  # type: ignore[union-attr]
        (told,) = source.notices  # type: ignore[attr-defined]
        assert told == (
            "the quote of EURUSD at 2020-01-01T00:00:00+00:00 was crossed by the noise of floats "
            "(bid 1.1000000000000001 and ask 1.1 exchanged); others likewise"
        )
        made = Quote("EURUSD", 0, D("1.1000000000000001"), D("1.1"))
        assert (made.bid, made.ask) == (first.bid, first.ask)  # type: ignore[union-attr]

    def test_by_more_they_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "quotes.csv"
        # 1e-12 of 1.1 is 1.1e-12: 1.2e-12 is no noise any more.
        path.write_text(QUOTES.replace("1.10,1.11", "1.1000000000012,1.1"))
        with pytest.raises(DataError, match=r"quotes.csv:2: .*a crossed quote"):
            open_quotes(path, "EURUSD")
        with pytest.raises(FieldError, match="a crossed quote"):
            Quote("EURUSD", 0, D("1.1000000000012"), D("1.1"))


class TestDigits:
    @pytest.mark.parametrize(
        "make",
        [
            lambda price: Bar("BTCUSD", 0, 1, price, price, price, price),
            lambda price: Bar("BTCUSD", 0, 1, D(1), D(1), D(1), D(1), price),
            lambda price: Quote("BTCUSD", 0, price, price),
            lambda price: Trade("BTCUSD", 0, price),
            lambda price: Trade("BTCUSD", 0, D(1), price),
        ],
    )
    def test_market_data_made_by_hand_has_at_most_fifty(self, make: Any) -> None:
        make(D("1." + "1" * 50))
        make(D("1.5" + "0" * 60))  # zeros at the end count for nothing
        with pytest.raises(FieldError, match="has more than 50 digits after the point, 1"):
            make(D("1." + "1" * 51))

    def test_a_parquet_file_of_float16_is_read(self, tmp_path: Path) -> None:
        np, pa = pytest.importorskip("numpy"), pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        half = pa.array(np.array([1.5, 2.25], dtype=np.float16))
        table = pa.table({"time": ["2020-01-01", "2020-01-02"]} | dict.fromkeys("ohlc", half))
        parquet.write_table(table, tmp_path / "half.parquet")
        assert [one.close for one in open_data(tmp_path / "half.parquet", "BTCUSD")] == [  # type: ignore[union-attr]
            D("1.5"),
            D("2.25"),
        ]


class TestFundingTimes:
    DAYS = 18_262  # from 1970 to 2020

    @pytest.mark.parametrize(
        ("unit", "name", "factor"),
        [(SECOND, "seconds", "1_000_000_000"), (10**6, "milliseconds", "1_000_000"),
         (1000, "microseconds", "1_000")],
    )  # fmt: skip
    def test_that_are_not_in_nanoseconds_are_refused(
        self, unit: int, name: str, factor: str
    ) -> None:
        begin = self.DAYS * DAY
        bars = [bar(at, 100, start=begin + at * 60 * SECOND) for at in range(3)]
        funding = Funding(schedule=[((begin + 60 * SECOND) // unit, "0.0001")])
        with pytest.raises(FieldError, match=f"these look like {name}: .* by {factor}, or give"):
            backtest.run(Idle(), data=bars, cash="10 USD", rules=TradingRules(funding=funding))

    def test_that_are_over_are_not(self) -> None:
        begin = self.DAYS * DAY
        bars = [bar(at, 100, start=begin + at * 60 * SECOND) for at in range(3)]
        funding = Funding(schedule=[(begin - DAY, "0.0001")])
        backtest.run(Idle(), data=bars, cash="10 USD", rules=TradingRules(funding=funding))


class TestSettings:
    @pytest.mark.parametrize("bound", [0, -1, "x", True, 1.5])
    def test_bounds_are_numbers_from_one_on(self, bound: Any) -> None:
        for name in ("inbox_bound", "stall_bound"):
            with pytest.raises(ConfigError, match=f"{name} must be a whole number from 1 on"):
                backtest.run(Idle(), data=[bar(0, 100)], cash="10 USD", **{name: bound})

    def test_accounts_are_of_strategies_that_there_are(self) -> None:
        with pytest.raises(ConfigError) as raised:
            backtest.run(Idle(), data=[bar(0, 100)], cash="10 USD", accounts={"idel": "main"})
        assert str(raised.value) == (
            "accounts are given for 'idel', and no strategy is called that: there are idle"
        )
