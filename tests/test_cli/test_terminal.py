"""What others have written never steers the terminal, and comes through as text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import backtest
from backtest.cli.terminal import harmless, say
from tests.test_cli.shell import backtest_command, make_home

ROW = "timestamp,open,high,low,close,volume\n" + "".join(
    f"2020-01-01T0{hour}:00:00Z,1,1,1,1,1\n" for hour in "01"
)
RED = "\x1b[31mred\x1b]0;title\x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, größer, 日本\n\tx", "plain, größer, 日本\n\tx"),
        (RED, "\\u001b[31mred\\u001b]0;title\\u0007"),
        ("a\rb\x08\x7f\x9b", "a\\u000db\\u0008\\u007f\\u009b"),
        ("\u202eabc\u2066\u200f", "\\u202eabc\\u2066\\u200f"),
        ("\udcff", "\\udcff"),
    ],
)
def test_control_characters_are_spelt_out(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_an_object_of_json_remains_one(capsys: pytest.CaptureFixture[str]) -> None:
    say(json.dumps({"name": "\x9b\x1b[0m\u202e"}, ensure_ascii=False))
    assert json.loads(capsys.readouterr().out) == {"name": "\x9b\x1b[0m\u202e"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = make_home(tmp_path)
    (made / "esc.py").write_text(
        "from backtest.strategies import Strategy\n"
        "class Raises(Strategy):\n"
        "    def on_bar(self, bar):\n"
        f"        raise ValueError({RED!r})\n"
        "class Named(Strategy):\n"
        f"    text: str = {RED!r}\n",
        encoding="utf-8",
    )
    (made / "ok.csv").write_text(ROW, encoding="utf-8")
    (made / "bad\x1b[31m.csv").write_text("x", encoding="utf-8")
    (made / "bad.toml").write_text('"a\\u001b[31m" = 1\n', encoding="utf-8")
    return made


@pytest.mark.parametrize(
    "arguments",
    [
        ("esc.py:Raises", "--data", "ok.csv", "--pair", "BTCUSD"),
        ("esc.py:Raises", "--data", "ok.csv", "--pair", "BTCUSD", "--debug"),
        ("esc.py:Named", "--data", "ok.csv", "--pair", "BTCUSD"),
        ("esc.py:Named", "--data", "ok.csv", "--pair", "BTC\x1b[31mUSD"),
        ("esc.py:Named", "--data", "bad\x1b[31m.csv", "--pair", "BTCUSD"),
        ("esc.py:Named", "--data", "ok.csv", "--pair", "BTCUSD", "--set", "a\x1b[31m=1"),
        ("esc.py:Named", "--data", "ok.csv", "--pair", "BTCUSD", "--rules", "bad.toml"),
        ("esc.py:Named", "--data", "ok.csv", "--pair", "BTCUSD", "--bar", "1\x1b[31m"),
    ],
)
def test_no_escape_sequence_reaches_the_terminal(home: Path, arguments: tuple[str, ...]) -> None:
    done = backtest_command(home, "run", *arguments, "--cash", "1000USD")
    said = done.out + done.err
    assert "\\u001b[31m" in said or "\\x1b[31m" in said
    assert "\x1b" not in said
    assert "\x07" not in said


def test_the_version_is_told(home: Path) -> None:
    assert backtest_command(home, "--version").out == f"backtest {backtest.__version__}\n"
    assert backtest.__version__[0].isdigit()
