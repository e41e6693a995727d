"""Orders that close what is open: (position, close, mark) -> what stands, or why it is refused.

2 long at 100 with a leverage of 10 are open; the mark is 100.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from backtest.actors.protocol import Verb
from tests.harness import bar
from tests.room import Room, long, short

D = Decimal


def held(side: Any = long, rules: dict[str, Any] | None = None, **more: Any) -> Room:
    made = Room(rules, **more)
    made.at(100)
    made.do(side(2, limit=100, leverage=10))
    made.bar(bar(1, 100))
    return made


def pending(made: Room) -> list[tuple[str, Decimal | None, Decimal]]:
    """Kind, price and volume of the closes that stand."""
    (position,) = made.positions()
    return [
        (one.kind, one.price, one.volume)
        for lot in position.lots
        for one in lot.exits
        if one.role == "close"
    ]


@pytest.mark.parametrize(
    ("side", "terms", "stands"),
    [
        (long, {}, ("market", None, "2")),
        (long, {"volume": "0.5"}, ("market", None, "0.5")),
        (long, {"limit_price": 110}, ("limit", "110", "2")),
        (long, {"stop_price": 95}, ("stop", "95", "2")),
        (long, {"stop_price": 95, "limit_price": 94}, ("stop_limit", "95", "2")),
        # it trails below a long, above a short
        (long, {"trail": 3}, ("trailing_stop", "97", "2")),
        (short, {"trail": 3}, ("trailing_stop", "103", "2")),
        # 3 % of 100
        (long, {"trail_percent": 3}, ("trailing_stop", "97", "2")),
        (long, {"trail": 3, "stop_price": 90}, ("trailing_stop", "90", "2")),
        (short, {"limit_price": 90}, ("limit", "90", "2")),
    ],
)
def test_a_close_puts_nothing_aside_and_stands(
    side: Any, terms: dict[str, Any], stands: tuple[Any, Any, Any]
) -> None:
    made = held(side)
    assert made.close(**terms) == ["CLOSING"]
    kind, price, volume = stands
    assert pending(made) == [(kind, None if price is None else D(price), D(volume))]
    ((closing,),) = [
        [one for one in position.lots[0].exits if one.role == "close"]
        for position in made.positions()
    ]
    assert closing.buy is (side is short)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"volume": "2.001"}, "STALE"),
        ({"volume": 0}, "INVALID_VOLUME"),
        ({"volume": "0.0005"}, "VOLUME_INCREMENT"),
        ({"limit_price": "110.001"}, "PRICE_INCREMENT"),
        ({"stop_price": "95.001"}, "PRICE_INCREMENT"),
        ({"trail": "3.001"}, "PRICE_INCREMENT"),
        ({"trail": 3, "limit_price": 110}, "INVALID_ACTION"),
        ({"trail": 3, "trail_percent": 3}, "INVALID_ACTION"),
        ({"trail": 100}, "INVALID_PRICE"),
    ],
)
def test_why_a_close_is_refused(terms: dict[str, Any], reason: str) -> None:
    made = held()
    assert made.close(**terms) == [f"REJECTED {reason}"]
    assert pending(made) == []


def test_there_must_be_something_to_close() -> None:
    made = Room()
    made.at(100)
    made.do(long(2, limit=99, leverage=10))
    assert made.close() == ["REJECTED ALREADY_DONE"]
    assert "cancel it instead" in made.why()


def test_several_closes_may_stand_for_more_than_is_open_together() -> None:
    """None of them is for more: what is closed by one the others do not close again."""
    made = held()
    made.close(limit_price=110)
    made.close(limit_price=105)
    assert pending(made) == [("limit", D(110), D(2)), ("limit", D(105), D(2))]
    lines = made.bar(bar(2, 100, 112, 100, 110))
    # 2 x 5, once.
    assert [line for line in lines if line.startswith("CLOSE")] == [
        "CLOSE_PNL USD 10 0",
        "CLOSED",
        "CLOSE_CANCELLED ALREADY_DONE",
    ]


def test_closes_are_counted_apart_from_orders() -> None:
    made = held(rules={"max_open_orders": 1})
    made.do(long(1, limit=90, leverage=10))
    first = made.branch(1)
    assert made.close(first, limit_price=110) == ["CLOSING"]
    assert made.close(first, limit_price=120) == ["REJECTED MAX_OPEN_ORDERS"]


def closed_in_part() -> Room:
    """A close of 2 at 110, of which 0.5 has closed."""
    made = held()
    made.close(limit_price=110)
    made.bar(bar(2, 110, volume="0.5"))
    return made


@pytest.mark.parametrize(
    ("change", "told", "stands"),
    [
        ({"limit_price": 105}, ["CLOSE_CANCELLED REQUESTED", "CLOSING"], ("limit", "105", "1.5")),
        # The volume is all of it, the 0.5 included.
        ({"volume": 1}, ["CLOSE_CANCELLED REQUESTED", "CLOSING"], ("limit", "110", "0.5")),
        ({"volume": "0.5"}, ["CLOSE_CANCELLED MODIFIED_AWAY"], None),
        ({"volume": "2.001"}, ["REJECTED STALE"], ("limit", "110", "1.5")),
        ({}, ["REJECTED NOTHING_TO_CHANGE"], ("limit", "110", "1.5")),
        ({"stop_price": 95}, ["REJECTED INVALID_ACTION"], ("limit", "110", "1.5")),
        ({"trail": 3}, ["REJECTED INVALID_ACTION"], ("limit", "110", "1.5")),
        ({"stop_loss": 95}, ["REJECTED INVALID_ACTION"], ("limit", "110", "1.5")),
        ({"clear": frozenset({"stop_loss"})}, ["REJECTED INVALID_ACTION"], ("limit", "110", "1.5")),
    ],
)
def test_a_close_can_be_changed(
    change: dict[str, Any], told: list[str], stands: tuple[str, str, str] | None
) -> None:
    made = closed_in_part()
    command = made.positions()[0].lots[0].exits[-1].command
    assert made.amend(Verb.MODIFY, close=command, **change) == told
    expected = [] if stands is None else [(stands[0], D(stands[1]), D(stands[2]))]
    assert pending(made) == expected


@pytest.mark.parametrize(
    ("volume", "told", "left"),
    [
        (None, ["CLOSE_CANCELLED REQUESTED"], None),
        ("1.5", ["CLOSE_CANCELLED REQUESTED"], None),
        ("1", ["CLOSE_CANCELLED REQUESTED", "CLOSING"], "0.5"),
        ("1.501", ["REJECTED STALE"], "1.5"),
        ("0", ["REJECTED INVALID_VOLUME"], "1.5"),
    ],
)
def test_a_close_can_be_cancelled_in_part(
    volume: str | None, told: list[str], left: str | None
) -> None:
    made = closed_in_part()
    command = made.positions()[0].lots[0].exits[-1].command
    assert made.amend(Verb.CANCEL, close=command, volume=volume) == told
    assert [one[2] for one in pending(made)] == ([] if left is None else [D(left)])


def test_a_close_that_is_done_can_be_changed_no_more() -> None:
    made = held()
    made.close(limit_price=110)
    command = made.positions()[0].lots[0].exits[-1].command
    made.cancel()
    assert made.amend(Verb.CANCEL, close=command) == ["REJECTED ALREADY_DONE"]
    assert made.amend(Verb.MODIFY, close=command, volume=1) == ["REJECTED ALREADY_DONE"]


def test_who_asks_for_less_keeps_the_place() -> None:
    made = held()
    made.close(limit_price=110)
    closing = made.positions()[0].lots[0].exits[-1]
    before = closing.sequence
    made.amend(Verb.MODIFY, close=closing.command, volume=1)
    assert closing.sequence == before
    made.amend(Verb.MODIFY, close=closing.command, volume=2)
    assert closing.sequence > before
