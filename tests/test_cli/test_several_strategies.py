"""Several strategies in one run of the command line, and files that are each read in their way."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from backtest.cli.data_files import data_files, how_read
from backtest.errors import ConfigError
from tests.test_cli.shell import backtest_command, make_home

DATA = ("--data", "BTCUSD=btc.csv")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_home(tmp_path_factory.mktemp("home"))
    (folder / "other.py").write_text(
        "from backtest.strategies import Strategy\n\n\n"
        "class Once(Strategy):\n"
        "    pair: str = 'BTCUSD'\n"
        "    leverage: int = 2\n\n"
        "    async def on_bar(self, bar):\n"
        "        if not self.position(self.pair):\n"
        "            await self.long(self.pair, '0.1', leverage=self.leverage)\n"
    )
    return folder


def test_each_has_an_account_of_its_own_with_the_cash(home: Path) -> None:
    run = ("run", "my.py:Mine", "other.py:Once", *DATA, "--cash", "10000USD")
    done = backtest_command(home, *run, "--accounts", "own", "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert list(told["balances"]) == ["mine", "once"]
    assert told["summary"]["start_equity"] == "20000"


def test_without_a_word_they_share_one(home: Path) -> None:
    run = ("run", "my.py:Mine", "other.py:Once", *DATA, "--cash", "10000USD", "--json")
    told = json.loads(backtest_command(home, *run).out)
    assert list(told["balances"]) == ["main"]
    assert told["summary"]["start_equity"] == "10000"


def test_the_report_says_what_each_won_and_the_sum_is_the_profit(home: Path) -> None:
    run = ("run", "my.py:Mine", "other.py:Once", *DATA, "--cash", "10000USD", "--set", "every=90")
    done = backtest_command(home, *run)
    assert done.code == 0
    told = done.out.partition("Profit of each strategy\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^  (.+?) +([+-][\d.,]+) USD$", told, re.MULTILINE)
    assert [name for name, _ in rows] == ["mine", "once", "= profit"]
    mine, once, profit = (Decimal(text.replace(",", "")) for _, text in rows)
    assert mine + once == profit
    (summed,) = re.findall(r"\(([+-][\d.,]+) USD\)", done.out.partition("return")[2].split("\n")[0])
    assert Decimal(summed.replace(",", "")) == profit
    alone = backtest_command(home, "run", "my.py:Mine", *DATA, "--cash", "10000USD")
    assert "Profit of each strategy" not in alone.out


def test_parameters_are_of_all_that_have_them_or_of_one_by_name(home: Path) -> None:
    run = ("run", "fast=my.py:Mine", "slow=my.py:Mine", "other.py", *DATA, "--cash", "90000USD")
    done = backtest_command(
        home, *run, "--set", "size=0.02", "--set", "slow.every=20", "--set", "leverage=3"
    )
    assert done.code == 0
    assert done.out.splitlines()[:3] == [
        "Mine(pair=BTCUSD, every=5, size=0.02, trouble=) as 'fast' on main",
        "Mine(pair=BTCUSD, every=20, size=0.02, trouble=) as 'slow' on main",
        "Once(pair=BTCUSD, leverage=3) as 'once' on main",
    ]


def test_two_of_one_class_are_numbered(home: Path) -> None:
    run = ("run", "my.py:Mine", "my.py:Mine", *DATA, "--cash", "90000USD")
    heads = backtest_command(home, *run).out.splitlines()[:2]
    assert [head.partition(" as ")[2] for head in heads] == ["'mine' on main", "'mine-2' on main"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "slo.every=3", "--cash", "1USD"), "is called 'slo'; did you mean slow?"),
        (("--set", "zebra=3", "--cash", "1USD"), "Mine has no parameter 'zebra'"),
        (("--set", "every=3", "--set", "slow.every=4", "--cash", "1USD"), "is set twice"),
        (("--cash", "a:1USD", "--cash", "b:1USD"), "accounts a, b does strategy 'slow'"),
        (("--cash", "a:1USD", "--accounts", "own"), "give amounts alone"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(home: Path, arguments: tuple[str, ...], message: str) -> None:
    done = backtest_command(home, "run", "slow=my.py:Mine", "other.py", *DATA, *arguments)
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_a_part_of_the_data_from_the_command_line(home: Path) -> None:
    run = ("run", "my.py", *DATA, "--cash", "10000USD", "--json")
    # The minutes begin with 2020: from 02:00 in Berlin on, an hour later than there, for half an
    # hour, after a warm-up of five minutes.
    part = ("--start", "2020-01-01 02:00 Europe/Berlin", "--end", "2020-01-01 01:30Z")
    told = json.loads(backtest_command(home, *run, *part, "--warmup", "5m").out)
    assert told["bars"] == 35
    assert told["summary"]["start"] == "2020-01-01T01:00:00+00:00"
    done = backtest_command(home, *run, "--start", "2021-01-01")
    assert (done.code, done.out) == (1, "")
    assert "the data goes from 2020-01-01T00:00:00+00:00 to 2020-01-01T03:20:00+00:00" in done.err


def test_a_file_says_itself_how_it_is_read(home: Path) -> None:
    run = ("run", "my.py", "--cash", "10000USD", "--json")
    data = ("--data", "BTCUSD=btc.csv,bar=1m,stamp=close,tz=Europe/Berlin")
    options = (*DATA, "--bar", "1m", "--stamp", "close", "--tz", "Europe/Berlin")
    first, second = (json.loads(backtest_command(home, *run, *one).out) for one in (data, options))
    assert first["summary"] == second["summary"]
    assert first["receipt"]["config_sha256"] == second["receipt"]["config_sha256"]


def test_what_is_said_of_a_file_goes_before_what_is_said_of_all() -> None:
    files = data_files(
        ["A=a.csv,tz=Asia/Tokyo", "A=b.csv,bar=1h,decimal=,", "B=c.csv"], [], {"tz": ["UTC"]}
    )
    assert files == [
        {"pair": "A", "file": "a.csv", "tz": "Asia/Tokyo"},
        {"pair": "A", "file": "b.csv", "bar": "1h", "decimal": ",", "tz": "UTC"},
        {"pair": "B", "file": "c.csv", "tz": "UTC"},
    ]
    assert how_read(files) == {
        "tz": {"A": ["Asia/Tokyo", "UTC"], "B": ["UTC"]},
        "bar": {"A": [None, "1h"], "B": [None]},
        "decimal": {"A": [None, ","], "B": [None]},
    }
    assert how_read(data_files(["a.csv", "b.csv"], ["A", "B"], {"bar": ["1m"]})) == {"bar": "1m"}


def test_a_file_may_have_a_comma_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a,b=c.csv").write_text("")
    assert data_files(["X=a,b=c.csv,tz=UTC"], [], {})[0] == {
        "pair": "X", "file": "a,b=c.csv", "tz": "UTC",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=a.csv,tzz=UTC", "tzz is nothing that is said of a file; did you mean tz?"),
        ("A=a.csv,timezone=UTC", "did you mean tz?"),
        ("A=a.csv,tz=UTC,tz=UTC", "tz is said twice"),
    ],
)
def test_a_setting_that_no_file_has_is_told(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        data_files([text], [], {})
    assert message in str(caught.value)


def test_a_stamp_is_one_of_two(home: Path) -> None:
    done = backtest_command(home, "run", "my.py", "--data", "BTCUSD=btc.csv,stamp=middle",
                            "--cash", "1USD")  # fmt: skip
    assert done.code == 1
    assert "stamp of btc.csv must be open or close, not 'middle'" in done.err
