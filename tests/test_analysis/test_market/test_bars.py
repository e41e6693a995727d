"""The tape cut into intervals, and the spread over time, worked out by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backtest.analysis.market.bars import interval_bars
from backtest.analysis.market.order_flow import Incoming
from backtest.analysis.market.spreads import (
    spread_per_volatility,
    spread_statistics,
    volatility_per_trade,
)
from backtest.errors import ConfigError
from backtest.times import SECOND
from tests.test_analysis.test_market.making import quote, trade


def test_each_trade_belongs_to_the_interval_it_ends_in() -> None:
    trades = [
        trade(0, "100", 1, "buy"),
        trade(5, "103", 2, "buy"),
        trade(10, "101", 4, "sell"),  # the end belongs to the interval
        trade(11, "102", 8, None),
    ]
    first, second = interval_bars(trades, 0, 20 * SECOND, 10 * SECOND)
    assert (first.open, first.high, first.low, first.close) == (
        Decimal(100), Decimal(103), Decimal(100), Decimal(101),
    )  # fmt: skip
    assert (first.volume, first.bought, first.sold, first.trades) == (
        Decimal(7), Decimal(3), Decimal(4), 3,
    )  # fmt: skip
    assert first.notional == Decimal(710)  # 100 + 206 + 404
    assert first.average_price == Decimal("101.42857143")  # 710 / 7
    # Of an auction nobody is the taker.
    assert (second.volume, second.bought, second.sold) == (Decimal(8), Decimal(0), Decimal(0))


def test_an_interval_without_a_trade_keeps_the_last_price() -> None:
    bars = interval_bars([trade(1, "100", 1)], 0, 25 * SECOND, 10 * SECOND)
    assert [bar.close_ns for bar in bars] == [10 * SECOND, 20 * SECOND, 25 * SECOND]
    assert bars[1].close == Decimal(100)
    assert bars[1].open is None
    assert bars[1].average_price is None


def test_before_the_first_trade_there_is_no_price() -> None:
    bars = interval_bars([trade(15, "100", 1)], 0, 20 * SECOND, 10 * SECOND)
    assert bars[0].close is None


def test_trades_before_the_span_give_their_price_and_no_volume() -> None:
    (bar,) = interval_bars([trade(1, "90", 1)], 5 * SECOND, 10 * SECOND, 10 * SECOND)
    assert (bar.close, bar.volume, bar.trades) == (Decimal(90), Decimal(0), 0)


def test_the_spread_of_an_interval_is_weighted_by_time() -> None:
    quotes = [
        quote(0, "99", "101"),  # 2 wide for 4 s
        quote(4, "99", "100"),  # 1 wide for 8 s, 6 of them in the first interval
        quote(12, None, "100"),  # empty for 4 s
        quote(16, "97", "100"),  # 3 wide for 4 s
    ]
    first, second = interval_bars([], 0, 20 * SECOND, 10 * SECOND, quotes)
    assert first.spread == Decimal("1.4")  # (2 x 4 + 1 x 6) / 10
    assert (first.bid, first.ask, first.mid) == (Decimal(99), Decimal(100), Decimal("99.5"))
    assert second.spread == Decimal("2.33333333")  # (1 x 2 + 3 x 4) / 6
    assert second.mid == Decimal("98.5")


def test_an_interval_with_a_side_empty_at_its_end_has_no_mid() -> None:
    (bar,) = interval_bars([], 0, 10 * SECOND, 10 * SECOND, [quote(0, None, "100")])
    assert bar.mid is None
    assert bar.spread is None


def test_an_interval_must_be_longer_than_nothing() -> None:
    with pytest.raises(ConfigError, match="longer than 0"):
        interval_bars([], 0, 10, 0)


def test_the_spread_over_time() -> None:
    quotes = [
        quote(0, "99", "101"),  # 2 wide, mid 100, for 6 s
        quote(6, "99", "100"),  # 1 wide, mid 99.5, for 2 s
        quote(8, "99", None),  # empty for 2 s
    ]
    found = spread_statistics(quotes, 10 * SECOND, Decimal("0.5"))
    assert found is not None
    assert found.mean == pytest.approx(1.75)  # (12 + 2) / 8
    assert found.mean_ticks == pytest.approx(3.5)
    assert found.mean_bp == pytest.approx((6 * 2 / 100 + 2 * 1 / 99.5) / 8 * 10_000)
    assert found.median == 2.0
    assert found.widest == 2.0
    assert found.one_sided == pytest.approx(0.2)


def test_without_quotes_there_is_no_spread() -> None:
    assert spread_statistics([], SECOND) is None
    assert spread_statistics([quote(0, "99", None)], SECOND) is None


def test_the_spread_in_volatilities_per_trade() -> None:
    # The mid goes up and down by 0.001 from one order to the next: volatility 0.001. The spread of
    # 0.2 at a mid of 100 is 20 bp, so 2 of them.
    orders = [Incoming(0, 1, 1.0, 1, 4.6 + 0.001 * (place % 2), None) for place in range(60)]
    assert volatility_per_trade(orders) == pytest.approx(0.001)
    spread = spread_statistics([quote(0, "99.9", "100.1")], SECOND)
    assert spread_per_volatility(spread, orders) == pytest.approx(2)
    assert spread_per_volatility(None, orders) is None
    assert volatility_per_trade(orders[:40]) is None
