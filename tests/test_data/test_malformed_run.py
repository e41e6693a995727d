"""A malformed row never leaves a changed ledger: the run ends, the ledger is as before the row."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from backtest.data import _csv_table
from backtest.errors import DataError
from backtest.models import Bar
from backtest.runs.runner import BacktestRunner
from backtest.services.ledger.ledger import Row
from backtest.strategies import Strategy
from backtest.testing import assert_ledger_ok
from tests.harness import without_ids

from .test_malformed import CASES, HEADER

LONG = 3_000
"""Rows of a file that is read in several batches: the run is well under way at the bad row."""
BATCH = 1 << 15
"""Characters of a batch: about 1 300 rows, where usually there are eight times as many."""


def _good(number: int) -> str:
    return f"{1577836800 + 60 * number},12,14,11,{12 + number % 3},7000\n"


class Greedy(Strategy):
    """Trades all the time, so that whatever is processed is in the journal."""

    async def on_bar(self, bar: Bar) -> None:
        if bar.open_ns // (60 * 10**9) % 12:
            return
        await self.buy("BTCUSD", 1)
        await self.long("BTCUSD", 1, leverage=2)


def _run(path: Path, arguments: dict[str, Any]) -> tuple[BacktestRunner, DataError | None]:
    given = {name: value for name, value in arguments.items() if name != "symbol"}
    runner = BacktestRunner(
        strategies=Greedy(),
        data=path,
        pair="BTCUSD",
        cash="1000000 USD",
        stream=True,
        **given,
    )
    try:
        runner.run()
    except DataError as error:
        return runner, error
    return runner, None


@cache
def _reference(folder: Path) -> list[Row]:
    """The journal of the good rows, as if nothing bad had ever followed."""
    path = folder / "good.csv"
    path.write_text(HEADER + "".join(map(_good, range(LONG))))
    runner, error = _run(path, {"bar": "1m"})
    assert error is None
    return _rows(runner)


def _rows(runner: BacktestRunner) -> list[Row]:
    account: Any = runner.system.actors["account"]
    return list(account.ledger.rows())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("malformed")


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_a_run_over_it_ends_with_the_error_and_a_whole_ledger(
    case: Any, folder: Path, tmp_path: Path
) -> None:
    name, content, arguments, line, message = case
    if "symbol" in arguments or name in ("quotes", "quotes-no-header", "trades"):
        pytest.skip("a run takes files of one symbol, and quotes and trades as well")
    path = tmp_path / "bars.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    runner, error = _run(path, arguments)
    assert error is not None
    assert message in str(error)
    assert (error.source, error.line) == (str(path), line)
    if not hasattr(runner, "system"):
        return  # refused before there was a ledger
    assert_ledger_ok(runner.system)


@pytest.mark.parametrize("count", [2_750, LONG])
@pytest.mark.parametrize(
    "bad",
    [
        "{},12,abc,11,13,7\n",
        "{},12,14,11,nan,7\n",
        "{},12,14,11,-13,7\n",
        "{},12,11,14,13,7\n",
        "1546300800,12,14,11,13,7\n",
        "{},12,14\n",
    ],
)
def test_the_journal_is_that_of_the_rows_before_it(
    bad: str, count: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_csv_table, "_BATCH_CHARACTERS", BATCH)
    path = folder / "bad.csv"
    rest = [_good(number) for number in range(count + 1, LONG)]
    stamp = 1577836800 + 60 * count
    path.write_text(HEADER + "".join([*map(_good, range(count)), bad.format(stamp), *rest]))
    runner, error = _run(path, {"bar": "1m"})
    assert error is not None
    assert error.line == count + 2
    assert_ledger_ok(runner.system)
    rows, reference = _rows(runner), _reference(folder)
    assert len(rows) > 1000, "it was well under way"
    assert without_ids(rows) == without_ids(reference[: len(rows)])
    assert reference[len(rows)].entry == rows[-1].entry + 1, "no entry is posted by halves"
