"""Margin, PnL, liquidation and reserves, worked out by hand."""

from __future__ import annotations

import decimal
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.errors import FieldError
from backtest.models._fast import derive
from backtest.models.tiers import Tiers
from backtest.models.trading_pair import TradingPair
from backtest.models.trading_rules import LeverageKind, TradingRules
from backtest.services.margin.linear import (
    flat_margin,
    initial_margin,
    liquidation_price,
    maintenance,
    realised_pnl,
    required_margin,
    unrealised_pnl,
    worst_price_buy,
    worst_price_sell,
)
from tests.liquidatable import is_liquidatable

D = Decimal
CENT = D("0.01")
PAIR = TradingPair("BTCUSD", "BTC", "USD", price_increment=D("0.5"))


def test_initial_margin_is_rounded_up() -> None:
    assert initial_margin(D("1.5"), D(50000), D(1), D(10), CENT) == D("7500.00")
    # 1 x 100 / 3 = 33.333... -> 33.34
    assert initial_margin(D(1), D(100), D(1), D(3), CENT) == D("33.34")
    # 2 x 100 x 10 / 4 = 500
    assert initial_margin(D(2), D(100), D(10), D(4), CENT) == D("500.00")
    # leverage 1: 0.333 x 0.1 = 0.0333 -> 0.04
    assert initial_margin(D("0.333"), D("0.1"), D(1), D(1), CENT) == D("0.04")


def test_flat_margin_per_volume_is_rounded_up() -> None:
    assert flat_margin(D("1.5"), D("0.333"), CENT) == D("0.50")  # 0.4995


@pytest.mark.parametrize(
    ("rules", "margin"),
    [
        (TradingRules(), "20.00"),  # 2 x 50 / 5
        (TradingRules(leverage_kind=LeverageKind.NONE), "100.00"),
        (
            TradingRules(leverage_kind=LeverageKind.FLAT_MARGIN_PER_VOLUME, margin_per_volume=D(7)),
            "14.00",
        ),
    ],
)
def test_required_margin_follows_the_kind_of_leverage(rules: TradingRules, margin: str) -> None:
    got = required_margin(
        rules, volume=D(2), price=D(50), contract_size=D(1), leverage=D(5), step=CENT
    )
    assert got == D(margin)


def test_rules_that_lost_their_flat_margin_are_refused() -> None:
    flat = TradingRules(leverage_kind=LeverageKind.FLAT_MARGIN_PER_VOLUME, margin_per_volume=D(7))
    with pytest.raises(FieldError, match=r"^margin_per_volume must be set"):
        required_margin(
            derive(flat, margin_per_volume=None),
            volume=D(2),
            price=D(50),
            contract_size=D(1),
            leverage=D(5),
            step=CENT,
        )


def test_unrealised_pnl_is_not_rounded() -> None:
    # (101.003 - 100) x 0.5 x 1 = 0.5015
    assert unrealised_pnl(1, D(100), D("101.003"), D("0.5"), D(1)) == D("0.5015")
    assert unrealised_pnl(-1, D(100), D("101.003"), D("0.5"), D(1)) == D("-0.5015")
    assert unrealised_pnl(-1, D(100), D(90), D(2), D(10)) == D(200)


def test_realised_pnl_is_rounded_half_even() -> None:
    # (100.01 - 100) x 0.5 = 0.005 -> 0.00 (even); (100.03 - 100) x 0.5 = 0.015 -> 0.02
    assert realised_pnl(1, D(100), D("100.01"), D("0.5"), D(1), CENT) == D("0.00")
    assert realised_pnl(1, D(100), D("100.03"), D("0.5"), D(1), CENT) == D("0.02")
    assert realised_pnl(-1, D(100), D("100.03"), D("0.5"), D(1), CENT) == D("-0.02")


def test_maintenance_is_a_share_of_the_notional_at_the_mark() -> None:
    assert maintenance(D("1.5"), D(48000), D(1), D("0.005")) == D(360)


def test_liquidation_is_tested_unrounded() -> None:
    # long 1 at 100, margin 10, r 0: level 10 + (90 - 100) = 0 <= 0
    assert is_liquidatable(1, D(100), D(90), D(1), D(1), D(10), D(0))
    assert not is_liquidatable(1, D(100), D("90.0000000001"), D(1), D(1), D(10), D(0))
    # short with r = 1 %: level 10 + (100 - 109) = 1 <= 1.09; at 108: 2 > 1.08
    assert is_liquidatable(-1, D(100), D(109), D(1), D(1), D(10), D("0.01"))
    assert not is_liquidatable(-1, D(100), D(108), D(1), D(1), D(10), D("0.01"))


def test_liquidation_price_of_a_long_is_rounded_down() -> None:
    # (50 000 x 1 - 5 000) / (1 x 0.995) = 45 226.1306... -> 45 226.13
    assert liquidation_price(True, D(50000), D(1), D(1), D(5000), D("0.005"), CENT) == D("45226.13")
    # r = 0: (100 x 2 x 10 - 200) / 20 = 90
    assert liquidation_price(True, D(100), D(2), D(10), D(200), D(0), CENT) == D(90)
    # to increments of 0.25: 45 226.1306 -> 45 226.00
    quarter = D("0.25")
    got = liquidation_price(True, D(50000), D(1), D(1), D(5000), D("0.005"), quarter)
    assert got == D(45226)


def test_liquidation_price_of_a_short_is_rounded_up() -> None:
    # (50 000 + 5 000) / 1.005 = 54 726.3681... -> 54 726.37
    assert liquidation_price(False, D(50000), D(1), D(1), D(5000), D("0.005"), CENT) == D(
        "54726.37"
    )


def test_a_long_without_leverage_cannot_be_liquidated() -> None:
    assert liquidation_price(True, D(100), D(1), D(1), D(100), D(0), CENT) is None
    assert liquidation_price(True, D(100), D(1), D(1), D(100), D("0.005"), CENT) is None
    # (100 - 99.999) / 1 = 0.001: below one increment, no price on the grid reaches it
    assert liquidation_price(True, D(100), D(1), D(1), D("99.999"), D(0), CENT) is None
    # a short without leverage can: (100 + 100) / 1
    assert liquidation_price(False, D(100), D(1), D(1), D(100), D(0), CENT) == D(200)


def test_a_maintenance_rate_of_one_is_refused() -> None:
    with pytest.raises(FieldError, match=r"^maintenance_rate must be below 1"):
        liquidation_price(True, D(100), D(1), D(1), D(10), D(1), CENT)


@given(
    long=st.booleans(),
    fill=st.integers(100, 10**6),
    volume=st.integers(1, 10**6),
    leverage=st.integers(1, 125),
    rate=st.integers(0, 200),
)
def test_at_its_liquidation_price_a_position_is_liquidatable(
    long: bool, fill: int, volume: int, leverage: int, rate: int
) -> None:
    f, v, r = D(fill) / 100, D(volume) / 1000, D(rate) / 10000
    margin = initial_margin(v, f, D(1), D(leverage), CENT)
    price = liquidation_price(long, f, v, D(1), margin, r, CENT)
    sign = 1 if long else -1
    if price is None:
        assert long
        return
    assert price > 0
    assert is_liquidatable(sign, f, price, v, D(1), margin, r)
    # and one increment on the safe side of it, it is not
    assert not is_liquidatable(sign, f, price + sign * CENT, v, D(1), margin, r)


def test_worst_price_of_a_buy() -> None:
    buffer = D("0.05")
    assert worst_price_buy(D(100), None, D(90), buffer, PAIR) == D(100)
    assert worst_price_buy(D(100), D(99), D(90), buffer, PAIR) == D(100)
    assert worst_price_buy(None, D(100), D(90), buffer, PAIR) == D(105)
    # 90.5 x 1.05 = 95.025, up to the next 0.5
    assert worst_price_buy(None, None, D("90.5"), buffer, PAIR) == D("95.5")
    with pytest.raises(FieldError, match=r"^last must be known"):
        worst_price_buy(None, None, None, buffer, PAIR)


def test_worst_price_of_a_sell_is_the_higher_of_its_own_and_the_last() -> None:
    buffer = D("0.05")
    assert worst_price_sell(D(100), None, D(90), buffer, PAIR) == D(100)
    assert worst_price_sell(D(100), None, D(110), buffer, PAIR) == D(110)
    assert worst_price_sell(None, D(100), D(104), buffer, PAIR) == D(105)
    assert worst_price_sell(None, D(100), D(107), buffer, PAIR) == D(107)
    assert worst_price_sell(None, None, D("90.5"), buffer, PAIR) == D("90.5")
    assert worst_price_sell(D(100), None, None, buffer, PAIR) == D(100)
    with pytest.raises(FieldError, match=r"^last must be known"):
        worst_price_sell(None, None, None, buffer, PAIR)


def test_the_callers_decimal_context_does_not_matter() -> None:
    with decimal.localcontext() as context:
        context.prec = 3
        assert initial_margin(D("1.2345"), D("50001"), D(1), D(10), CENT) == D("6172.63")
        # 1.2345 x 50 001 = 61 726.2345; / 10 = 6 172.62345 -> 6 172.63


def test_a_price_just_inside_a_bracket_is_of_that_bracket() -> None:
    tiers, step = Tiers([(500, "0.01", 20), (1000, "0.05", 10)]), D("0.0001")
    # Long: at 500 of notional 0.50 would be left, so it ends below: 494.5 / (10 x 0.99)
    price = liquidation_price(True, D(100), D(10), D(1), D("505.5"), tiers, step)
    assert price == D("49.9494")
    # Short: at 500 of notional 0.50 is left, so it ends above: (400 + 105.5 + 20) / (4 x 1.05)
    price = liquidation_price(False, D(100), D(4), D(1), D("105.5"), tiers, step)
    assert price == D("125.1191")


def test_a_stop_limit_sell_reserves_for_its_limit() -> None:
    assert worst_price_sell(D(100), D(120), D(90), D("0.05"), PAIR) == 100
    assert worst_price_buy(D(100), D(80), D(90), D("0.05"), PAIR) == 100


def test_the_size_of_a_contract_counts_everywhere() -> None:
    # 2 contracts of 10 at 50: a notional of 1000
    given = {"volume": D(2), "price": D(50), "contract_size": D(10), "step": CENT}
    assert required_margin(TradingRules(), leverage=D(4), **given) == D(250)
    none = TradingRules(leverage_kind=LeverageKind.NONE)
    assert required_margin(none, leverage=D(4), **given) == D(1000)
    assert maintenance(D(2), D(50), D(10), D("0.05")) == D(50)
    assert maintenance(D("0.5"), D(50), D(10), D("0.05")) == D("12.5")
    assert realised_pnl(1, D(100), D(103), D(2), D(10), CENT) == D(60)
    # 200 of margin, a loss of 2 x 7.5 x 10 = 150: what is left is the maintenance, 5 % of 1000
    assert is_liquidatable(1, D("57.5"), D(50), D(2), D(10), D(200), D("0.05"))
    assert not is_liquidatable(1, D("57.5"), D(50), D(2), D(10), D("200.01"), D("0.05"))
