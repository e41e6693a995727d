"""A run file: all that the command line can say, saved, run again, changed, and quoted."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from backtest.cli.run_file import read_run_file, run_file_text
from backtest.errors import ConfigError
from tests.test_cli.shell import Outcome, backtest_command, make_home

COMMAND = (
    "run", "my.py:Mine", "--data", "BTCUSD=btc.csv,bar=1m", "--cash", "10000USD", "--set",
    "every=50", "--latency", "orders=20ms", "--start", "2020-01-01 01:00", "--end",
    "2020-01-01 03:00", "--warmup", "10 bars", "--rules", "rules.toml", "--netting",
)  # fmt: skip


WHOLE = """
accounts = "mine"
cash = "1USD"
data = [{ pair = "BTCUSD", file = "btc.csv" }]
strategies = [{ strategy = "my.py" }]
"""

NAMED = """
cash = "1USD"
data = [{ pair = "BTCUSD", file = "btc.csv" }]
strategies = [{ strategy = "my.py:Mine", name = "a/b" }]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_home(tmp_path_factory.mktemp("home"))
    (folder / "rules.toml").write_text('commission = "0.001"\n')
    return folder


def told(done: Outcome) -> dict[str, Any]:
    """The object of a run with ``--json``."""
    assert (done.code, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    assert found["verified"] is True
    return found


def test_what_is_saved_is_the_same_run(home: Path) -> None:
    first = told(backtest_command(home, *COMMAND, "--json", "--save-config", "saved.toml"))
    again = told(backtest_command(home, "run", "saved.toml"))
    assert again == first
    saved = tomllib.loads((home / "saved.toml").read_text())
    assert saved == {
        "seed": 0,
        "start": "2020-01-01 01:00",
        "end": "2020-01-01 03:00",
        "warmup": "10 bars",
        "cash": ["10000USD"],
        "netting": True,
        "latency": {"orders": "20ms"},
        "json": True,
        "rules": "rules.toml",
        "strategies": [{"strategy": "my.py:Mine", "name": "mine", "parameters": {"every": "50"}}],
        "data": [{"pair": "BTCUSD", "file": "btc.csv", "bar": "1m"}],
    }
    # From one o'clock to three there are 120 minutes, and ten come before.
    assert first["bars"] == 130


def test_the_receipt_quotes_it_wherever_the_result_goes(home: Path) -> None:
    first = told(backtest_command(home, *COMMAND, "--json"))["receipt"]
    there = told(backtest_command(home, *COMMAND, "--json", "--out", "somewhere"))["receipt"]
    assert there == first
    quoted = tomllib.loads(first["run_file"])
    assert quoted["strategies"][0]["parameters"] == {"every": "50"}
    assert not {"out", "json"} & quoted.keys()
    assert json.loads((home / "somewhere" / "run.json").read_text())["receipt"] == first
    assert backtest_command(home, "verify", "somewhere").code == 0


def test_the_command_line_goes_before_the_file(home: Path) -> None:
    backtest_command(home, *COMMAND, "--save-config", "base.toml")
    first = told(backtest_command(home, "run", "base.toml", "--json"))
    other = told(
        backtest_command(
            home, "run", "base.toml", "--json", "--seed", "9", "--set", "every=10", "--end",
            "2020-01-01 02:00", "--cash", "20000USD", "--no-netting", "--data", "BTCUSD=btc.csv",
        )
    )  # fmt: skip
    quoted = tomllib.loads(other["receipt"]["run_file"])
    assert (quoted["seed"], quoted["netting"], quoted["cash"]) == (9, False, ["20000USD"])
    assert quoted["strategies"][0]["parameters"] == {"every": "10"}
    assert quoted["data"] == [{"pair": "BTCUSD", "file": "btc.csv"}]
    assert quoted["warmup"] == "10 bars"  # of which nothing was said
    assert (first["bars"], other["bars"]) == (130, 70)


def test_names_of_files_are_relative_to_the_run_file(home: Path) -> None:
    inner = home / "inner"
    inner.mkdir()
    saved = backtest_command(home, *COMMAND, "--json", "--save-config", "inner/saved.toml")
    table = tomllib.loads((inner / "saved.toml").read_text())
    assert table["data"][0]["file"] == "../btc.csv"
    assert table["strategies"][0]["strategy"] == "../my.py:Mine"
    assert table["rules"] == "../rules.toml"
    # Wherever one stands, it is the same run.
    journal = told(saved)["journal_sha256"]
    for folder, name in ((home, "inner/saved.toml"), (inner, "saved.toml")):
        found = backtest_command(folder, "run", name, "--json")
        assert json.loads(found.out)["journal_sha256"] == journal, found.err
    # What the file calls `out` is beside it, too.
    (inner / "out.toml").write_text('out = "results"\n' + (inner / "saved.toml").read_text())
    assert backtest_command(home, "run", "inner/out.toml", "-q").code == 0
    assert (inner / "results" / "run.json").is_file()
    shutil.rmtree(inner)


def test_a_run_file_is_written_by_hand_with_rules_and_pairs_in_it(home: Path) -> None:
    (home / "hand.toml").write_text(
        """\
start = 2020-01-01T01:00:00
end = 2020-01-02
cash = { mine = "10000 USD" }

[rules]
commission = "0.002"

[pairs.BTCUSD]
price_increment = "0.01"
volume_increment = "0.0001"

[[strategies]]
strategy = "my.py"
name = "mine"
parameters = { every = 60, size = 0.02 }

[[data]]
pair = "BTCUSD"
file = "btc.csv"
"""
    )
    found = told(backtest_command(home, "run", "hand.toml", "--json"))
    assert (found["bars"], found["orders"]) == (140, 2)  # of 200 minutes those from one o'clock on
    assert list(found["balances"]) == ["mine"]
    # 0.02 is the number that stands there, no float near it.
    assert 'size = "0.02"' in found["receipt"]["run_file"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sead = 3", "x.toml: nobody knows 'sead'; did you mean seed?"),
        ("capital = '1USD'", "nobody knows 'capital'; did you mean cash?"),
        ("zebra = 1", "nobody knows 'zebra'; there are seed, start, end"),
        ("[[data]]\npair = 'A'\npath = 'b'", "[[data]]: nobody knows 'path'; did you mean file?"),
        ("[[data]]\npair = 'A'", "a table of [[data]] has no file"),
        ("[[strategies]]\nname = 'A'", "a table of [[strategies]] has no strategy"),
        ("data = 'btc.csv'", "data is a list of tables: write [[data]]"),
        ("rules = 'r.toml'\n[pairs.X]", "rules = 'r.toml' is a file of its own"),
        ("[[", "x.toml is not TOML"),
        ("tz = 'UTC'", "nobody knows 'tz'; it is said of each of [[data]]"),
        ("name = 'a'", "nobody knows 'name'; it is said of each of [[strategies]]"),
        ("[[data]]\npair = 'A'\nfile = 'b'\ntimzone = 'UTC'", "'timzone'; did you mean tz?"),
        ("json = 'true'", "x.toml: json must be true or false, not 'true'"),
        ("stream = 1", "x.toml: stream must be true or false, not 1"),
        ("netting = 1", "x.toml: netting must be true, false or names of accounts"),
        ("format = 'xml'", "x.toml: format must be csv or parquet, not 'xml'"),
        ("[[data]]\npair = 'A'\nfile = 5", "[[data]]: file must be text, not 5"),
        ("[[data]]\npair = 'A'\nfile = 'b'\ntz = 5", "[[data]]: tz must be text, not 5"),
        ("[[strategies]]\nstrategy = 5", "[[strategies]]: strategy must be text, not 5"),
    ],
)
def test_what_nobody_knows_is_an_error_that_says_what_was_meant(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "x.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_run_file(str(file))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cash = '1USD'", "has no [[strategies]]"),
        ("[[strategies]]\nstrategy = 'my.py'", "has no [[data]]"),
        (WHOLE, "accounts must be 'own' or 'shared'"),
        (NAMED, "a strategy cannot be called 'a/b': a name is of letters"),
    ],
)
def test_what_a_run_file_lacks_is_told(home: Path, text: str, message: str) -> None:
    (home / "lacking.toml").write_text(text)
    done = backtest_command(home, "run", "lacking.toml")
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_another_file_is_not_written_over(home: Path) -> None:
    before = (home / "rules.toml").read_text()
    done = backtest_command(home, *COMMAND, "--save-config", "rules.toml")
    assert (done.code, done.out) == (1, "")
    assert "rules.toml is there and says something else" in done.err
    assert (home / "rules.toml").read_text() == before
    done = backtest_command(home, *COMMAND, "--save-config", "no/where.toml")
    assert "there is no folder no" in done.err
    # A run that fails leaves none.
    done = backtest_command(home, *COMMAND, "--set", "trouble=yes", "--save-config", "never.toml")
    assert done.code == 1
    assert not (home / "never.toml").exists()


def test_text_comes_back_as_it_was(tmp_path: Path) -> None:
    settings = {
        "seed": 7,
        "cash": {"a b": ["1 USD", "2 EUR"]},
        "out": 'quotes " and \\ and ü and \x7f and \n',
        "strategies": [{"strategy": "m:A", "accounts": ["x"], "parameters": {"on": True}}],
        "rules": {"tiers": [{"up_to": "1"}], "pairs": {"BTC/USD": {"base": "BTC"}}},
    }
    assert tomllib.loads(run_file_text(settings)) == settings
