"""Files whose mark of decimals is a comma, where that is said."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.analysis.rereading import reopened
from backtest.data import open_bars, open_data
from backtest.errors import ConfigError, DataError
from backtest.models import Bar, Quote
from backtest.strategies import Strategy
from backtest.times import DAY, SECOND
from tests.test_cli.shell import backtest_command

D = Decimal
T0 = 1_577_836_800 * SECOND  # 2020-01-01
GERMAN = (
    "Nummer;Date;Open;High;Low;Close;Volume\n"
    "1;2020-01-01;10,10;12;9,5;11,25;5\n"
    "2;2020-01-02;11;13;10;12,25;0,125\n"
)
BARS = [
    Bar("BTCUSD", T0, T0 + DAY, D("10.10"), D(12), D("9.5"), D("11.25"), D(5)),
    Bar("BTCUSD", T0 + DAY, T0 + 2 * DAY, D(11), D(13), D(10), D("12.25"), D("0.125")),
]


def file(folder: Path, text: str, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("stream", [False, True], ids=["load", "stream"])
def test_a_comma_is_a_point(stream: bool, tmp_path: Path) -> None:
    source = open_bars(file(tmp_path, GERMAN), "BTCUSD", stream=stream, decimal=",")
    assert list(source) == BARS
    quoted = 'Date,Open,High,Low,Close\n2020-01-01,"10,10",12,"9,5","11,25"\n'
    path = file(tmp_path, quoted, "quoted.csv")
    (one,) = open_bars(path, "BTCUSD", bar="1d", stream=stream, decimal=",")
    assert (one.open, one.close) == (D("10.10"), D("11.25"))


def test_quotes_and_text_of_tables_too(tmp_path: Path) -> None:
    text = "time;bid;ask\n2020-01-01;1,10;1,11\n"
    quote = Quote("EURUSD", T0, D("1.10"), D("1.11"))
    assert list(open_data(file(tmp_path, text), "EURUSD", decimal=",")) == [quote]
    pd: Any = pytest.importorskip("pandas")
    frame = pd.DataFrame({"time": ["2020-01-01"], "bid": ["1,10"], "ask": [1.11]})
    assert list(open_data(frame, "EURUSD", decimal=",")) == [quote]


@pytest.mark.parametrize(
    ("number", "decimal", "said"),
    [
        ("10,10", ".", r"Open has a comma, '10,10': .* decimal=',' \(--decimal ,\)"),
        ("1.010,10", ",", r"Open has a point, '1.010,10': write a decimal comma and no thousands"),
        ("10.10", ",", "Open has a point, '10.10'"),
        ("1_0,1", ",", "Open is not a number: '1_0,1'"),
        ("1,0,1", ",", "Open is not a number: '1,0,1'"),
        ("", ",", "Open is empty"),
    ],
)
def test_what_is_no_number_is_refused(number: str, decimal: str, said: str, tmp_path: Path) -> None:
    path = file(tmp_path, "Date;Open;High;Low;Close\n2020-01-01;" + number + ";12;9;11\n")
    with pytest.raises(DataError, match=said) as caught:
        open_data(path, "BTCUSD", bar="1d", decimal=decimal)
    assert caught.value.line == 2


def test_another_mark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"decimal must be '.' or ',', the mark of decimals"):
        open_data(file(tmp_path, GERMAN), "BTCUSD", decimal=";")


def test_a_run_keeps_how_its_data_was_read(tmp_path: Path) -> None:
    path = file(tmp_path, GERMAN)
    result = backtest.run(Strategy(), data=path, pair="BTCUSD", cash="9 USD", decimal=",")
    assert result.config["data"]["BTCUSD"]["decimal"] == ","
    events, why = reopened(result.tables.facts, {})
    assert (why, list(events or ())) == ("", BARS)


def test_on_the_command_line(tmp_path: Path) -> None:
    file(tmp_path, GERMAN)
    done = backtest_command(
        tmp_path, "run", "backtest.strategies:SmaCross", "--data", "bars.csv", "--pair", "BTCUSD",
        "--cash", "9USD", "--decimal", ",",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert "2 bars of BTCUSD" in done.out
