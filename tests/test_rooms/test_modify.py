"""What a modify puts aside or gives back: (order, what filled, change, rules) -> what is posted.

The mark is 100; prices lie on cents, volumes on thousandths, money is in cents.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from backtest.actors.protocol import Create
from tests.harness import HOUR, bar
from tests.room import Room, buy, long, sell, short

D = Decimal
BTC = {"main": {"USD": 1000, "BTC": 5}}


def room(rules: dict[str, Any] | None = None, **more: Any) -> Room:
    made = Room(rules, **{"cash": BTC, **more})
    made.at(100)
    return made


@pytest.mark.parametrize(
    ("rules", "ask", "change", "posted"),
    [
        # another price: 2 x 98, 2 x 99.50
        ({}, buy(2, limit=99), {"limit_price": 98}, ["RETURN_MARGIN USD 2 -2"]),
        ({}, buy(2, limit=99), {"limit_price": "99.5"}, ["RESERVE_MARGIN USD -1 1"]),
        ({}, sell(2, limit=101), {"limit_price": 105}, []),
        # 2 x 111 x 1.05 = 233.10 after 231
        ({}, buy(2, stop=110), {"stop_price": 111}, ["RESERVE_MARGIN USD -2.1 2.1"]),
        # another volume
        ({}, buy(2, limit=99), {"volume": 3}, ["RESERVE_MARGIN USD -99 99"]),
        ({}, buy(2, limit=99), {"volume": "0.5"}, ["RETURN_MARGIN USD 148.5 -148.5"]),
        ({}, sell(2, limit=101), {"volume": 3}, ["RESERVE_MARGIN BTC -1 1"]),
        # both: 3 x 98 / 10 after 19.80
        (
            {},
            long(2, limit=99, leverage=10),
            {"volume": 3, "limit_price": 98},
            ["RESERVE_MARGIN USD -9.6 9.6"],
        ),
        # a short at 97 reserves for the mark, at 103 for that: 20.60 after 20
        ({}, short(2, limit=97, leverage=10), {"limit_price": 98}, []),
        (
            {},
            short(2, limit=97, leverage=10),
            {"limit_price": 103},
            ["RESERVE_MARGIN USD -0.6 0.6"],
        ),
        # where it begins to take, it reserves a taker's fee: 202 + 0.404 after 198 + 0.198
        (
            {"commission": {"maker": "0.001", "taker": "0.002"}},
            buy(2, limit=99),
            {"limit_price": 101},
            ["RESERVE_MARGIN USD -4.21 4.21"],
        ),
        # the fee for making it: on the increase, and only as far as it grows with that
        (
            {"fees": {"create": [{"flat_per_trade": "7"}, {"percent_of_notional": "0.01"}]}},
            buy(2, limit=99),
            {"volume": 3},
            ["RESERVE_MARGIN USD -99 99", "FEE_CREATE USD -0.99 0"],
        ),
        (
            {"fees": {"create": {"percent_of_notional": "0.01", "minimum": "7"}}},
            buy(2, limit=99),
            {"volume": 3},
            ["RESERVE_MARGIN USD -99 99", "FEE_CREATE USD -0.99 0"],
        ),
        (
            {"fees": {"create": {"percent_of_notional": "0.01"}}},
            buy(2, limit=99),
            {"volume": 1},
            ["RETURN_MARGIN USD 99 -99"],
        ),
        # protection alone moves no money
        ({}, long(2, limit=99, leverage=10, stop_loss=90), {"stop_loss": 95}, []),
        ({}, long(2, limit=99, leverage=10, stop_loss=90), {"clear": frozenset({"stop_loss"})}, []),
    ],
)
def test_what_a_change_moves(
    rules: dict[str, Any], ask: Create, change: dict[str, Any], posted: list[str]
) -> None:
    made = room(rules)
    made.do(ask)
    assert made.modify(**change) == [*posted, "MODIFIED"]


def test_the_volume_is_what_filled_and_what_is_left() -> None:
    """1 of 2 has filled: 4 in all are 3 more, for which 297 are put aside instead of 99."""
    made = room()
    made.do(buy(2, limit=99))
    made.bar(bar(1, 99, volume=1))
    assert made.modify(volume=4) == ["RESERVE_MARGIN USD -198 198", "MODIFIED"]
    assert made.branch().volume == 3
    # No more than what filled: nothing is left of it.
    assert made.modify(volume=1) == ["RETURN_MARGIN USD 297 -297", "CANCELLED MODIFIED_AWAY"]


@pytest.mark.parametrize(
    ("change", "keeps"),
    [
        ({"volume": 1}, True),
        ({"volume": 2}, True),
        ({"volume": 3}, False),
        ({"limit_price": 99}, False),
        ({"volume": 1, "limit_price": 98}, False),
        ({"take_profit": 120}, False),
    ],
)
def test_only_who_asks_for_less_keeps_the_place(change: dict[str, Any], keeps: bool) -> None:
    made = room()
    made.do(long(2, limit=99, leverage=10))
    made.do(long(1, limit=99, leverage=10))
    first = made.branch(1)
    before = first.sequence
    assert made.modify(first, **change)[-1] == "MODIFIED"
    assert (first.sequence == before) is keeps
    assert [one.number for one in made.branches()] == ([1, 2] if keeps else [2, 1])
    assert made.heard()[-1].facts.keeps_place is keeps


@pytest.mark.parametrize(
    ("rules", "ask", "change", "reason"),
    [
        ({}, buy(2, limit=99), {}, "NOTHING_TO_CHANGE"),
        ({}, buy(2, limit=99), {"volume": "-1"}, "INVALID_VOLUME"),
        ({}, buy(2, limit=99), {"volume": "1.0005"}, "VOLUME_INCREMENT"),
        ({}, buy(2, limit=99), {"limit_price": "99.001"}, "PRICE_INCREMENT"),
        ({}, buy(2, limit=99), {"limit_price": 0}, "INVALID_PRICE"),
        ({}, buy(2, limit=99), {"stop_price": 110}, "INVALID_ACTION"),
        ({}, buy(2), {"limit_price": 110}, "INVALID_ACTION"),
        ({}, buy(2, limit=99), {"clear": frozenset({"volume"})}, "INVALID_ACTION"),
        ({}, buy(2, limit=99), {"trail": 3}, "INVALID_ACTION"),
        ({}, sell(2, limit=101), {"stop_loss": 90}, "NOT_SUPPORTED"),
        ({}, buy(2, limit=99, force="IOC"), {"expires_at": datetime(2000, 1, 1, tzinfo=UTC)},
         "INVALID_ACTION"),
        ({}, buy(2, limit=99), {"expires_at": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)},
         "EXPIRED"),
        ({}, buy(2, limit=99), {"expires_at": datetime(2000, 1, 1)}, "INVALID_ACTION"),
        ({}, buy(2, limit=99), {"stop_loss": 99}, "PROTECTION_SIDE"),
        ({}, long(2, limit=99, stop_loss=90), {"limit_price": 90}, "PROTECTION_SIDE"),
        ({}, buy(2, limit=99, post_only=True), {"limit_price": 100}, "WOULD_TAKE"),
        ({}, buy(2, limit=99), {"volume": 11}, "INSUFFICIENT_FUNDS"),
        ({}, buy(2, limit=99), {"limit_price": 600}, "INSUFFICIENT_FUNDS"),
        ({}, sell(2, limit=101), {"volume": "5.001"}, "INSUFFICIENT_FUNDS"),
        ({"min_volume": "1"}, buy(2, limit=99), {"volume": "0.5"}, "MIN_VOLUME"),
        ({"min_notional": "100"}, buy(2, limit=99), {"volume": "1"}, "MIN_NOTIONAL"),
        (
            {"maintenance_tiers": [["500", "0.01", "10"], ["1000", "0.05", "5"]]},
            long(2, limit=99, leverage=10),
            {"volume": 6},
            "LEVERAGE",
        ),
    ],
)  # fmt: skip
def test_why_a_change_is_refused(
    rules: dict[str, Any], ask: Create, change: dict[str, Any], reason: str
) -> None:
    """With nothing changed: what it reserves for, too, is as it was."""
    made = room(rules)
    made.shell.events.now = 10**9
    made.do(ask)
    branch, before = made.branch(), made.ledger.balances()
    terms = (branch.volume, branch.reservation_price, branch.taker, branch.sequence, branch.price)
    assert made.modify(**change) == [f"REJECTED {reason}"]
    assert made.ledger.balances() == before
    assert terms == (
        branch.volume,
        branch.reservation_price,
        branch.taker,
        branch.sequence,
        branch.price,
    )


def test_protection_of_what_is_open_is_tested_against_the_mark() -> None:
    made = room()
    made.do(long(2, limit=99, leverage=10))
    made.bar(bar(1, 99, 101, 99, 100))
    assert made.modify(stop_loss=100) == ["REJECTED PROTECTION_SIDE"]
    assert made.modify(take_profit=100) == ["REJECTED PROTECTION_SIDE"]
    assert made.modify(stop_loss=95, take_profit=110) == ["MODIFIED"]
    lot = made.positions()[0].lots[0]
    assert {one.role: one.price for one in lot.exits} == {
        "liquidation": D("89.10"),  # (198 - 19.80) / 2
        "stop_loss": D(95),
        "take_profit": D(110),
    }
    assert made.modify(clear=frozenset({"stop_loss"})) == ["MODIFIED"]
    assert lot.closing("stop_loss") is None
    assert made.modify(limit_price=98) == ["REJECTED ALREADY_DONE"]
    assert made.modify(volume=3) == ["REJECTED ALREADY_DONE"]


def test_a_trailing_stop_begins_anew_from_the_mark() -> None:
    made = room()
    made.do(sell(2, trail=5))
    assert made.branch().price == 95
    made.at(110)
    assert made.modify(trail=3) == ["MODIFIED"]
    assert made.branch().price == 107


def test_what_has_expired_cannot_be_given_a_new_life() -> None:
    """Until it is known that no bar was under way its open may still fill it."""
    made = room()
    made.do(buy(2, limit=99, expires=datetime(1970, 1, 1, 1, tzinfo=UTC)))
    made.shell.events.now = HOUR
    assert made.modify(limit_price=98) == ["REJECTED EXPIRED"]
    assert made.split(1, 1) == ["REJECTED EXPIRED"]
    assert made.cancel() == ["RETURN_MARGIN USD 198 -198", "CANCELLED REQUESTED"]


def test_what_it_is_to_close_of_the_other_side_grows_and_shrinks_with_it() -> None:
    """2 long are open; a short of 1 claims 1; of 3 it opens 1, for 101 / 10."""
    made = room(accounts={"main": {"netting": True}})
    made.do(long(2, limit=100, leverage=10))
    made.bar(bar(1, 100))
    made.do(short(1, limit=101, leverage=10))
    assert made.modify(volume=3) == ["RESERVE_MARGIN USD -10.1 10.1", "MODIFIED"]
    assert made.branch().offset == 2
    assert made.modify(volume="0.5") == ["RETURN_MARGIN USD 10.1 -10.1", "MODIFIED"]
    assert made.branch().offset == D("0.5")
    assert made.modify(stop_loss=110) == ["MODIFIED"]
    made.do(short(1, limit=101, reduce_only=True))
    assert made.modify(stop_loss=110) == ["REJECTED INVALID_ACTION"]
