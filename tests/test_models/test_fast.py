"""Trusted construction gives the same values as the checked way, and the checked way stays."""

from __future__ import annotations

import attrs
import pytest

from backtest.models import Balance, Bar, SpotOrder, TradingOrder, Transaction, trusted_bar
from backtest.models._fast import build, derive
from tests.generators import D, balance, spot, trading, transaction


def test_build_makes_an_equal_value_of_the_same_type() -> None:
    for made in (spot(), trading(), transaction(), balance()):
        again: SpotOrder | TradingOrder | Transaction | Balance = build(
            type(made), dict(made.__dict__)
        )
        assert again == made
        assert type(again) is type(made)
        assert hash(again) == hash(made)


def test_derive_copies_and_changes_without_touching_the_original() -> None:
    order = spot()
    before = dict(order.__dict__)
    other = derive(order, volume=D(9))
    assert other.volume == D(9)
    assert order.__dict__ == before
    assert attrs.evolve(other, volume=order.volume) == order


def test_derive_does_not_validate() -> None:
    # That is the point of it: the engine has validated already, and a house may pass below zero.
    assert derive(balance(), available_balance=D(-1)).available_balance == D(-1)


def test_a_trusted_bar_equals_a_checked_one_and_is_frozen() -> None:
    checked = Bar("BTCUSD", 0, 60, D(100), D(103), D(99), D("101.5"))
    trusted = trusted_bar("BTCUSD", 0, 60, D(100), D(103), D(99), D("101.5"), None)
    assert trusted == checked
    assert hash(trusted) == hash(checked)
    with pytest.raises(AttributeError):
        trusted.close = D(1)  # type: ignore[misc]
