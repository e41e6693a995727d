"""Figures of trades, by hand."""

from __future__ import annotations

import json
from decimal import Decimal as D
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from backtest.analysis.statistics.trade_statistics import (
    OneTrade,
    figures_of_trades,
    trade_statistics,
)
from backtest.analysis.trades.trades import Trades
from backtest.analysis.verify.verify import verify_run
from backtest.errors import ConfigError
from backtest.times import HOUR
from tests.test_analysis.runs import small_run


def test_figures_by_hand() -> None:
    trades = [
        OneTrade(D(10), D("0.1"), HOUR),
        OneTrade(D(20), D("0.2"), 3 * HOUR),
        OneTrade(D(-6), D("-0.06"), 2 * HOUR),
        OneTrade(D(0), D(0), None),
        OneTrade(D(-4), None, 2 * HOUR),
        OneTrade(D(-2), None, 2 * HOUR),
    ]
    found = trade_statistics(trades)
    assert (found.trades, found.wins, found.losses) == (6, 2, 3)
    assert (found.won, found.lost) == (D(30), D(12))
    assert found.average == D(3)  # 18 of six
    assert found.average_return == D("0.06")  # 0.24 of the four that are known
    assert (found.average_win, found.average_loss) == (D(15), D(4))
    assert found.payoff == D("3.75")
    assert found.expectancy == D("0.75")  # 3 for each 4 at risk
    assert found.profit_factor == D("2.5")
    assert (found.best, found.worst) == (D(20), D(-6))
    assert found.longest_winning_streak == 2
    assert found.longest_losing_streak == 2  # the zero ended the first
    assert found.average_duration_ns == 2 * HOUR
    assert found.longest_duration_ns == 3 * HOUR


def test_what_rounds_to_nothing_has_no_sign() -> None:
    told = figures_of_trades(trade_statistics([OneTrade(D("-0.0000001"), D("-1e-9"), HOUR)]))
    assert str(told["average"]) == str(told["average_return_percent"]) == "0.000000"


def test_statistics_of_a_run_are_of_its_trades() -> None:
    # The three trades of the small run: +12.78 of 102.105 (two hours), +1.77, -7.21. On average
    # 7.34 / 3 = 2.446667; winners 7.275, the loser 7.21.
    result = small_run()
    told = result.summary["trade_statistics"]
    assert told == result.trade_statistics
    assert told["average"] == D("2.446667")
    assert (told["average_win"], told["average_loss"]) == (D("7.275"), D("7.21"))
    assert told["payoff"] == D("1.009015")
    assert told["expectancy"] == D("0.339344")  # 2.44666… / 7.21
    assert (told["best"], told["worst"]) == (D("12.78"), D("-7.21"))
    assert (told["longest_winning_streak"], told["longest_losing_streak"]) == (2, 1)
    # Entered at 01:00, 02:00 and 01:00, over at 03:00, 04:00 and 05:00: 2, 2 and 4 hours.
    assert told["average_duration_seconds"] == D(9600)
    assert told["longest_duration_seconds"] == D(14400)
    found = result.trades.statistics
    assert (found.won, found.lost) == (D("14.55"), D("7.21"))
    assert found.won - found.lost == result.summary["trade_pnl"]
    assert result.trades.where(order_kind="trading").statistics.average == D("1.77")
    assert result.trades[:0].statistics.average is None


def test_statistics_of_trades_in_several_assets_are_refused() -> None:
    one = small_run().trades[0]
    trades = Trades([one, evolve(one, asset_code="EUR")])
    with pytest.raises(ConfigError, match="in EUR and USD: choose one"):
        trades.statistics  # noqa: B018
    assert trades.where(asset_code="EUR").statistics.trades == 1


@pytest.mark.parametrize("name", ["average", "expectancy", "longest_losing_streak"])
def test_forged_statistics_of_trades_are_found(tmp_path: Path, name: str) -> None:
    result = small_run()
    result.write(tmp_path)
    path = tmp_path / "run.json"
    facts = json.loads(path.read_text("utf-8"))
    facts["summary"]["trade_statistics"][name] = "3"
    path.write_text(json.dumps(facts), "utf-8")
    verification = verify_run(tmp_path)
    assert not verification.ok
    assert any("trade_statistics" in one for one in verification.problems)


def test_of_no_trades_nothing_is_defined() -> None:
    found = trade_statistics([])
    assert found.trades == 0
    assert found.average is found.payoff is found.expectancy is found.profit_factor is None
    assert found.best is found.worst is None
    assert found.average_duration_ns is None
    assert found.longest_winning_streak == 0


@given(st.lists(st.decimals(-1000, 1000, places=2), max_size=40))
def test_what_was_won_less_what_was_lost_is_the_sum(pnls: list[D]) -> None:
    found = trade_statistics([OneTrade(one, None, None) for one in pnls])
    assert found.won - found.lost == sum(pnls, D(0))
    assert found.wins + found.losses <= found.trades == len(pnls)
