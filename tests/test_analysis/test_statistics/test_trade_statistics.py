"""Figures of trades, by hand."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from backtest.analysis.statistics.trade_statistics import OneTrade, trade_statistics
from backtest.times import HOUR


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
