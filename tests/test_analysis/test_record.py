"""What a run left is enough for tables, figures, checks and reports: they need no `RunResult`."""

from __future__ import annotations

from backtest.analysis.record import RunRecord
from backtest.analysis.report.path_interval import path_interval
from backtest.analysis.report.refusals import refusals_of
from backtest.analysis.report.report import report
from backtest.analysis.tables.facts import RunTables
from backtest.analysis.tables.tables import COLUMNS
from backtest.analysis.verify.verify import verify_tables
from backtest.data import synthetic_bars
from backtest.runs.runner import BacktestRunner
from backtest.strategies.library.sma_cross import SmaCross


def test_all_that_is_made_of_a_run_is_made_of_its_record() -> None:
    data = synthetic_bars("BTCUSD", 200, seed=3, bar="1h")
    runner = BacktestRunner(strategies=SmaCross(fast=2, slow=5), data=data, cash="10000 USD")
    result = runner.run()
    record = RunRecord(**runner.parts.left(), notices=result.notices)
    assert len(record.fills) > 10
    tables = RunTables(record)
    assert verify_tables(tables).ok
    for name in COLUMNS:
        assert list(tables.rows(name)) == list(result.tables.rows(name))
    assert tables.facts == result.tables.facts
    assert report(record, tables.summary) == result.report()
    assert refusals_of(record) == result.refusals
    assert path_interval(record, None).low == result.final_equity
