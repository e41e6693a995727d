"""Where a cross margin account stands: the prices that are told are the boundary."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.errors import FieldError
from backtest.models import OrderDirection, Tiers, TradingOrder, TradingRules
from backtest.services.margin.cross import Elsewhere, Stake, Standing, stake_of, standing_of

D = Decimal
CENT = D("0.01")
BRACKETS = Tiers([(500, "0.01"), (1000, "0.05"), (None, "0.10")])


def stake(long: bool, size: Any, price: Any, rate: Any = "0.05") -> Stake:
    own = D(rate) if isinstance(rate, str) else rate
    return Stake(object(), long, D(size), D(size) * D(price), own)


def test_a_long_is_called_below_and_nowhere_above() -> None:
    # 300 + 10 (p - 100) = 0.5 p: 700 / 9.5 = 73.684 down
    standing = Standing(D(300), CENT, stakes=[stake(True, 10, 100)])
    assert standing.triggers(D(100)) == (D("73.68"), None)
    assert (standing.equity(D(80)), standing.maintenance(D(80))) == (D(100), D(40))


def test_collateral_on_the_pair_falls_with_it() -> None:
    # 2 units at 0.9: 100 + 1.8 p + 10 (p - 100) = 0.5 p: 900 / 11.3 = 79.646
    standing = Standing(D(100), CENT, D("1.8"), [stake(True, 10, 100)])
    assert standing.triggers(D(100)) == (D("79.64"), None)


def test_a_hedge_can_be_called_on_both_sides() -> None:
    # sizes equal: what rises with the price is maintenance: 30 = 0.05 x 20 p
    standing = Standing(D(30), CENT, stakes=[stake(True, 10, 25), stake(False, 10, 25)])
    assert standing.triggers(D(25)) == (None, D("30"))
    # 4 long, 10 short, with what would be lost above: 300 - 6 (p - 100) = 0.7 p
    standing = Standing(D(300), CENT, stakes=[stake(True, 4, 100), stake(False, 10, 100)])
    assert standing.triggers(D(100)) == (None, D("134.33"))


def test_brackets_and_collateral_make_it_called_on_either_side() -> None:
    # Below: 20 - 1.5 + 0.5 ... a short with collateral that falls: 5 p of collateral, 3 short
    standing = Standing(D(-100), CENT, D(5), [stake(False, 3, 100, BRACKETS)])
    # -100 + 5 p + 3 (100 - p) - 0.03 p = 200 + 1.97 p: never below; above 166.66 at 0.05, above
    # 333.33 at 0.10: 200 + 2 p - 0.3 p + 70 rises still
    assert standing.triggers(D(100)) == (None, None)


def test_without_positions_nobody_is_called() -> None:
    assert Standing(D(-5), CENT, D(1)).triggers(D(3)) == (None, None)


def test_who_is_below_already_is_called_where_it_is() -> None:
    standing = Standing(D(1), CENT, stakes=[stake(True, 10, 100)])
    assert standing.triggers(D(99)) == (D(99), D(99))


def test_worst_and_best_are_by_profit_the_oldest_of_equals_first() -> None:
    first, second, third = stake(True, 1, 100), stake(True, 1, 100), stake(False, 1, 100)
    away = Elsewhere("away", D(-3), D(0))
    standing = Standing(D(0), CENT, stakes=[first, second, third], elsewhere=[away])
    assert standing.worst(D(90)) is first.key
    assert standing.best(D(90)) is third.key
    assert standing.worst(D(98)) == "away"
    assert standing.best(D(100)) is None
    assert Standing(D(0), CENT).worst(D(1)) is None


sides = st.tuples(
    st.booleans(),
    st.integers(1, 400),
    st.integers(1, 4000),
    st.sampled_from([D(0), D("0.005"), D("0.05"), BRACKETS]),
)


@given(
    money=st.integers(-2000, 20_000),
    units=st.integers(0, 300),
    away=st.integers(-500, 500),
    stakes=st.lists(sides, min_size=1, max_size=5),
    mark=st.integers(1, 4000),
)
def test_the_prices_are_the_boundary(
    money: int, units: int, away: int, stakes: list[Any], mark: int
) -> None:
    held = [stake(long, D(size) / 10, D(price) / 10, rate) for long, size, price, rate in stakes]
    elsewhere = [Elsewhere("away", D(away), D(abs(away)) / 20)]
    standing = Standing(D(money), CENT, D(units) / 100, held, elsewhere)
    at = D(mark) / 10
    low, high = standing.triggers(at)
    if standing.level(at) <= 0:
        assert (low, high) == (at, at)
        return
    if low is not None:
        assert 0 < low < at
        assert standing.level(low) <= 0 < standing.level(low + CENT)
    else:
        assert standing.level(CENT) > 0
    if high is not None:
        assert at < high
        assert standing.level(high) <= 0 < standing.level(high - CENT)
    else:
        assert standing.level(D(10) ** 9) > 0


def test_what_an_account_has_is_gathered_by_pair() -> None:
    marks = {"BTCUSD": D(100), "ETHUSD": D(10), "XUSD": None}
    totals = {"USD": D(50), "BTC": D(2), "ETH": D(3), "X": D(9)}
    collateral = [("BTC", "BTCUSD", D("0.5")), ("ETH", "ETHUSD", D(1)), ("X", "XUSD", D(1))]
    held = [
        ("BTCUSD", stake(True, 1, 90)),
        ("ETHUSD", stake(False, 2, 11)),
        ("XUSD", stake(True, 1, 1)),
    ]
    standing = standing_of("USD", collateral, totals.__getitem__, held, marks.get, "BTCUSD", CENT)
    assert (standing.money, standing.units) == (D(80), D(1))
    assert len(standing.stakes) == 1
    ((other),) = standing.elsewhere
    assert (other.pnl, other.maintenance) == (D(2), D(1))
    whole = standing_of("USD", collateral, totals.__getitem__, held, marks.get, None, CENT)
    assert (whole.money, whole.units, len(whole.elsewhere)) == (D(180), D(0), 2)


def test_only_an_open_position_is_a_stake() -> None:
    at, one = datetime(2024, 1, 1, tzinfo=UTC), UUID(int=1)
    order = TradingOrder("BTCUSD", OrderDirection.SHORT, D(2), at, D(100), one, one, one, one)
    with pytest.raises(FieldError, match="must be open"):
        stake_of(order, TradingRules())
    made = stake_of(order.create_filled_copy(at, D(90)), TradingRules())
    assert (made.long, made.size, made.cost, made.rate) == (False, D(2), D(180), D(0))
