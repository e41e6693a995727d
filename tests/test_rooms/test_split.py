"""What parts of a split have: (order or position, volumes, prices, rules) -> reserves, margins.

The mark is 100; prices lie on cents, volumes on thousandths, money is in cents.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from backtest.actors.protocol import Create
from tests.harness import bar
from tests.room import Room, buy, long, sell, short

D = Decimal
BTC = {"main": {"USD": 1000, "BTC": 5}}


def room(rules: dict[str, Any] | None = None, **more: Any) -> Room:
    made = Room(rules, **{"cash": BTC, **more})
    made.at(100)
    return made


@pytest.mark.parametrize(
    ("rules", "ask", "volumes", "more", "posted", "reserves"),
    [
        ({}, buy(3, limit=99), (1, 2), {}, [], "99 198"),
        ({}, sell(3, limit=101), (1, 2), {}, [], "1 2"),
        ({}, long(3, limit=99, leverage=10), (1, 2), {}, [], "9.9 19.8"),
        # Each is rounded for itself: 0.101 and 0.23533, where 0.33633 were 0.34.
        (
            {},
            buy("0.333", limit="1.01"),
            ("0.1", "0.233"),
            {},
            ["RESERVE_MARGIN USD -0.01 0.01"],
            "0.11 0.24",
        ),
        # 100 / 3 = 33.33..: 33.34 for one, 66.67 for two, where 100 were reserved for three.
        (
            {},
            long(3, limit=100, leverage=3),
            (1, 2),
            {},
            ["RESERVE_MARGIN USD -0.01 0.01"],
            "33.34 66.67",
        ),
        # The least fee is each one's own.
        (
            {"fees": {"fill": {"percent_of_notional": "0.001", "minimum": "5"}}},
            buy(3, limit=99),
            (1, 2),
            {},
            ["RESERVE_MARGIN USD -5 5"],
            "104 203",
        ),
        # At prices of their own: 98 and 2 x 99.50, where 297 were reserved.
        (
            {},
            buy(3, limit=99),
            (1, 2),
            {"limit_prices": (98, "99.5")},
            [],
            "98 199",
        ),
        (
            {},
            buy(3, limit=99),
            (1, 2),
            {"limit_prices": (98, 98)},
            ["RETURN_MARGIN USD 3 -3"],
            "98 196",
        ),
        # It is no new order: nothing is charged for making it.
        (
            {"fees": {"create": {"flat_per_trade": "1"}}},
            buy(3, limit=99),
            (1, 2),
            {},
            [],
            "99 198",
        ),
        ({}, buy(3, limit=99), (1, 1, 1), {}, [], "99 99 99"),
    ],
)
def test_what_the_parts_reserve(
    rules: dict[str, Any],
    ask: Create,
    volumes: tuple[Any, ...],
    more: dict[str, Any],
    posted: list[str],
    reserves: str,
) -> None:
    made = room(rules)
    made.do(ask)
    assert made.split(*volumes, **more) == [*posted, "SPLIT"]
    held = [one.order.reserved for one in made.branches() if one.order is not None]
    assert held == [D(one) for one in reserves.split()]
    assert sum(held) == sum(made.money(asset)[1] for asset in ("USD", "BTC"))
    assert [one.volume for one in made.branches()] == [D(one) for one in volumes]


@pytest.mark.parametrize(
    ("rules", "ask", "volumes", "more", "reason"),
    [
        ({}, buy(3, limit=99), (3,), {}, "INVALID_VOLUME"),
        ({}, buy(3, limit=99), (0, 3), {}, "INVALID_VOLUME"),
        ({}, buy(3, limit=99), ("1.0005", "1.9995"), {}, "VOLUME_INCREMENT"),
        ({}, buy(3, limit=99), (1, 1), {}, "STALE"),
        ({}, buy(3, limit=99), (2, 2), {}, "STALE"),
        ({}, buy(3, limit=99), (1, 2), {"limit_prices": (98,)}, "INVALID_PRICE"),
        ({}, buy(3, limit=99), (1, 2), {"limit_prices": (98, "97.001")}, "PRICE_INCREMENT"),
        ({}, buy(3), (1, 2), {"limit_prices": (98, 97)}, "INVALID_ACTION"),
        ({}, buy(3, limit=99), (1, 2), {"take_profits": (110,)}, "INVALID_PRICE"),
        ({}, buy(3, limit=99), (1, 2), {"take_profits": (110, 99)}, "PROTECTION_SIDE"),
        ({}, sell(3, limit=101), (1, 2), {"take_profits": (110, 120)}, "NOT_SUPPORTED"),
        ({}, buy(3, limit=99, post_only=True), (1, 2), {"limit_prices": (98, 100)}, "WOULD_TAKE"),
        ({"min_volume": "1"}, buy(3, limit=99), ("0.5", "2.5"), {}, "MIN_VOLUME"),
        ({"min_notional": "100"}, buy(3, limit=99), (1, 2), {}, "MIN_NOTIONAL"),
        # 0.004 at 1: less than a cent
        ({}, buy(3, limit=1), ("0.004", "2.996"), {}, "MIN_NOTIONAL"),
        ({}, buy(9, limit=100), (4, 5), {"limit_prices": (100, 121)}, "INSUFFICIENT_FUNDS"),
        ({"max_open_orders": 1}, buy(3, limit=99), (1, 2), {}, "MAX_OPEN_ORDERS"),
    ],
)
def test_why_a_split_is_refused(
    rules: dict[str, Any],
    ask: Create,
    volumes: tuple[Any, ...],
    more: dict[str, Any],
    reason: str,
) -> None:
    made = room(rules)
    made.do(ask)
    before = made.ledger.balances()
    assert made.split(*volumes, **more) == [f"REJECTED {reason}"]
    assert made.ledger.balances() == before
    assert [one.number for one in made.branches()] == [1]


def test_parts_as_the_whole_was_keep_its_place_and_others_do_not() -> None:
    made = room()
    made.do(buy(3, limit=99))
    first = made.branch().sequence
    made.split(1, 2, limit_prices=(99, 98))
    kept, moved = made.branches()
    assert kept.sequence == first
    assert moved.sequence > first
    assert (kept.price, moved.price) == (D(99), D(98))


def test_after_a_fill_the_parts_begin_anew() -> None:
    """1 of 3 filled at 99 and was charged 5, which was the least: each part may be charged that."""
    made = room({"fees": {"fill": {"percent_of_notional": "0.001", "minimum": "5"}}})
    made.do(buy(3, limit=99))
    made.bar(bar(1, 99, volume=1))
    assert made.money()[1] == 198
    assert made.split(1, 1) == ["RESERVE_MARGIN USD -10 10", "SPLIT"]


# -- positions -------------------------------------------------------------------------------------


def held(netting: bool, **more: Any) -> Room:
    """3 long at 100 with a leverage of 3, for which 100 are held."""
    made = room(accounts={"main": {"netting": netting}}, **more)
    made.do(long(3, limit=100, leverage=3, take_profit=150))
    made.bar(bar(1, 100))
    assert made.positions()[0].pool.margin == 100
    return made


def test_on_a_hedging_account_each_part_is_a_position_with_its_own_margin() -> None:
    """100 / 3 = 33.33, and 66.67; (100 - 33.33) / 1 and (200 - 66.67) / 2 = 66.665, down."""
    made = held(netting=False)
    assert made.split(1, 2) == ["SPLIT"]
    small, large = made.positions()
    assert (small.pool.volume, small.pool.cost, small.pool.margin) == (D(1), D(100), D("33.33"))
    assert (large.pool.volume, large.pool.cost, large.pool.margin) == (D(2), D(200), D("66.67"))
    assert (small.liquidation, large.liquidation) == (D("66.67"), D("66.66"))
    assert [one.lots[0].closing("take_profit").volume for one in (small, large)] == [D(1), D(2)]


def test_on_a_netting_account_they_are_lots_of_one_position() -> None:
    """(300 - 100) / 3 = 66.666.., down."""
    made = held(netting=True)
    assert made.split(1, 2, take_profits=(120, None)) == ["SPLIT"]
    (one,) = made.positions()
    assert (one.pool.margin, one.liquidation) == (D(100), D("66.66"))
    assert [lot.volume for lot in one.lots] == [D(1), D(2)]
    assert [lot.closing("take_profit").price for lot in one.lots] == [D(120), D(150)]


@pytest.mark.parametrize(
    ("volumes", "more", "reason"),
    [
        ((3,), {}, "INVALID_VOLUME"),
        ((1, 1), {}, "STALE"),
        ((1, 2), {"limit_prices": (110, 120)}, "INVALID_ACTION"),
        ((1, 2), {"take_profits": (110, 100)}, "PROTECTION_SIDE"),
    ],
)
def test_why_a_position_is_not_split(
    volumes: tuple[Any, ...], more: dict[str, Any], reason: str
) -> None:
    made = held(netting=False)
    assert made.split(*volumes, **more) == [f"REJECTED {reason}"]


def test_a_position_of_which_a_close_is_pending_is_not_split() -> None:
    made = held(netting=False)
    made.close(limit_price=110)
    assert made.split(1, 2) == ["REJECTED STALE"]
    made.cancel()
    assert made.split(1, 2) == ["SPLIT"]


def test_parts_share_what_the_whole_was_to_close() -> None:
    """3 are open; a short of 4 is to close 3 of its 4: of the halves 1.5 each, and each opens 0.5
    at 101 with a leverage of 10, for 5.05."""
    made = held(netting=True)
    assert made.do(short(4, limit=101, leverage=10))[0] == "RESERVE_MARGIN USD -10.1 10.1"
    assert made.split(2, 2) == ["SPLIT"]
    halves = made.branches()
    assert [one.offset for one in halves] == [D("1.5"), D("1.5")]
    assert [one.order.reserved for one in halves if one.order] == [D("5.05"), D("5.05")]
