"""Incoming orders, their signs and their impact, on tapes worked out by hand."""

from __future__ import annotations

from math import log

import pytest

from backtest.analysis.market.order_flow import (
    Incoming,
    impact_of,
    incoming_orders,
    sign_autocorrelation,
)
from tests.test_analysis.test_market.making import quote, trade


def test_an_order_that_walks_through_levels_is_one_order() -> None:
    trades = [
        trade(1, "100", 5, "buy", order=1),
        trade(1, "101", 7, "buy", order=1),
        trade(2, "100", 3, "sell", order=2),
    ]
    first, second = incoming_orders(trades)
    assert (first.sign, first.volume, first.trades) == (1, 12.0, 2)
    assert (second.sign, second.volume, second.trades) == (-1, 3.0, 1)


def test_two_orders_of_one_moment_are_two() -> None:
    trades = [trade(1, "100", 5, order=1), trade(1, "100", 5, order=2)]
    assert [one.volume for one in incoming_orders(trades)] == [5.0, 5.0]


def test_an_order_that_comes_in_again_later_is_another() -> None:
    # A stop-limit order, say, or one that an amendment made marketable again.
    trades = [trade(1, "100", 5, order=1), trade(2, "100", 5, order=1)]
    assert len(incoming_orders(trades)) == 2


def test_trades_of_an_auction_have_no_sign_and_are_left_out() -> None:
    assert incoming_orders([trade(1, "100", 5, None)]) == []


def test_the_price_is_the_mid_before_and_after() -> None:
    quotes = [quote(0, "99", "101"), quote(1, "99", "103"), quote(5, "1", "3")]
    (order,) = incoming_orders([trade(1, "101", 5, "buy", order=1)], quotes)
    # Before: 100, of time 0. After: 101, of the order's own time; what comes later is another's.
    assert order.before == pytest.approx(log(100))
    assert order.after == pytest.approx(log(101))
    assert order.move == pytest.approx(log(101) - log(100))


def test_a_sell_that_lowers_the_price_moved_it_its_own_way() -> None:
    quotes = [quote(0, "99", "101"), quote(1, "97", "101")]
    (order,) = incoming_orders([trade(1, "99", 5, "sell", order=1)], quotes)
    assert order.move == pytest.approx(log(100) - log(99))


def test_quotes_of_one_side_have_no_mid() -> None:
    quotes = [quote(0, "99", "101"), quote(0.5, "99", None), quote(1, None, "103")]
    (order,) = incoming_orders([trade(1, "101", 5, "buy", order=1)], quotes)
    assert order.move == 0.0  # the last mid that there was, before and after


def test_before_the_first_quote_nothing_is_known() -> None:
    (order,) = incoming_orders([trade(1, "101", 5, "buy", order=1)], [quote(1, "99", "101")])
    assert order.before is None
    assert order.move is None


def test_without_quotes_the_last_trade_stands_for_the_price() -> None:
    first, second = incoming_orders(
        [trade(1, "100", 5, "buy", order=1), trade(2, "102", 5, "buy", order=2)]
    )
    assert first.move is None
    assert second.move == pytest.approx(log(102) - log(100))


def orders(moves: dict[float, float], each: int = 20) -> list[Incoming]:
    """Orders by volume, each of which moves the price as it says; buys and sells in turn."""
    return [
        Incoming(number, sign, volume, 1, 4.0, 4.0 + sign * move)
        for volume, move in moves.items()
        for number, sign in enumerate([1, -1] * (each // 2))
    ]


def test_a_square_root_impact_is_found() -> None:
    # Mean move 0.001 sqrt(volume), exactly: the exponent is 0.5 without an error.
    impact = impact_of(orders({v: 0.001 * v**0.5 for v in (1.0, 4.0, 9.0, 16.0, 100.0)}))
    assert impact is not None
    assert impact.exponent == pytest.approx(0.5)
    assert impact.exponent_error == pytest.approx(0, abs=1e-6)
    assert impact.orders == 100
    # 0.001 x (1 + 2 + 3 + 4 + 10) / 5
    assert impact.mean_move == pytest.approx(0.004)


def test_a_linear_impact_has_kyles_lambda() -> None:
    impact = impact_of(orders({v: 0.002 * v for v in (1.0, 2.0, 3.0)}))
    assert impact is not None
    assert impact.exponent == pytest.approx(1)
    assert impact.linear is not None
    assert impact.linear.slope == pytest.approx(0.002)
    assert impact.linear.intercept == pytest.approx(0, abs=1e-12)


def test_orders_of_one_volume_are_in_one_bin() -> None:
    impact = impact_of(orders({1.0: 0.1, 2.0: 0.2, 3.0: 0.4}, each=40))
    assert impact is not None
    assert [(one.volume, one.orders) for one in impact.bins] == [(1.0, 40), (2.0, 40), (3.0, 40)]


def test_orders_all_of_a_size_have_no_exponent() -> None:
    impact = impact_of(orders({5.0: 0.1}, each=60))
    assert impact is not None
    assert impact.exponent is None
    assert impact.mean_move == pytest.approx(0.1)


def test_fewer_than_fifty_orders_have_no_impact() -> None:
    assert impact_of(orders({1.0: 0.1, 2.0: 0.2, 3.0: 0.3}, each=16)) is None


def test_signs_in_runs_of_ten_are_correlated() -> None:
    # Ten buys, ten sells, five times over: 100 signs of mean 0. At lag 1, of 99 pairs nine lie at
    # the nine turns: 90 - 9 = 81.
    flow = [Incoming(0, 1 if place // 10 % 2 else -1, 1.0, 1, None, None) for place in range(100)]
    found = sign_autocorrelation(flow, 10)
    assert found is not None
    assert found[0] == pytest.approx(0.81)
    assert found[9] == pytest.approx(-0.9)  # 90 pairs, each of opposite runs
