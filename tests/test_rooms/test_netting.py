"""Netting accounts: (fills and closes in turn, rules) -> what each posts, and what is open after.

Leverage is 10, contracts are of size 1, money is in cents; nothing is charged without more.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from backtest.actors.protocol import Create
from tests.harness import bar
from tests.room import Room, long, short

D = Decimal
NETTING = {"main": {"netting": True}}


def room(rules: dict[str, Any] | None = None, **more: Any) -> Room:
    made = Room(rules, accounts=NETTING, **more)
    made.at(100)
    return made


def fill(made: Room, side: Any, volume: Any, price: Any, **more: Any) -> list[str]:
    """An order that fills whole at ``price``; what is posted and told of its fill."""
    made.at(price)
    asked = made.do(side(volume, limit=price, leverage=10, **more))
    assert asked[-1] == "ACCEPTED"
    number = made.shell.events.now // (60 * 10**9)
    return made.bar(bar(number, price))


def gained(lines: list[str]) -> list[str]:
    return [line.split()[2] for line in lines if line.startswith("CLOSE_PNL")]


def is_open(made: Room) -> tuple[str, ...]:
    """Side, volume, cost, margin and liquidation price of what is open."""
    (one,) = made.positions()
    pool = one.pool
    numbers = (pool.volume, pool.cost, pool.margin, one.liquidation)
    told = [f"{number.normalize():f}" for number in numbers]
    return ("long" if one.long else "short", *told)


@pytest.mark.parametrize(
    ("fills", "stands"),
    [
        # 1 at 100 and 1 at 95: cost 195, margin 10 and 9.50, liquidated at (195 - 19.50) / 2.
        ([(long, 1, 100), (long, 1, 95)], ("long", "2", "195", "19.5", "87.75")),
        ([(short, 1, 100), (short, 1, 105)], ("short", "2", "205", "20.5", "112.75")),
        # One closed at 90: half of it goes, and the price stays.
        ([(long, 1, 100), (long, 1, 95), (short, 1, 90)], ("long", "1", "97.5", "9.75", "87.75")),
        # Reduced in parts, by shares of what is there: 2 of 3, then half of the rest.
        (
            [(long, 3, 100), (short, 2, 110), (short, "0.5", 120)],
            ("long", "0.5", "50", "5", "90"),
        ),
        # Reversed: what is beyond is new, at its own price.
        ([(long, 1, 100), (short, 3, 110)], ("short", "2", "220", "22", "121")),
        ([(short, 1, 100), (long, 3, 90)], ("long", "2", "180", "18", "81")),
    ],
)
def test_what_is_open(fills: list[tuple[Any, Any, Any]], stands: tuple[str, ...]) -> None:
    made = room()
    for side, volume, price in fills:
        fill(made, side, volume, price)
    assert is_open(made) == stands
    assert made.money()[1] == made.positions()[0].pool.margin


@pytest.mark.parametrize(
    ("fills", "pnl", "back"),
    [
        # 90 - 97.50, and half of 19.50
        ([(long, 1, 100), (long, 1, 95), (short, 1, 90)], "-7.5", "9.75"),
        ([(short, 1, 100), (short, 1, 105), (long, 1, 110)], "-7.5", "10.25"),
        ([(long, 3, 100), (short, 2, 110)], "20", "20"),
        # A third of 301 is 100.33.., so that 110 gain 9.66..: down. A third of a margin of 30.10
        # is 10.033..: down.
        ([(long, 1, 100), (long, 1, 100), (long, 1, 101), (short, 1, 110)], "9.66", "10.03"),
        # A reversal closes all and opens the rest, for which 22 are taken.
        ([(long, 1, 100), (short, 3, 110)], "10", "-12"),
    ],
)
def test_what_a_reduction_brings(fills: list[tuple[Any, Any, Any]], pnl: str, back: str) -> None:
    made = room()
    for side, volume, price in fills[:-1]:
        fill(made, side, volume, price)
    free = made.money()[0]
    lines = fill(made, *fills[-1])
    assert sum(map(D, gained(lines))) == D(pnl)
    assert made.money()[0] - free == D(pnl) + D(back)


def test_in_the_end_it_has_gained_what_one_close_would() -> None:
    """3 at 100, 100 and 101 sold one by one at 110: 9.66, 9.67 and 9.67 make 29."""
    made = room()
    for price in (100, 100, 101):
        fill(made, long, 1, price)
    found = [fill(made, short, 1, 110) for _ in range(3)]
    assert [sum(map(D, gained(lines))) for lines in found] == [D("9.66"), D("9.67"), D("9.67")]
    assert made.positions() == []
    assert made.money() == (D(1029), D(0))


@pytest.mark.parametrize(
    ("rules", "ask", "fees"),
    [
        # a share of all that it fills, be it closed or opened: 110 and 220
        ({"commission": "0.001"}, (short, 3, 110), "0.33"),
        # flat per order: once
        ({"commission": {"flat_per_trade": "2"}}, (short, 3, 110), "2"),
        # the least there is, of both together
        ({"commission": {"percent_of_notional": "0.001", "minimum": "1"}}, (short, 3, 110), "1"),
    ],
)
def test_a_reversal_is_charged_as_one_order(
    rules: dict[str, Any], ask: tuple[Any, Any, Any], fees: str
) -> None:
    made = room(rules)
    fill(made, long, 1, 100)
    lines = fill(made, *ask)
    charged = [D(line.split()[2]) for line in lines if line.startswith("FEE_")]
    assert -sum(charged) == D(fees)


@pytest.mark.parametrize(
    ("volume", "told"),
    [
        # no more than is there: the rest is cancelled
        (3, ["CLOSED", "NETTED", "CANCELLED REDUCE_ONLY"]),
        (2, ["CLOSED", "NETTED"]),
        (1, ["CLOSED", "NETTED"]),
    ],
)
def test_what_only_reduces(volume: int, told: list[str]) -> None:
    made = room()
    fill(made, long, 2, 100)
    lines = fill(made, short, volume, 110, reduce_only=True)
    words = [line for line in lines if line.split()[0] in ("CLOSED", "NETTED", "CANCELLED")]
    assert sorted(words) == sorted(told)
    assert len(made.positions()) == (volume < 2)


def test_what_a_reversal_cannot_pay_is_cancelled() -> None:
    """100 hold 10 long at 100. Short 30 at 95: the close brings 100 - 50; 20 need 190, and 50 buy
    5.263 (5.263 x 9.5 = 49.9985)."""
    made = room(cash=100)
    fill(made, long, 10, 100)
    made.at(100)
    asked: Create = short(20, limit=95, leverage=10)
    assert made.do(asked)[-1] == "ACCEPTED"
    lines = made.bar(bar(5, 95))
    assert lines[-1] == "CANCELLED INSUFFICIENT_FUNDS"
    assert is_open(made)[:2] == ("short", "5.263")


def test_all_of_it_or_nothing() -> None:
    made = room(cash=100)
    fill(made, long, 10, 100)
    made.at(100)
    assert made.do(short(20, limit=95, leverage=10, force="FOK"))[-1] == "ACCEPTED"
    assert made.bar(bar(5, 95)) == ["CANCELLED INSUFFICIENT_FUNDS"]
    assert is_open(made)[:2] == ("long", "10")


def test_a_protection_closes_its_own_lot() -> None:
    """1 at 100 and 1 at 95 with a stop-loss of its own at 92: that closes its 1, at the average of
    97.50; a close by the other's handle, too."""
    made = room()
    fill(made, long, 1, 100)
    fill(made, long, 1, 95, stop_loss=92)
    lines = made.bar(bar(9, 92))
    assert gained(lines) == ["-5.5"]
    (one,) = made.positions()
    assert [lot.branch.number for lot in one.lots] == [1]
    assert is_open(made) == ("long", "1", "97.5", "9.75", "87.75")


def test_opposite_fills_take_the_oldest_lots_first() -> None:
    made = room()
    fill(made, long, 1, 100)
    fill(made, long, 2, 95)
    fill(made, short, "1.5", 97)
    (one,) = made.positions()
    assert [(lot.branch.number, lot.volume) for lot in one.lots] == [(2, D("1.5"))]


def test_on_a_hedging_account_each_order_is_a_position() -> None:
    made = Room()
    made.at(100)
    for side in (long, long, short):
        fill(made, side, 1, 100)
    assert [(one.long, one.pool.volume) for one in made.positions()] == [
        (True, D(1)),
        (True, D(1)),
        (False, D(1)),
    ]
