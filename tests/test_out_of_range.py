"""Numbers and files that nobody means end in an error that names them, and never in a crash."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.data import open_bars
from backtest.errors import BacktestError, ConfigError, DataError, FieldError
from backtest.markets import Instrument
from backtest.markets.reading import read_scenario
from backtest.models import Asset, TradingPair
from backtest.money import setting_of
from backtest.runs.config import read_rules
from backtest.strategies import SmaCross
from tests.harness import bar

HUGE = ["1e400", "1e19", "-1e19", 10**19, Decimal("1e400")]
TINY = ["1e-400", "1e-51", Decimal("-1e-51")]


@pytest.mark.parametrize("value", [*HUGE, *TINY])
def test_what_people_give_is_in_a_range(value: Any) -> None:
    with pytest.raises(FieldError, match=r"^fee (must be below 1e19|has more than 50 digits)"):
        setting_of(value, "fee")


def test_the_range_is_as_wide_as_promised() -> None:
    for value in ("9999999999999999999", "1e-50", "0", "-1e18"):
        assert setting_of(value, "fee") == Decimal(value)
    assert setting_of("0e-70", "fee") == 0


@pytest.mark.parametrize("name", ["contract_size", "price_increment", "volume_increment"])
@pytest.mark.parametrize("value", ["1e400", "1e-51"])
def test_pairs_and_rules_are_in_it(name: str, value: str) -> None:
    with pytest.raises(FieldError, match=name):
        TradingPair("BTCUSD", Asset("BTC"), Asset("USD"), **{name: Decimal(value)})


def test_so_are_a_reference_price_and_cash() -> None:
    pair = TradingPair("BTCUSD", Asset("BTC"), Asset("USD"))
    with pytest.raises(BacktestError, match="reference_price must be below"):
        Instrument(pair=pair, reference_price="1e400")
    with pytest.raises(BacktestError, match="cash in USD must be below"):
        backtest.run(SmaCross(), data=[bar(0, 1)], pair="BTCUSD", cash=f"{9:0<31} USD")


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"x = " + b"[" * 5000 + b"]" * 5000, "is nested too deep"),
        (b"price_increment = " + b"1" * 5000, "too many digits"),
        (b'x = "\xff"', "byte 5 is not UTF-8"),
        (b"x = ", "is not TOML"),
    ],
)
def test_files_of_rules_and_scenarios_that_cannot_be_read(
    tmp_path: Path, content: bytes, told: str
) -> None:
    file = tmp_path / "rules.toml"
    file.write_bytes(content)
    for read in (read_rules, read_scenario):
        with pytest.raises(ConfigError, match=told) as raised:
            read(file)
        assert "rules.toml" in str(raised.value)
    file.write_bytes(b"\xef\xbb\xbfmax_leverage = 3\n")  # with the mark that Notepad writes
    assert read_rules(file).rules("BTCUSD").max_leverage == 3


def test_a_rule_cannot_be_infinite(tmp_path: Path) -> None:
    for value in ("inf", "nan", "-inf", "1e400"):
        file = tmp_path / "rules.toml"
        file.write_text(f"max_leverage = {value}\n", encoding="utf-8")
        with pytest.raises(BacktestError, match="max_leverage"):
            read_rules(file)


def table(tmp_path: Path, price: str) -> Path:
    file = tmp_path / "bars.csv"
    rows = "".join(
        f"2020-01-01T0{hour}:00:00Z,{price},{price},{price},{price},1\n" for hour in "012"
    )
    file.write_text(f"timestamp,open,high,low,close,volume\n{rows}", encoding="utf-8")
    return file


def test_prices_have_up_to_fifty_digits_after_the_point(tmp_path: Path) -> None:
    fits = "1." + "1234567890" * 5
    assert [one.open for one in open_bars(table(tmp_path, fits), "BTCUSD")] == [Decimal(fits)] * 3
    zeros = "1.5" + "0" * 80
    assert [one.open for one in open_bars(table(tmp_path, zeros), "BTCUSD")] == [Decimal("1.5")] * 3
    for price in (fits + "1", "1." + "1" * 200_000):
        with pytest.raises(DataError, match=r":2: open has more than 50 digits after the point"):
            list(open_bars(table(tmp_path, price), "BTCUSD"))


def test_so_have_those_of_a_frame() -> None:
    pandas = pytest.importorskip("pandas")
    long = Decimal("1." + "1" * 51)
    columns = {name: [long, long] for name in ("open", "high", "low", "close")}
    times = pandas.to_datetime(["2020-01-01T00:00Z", "2020-01-01T01:00Z"])
    with pytest.raises(DataError, match="open has more than 50 digits"):
        list(open_bars(pandas.DataFrame(columns, index=times), "BTCUSD"))


def test_a_field_without_end_is_named(tmp_path: Path) -> None:
    file = table(tmp_path, "1")
    text = file.read_text(encoding="utf-8").replace("volume\n", "volume,note\n")
    text = text.replace(",1\n", ',1,"' + "x" * 140_000 + '"\n', 1)
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="field larger than field limit"):
        list(open_bars(file, "BTCUSD"))
