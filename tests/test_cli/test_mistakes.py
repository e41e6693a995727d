"""What is wrong with a strategy that ran to the end: told once, counted, and an exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.test_cli.shell import Outcome, backtest_command, make_home

MISTAKEN = """\
from backtest.errors import OrderRejected
from backtest.strategies import Strategy


class Mistaken(Strategy):
    what: str = ""

    async def on_bar(self, bar):
        if self.what == "unknown":
            self.buy("NOPE", 1)
        elif self.what == "caught":
            try:
                await self.buy("NOPE", 1)
            except OrderRejected:
                pass
        elif self.what == "await":
            self.trade()
        elif self.what == "crash":
            self.trade()
            raise RuntimeError("out of ideas")
        elif self.what == "task":
            import asyncio
            self.task = asyncio.create_task(self.failing())
        elif self.what == "poor":
            self.buy("BTCUSD", 100)
            self.sell("BTCUSD", 1)

    async def failing(self):
        raise RuntimeError("out of ideas")

    async def trade(self):
        await self.buy("BTCUSD", 1)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_home(tmp_path_factory.mktemp("home"))
    (folder / "mistaken.py").write_text(MISTAKEN)
    return folder


def run(home: Path, what: str, *more: str) -> Outcome:
    return backtest_command(
        home, "run", "mistaken.py", "--data", "btc.csv", "--pair", "BTCUSD", "--cash", "1000USD",
        "--set", f"what={what}", *more,
    )  # fmt: skip


UNKNOWN = (
    "error: 200 orders were for a pair that is not in the run: there is no pair 'NOPE' here; "
    "there are: BTCUSD"
)
FORGOTTEN = (
    "error: Mistaken.trade() was called without 'await', and did nothing{} (mistaken.py line {})"
)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("unknown", UNKNOWN),
        ("caught", UNKNOWN),
        ("await", FORGOTTEN.format(", 200 times", 17)),
    ],
)
def test_a_mistake_ends_with_a_report_and_an_exit_code(home: Path, what: str, said: str) -> None:
    done = run(home, what, "--quiet")
    assert (done.code, done.err) == (1, said + "\n")
    assert "final equity" in done.out


def test_a_coroutine_nobody_awaited_is_told_beside_what_ended_the_run(home: Path) -> None:
    done = run(home, "crash")
    assert done.code == 1
    first, second, *_ = done.err.splitlines()
    assert first == FORGOTTEN.format("", 19).replace("error", "warning")
    assert second == "error: strategy 'mistaken' raised RuntimeError: out of ideas"


def test_refusals_are_counted_by_reason_and_told_once(home: Path) -> None:
    """All 200 buys lack money, all 200 sells lack coins: one reason, one line, one row."""
    done = run(home, "poor")
    assert done.code == 0
    (line,) = done.err.splitlines()
    assert line.startswith("warning: order.rejected strategy='mistaken' time='2020-01-01T00:01:00")
    told = done.out.partition("Refused, and the first of each reason\n")[2].splitlines()
    assert told[0].startswith("  400  INSUFFICIENT_FUNDS  2020-01-01 00:01  main has 1000 USD avai")
    assert told[1] == ""


@pytest.mark.parametrize(
    ("options", "lines"),
    [(["-q"], 0), (["--log-level", "error"], 0), (["--log-level", "debug"], 400)],
)
def test_how_much_is_logged(home: Path, options: list[str], lines: int) -> None:
    done = run(home, "poor", "--json", *options)
    assert (done.code, len(done.err.splitlines())) == (0, lines)
    (refused,) = json.loads(done.out)["refusals"]
    assert {**refused, "detail": ""} == {
        "reason": "INSUFFICIENT_FUNDS",
        "count": 400,
        "first": "2020-01-01T00:01:00+00:00",
        "strategy": "mistaken",
        "detail": "",
    }


def test_an_unknown_level_is_refused(home: Path) -> None:
    done = run(home, "poor", "--log-level", "loud")
    assert done.code == 2
    assert "invalid choice: 'loud'" in done.err


def test_a_task_of_a_strategy_fails_as_the_strategy_does(home: Path) -> None:
    outcome = run(home, "task")
    assert outcome.code == 1
    first, second = outcome.err.splitlines()[-2:]
    assert first == "error: strategy 'mistaken' raised RuntimeError: out of ideas"
    assert re.fullmatch(
        r"  at \d{4}-\S+ \(simulated time\), mistaken\.py line \d+, in failing: raise .*", second
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--chas", "5 USD"], "there is no option --chas; did you mean --cash?"),
        (["--cahs=5USD"], "there is no option --cahs; did you mean --cash?"),
        (["--piar", "BTCUSD"], "there is no option --piar; did you mean --pair?"),
    ],
)
def test_a_misspelt_option_is_told_before_the_one_that_is_missing(
    home: Path, given: list[str], told: str
) -> None:
    outcome = backtest_command(home, "run", "mistaken.py", "--data", "btc.csv", *given)
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {told}")
