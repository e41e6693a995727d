"""Exits of spot: (entry or sale at two prices, fills, change) -> what stands, and is in reserve."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.harness import bar
from tests.room import Room, buy, sell

D = Decimal
BTC = {"main": {"USD": 1000, "BTC": 5}}


def room(rules: dict[str, Any] | None = None) -> Room:
    made = Room(rules, cash=BTC)
    made.at(100)
    return made


def legs(made: Room, number: int = -1) -> list[tuple[str, Decimal, Decimal]]:
    """Kind, price and volume of what an exit sells at: no more than it has."""
    part = made.branch(number).part
    assert part is not None
    return [(one.kind, one.price or D(0), min(one.volume, part.volume)) for one in part.exits]


def bracket(volume: Any = None) -> Room:
    """2 at 99 with a stop-loss at 90 and a take-profit at 120, of which ``volume`` has filled."""
    made = room()
    made.do(buy(2, limit=99, stop_loss=90, take_profit=120))
    made.bar(bar(1, 99, volume=volume))
    return made


def test_what_was_bought_is_the_reserve_of_its_exit_in_the_same_entry() -> None:
    made = room()
    assert made.do(buy(2, limit=99, stop_loss=90, take_profit=120)) == [
        "RESERVE_MARGIN USD -198 198",
        "ACCEPTED",
    ]
    assert made.bar(bar(1, 99)) == [
        "FILL_BUY USD 0 -198",
        "SPOT_EXCHANGE BTC 2 0",
        "RESERVE_MARGIN BTC -2 2",
        "FILLED",
        "ACCEPTED",
    ]
    assert legs(made) == [("stop_loss", D(90), D(2)), ("take_profit", D(120), D(2))]


def test_each_fill_has_an_exit_of_its_own_size() -> None:
    """Of 2 there are 0.5 and then 1.5: the exits sell so much, and nobody asked for more."""
    made = bracket("0.5")
    assert legs(made) == [("stop_loss", D(90), D("0.5")), ("take_profit", D(120), D("0.5"))]
    made.bar(bar(2, 99))
    assert legs(made) == [("stop_loss", D(90), D("1.5")), ("take_profit", D(120), D("1.5"))]
    assert made.money("BTC") == (D(5), D(2))


@pytest.mark.parametrize(
    ("prices", "got"),
    [
        # The stop-loss at 90 for all; what is sold once is sold.
        ((95, 95, 85, 95), "SPOT_EXCHANGE USD 180 0"),
        ((110, 125, 110, 125), "SPOT_EXCHANGE USD 240 0"),
        # opened beyond: at the open
        ((80, 80, 80, 80), "SPOT_EXCHANGE USD 160 0"),
        ((130, 130, 130, 130), "SPOT_EXCHANGE USD 260 0"),
        # Both would be reached: the worse is taken for true.
        ((99, 125, 85, 99), "SPOT_EXCHANGE USD 180 0"),
    ],
)
def test_one_of_the_two_sells_it_once(prices: tuple[int, ...], got: str) -> None:
    made = bracket()
    lines = made.bar(bar(2, *prices))
    assert lines == ["FILL_SELL BTC 0 -2", got, *lines[2:]]
    assert [line for line in lines if line.startswith("FILL")] == ["FILL_SELL BTC 0 -2", "FILLED"]
    assert made.branches() == []
    assert made.money("BTC") == (D(5), D(0))


def test_a_part_that_one_sells_the_other_sells_no_more() -> None:
    made = bracket()
    made.bar(bar(2, 120, volume="0.5"))
    assert legs(made) == [("stop_loss", D(90), D("1.5")), ("take_profit", D(120), D("1.5"))]
    assert "FILL_SELL BTC 0 -1.5" in made.bar(bar(3, 85))


def test_what_is_owned_is_sold_at_two_prices() -> None:
    made = room()
    assert made.do(sell(2, stop_loss=90, take_profit=120)) == [
        "RESERVE_MARGIN BTC -2 2",
        "ACCEPTED",
    ]
    assert legs(made) == [("stop_loss", D(90), D(2)), ("take_profit", D(120), D(2))]
    assert made.cancel() == ["RETURN_MARGIN BTC 2 -2", "CANCELLED REQUESTED"]
    made.do(sell(2, take_profit=120))
    assert legs(made) == [("take_profit", D(120), D(2))]


@pytest.mark.parametrize(
    ("change", "posted", "stands"),
    [
        ({"stop_price": 95}, ["MODIFIED"], "take_profit 120 2, stop_loss 95 2"),
        ({"stop_loss": 95}, ["MODIFIED"], "take_profit 120 2, stop_loss 95 2"),
        ({"limit_price": 130}, ["MODIFIED"], "stop_loss 90 2, take_profit 130 2"),
        ({"clear": frozenset({"stop_loss"})}, ["MODIFIED"], "take_profit 120 2"),
        (
            {"volume": "0.5"},
            ["RETURN_MARGIN BTC 1.5 -1.5", "MODIFIED"],
            "stop_loss 90 0.5, take_profit 120 0.5",
        ),
        ({"volume": "2.001"}, ["REJECTED INVALID_VOLUME"], None),
        ({"stop_price": 100}, ["REJECTED PROTECTION_SIDE"], None),
        ({"limit_price": 98}, ["REJECTED PROTECTION_SIDE"], None),
        ({"stop_price": 95, "stop_loss": 94}, ["REJECTED INVALID_ACTION"], None),
        ({"clear": frozenset({"stop_loss", "take_profit"})}, ["REJECTED INVALID_ACTION"], None),
        ({"trail": 3}, ["REJECTED INVALID_ACTION"], None),
        ({"stop_price": "95.001"}, ["REJECTED PRICE_INCREMENT"], None),
        ({}, ["REJECTED NOTHING_TO_CHANGE"], None),
    ],
)
def test_an_exit_can_be_changed(
    change: dict[str, Any], posted: list[str], stands: str | None
) -> None:
    made = bracket()
    made.at(100)
    assert made.modify(**change) == posted
    expected = "stop_loss 90 2, take_profit 120 2" if stands is None else stands
    found = ", ".join(f"{kind} {price:f} {volume:f}" for kind, price, volume in legs(made))
    assert found == expected


@pytest.mark.parametrize(
    ("volumes", "more", "told", "stand"),
    [
        ((1, 1), {}, "SPLIT", [[90, 120], [90, 120]]),
        ((1, 1), {"limit_prices": (110, 130)}, "SPLIT", [[90, 110], [90, 130]]),
        ((1, 1), {"take_profits": (110, 130)}, "SPLIT", [[90, 110], [90, 130]]),
        ((1, 2), {}, "REJECTED STALE", [[90, 120]]),
        ((1, 1), {"limit_prices": (110, 98)}, "REJECTED PROTECTION_SIDE", [[90, 120]]),
    ],
)
def test_an_exit_can_be_split(
    volumes: tuple[int, ...], more: dict[str, Any], told: str, stand: list[list[int]]
) -> None:
    made = bracket()
    assert made.split(*volumes, **more) == [told]
    found = [one.part for one in made.branches()]
    assert [sorted(leg.price for leg in part.exits) for part in found if part] == stand


def test_the_exits_of_one_bracket_are_charged_as_one_order() -> None:
    """A fee that is flat per order: of the exits it is charged once, with the first that sells."""
    made = room({"fees": {"fill": {"flat_per_trade": "2"}}})
    made.do(buy(2, limit=99, take_profit=120))
    made.bar(bar(1, 99, volume=1))
    made.bar(bar(2, 99, volume=1))
    lines = made.bar(bar(3, 120))
    assert [line for line in lines if line.startswith("FEE")] == ["FEE_FILL USD -2 0"]
