"""Quotes and trades: what they must be, and when they are."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from backtest.errors import FieldError, FieldTypeError
from backtest.models import Quote, Trade, trusted_quote, trusted_trade
from tests.generators import D


def quote(**fields: Any) -> Quote:
    values: dict[str, Any] = {"pair": "EURUSD", "time_ns": 60_000_000_000}
    return Quote(**(values | {"bid": D("1.1"), "ask": D("1.2")} | fields))


def trade(**fields: Any) -> Trade:
    values: dict[str, Any] = {"pair": "BTCUSD", "time_ns": 60_000_000_000}
    return Trade(**(values | {"price": D(100), "volume": D(2)} | fields))


def test_times_are_aware_and_one_moment() -> None:
    for tick in (quote(), trade()):
        assert tick.time == datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
        assert tick.open_ns == tick.close_ns == tick.time_ns


def test_mid_is_exact() -> None:
    assert quote(bid=D("1.1213"), ask=D("1.1216")).mid == D("1.12145")


def test_a_locked_quote_is_a_quote_and_sizes_may_be_nothing_or_unknown() -> None:
    assert quote(bid=D(1), ask=D(1)).mid == D(1)
    assert quote(bid_size=0, ask_size=None).bid_size == D(0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bid": D("1.3")}, "bid must not be above ask (a crossed quote): 1.3 > 1.2"),
        ({"bid": D(0)}, "bid must be positive"),
        ({"ask": D(-1)}, "ask must be positive"),
        ({"bid": D("NaN")}, "bid must be a finite number, not NaN"),
        ({"ask": D("Infinity")}, "ask must be a finite number"),
        ({"bid_size": D(-1)}, "bid_size must be non-negative"),
        ({"ask_size": D(-1)}, "ask_size must be non-negative"),
        ({"time_ns": -1}, "time_ns must be non-negative"),
        ({"pair": ""}, "pair cannot be empty"),
    ],
)
def test_what_is_no_quote(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError) as caught:
        quote(**fields)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"price": D(0)}, "price must be positive"),
        ({"volume": D(0)}, "volume must be positive if set"),
        ({"volume": D("NaN")}, "volume must be a finite number"),
        ({"aggressor": "maker"}, "aggressor must be 'buy', 'sell' or None, not 'maker'"),
        ({"pair": " "}, "pair cannot be empty"),
        ({"time_ns": -1}, "time_ns must be non-negative"),
    ],
)
def test_what_is_no_trade(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError) as caught:
        trade(**fields)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", ["bid", "ask", "bid_size", "time_ns"])
def test_a_float_is_no_part_of_a_quote(name: str) -> None:
    with pytest.raises(FieldTypeError, match=name):
        quote(**{name: 1.5})


@pytest.mark.parametrize("name", ["price", "volume", "time_ns"])
def test_a_float_is_no_part_of_a_trade(name: str) -> None:
    with pytest.raises(FieldTypeError, match=name):
        trade(**{name: 1.5})


def test_whole_numbers_are_exact_and_frozen() -> None:
    made = trade(price=100, volume=None, aggressor="sell")
    assert (made.price, made.volume) == (Decimal(100), None)
    with pytest.raises(AttributeError):
        made.price = D(1)  # type: ignore[misc]


def test_trusted_ticks_are_those_that_were_checked() -> None:
    assert trusted_quote("P", 1, D(1), D(2), None, D(3)) == Quote("P", 1, D(1), D(2), None, D(3))
    assert trusted_trade("P", 1, D(1), D(2), "buy") == Trade("P", 1, D(1), D(2), "buy")
