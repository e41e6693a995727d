"""``market``: shipped scenarios, files and Python; a report, an object, a folder."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from backtest.markets import SHIPPED
from tests.test_cli.shell import backtest_command

SMALL = """
start = 2024-01-02T09:30:00Z
duration = "2m"
cash = "100000 USD"
[assets.USD]
precision = 2
[pairs.ABMUSD]
price_increment = "0.01"
volume_increment = 1
reference_price = 100
fundamental = { volatility = 0.05 }
[populations.maker]
agent = "market_maker"
count = 2
parameters = { reference = 100, every = "5s" }
[populations.noise]
count = 18
parameters = { every = "10s" }
"""
PYTHON = """
from backtest.markets import Instrument, Population, Scenario
from backtest.strategies import Strategy


class Broken(Strategy):
    def on_start(self) -> None:
        raise RuntimeError("no good")


ABM = Instrument(pair="ABM/USD", reference_price=100)
bids = Scenario(pairs=ABM, populations=Population("noise", 3), cash="1 USD", duration="1s")


def made() -> Scenario:
    return Scenario(pairs=ABM, populations=Population(Broken), cash="1 USD", duration="1s")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    (folder / "small.toml").write_text(SMALL)
    (folder / "my.py").write_text(PYTHON)
    return folder


def test_the_report_tells_pairs_populations_and_that_it_verified(home: Path) -> None:
    done = backtest_command(home, "market", "small.toml")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("small: 20 agents, seed 0\n  2024-01-02T09:30:00+00:00 to ")
    for part in ("Pairs", "ABMUSD", "Populations, in USD", "maker", "noise", "Receipt"):
        assert part in done.out
    assert "Verified: all" in done.out


def test_json_is_one_object_with_the_promised_keys(home: Path) -> None:
    done = backtest_command(home, "market", "small.toml", "--json", "--seed", "4")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    for key in ("agents", "messages", "messages_per_s", "trades", "verified", "journal_sha256"):
        assert key in told
    assert (told["scenario"], told["agents"], told["verified"]) == ("small", 20, True)
    assert told["messages"] > 100
    assert len(told["journal_sha256"]) == 64
    assert told["receipt"]["seed"] == 4
    assert told["types"]["noise"]["accounts"] == 18


def test_agents_seed_and_until_are_those_that_were_asked_for(home: Path) -> None:
    arguments = ("market", "small.toml", "--agents", "40", "--until", "09:30:30", "--json")
    told = json.loads(backtest_command(home, *arguments).out)
    assert told["agents"] == 40
    assert told["types"]["maker"]["accounts"] == 4
    again = json.loads(backtest_command(home, *arguments).out)
    assert again["journal_sha256"] == told["journal_sha256"]
    other = json.loads(backtest_command(home, *arguments, "--seed", "9").out)
    assert other["journal_sha256"] != told["journal_sha256"]


def test_out_writes_what_verify_and_explain_read(home: Path) -> None:
    done = backtest_command(home, "market", "small.toml", "--out", "results", "--json")
    told = json.loads(done.out)
    with (home / "results" / "tape.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == told["trades"]
    done = backtest_command(home, "verify", "results")
    assert done.code == 0
    assert done.out.splitlines()[-1].startswith("verified: all")
    with (home / "results" / "orders.csv").open(newline="") as file:
        order = next(csv.DictReader(file))["order_id"]
    done = backtest_command(home, "explain", "results", order)
    assert done.code == 0, done.err
    assert done.out.startswith(f"Order {order}\n")
    # A second time into the same folder: what was there was a run.
    assert backtest_command(home, "market", "small.toml", "--out", "results").code == 0


def test_list_tells_what_is_shipped(home: Path) -> None:
    done = backtest_command(home, "market", "--list")
    assert done.code == 0
    assert [line.partition(":")[0] for line in done.out.splitlines()] == list(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_scenario_runs_and_verifies(home: Path, name: str) -> None:
    few = ("--agents", "60") if name == "reference-day" else ()
    until = "00:01" if name == "liquidation-cascade" else "09:30:40"
    done = backtest_command(home, "market", name, *few, "--until", until, "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["verified"] is True


def test_a_scenario_of_a_python_file(home: Path) -> None:
    for target in ("my.py:bids", "my.py"):
        told = json.loads(backtest_command(home, "market", target, "--json").out)
        assert (told["agents"], told["trades"]) == (3, 0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), f"which scenario? One of {', '.join(SHIPPED)}, a TOML file or my.py:name"),
        (("reference-dya",), "there is no scenario 'reference-dya'; did you mean 'reference-day'?"),
        (("small",), "there is no scenario 'small'; is it small.toml?"),
        (("none.toml",), "cannot read the scenario none.toml: No such file or directory"),
        (("my.py:none",), "there is no scenario 'none' in my.py; scenarios there: bids"),
        (("none.py:none",), "there is no file none.py"),
        (("small.toml", "--agents", "1"), "1 agents are too few: there must be 2 at least"),
        (("small.toml", "--until", "late"), "until must be a time of day such as '09:30'"),
        (("small.toml", "--out", "my.py"), "my.py is a file: give the name of a folder"),
        (("my.py:made",), "strategy 'broken-00001' raised RuntimeError: no good"),
    ],
)
def test_what_cannot_be_is_one_message_and_a_code(
    home: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = backtest_command(home, "market", *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: {told}"), done.err


def test_arguments_that_make_no_sense_end_with_2(home: Path) -> None:
    done = backtest_command(home, "market", "small.toml", "--agents", "many")
    assert (done.code, done.out) == (2, "")


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_progress_is_shown_on_a_terminal_and_nowhere_else(home: Path) -> None:
    leader, follower = pty.openpty()
    program = [sys.executable, "-m", "backtest", "market", "reference-day", "--until", "09:50"]
    with subprocess.Popen(
        [*program, "--json"], cwd=home, stdout=subprocess.PIPE, stderr=follower, text=True
    ) as running:
        out, _ = running.communicate()
    os.close(follower)
    told = b""
    with contextlib.suppress(OSError):  # at its end; a slow machine shows more than one read gives
        while part := os.read(leader, 100_000):
            told += part
    os.close(leader)
    shown = told.decode()
    assert "messages, " in shown
    assert shown.endswith("\r")  # it is wiped out at the end
    assert json.loads(out)["agents"] == 1116


def test_a_page_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    (tmp_path / "small.toml").write_text(SMALL)
    shown = backtest_command(tmp_path, "market", "small.toml", "--page", "small.html")
    assert shown.code == 0, shown.err
    assert "The page is small.html" in shown.out
    assert "<html" in (tmp_path / "small.html").read_text()[:200]
