"""The figures of a run, worked out by hand."""

from __future__ import annotations

import statistics
from decimal import Decimal as D

import pytest

import backtest
from backtest.analysis.metrics import plain_summary
from backtest.analysis.result import RunResult
from backtest.analysis.statistics.figures import daily_of, figures_of
from backtest.models import Asset, Bar, TradingPair
from backtest.strategies import Strategy
from backtest.times import DAY, HOUR
from tests.test_analysis.runs import START, hourly, small_run

# The small run, hour by hour. Fees are 0.1 %, rounded up to the cent.
#
#   bar  open..close   what happens                            USD       BTC  equity at the close
#    1   100..100      decides to buy 2                      1000.00     0    1000.00
#    2   102..108      2 bought at 102: 204.00, fee 0.21      795.79     2    795.79 + 216 = 1011.79
#                      decides to go long 1, leverage 2
#    3   110..120      long 1 at 110, fee 0.11                795.68     2    + 240 + 10  = 1045.68
#                      decides to sell 1
#    4   115..114      1 sold at 115, fee 0.12 (0.115)        910.56     1    + 114 +  4  = 1028.56
#                      decides to close the bet
#    5   112.. 90      closed at 112: +2, fee 0.12 (0.112)    912.44     1    +  90       = 1002.44
#                      decides to sell 1
#    6    95.. 95      1 sold at 95, fee 0.10 (0.095)        1007.34     0    1007.34
EQUITIES = [1000, 1000, 1011.79, 1045.68, 1028.56, 1002.44, 1007.34]


@pytest.fixture(scope="module")
def small() -> RunResult:
    return small_run()


def test_equity_return_and_period(small: RunResult) -> None:
    summary = small.summary
    assert summary["start_equity"] == D(1000)
    assert summary["final_equity"] == D("1007.34")
    assert summary["profit"] == D("7.34")
    assert summary["return"] == D("0.00734")
    assert summary["return_percent"] == D("0.734")
    assert summary["start"] == "2024-01-01T00:00:00+00:00"
    assert summary["end"] == "2024-01-01T06:00:00+00:00"
    assert summary["days"] == D("0.25")
    assert summary["bars"] == 6


def test_drawdown_is_the_deepest_fall_from_a_peak(small: RunResult) -> None:
    # From 1045.68 to 1002.44: 43.24, which is 4.135108 % of 1045.68.
    assert small.summary["max_drawdown"] == D("43.24")
    assert small.summary["max_drawdown_percent"] == D("4.1351")


def test_trades_are_round_trips_of_both_kinds_of_orders(small: RunResult) -> None:
    # The two bitcoin cost 204.21 with the fee, one of them 102.105, to the even cent 102.10.
    #   first sale   115 - 0.12 - 102.10 = +12.78
    #   second sale   95 - 0.10 - 102.11 =  -7.21   (the rest of the cost)
    #   the bet        2 - 0.11 -   0.12 =  +1.77
    # What is bought first is sold first; of one purchase that is the same as at average cost.
    assert [(one.order_kind, one.pnl) for one in small.trades] == [
        ("spot", D("12.78")),
        ("trading", D("1.77")),
        ("spot", D("-7.21")),
    ]
    summary = small.summary
    assert (summary["trades"], summary["wins"], summary["losses"]) == (3, 2, 1)
    assert summary["win_rate_percent"] == D("66.6667")
    assert summary["profit_factor"] == D("2.018031")  # 14.55 / 7.21 = 2.01803051...
    assert summary["trade_pnl"] == summary["profit"]  # nothing is open, so that is all there is


def test_fees_by_stage_and_asset(small: RunResult) -> None:
    # Fill: 0.21 + 0.11 + 0.12 + 0.10.
    fees = small.summary["fees"]
    assert fees["fill"] == {"USD": D("0.54")}
    assert fees["close"] == {"USD": D("0.12")}
    assert fees["create"] == fees["cancel"] == fees["overnight"] == {}
    assert small.summary["fees_total"] == {"USD": D("0.66")}


def test_exposure_is_the_share_of_bars_with_something_that_moves(small: RunResult) -> None:
    # From the bar of the fill, the second, to that of the last sale, the sixth: five of six.
    assert small.summary["exposure_percent"] == D("83.3333")


class Within(Strategy):
    """A bracket on each bar, opened and closed within the next."""

    async def on_bar(self, bar: Bar) -> None:
        if not self.position("BTCUSD") and not self.open_orders():
            await self.long("BTCUSD", 1, stop_loss=95, take_profit=105)


def test_a_bar_counts_as_exposed_whose_bracket_opens_and_closes_within_it() -> None:
    # The first bar only sees the order; on each of the other four it is opened and closed.
    bars = hourly("BTCUSD", *[("100", "106", "100", "100")] * 5)
    result = backtest.run(Within(), data=bars, pair="BTCUSD", cash="1000 USD")
    assert len(result.fills) == 8
    assert result.summary["exposure_percent"] == D(80)
    assert "exposure      80.00 % of the bars" in result.report()


def test_counts(small: RunResult) -> None:
    summary = small.summary
    assert summary["orders"] == 4  # two buys (one a bet) and two sales; a close is no order
    assert summary["orders_by_status"] == {"FILLED": 3, "CLOSED": 1}
    assert summary["fills"] == 5
    assert summary["rejections"] == summary["ambiguous_fills"] == summary["liquidations"] == 0
    assert summary["transactions"] == len(small.transactions)


def test_of_less_than_thirty_days_nothing_is_annualised(small: RunResult) -> None:
    # Six hours tell nothing of a year: the ratio of hourly returns times √8760 was a large number
    # without a meaning.
    assert small.summary["sharpe"] is None
    assert small.summary["sharpe_basis"] == "too short"
    assert "Sharpe        not annualised: the run spans 6h" in small.report()


def test_sharpe_of_thirty_days_is_of_daily_equity() -> None:
    # Equity after each of 30 days: up 1 % on odd days, down 0.5 % on even ones.
    equity, samples = 1000.0, []
    returns = []
    for day in range(30):
        change = 0.01 if day % 2 == 0 else -0.005
        equity *= 1 + change
        returns.append(change)
        # A sample within the day, which does not count, and one at its end, which does.
        samples.append((START + day * DAY + HOUR, D(1)))
        samples.append((START + (day + 1) * DAY, D(repr(round(equity, 12)))))
    days = daily_of(samples, D(1000), START, START + 30 * DAY)
    expected = statistics.mean(returns) / statistics.stdev(returns) * 365**0.5
    assert days.annual.basis == "daily"
    assert float(figures_of(days)["sharpe"]) == pytest.approx(expected, abs=1e-5)


def test_buying_and_holding_the_same_data_is_beside_it(small: RunResult) -> None:
    # 1000 at 100 are 10, which are 950 at 95.
    assert small.summary["buy_and_hold"] == {"final_equity": D(950), "return_percent": D(-5)}
    assert "buy and hold  -5.00 %  (950.00 USD in the end, without fees)" in small.report()


class Idle(Strategy):
    pass


def test_a_run_without_orders_has_no_ratios_and_no_trades() -> None:
    bars = hourly("BTCUSD", ("100", "110", "90", "105"), ("105", "110", "90", "95"))
    summary = backtest.run(Idle(), data=bars, pair="BTCUSD", cash="50 USD").summary
    assert summary["final_equity"] == D(50)
    assert summary["return"] == D(0)
    assert summary["sharpe"] is None
    assert summary["win_rate_percent"] is None
    assert summary["profit_factor"] is None
    assert summary["trades"] == 0
    assert summary["max_drawdown"] == D(0)
    assert summary["exposure_percent"] == D(0)


def test_what_was_owned_at_the_start_counts_at_the_first_price() -> None:
    # 50 USD and 2 BTC at the first close, 105, are 260; at the last, 95, 240. The fall is
    # 20 of 260, 7.692308 %.
    bars = hourly("BTCUSD", ("100", "110", "90", "105"), ("105", "110", "90", "95"))
    cash = {"USD": "50", "BTC": "2"}
    summary = backtest.run(Idle(), data=bars, pair="BTCUSD", cash=cash).summary
    assert summary["start_equity"] == D(260)
    assert summary["final_equity"] == D(240)
    assert summary["return"] == D("-0.076923")
    assert summary["max_drawdown"] == D(20)
    assert summary["exposure_percent"] == D(100)


class SellsOwn(Strategy):
    async def on_bar(self, bar: Bar) -> None:
        if not self.open_orders():
            await self.sell("BTCUSD", 1)


def test_a_sale_of_what_was_owned_at_the_start_is_a_round_trip_from_the_first_price() -> None:
    # Decided at the first close, 105; sold at the next open, 104: a loss of 1.
    bars = hourly("BTCUSD", ("100", "110", "90", "105"), ("104", "110", "90", "95"))
    run = backtest.run(SellsOwn(), data=bars, pair="BTCUSD", cash={"USD": "50", "BTC": "2"})
    assert [(one.order_kind, one.pnl) for one in run.trades.closed] == [("spot", D(-1))]


class PaysToAsk(Strategy):
    """Buys 3 in two orders, one of which never fills, and sells 2 of them."""

    async def on_bar(self, bar: Bar) -> None:
        self.seen = getattr(self, "seen", 0) + 1
        if self.seen == 1:
            await self.buy("BTCUSD", 3)
            await self.buy("BTCUSD", 1, limit_price=1)
        elif self.seen == 2:
            await self.sell("BTCUSD", 2)


def test_create_fees_belong_to_the_trade_of_their_chain() -> None:
    # 5 USD for each order created. 3 bought at 100: 300 + 5 = 305, the other order's 5 belong to
    # no trade. 2 sold at 120: 240 - 5 = 235, less 2/3 of 305 = 203.333..., to the cent 203.33.
    bars = hourly(
        "BTCUSD",
        ("90", "90", "90", "90"),
        ("100", "110", "90", "105"),
        ("120", "120", "120", "120"),
    )
    pair = TradingPair("BTCUSD", "BTC", Asset("USD", 2))
    rules = {"fees": {"create": {"flat_per_trade": "5"}}}
    run = backtest.run(PaysToAsk(), data={pair: bars}, cash="1000 USD", rules=rules)
    assert [(one.order_kind, one.pnl) for one in run.trades.closed] == [("spot", D("31.67"))]


class Spendthrift(Strategy):
    """Is refused twice."""

    async def on_bar(self, bar: Bar) -> None:
        for volume in (1000, "0.000000001"):
            try:
                await self.buy("BTCUSD", volume)
            except ValueError:
                pass


def test_refusals_are_counted_by_reason() -> None:
    bars = hourly("BTCUSD", ("100", "110", "90", "105"))
    summary = backtest.run(Spendthrift(), data=bars, pair="BTCUSD", cash="50 USD", bar="1h").summary
    assert summary["rejections"] == 2
    assert summary["rejections_by_reason"] == {"INSUFFICIENT_FUNDS": 1, "VOLUME_INCREMENT": 1}


def test_the_summary_as_json_takes_it_holds_no_decimal(small: RunResult) -> None:
    plain = plain_summary(small.summary)
    assert plain["final_equity"] == "1007.34"
    assert plain["fees"]["fill"] == {"USD": "0.54"}
    assert plain["bars"] == 6
    assert not any(isinstance(value, D) for value in plain.values())
