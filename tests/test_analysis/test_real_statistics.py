"""Statistics of runs on real data, beside what quantstats and empyrical-reloaded make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.analysis.result import RunResult
from backtest.strategies import Rebalancer, SmaCross

FOLDER = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared data are not here")
FILES = (
    ("bitstamp_btcusd_day_2015.csv", "BTCUSD", "100000 USD"),
    ("binance_btcusdt_day_2020.csv", "BTCUSDT", "100000 USDT"),
)


@pytest.fixture(scope="module", params=FILES, ids=[file for file, _, _ in FILES])
def year(request: pytest.FixtureRequest) -> RunResult:
    file, pair, cash = request.param
    return backtest.run(
        SmaCross(pair=pair, volume="5"),
        data=str(FOLDER / file),
        pair=pair,
        cash=cash,
        bar="1d",
        rules={"fees": {"fill": {"percent_of_notional": "0.001"}}},
    )


def of_ours(result: RunResult, *names: str) -> dict[str, float]:
    return {name: float(result.statistics[name]) for name in names}


# Shares are told to six digits, so hundredths to four.
ABOUT = 6e-5


def test_figures_are_those_of_quantstats(year: RunResult) -> None:
    pytest.importorskip("pandas")
    theirs: Any = pytest.importorskip("quantstats").stats
    returns = year.to_quantstats()
    expected = {
        "sharpe": theirs.sharpe(returns, periods=365),
        "sortino": theirs.sortino(returns, periods=365),
        "calmar": theirs.calmar(returns, periods=365),
        "omega": theirs.omega(returns, periods=365),
        "cagr_percent": 100 * theirs.cagr(returns, periods=365),
        "volatility_percent": 100 * theirs.volatility(returns, periods=365),
        "best_day_percent": 100 * theirs.best(returns),
        "worst_day_percent": 100 * theirs.worst(returns),
    }
    assert of_ours(year, *expected) == pytest.approx(expected, abs=ABOUT)
    # Looked at once a day, as the bars are, equity fell as far as the summary says.
    deepest = float(year.summary["max_drawdown_percent"])
    assert -100 * theirs.max_drawdown(returns) == pytest.approx(deepest, abs=ABOUT)


def test_figures_are_those_of_empyrical(year: RunResult) -> None:
    pytest.importorskip("pandas")
    theirs: Any = pytest.importorskip("empyrical", reason="empyrical-reloaded is not installed")
    returns = year.to_quantstats()
    expected = {
        "sharpe": theirs.sharpe_ratio(returns, annualization=365),
        "sortino": theirs.sortino_ratio(returns, annualization=365),
        "calmar": theirs.calmar_ratio(returns, annualization=365),
        "omega": theirs.omega_ratio(returns),
        "cagr_percent": 100 * theirs.annual_return(returns, annualization=365),
        "volatility_percent": 100 * theirs.annual_volatility(returns, annualization=365),
        "var_95_percent": 100 * theirs.value_at_risk(returns),
        "cvar_95_percent": 100 * theirs.conditional_value_at_risk(returns),
    }
    assert of_ours(year, *expected) == pytest.approx(expected, abs=ABOUT)


def test_beside_buy_and_hold_as_pandas_has_it(year: RunResult) -> None:
    pd: Any = pytest.importorskip("pandas")
    closes = [float(bar.close) for bar in next(iter(year.sources.values()))]
    held = pd.Series(closes).pct_change().fillna(0)
    own = year.to_quantstats().reset_index(drop=True)
    beside, away = year.beside_buy_and_hold(), own - held
    beta = own.cov(held) / held.var()
    # What is held is told to six digits of money.
    assert float(beside.beta or 0) == pytest.approx(beta, abs=1e-9)
    alpha = (own.mean() - beta * held.mean()) * 365
    assert float(beside.alpha or 0) == pytest.approx(alpha, abs=1e-9)
    assert float(beside.correlation or 0) == pytest.approx(own.corr(held), abs=1e-9)
    ratio = away.mean() / away.std() * 365**0.5
    assert float(beside.information_ratio or 0) == pytest.approx(ratio, abs=1e-7)
    gained = 100 * (closes[-1] / closes[0] - 1)
    told = float(year.summary["buy_and_hold"]["return_percent"])
    assert told == pytest.approx(gained, abs=ABOUT)


def test_returns_of_any_period_come_to_the_return_of_the_run(year: RunResult) -> None:
    for period in ("bar", "day", "week", "month"):
        grown = 1.0
        for _, one in year.period_returns(period):
            grown *= 1 + float(one)
        assert grown - 1 == pytest.approx(float(year.summary["return"]), abs=1e-6)


def test_it_verifies_on_its_data(year: RunResult) -> None:
    verification = year.verify(data=True)
    assert verification.ok, verification.problems


def test_trades_and_statistics_of_a_portfolio_add_up() -> None:
    file, pair, cash = FILES[0]
    result = backtest.run(Rebalancer(), data=str(FOLDER / file), pair=pair, cash=cash, bar="1d")
    assert sum(result.trades.pnl.values()) == result.summary["profit"]
    found = result.trades.statistics
    assert found.won - found.lost == result.summary["trade_pnl"]
    assert found.trades == result.summary["trades"] > 0
