"""Whatever goes wrong: an exit code, one message on standard error, nothing half-written."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backtest.cli import main
from tests.test_cli.shell import backtest_command, make_home

BASIC = ("--data", "btc.csv", "--pair", "BTCUSD", "--cash", "10000USD")
RUN = ("run", "my.py", *BASIC)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_home(tmp_path_factory.mktemp("home"))
    (folder / "two.py").write_text(
        "from backtest.strategies import Strategy\n"
        "class One(Strategy): pass\nclass Two(Strategy): pass\nclass Other: pass\n"
    )
    (folder / "none.py").write_text("x = 1\n")
    (folder / "torn.py").write_text("def broken(:\n")
    (folder / "failing.py").write_text("import os\n\nvalue = 1 / 0\n")
    (folder / "lacking.py").write_text("import no_such_package_anywhere\n")
    (folder / "picky.py").write_text(
        "from backtest.strategies import Strategy\nfrom decimal import Decimal\n\n"
        "class Picky(Strategy):\n    size: Decimal\n    share: float = 0.5\n"
    )
    lines = (folder / "btc.csv").read_text().splitlines()
    (folder / "bad.csv").write_text("\n".join([*lines[:40], "1,2,3", *lines[40:]]))
    (folder / "rules.toml").write_text("fees = 3\n")
    (folder / "toml.toml").write_text("[[[\n")
    (folder / "mess").mkdir()
    (folder / "mess" / "thing").write_text("")
    (folder / "tables").mkdir()
    for name in ("orders.csv", "fills.csv"):
        (folder / "tables" / name).write_bytes((folder / "btc.csv").read_bytes())
    return folder


CASES: list[tuple[str, tuple[str, ...], int, str]] = [
    ("no command", (), 2, "the following arguments are required: COMMAND"),
    ("unknown command", ("walk",), 2, "invalid choice: 'walk'"),
    ("no data", ("run", "my.py", "--cash", "1USD"), 2, "required: --data"),
    ("unknown option", (*RUN, "--fast"), 2, "unrecognized arguments: --fast"),
    ("bad seed", (*RUN, "--seed", "x"), 2, "invalid int value: 'x'"),
    ("negative seed", (*RUN, "--seed", "-1"), 1, "seed must be non-negative"),
    ("no file", ("run", "nope.py:Mine", *BASIC), 1, "there is no file nope.py"),
    ("no module", ("run", "nope.deeper:Mine", *BASIC), 1, "there is no module 'nope.deeper'"),
    ("no class", ("run", "my.py:Yours", *BASIC), 1, "no class 'Yours' in my.py; there are Mine"),
    ("two classes", ("run", "two.py", *BASIC), 1, "which strategy of two.py? There is One, Two"),
    ("no strategy", ("run", "none.py", *BASIC), 1, "there is no strategy in none.py"),
    ("not a strategy", ("run", "two.py:Other", *BASIC), 1, "Other in two.py is not a strategy"),
    ("not python", ("run", "btc.csv", *BASIC), 1, "btc.csv must be a Python file"),
    ("syntax", ("run", "torn.py", *BASIC), 1, "torn.py cannot be loaded: line 1: SyntaxError"),
    ("import", ("run", "failing.py", *BASIC), 1, "line 3: ZeroDivisionError: division by zero"),
    ("package", ("run", "lacking.py", *BASIC), 1, "No module named 'no_such_package_anywhere'"),
    ("parameter", (*RUN, "--set", "fast=1"), 1, "it has: pair (now BTCUSD), every"),
    ("value", (*RUN, "--set", "every=x"), 1, "every must be a whole number, not 'x'"),
    ("form", (*RUN, "--set", "every"), 1, "--set takes NAME=VALUE, not 'every'"),
    ("twice", (*RUN, "--set", "every=1", "--set", "every=2"), 1, "is set twice"),
    ("missing", ("run", "picky.py", *BASIC), 1, "Picky needs a value for 'size': add --set size="),
    ("float", ("run", "picky.py", *BASIC, "--set", "share=1"), 1, "declare it in the strategy"),
    ("data file", ("run", "my.py", "--data", "x.csv", *BASIC[2:]), 1, "x.csv does not exist"),
    ("data folder", ("run", "my.py", "--data", "mess", *BASIC[2:]), 1, "mess is a folder"),
    ("data format", ("run", "my.py", "--data", "my.py", *BASIC[2:]), 1, "tells no format"),
    ("data line", ("run", "my.py", "--data", "bad.csv", *BASIC[2:]), 1, "bad.csv:41"),
    ("data pair", ("run", "my.py", *BASIC[:2], "--cash", "1USD"), 1, "which pair is"),
    ("pair count", (*RUN, "--pair", "X"), 1, "1 --data and 2 --pair are given"),
    ("again", ("run", "my.py", *BASIC[2:], "--data", "btc.csv", *BASIC[:4]), 1, "one file"),
    ("quote", ("run", "my.py", *BASIC[:3], "BTCEUR", *BASIC[4:]), 1, "cannot tell the quote asset"),
    ("cash", ("run", "my.py", *BASIC[:5], "lots"), 1, "cash must be an amount and an asset"),
    ("account", ("run", "my.py", *BASIC[:5], ":1USD"), 1, "the account's name is missing"),
    ("house", ("run", "my.py", *BASIC[:5], "fees:1USD"), 1, "'fees' is a house account"),
    ("mixed cash", (*RUN, "--cash", "a:1USD"), 1, "name one for each"),
    ("bar", (*RUN, "--bar", "1x"), 1, "bar must be a length of time"),
    ("zone", (*RUN, "--tz", "Mars/Base"), 1, "unknown time zone 'Mars/Base'"),
    ("no rules", (*RUN, "--rules", "x.toml"), 1, "cannot read the rules file x.toml"),
    ("bad rules", (*RUN, "--rules", "rules.toml"), 1, "rules.toml: fees"),
    ("no toml", (*RUN, "--rules", "toml.toml"), 1, "toml.toml is not TOML"),
    ("out", (*RUN, "--out", "mess"), 1, "mess holds 'thing' and is not a run of ours"),
    ("out file", (*RUN, "--out", "btc.csv"), 1, "btc.csv is a file"),
    ("out data", (*RUN, "--out", "tables"), 1, "tables holds 'fills.csv' and is not a run of ours"),
    ("out own data", ("run", "my.py", "--data", "tables/orders.csv", *BASIC[2:], "--out", "tables",
     "--force"), 1, "tables/orders.csv is data of this run"),
    ("out read-only", (*RUN, "--out", "/proc/results"), 1, "cannot write to /proc/results"),
    ("csv of others", ("demo", "--csv", "btc.csv"), 1, "btc.csv is there and is not this market"),
    ("csv", ("demo", "--csv", "no/where.csv"), 1, "no/where.csv: No such file or directory"),
    ("verify", ("verify", "nowhere"), 1, "nowhere: is not a run: there is no such folder"),
    ("verify other", ("verify", "mess"), 1, "mess: is not a run: it has no run.json"),
    ("explain", ("explain", "mess", "1"), 1, "mess: is not a run"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_one_message_says_what_is_wrong(
    home: Path,
    arguments: tuple[str, ...],
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # In this process, as another for each of so many cases takes its time.
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = {path.name for path in home.iterdir()}
    try:
        found = main(arguments)
    except SystemExit as ended:
        found = int(str(ended.code))
    out, err = capsys.readouterr()
    assert found == code
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1, err
    assert {path.name for path in home.iterdir()} == before


@pytest.mark.parametrize("arguments", [(), ("run", "nope.py:Mine", *BASIC), ("verify", "nowhere")])
def test_the_same_from_a_shell(home: Path, arguments: tuple[str, ...]) -> None:
    done = backtest_command(home, *arguments)
    assert done.code != 0
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1


def test_a_strategy_that_raises_is_named_with_time_exception_and_line(home: Path) -> None:
    done = backtest_command(
        home, "run", "my.py:Mine", *BASIC, "--set", "trouble=yes", "--out", "never"
    )
    assert (done.code, done.out) == (1, "")
    # The seventh bar closes seven minutes after the start of 2020.
    assert done.err == (
        "error: strategy 'mine' raised RuntimeError: out of ideas\n"
        "  at 2020-01-01T00:07:00+00:00 (simulated time), my.py line 26, in make_trouble: "
        'raise RuntimeError("out of ideas")\n'
    )
    assert not (home / "never").exists()
    assert not [path for path in home.iterdir() if path.name.endswith(".partial")]


def test_debug_adds_the_traceback(home: Path) -> None:
    done = backtest_command(home, "run", "my.py", *BASIC, "--set", "trouble=yes", "--debug")
    assert done.code == 1
    assert "Traceback (most recent call last)" in done.err
    assert done.err.splitlines()[-2] == "error: strategy 'mine' raised RuntimeError: out of ideas"


def test_bad_data_in_the_middle_of_a_stream_is_the_datas_fault(home: Path) -> None:
    arguments = ("--data", "bad.csv", *BASIC[2:], "--stream")
    done = backtest_command(home, "run", "my.py", *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: bad.csv:41: ")


def test_a_report_is_printed_even_if_its_files_cannot_be_written(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The disk is full when the run is over; before, there was room.
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr("backtest.analysis.tables.files._write_all", full)
    for how, began in ((), "Mine("), (("--json",), "{"):
        assert main(["run", "my.py", *BASIC, "--out", "full", *how]) == 1
        out, err = capsys.readouterr()
        assert out.startswith(began)
        assert err.startswith("error: cannot write to ")
        assert err.endswith("full: No space left on device\n")
    assert not (home / "full").exists()


def test_a_previous_result_survives_a_run_that_fails(home: Path) -> None:
    backtest_command(home, "run", "my.py", *BASIC, "--out", "kept")
    before = (home / "kept" / "run.json").read_bytes()
    done = backtest_command(home, "run", "my.py", *BASIC, "--set", "trouble=yes", "--out", "kept")
    assert done.code == 1
    assert (home / "kept" / "run.json").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c_ends_a_strategy_that_computes_for_ever(home: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "backtest", "run", "my.py", *BASIC, "--set", "trouble=forever",
         "--out", "interrupted"],
        cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while not (home / "entered").exists():  # the strategy says when it has begun
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    first, second = err.splitlines()
    assert first == "error: interrupted: nothing was written"
    assert second.startswith("  strategy/mine was at work at ")
    assert ": my.py line " in second
    assert not (home / "interrupted").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
def test_a_reader_that_leaves_is_no_error(home: Path) -> None:
    command = f"'{sys.executable}' -m backtest demo | head -1"
    done = subprocess.run(
        command, shell=True, cwd=home, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "A backtest from beginning to end\n"
    assert done.stderr == ""
