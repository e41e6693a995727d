"""Depth: what is a book's snapshot, and what its change."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from backtest.errors import FieldError, FieldTypeError
from backtest.models import (
    Depth,
    DepthChange,
    DepthLevel,
    DepthUpdate,
    Quote,
    trusted_depth,
    trusted_level,
    trusted_update,
)
from backtest.services.book.quoted_depth import depth_of_quote
from tests.generators import D

BIDS = (DepthLevel(D(99), D(2), 1), DepthLevel(D(98), D(5), 3))
ASKS = (DepthLevel(D(101), D(1), 1), DepthLevel(D(102), None))


def depth(**fields: Any) -> Depth:
    values: dict[str, Any] = {"pair": "BTCUSD", "time_ns": 60_000_000_000, "sequence": 4}
    return Depth(**(values | {"bids": BIDS, "asks": ASKS, "last": D(100)} | fields))


def update(*changes: Any, **fields: Any) -> DepthUpdate:
    values: dict[str, Any] = {"pair": "BTCUSD", "time_ns": 61_000_000_000, "sequence": 5}
    return DepthUpdate(**(values | {"changes": tuple(changes)} | fields))


def test_what_it_says_of_the_top() -> None:
    one = depth()
    assert (one.best_bid, one.best_ask, one.mid, one.spread) == (D(99), D(101), D(100), D(2))
    assert one.time == datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    empty = depth(bids=())
    assert (empty.best_bid, empty.best_ask, empty.mid, empty.spread) == (None, D(101), None, None)
    assert depth(asks=()).mid is None
    assert depth(asks=()).best_ask is None


def test_a_book_that_collects_orders_for_an_auction_may_be_crossed() -> None:
    assert depth(asks=(DepthLevel(D(98), D(1), 1),)).spread == D(-1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bids": tuple(reversed(BIDS))}, "bids must be in falling order of price, each once"),
        ({"bids": (BIDS[0], BIDS[0])}, "bids must be in falling order of price, each once"),
        ({"asks": tuple(reversed(ASKS))}, "asks must be in rising order of price, each once"),
        ({"last": D(0)}, "last must be positive"),
        ({"last": D("NaN")}, "last must be a finite number"),
        ({"sequence": -1}, "sequence must be non-negative"),
        ({"time_ns": -1}, "time_ns must be non-negative"),
        ({"pair": ""}, "pair cannot be empty"),
    ],
)
def test_what_is_no_depth(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError) as caught:
        depth(**fields)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("bids", [[BIDS[0]], ((D(99), D(2), 1),), None])
def test_a_side_is_a_tuple_of_levels(bids: Any) -> None:
    with pytest.raises(FieldTypeError, match="bids must be a tuple of DepthLevel"):
        depth(bids=bids)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((D(0), D(1), 1), "price must be positive"),
        ((D(1), D(0), 1), "volume must be positive if set"),
        ((D(1), D(1), -1), "orders must be non-negative"),
    ],
)
def test_what_is_no_level(values: Any, message: str) -> None:
    with pytest.raises(FieldError, match=message):
        DepthLevel(*values)


def test_floats_are_refused() -> None:
    with pytest.raises(FieldTypeError, match="price must be a Decimal, not the float"):
        DepthLevel(99.5, D(1), 1)  # type: ignore[arg-type]
    with pytest.raises(FieldTypeError, match="volume must be a Decimal, not the float"):
        update((True, D(1), 0.5, 1))


@pytest.mark.parametrize(
    ("changes", "fields", "message"),
    [
        ((), {}, "changes must not be empty"),
        (((True, D(-1), D(1), 1),), {}, "price must be positive"),
        (((True, D(1), D(-1), 1),), {}, "volume must be non-negative"),
        (((True, D(1), D(1), -1),), {}, "orders must be non-negative"),
        (((True, D(1), D(1), 1),), {"sequence": 0}, "sequence must be positive"),
        (((True, D(1), D(1), 1),), {"last": D(0)}, "last must be positive"),
    ],
)
def test_what_is_no_update(changes: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError) as caught:
        update(*changes, **fields)
    assert str(caught.value).startswith(message)


def test_a_change_says_which_side() -> None:
    with pytest.raises(FieldTypeError, match="changes begin with True for a bid"):
        update((1, D(1), D(1), 1))
    assert update((True, D(1), D(2), 3)).changes == (DepthChange(True, D(1), D(2), 3),)
    assert update((True, D(1), D(2), 3)).time == datetime(1970, 1, 1, 0, 1, 1, tzinfo=UTC)


def test_the_trusted_ways_make_the_same() -> None:
    assert trusted_level(D(99), D(2), 1) == BIDS[0]
    assert trusted_depth("BTCUSD", 60_000_000_000, 4, BIDS, ASKS, D(100)) == depth()
    changes = (DepthChange(False, D(101), D(0)),)
    made = trusted_update("BTCUSD", 61_000_000_000, 5, changes, D(101))
    assert made == update(*changes, last=D(101))


def test_they_are_frozen_slotted_and_pickled() -> None:
    every: tuple[Any, ...] = (BIDS[0], depth(), update((True, D(1), D(2), 3)))
    for one in every:
        assert not hasattr(one, "__dict__")
        with pytest.raises(AttributeError):
            one.pair = "X"
        assert pickle.loads(pickle.dumps(one)) == one


def test_what_history_knows_of_a_book() -> None:
    quote = Quote("X", 5, D(99), D(101), D(2), None)
    seen = depth_of_quote("X", 7, quote, D(100))
    assert seen == Depth("X", 7, 0, (DepthLevel(D(99), D(2)),), (DepthLevel(D(101), None),), D(100))
    assert depth_of_quote("X", 7, None, None) == Depth("X", 7, 0, (), ())
    nothing = Quote("X", 5, D(99), D(101), D(0), D(0))
    assert depth_of_quote("X", 7, nothing, None) == Depth("X", 7, 0, (), ())
