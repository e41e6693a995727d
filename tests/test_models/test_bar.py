"""Bars: what a bar must be, and when it is."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from backtest.errors import FieldError, FieldTypeError
from backtest.models.bar import Bar
from tests.generators import D


def bar(**fields: Any) -> Bar:
    values: dict[str, Any] = {
        "pair": "BTCUSD",
        "open_ns": 0,
        "close_ns": 60_000_000_000,
        "open": D(100),
        "high": D(103),
        "low": D(99),
        "close": D(101),
        "volume": D(5),
    }
    return Bar(**(values | fields))


def test_times_are_aware() -> None:
    assert bar().open_time == datetime(1970, 1, 1, tzinfo=UTC)
    assert bar().close_time == datetime(1970, 1, 1, 0, 1, tzinfo=UTC)


def test_its_length_is_from_open_to_close() -> None:
    assert bar(open_ns=40_000_000_000).length == 20_000_000_000


def test_a_flat_bar_without_volume_is_a_bar() -> None:
    flat = bar(open=D(1), high=D(1), low=D(1), close=D(1), volume=None)
    assert flat.volume is None
    assert bar(volume=0).volume == D(0)


def test_ints_become_exact_decimals() -> None:
    assert type(bar(open=100).open) is Decimal


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pair": ""}, "pair cannot be empty"),
        ({"close_ns": 0}, "close_ns must lie after open_ns 0, is 0"),
        ({"open_ns": -1}, "open_ns must be non-negative"),
        ({"open": D(0)}, "open must be positive"),
        ({"low": D(-1)}, "low must be positive"),
        ({"high": D(98)}, "high must not be below low: 98 < 99"),
        ({"open": D(104)}, "open must lie between low 99 and high 103, is 104"),
        ({"close": D(98)}, "close must lie between low 99 and high 103, is 98"),
        ({"volume": D(-1)}, "volume must be non-negative"),
        ({"close": Decimal("NaN")}, "close must be a finite number, not NaN"),
    ],
)
def test_values_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError) as caught:
        bar(**fields)
    assert str(caught.value) == message


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
def test_floats_are_refused(field: str) -> None:
    with pytest.raises(FieldTypeError, match=f"^{field} must be a Decimal, not the float"):
        bar(**{field: 100.0})


def test_times_are_whole_nanoseconds() -> None:
    with pytest.raises(FieldTypeError, match=r"^open_ns must be an int"):
        bar(open_ns=0.0)
