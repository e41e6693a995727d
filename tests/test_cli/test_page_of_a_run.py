"""``run --page``: one file beside the report, asked for before the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_cli.shell import backtest_command, make_home

BASIC = ("run", "my.py", "--data", "btc.csv", "--pair", "BTCUSD", "--cash", "10000USD")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("home"))


def test_the_page_is_written_and_named(home: Path) -> None:
    done = backtest_command(home, *BASIC, "--page", "pages/run.html", "--paths")
    assert done.code == 0, done.err
    assert "The page is pages/run.html: open it in a browser" in done.out
    text = (home / "pages" / "run.html").read_text(encoding="utf-8")
    assert "Mine on BTCUSD" in text
    assert "<dd>btc.csv</dd>" in text
    assert "It was not asked" not in text


def test_a_file_of_others_is_not_replaced_and_the_run_does_not_begin(home: Path) -> None:
    (home / "mine.html").write_text("mine", encoding="utf-8")
    done = backtest_command(home, *BASIC, "--page", "mine.html")
    assert done.code != 0
    assert "mine.html is there and is no page of ours" in done.err
    assert done.out == ""
    assert (home / "mine.html").read_text(encoding="utf-8") == "mine"
    done = backtest_command(home, *BASIC, "--page", "mine.html", "--force")
    assert done.code == 0, done.err
