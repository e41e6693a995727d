"""Equity over time: each row by hand, and what it must agree with."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

import backtest
from backtest.analysis.curve import CurveRow
from backtest.analysis.result import RunResult
from backtest.analysis.statistics.drawdowns import drawdowns
from backtest.data import synthetic_bars
from backtest.errors import ConfigError, FieldError
from backtest.strategies import SmaCross, Strategy
from backtest.times import HOUR, from_ns
from tests.test_analysis.runs import START, busy_run, small_run


@pytest.fixture(scope="module")
def small() -> RunResult:
    return small_run()


@pytest.fixture(scope="module")
def busy() -> RunResult:
    return busy_run()


@pytest.fixture(scope="module")
def long() -> RunResult:
    """A thousand hours and more of a strategy that trades."""
    market = synthetic_bars("BTCUSD", 1_200, bar="1h", seed=7)
    return backtest.run(
        SmaCross(volume="0.01"),
        data=market,
        cash="10000 USD",
        rules={"fees": {"fill": {"percent_of_notional": "0.001"}}},
        seed=7,
    )


def test_a_row_per_bar_from_the_opening_equity(small: RunResult) -> None:
    # The table at the top of `test_metrics`: after the second bar 2 BTC at 108, after the third
    # these and 1 long at 120, then 1 and 1 at 114, then 1 at 90, then nothing.
    rows = small.equity.rows
    assert rows[0] == CurveRow(START, D(1000), None, None)
    expected = [
        ("1000", "0"), ("1011.79", "216"), ("1045.68", "360"), ("1028.56", "228"),
        ("1002.44", "90"), ("1007.34", "0"),
    ]  # fmt: skip
    assert list(rows[1:]) == [
        CurveRow(START + hour * HOUR, D(equity), D(held), D(held))
        for hour, (equity, held) in enumerate(expected, 1)
    ]
    assert small.equity.basis == "event"


def test_what_strategies_warm_up_on_is_not_of_the_run() -> None:
    # Two days of hours after three hours to warm up on, of which the last closes at the start.
    market = list(synthetic_bars("BTCUSD", 100, bar="1h", seed=7))
    start, end = market[10].open_ns, market[57].close_ns
    result = backtest.run(
        SmaCross(volume="0.01", fast=2, slow=3),
        data=market,
        cash=["10000 USD", "1 BTC"],
        pair="BTCUSD",
        start=from_ns(start),
        end=from_ns(end),
        warmup="3 bars",
    )
    samples = result.equity.samples
    assert [time for time, _ in samples] == [start + hour * HOUR for hour in range(49)]
    assert samples[0][1] == 10000 + market[9].close == result.summary["start_equity"]
    assert samples[-1][1] == result.final_equity
    assert len(result.period_returns("bar")) == result.valuation.moments == 48
    assert min(trade.entry_ns for trade in result.trades) >= start
    assert result.verify(data=True).ok


def test_positions_are_tables_too(small: RunResult) -> None:
    positions = small.positions
    first = positions.to_dicts()[0]
    assert first == {
        "timestamp": from_ns(START),
        "name": "USD",
        "kind": "owned",
        "size": 1000.0,
    }
    assert isinstance(first["size"], float)
    assert positions.to_dicts(exact=True)[0]["size"] == D(1000)
    assert len(positions) == len(positions.to_dicts()) == len(list(positions))
    assert positions[0].name == "USD"


def test_positions_in_pandas_are_numeric_in_utc(small: RunResult) -> None:
    pytest.importorskip("pandas")
    frame = small.positions.to_pandas()
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    assert str(frame["size"].dtype) == "float64"
    assert set(frame["name"]) == {"USD", "BTC", "BTCUSD"}
    assert list(frame.columns) == ["name", "kind", "size"]
    assert small.positions.to_pandas(exact=True)["size"].iloc[0] == D(1000)


def test_positions_in_polars_are_numeric_in_utc(small: RunResult) -> None:
    polars = pytest.importorskip("polars")
    frame = small.positions.to_polars()
    assert frame.schema["size"] == polars.Float64
    assert frame.schema["kind"] == polars.String


def test_what_never_traded_turned_over_nothing() -> None:
    market = synthetic_bars("BTCUSD", 50, bar="1h", seed=7)
    idle = backtest.run(Strategy(), data=market, cash="10000.55 USD")
    assert str(idle.turnover) == "0"


def test_positions_are_told_where_they_change(small: RunResult) -> None:
    told = [(row.time_ns // HOUR, row.name, row.size) for row in small.positions if row.size != 0]
    begin = START // HOUR
    assert (begin + 2, "BTC", D(2)) in told
    assert (begin + 3, "BTCUSD", D(1)) in told
    assert (begin + 4, "BTC", D(1)) in told


@pytest.mark.parametrize("name", ["small", "busy", "long"])
def test_the_curve_agrees_with_the_figures(name: str, request: pytest.FixtureRequest) -> None:
    result: RunResult = request.getfixturevalue(name)
    samples = result.equity.samples
    # It begins and ends as the summary does, and goes through the table of equity.
    assert samples[0][1] == result.summary["start_equity"]
    assert samples[-1][1] == result.final_equity
    known = dict(samples)
    for time, equity in result.valuation.samples:
        if time > result.valuation.first_ns:
            assert known[time] == equity
    # Its deepest fall is the run's.
    falls = drawdowns(samples)
    assert max((one.fall for one in falls), default=D(0)) == result.summary["max_drawdown"]


def test_returns_of_any_period_come_to_the_same(long: RunResult) -> None:
    whole = long.final_equity / long.summary["start_equity"]
    for period in ("bar", "hour", "day", "week", "month"):
        grown = D(1)
        for _, share in long.period_returns(period):
            grown *= 1 + share
        assert abs(grown - whole) < D("1e-20")
    with pytest.raises(ConfigError, match="the period must be one of"):
        long.period_returns("fortnight")


def test_without_the_data_there_is_a_row_for_each_hour() -> None:
    result = small_run()
    result.sources = {}
    assert result.equity.basis == "hour"
    assert result.equity.why == "the market data of the run is not at hand"
    assert result.equity.samples[1:] == result.valuation.samples
    with pytest.raises(ConfigError, match="no returns per bar: the market data"):
        result.period_returns("bar")


def test_frames_have_an_index_in_utc_and_numbers(long: RunResult) -> None:
    pd = pytest.importorskip("pandas")
    frame = long.equity.to_pandas()
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    assert frame.index.name == "timestamp"
    assert {str(kind) for kind in frame.dtypes} == {"float64"}
    assert frame["equity"].iloc[-1] == float(long.final_equity)
    assert long.equity.to_pandas(exact=True)["equity"].iloc[-1] == long.final_equity
    returns = long.returns("day")
    assert returns.name == "returns"
    assert str(returns.index.dtype) == "datetime64[ns, UTC]"
    assert len(returns) == long.statistics["daily_returns"]
    quantstats = long.to_quantstats()
    assert quantstats.index.tz is None
    assert quantstats.index[0] == pd.Timestamp(long.period[0].date())
    assert list(quantstats) == list(returns)


def test_dicts_are_floats_unless_they_are_to_be_exact(small: RunResult) -> None:
    row = small.equity.to_dicts()[2]
    assert row == {
        "timestamp": row["timestamp"],
        "equity": 1011.79,
        "net_exposure": 216.0,
        "gross_exposure": 216.0,
    }
    assert row["timestamp"].isoformat() == "2024-01-01T02:00:00+00:00"
    assert small.equity.to_dicts(exact=True)[2]["equity"] == D("1011.79")


def test_costs_doubled_and_halved_are_the_fees_of_the_ledger(small: RunResult) -> None:
    # Fees 0.21 + 0.11 + 0.12 + 0.12 + 0.10 = 0.66 in all: of 1007.34, 0.66 less and 0.33 more.
    double, half = small.costs()
    assert (double.factor, double.final_equity, double.profit) == (D(2), D("1006.68"), D("6.68"))
    assert (half.factor, half.final_equity, half.profit) == (D("0.5"), D("1007.67"), D("7.67"))
    (free,) = small.costs(0)
    assert free.final_equity == D(1008)


def test_turnover_is_what_was_traded_over_mean_equity(small: RunResult) -> None:
    # 204 + 110 + 115 + 112 + 95 = 636 over the mean of 1000 and 1007.34, the ends of the one day.
    assert small.turnover is not None
    assert abs(small.turnover - D(636) / D("1003.67")) < D("1e-20")


def test_what_a_figure_is_worth(long: RunResult, small: RunResult) -> None:
    found = long.confidence(trials=20, seed=1)
    assert found == long.confidence(trials=20, seed=1)
    assert found.sharpe is not None
    assert found.cagr is not None
    assert found.sharpe.estimate == pytest.approx(float(long.statistics["sharpe"]), abs=1e-6)
    assert 100 * found.cagr.estimate == pytest.approx(
        float(long.statistics["cagr_percent"]), abs=1e-4
    )
    assert found.sharpe.low < found.sharpe.estimate < found.sharpe.high
    assert found.probabilistic_sharpe is not None
    assert found.deflated_sharpe is not None
    assert found.deflated_sharpe < found.probabilistic_sharpe
    with pytest.raises(FieldError, match="trials"):
        long.confidence(trials=0)
    short = small.confidence()
    assert short.sharpe is short.cagr is None
    assert short.probabilistic_sharpe is None
    assert short.not_annualised == "the run spans 6h, less than 30 days"


def test_beside_buy_and_hold(long: RunResult, small: RunResult) -> None:
    beside = long.beside_buy_and_hold()
    assert beside.beta is not None
    assert beside.information_ratio is not None
    with pytest.raises(ConfigError, match="the run spans 6h, less than 30 days"):
        small.beside_buy_and_hold()


def test_a_statistic_that_was_changed_is_found(long: RunResult) -> None:
    assert long.verify().ok
    told = long.tables.facts["summary"]
    for name, value in dict(told["statistics"]).items():
        told["statistics"][name] = "17"
        assert not long.verify().ok, name
        told["statistics"][name] = value
    told["buy_and_hold"]["final_equity"] += "1"
    assert not long.verify().ok
