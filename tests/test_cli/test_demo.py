"""``demo``: everything at once, for somebody who sees it for the first time."""

from __future__ import annotations

from pathlib import Path

from backtest.analysis.verify.verify import verify_run
from tests.test_cli.shell import backtest_command


def test_the_demo_tells_its_story_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = backtest_command(tmp_path, "demo")
    assert (done.code, done.err) == (0, "")
    for part in (
        "A backtest from beginning to end",
        "Where the money went",
        "verified: all",
        "The story of one order",
        "(stop loss)",
        "What next",
        "python -m backtest run backtest.strategies:SmaCross",
    ):
        assert part in done.out
    assert list(tmp_path.iterdir()) == []
    assert backtest_command(tmp_path, "demo", PYTHONHASHSEED="1").out == done.out
    assert backtest_command(tmp_path, "demo", "--seed", "8").out != done.out


def test_the_next_commands_that_it_names_work(tmp_path: Path) -> None:
    done = backtest_command(tmp_path, "demo", "--csv", "bars.csv", "--out", "results")
    assert done.code == 0
    assert verify_run(tmp_path / "results").ok
    commands = []
    text = done.out.partition("What next")[2].replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith("  python -m backtest "):
            commands.append(line.split()[3:])
    assert [one[0] for one in commands] == ["demo", "verify", "explain", "run"]
    for command in commands[1:]:
        told = backtest_command(tmp_path, *command)
        assert (told.code, told.err) == (0, ""), command


def test_help_shows_the_commands_and_examples(tmp_path: Path) -> None:
    done = backtest_command(tmp_path, "--help")
    assert done.code == 0
    for word in ("run", "demo", "verify", "explain", "examples:"):
        assert word in done.out
    done = backtest_command(tmp_path, "run", "--help")
    assert done.code == 0
    for option in (
        "--data", "--pair", "--cash", "--set", "--rules", "--bar", "--stamp", "--tz", "--seed",
        "--out", "--format", "--json", "--stream", "--force", "--debug",
    ):  # fmt: skip
        assert option in done.out
