"""When positions are liquidated, and what that comes to: (position, bar, rules, money) -> entries.

10 long (or short) at 100 with a leverage of 10 hold 100; without maintenance they are liquidated at
90 (110).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.harness import bar, pair_of
from tests.room import ExchangeRoom, Room, long, short

D = Decimal
CROSS = {"main": {"margin_mode": "cross"}}


def held(rules: dict[str, Any] | None = None, side: Any = long, **more: Any) -> Room:
    made = Room(rules, **more)
    made.at(100)
    made.do(side(10, limit=100, leverage=10))
    made.bar(bar(0, 100))
    return made


@pytest.mark.parametrize(
    ("rules", "side", "price"),
    [
        # (1000 - 100) / 10; (1000 + 100) / 10
        ({}, long, "90"),
        ({}, short, "110"),
        # 900 / (10 x 0.99) = 90.909..: down; 1100 / (10 x 1.01) = 108.910..: up
        ({"maintenance_rate": "0.01"}, long, "90.90"),
        ({"maintenance_rate": "0.01"}, short, "108.92"),
        # In the second bracket, 0.05 less 20: (900 - 20) / (10 x 0.95) = 92.631..; of a short
        # (1100 + 20) / 10.5 = 106.666..
        ({"maintenance_tiers": [["500", "0.01"], ["2000", "0.05"]]}, long, "92.63"),
        ({"maintenance_tiers": [["500", "0.01"], ["2000", "0.05"]]}, short, "106.67"),
    ],
)
def test_the_price(rules: dict[str, Any], side: Any, price: str) -> None:
    (position,) = held(rules, side).positions()
    assert position.liquidation == D(price)
    assert position.lots[0].closing("liquidation").price == D(price)


def test_a_long_that_is_paid_in_full_is_never_liquidated() -> None:
    made = Room()
    made.at(100)
    made.do(long(10, limit=100))
    made.bar(bar(0, 100))
    assert made.positions()[0].liquidation is None
    made = Room()
    made.at(100)
    made.do(short(10, limit=100))
    made.bar(bar(0, 100))
    assert made.positions()[0].liquidation == 200


@pytest.mark.parametrize(
    ("rules", "side", "prices", "entries"),
    [
        # It fills like a stop: at its price, or the open where that lies beyond.
        (
            {},
            long,
            (100, 100, 90, 95),
            ["RETURN_MARGIN USD 100 -100", "CLOSE_PNL USD -100 0", "LIQUIDATED"],
        ),
        ({}, long, (100, 100, "90.01", 95), []),
        (
            {},
            short,
            (100, 110, 100, 105),
            ["RETURN_MARGIN USD 100 -100", "CLOSE_PNL USD -100 0", "LIQUIDATED"],
        ),
        # Beyond its margin it loses nothing: 150 are lost of 100.
        (
            {},
            long,
            (85, 85, 85, 85),
            [
                "RETURN_MARGIN USD 100 -100",
                "CLOSE_PNL USD -150 0",
                "ADJUSTMENT USD 50 0",
                "LIQUIDATED",
                "BANKRUPTCY",
            ],
        ),
        # What the margin has left pays the fee, and the rest comes back: at 90.90 91 are lost,
        # 0.909 (up to 0.91) is the fee.
        (
            {"maintenance_rate": "0.01", "commission": "0.001"},
            long,
            (100, 100, 90, 95),
            [
                "RETURN_MARGIN USD 100 -100",
                "CLOSE_PNL USD -91 0",
                "FEE_CLOSE USD -0.91 0",
                "LIQUIDATED",
            ],
        ),
        # Where it has nothing left the insurance pays that, though more is available.
        (
            {"commission": "0.001"},
            long,
            (100, 100, 90, 95),
            [
                "RETURN_MARGIN USD 100 -100",
                "CLOSE_PNL USD -100 0",
                "FEE_CLOSE USD -0.9 0",
                "ADJUSTMENT USD 0.9 0",
                "LIQUIDATED",
                "BANKRUPTCY",
            ],
        ),
    ],
)
def test_what_it_comes_to(
    rules: dict[str, Any], side: Any, prices: tuple[Any, ...], entries: list[str]
) -> None:
    assert held(rules, side).bar(bar(1, *prices)) == entries


@pytest.mark.parametrize(
    ("stop_loss", "prices", "told"),
    [
        # whichever the price reaches first; at an equal price, or both at the open, the stop-loss
        (91, (100, 100, 85, 95), "CLOSED"),
        (90, (100, 100, 85, 95), "CLOSED"),
        (89, (100, 100, 85, 95), "LIQUIDATED"),
        (91, (85, 85, 85, 85), "CLOSED"),
        (89, (85, 85, 85, 85), "CLOSED"),
    ],
)
def test_a_stop_loss_may_come_first(stop_loss: int, prices: tuple[int, ...], told: str) -> None:
    made = held()
    made.modify(stop_loss=stop_loss)
    lines = made.bar(bar(1, *prices))
    assert [line for line in lines if line in ("CLOSED", "LIQUIDATED")] == [told]


def test_what_is_closed_in_part_leaves_the_price_where_it_was() -> None:
    """4 of 10 at 100 give back 40 of 100: (600 - 60) / 6. At 95 they lose 20 of their 40."""
    made = held()
    made.close(volume=4, limit_price=100)
    made.bar(bar(1, 100))
    assert made.positions()[0].liquidation == 90
    made = held()
    made.close(volume=4)
    made.bar(bar(1, 95))
    assert made.positions()[0].liquidation == 90


def test_a_loss_beyond_its_share_brings_it_nearer() -> None:
    """4 of 10 lose 48 at 88 of a margin of 40: 8 more are taken of the other 60, so that it is
    (600 - 52) / 6 = 91.33: at 88 the rest is liquidated, losing 72 of 52."""
    made = held()
    made.close(volume=4)
    lines = made.bar(bar(1, 88))
    assert lines[-2:] == ["LIQUIDATED", "BANKRUPTCY"]
    assert made.house("insurance") == -20


def test_it_is_all_of_it_whatever_volume_there_is() -> None:
    lines = held().bar(bar(1, 90, volume="0.5"))
    assert lines == ["RETURN_MARGIN USD 100 -100", "CLOSE_PNL USD -100 0", "LIQUIDATED"]


def test_closes_that_wait_are_cancelled_with_it() -> None:
    made = held()
    made.close(limit_price=120)
    assert made.bar(bar(1, 90))[-2:] == ["LIQUIDATED", "CLOSE_CANCELLED ALREADY_DONE"]


# -- cross margin on history -----------------------------------------------------------------------


def crossed(cash: Any, *orders: Any, rules: dict[str, Any] | None = None, **more: Any) -> Room:
    made = Room(rules, cash=cash, accounts=CROSS, **more)
    made.at(100)
    for order in orders:
        made.do(order)
    made.bar(bar(0, 100))
    return made


@pytest.mark.parametrize(
    ("low", "called"),
    [
        # 150 and 10 (p - 100) = 0.01 x 10 p: 850 / 9.9 = 85.858..: down
        ("85.86", False),
        ("85.85", True),
    ],
)
def test_the_whole_account_stands_behind_it(low: str, called: bool) -> None:
    made = crossed(150, long(10, limit=100, leverage=10), rules={"maintenance_rate": "0.01"})
    lines = made.bar(bar(1, 100, 100, low, 100))
    assert ("LIQUIDATED" in lines) is called


def test_pending_orders_go_first_and_may_be_enough_to_wait_for() -> None:
    """They have no part in what the account is worth: it is called all the same."""
    made = crossed(200, long(10, limit=100, leverage=10), rules={"maintenance_rate": "0.01"})
    made.do(long(10, limit=50, leverage=10))
    lines = made.bar(bar(1, 100, 100, 80, 80))
    told = [line for line in lines if line.split()[0] in ("CANCELLED", "LIQUIDATED")]
    assert told == ["CANCELLED MARGIN_CALL", "LIQUIDATED"]


def test_the_worst_is_closed_first_and_no_more_than_it_takes() -> None:
    """Two longs of 10, at 100 and at 95 (after a fall), with 0.01 of maintenance. 250 were there.
    At p: 250 + 10 (p - 100) + 10 (p - 95) = 0.2 p: 1700 / 19.8 = 85.858..: at 85.85 the one at 100,
    which has lost 141.50, is closed; 108.50 - 91.50 = 17 are more than 8.59."""
    rules = {"maintenance_rate": "0.01"}
    made = crossed(250, long(10, limit=100, leverage=10), rules=rules)
    made.do(long(10, limit=95, leverage=10))
    made.bar(bar(1, 95))
    lines = made.bar(bar(2, 95, 95, "85.85", "85.85"))
    assert [line for line in lines if "PNL" in line] == ["CLOSE_PNL USD -141.5 0"]
    assert lines.count("LIQUIDATED") == 1
    (left,) = made.positions()
    assert left.pool.cost == 950


def test_collateral_is_sold_for_what_is_owed() -> None:
    """10 long at 100, 100 of margin and nothing more but 2 ETH at 50. At 85 they have lost 150, and
    50 are missing: 1 ETH is sold for that."""
    pairs = [pair_of(), pair_of("ETHUSD")]
    made = Room(
        cash={"main": {"USD": 100, "ETH": 2}},
        accounts={"main": {"margin_mode": "cross", "collateral": {"ETH": "0.9"}}},
        pairs=pairs,
    )
    made.bar(bar(0, 50, pair="ETHUSD"))
    made.at(100)
    made.do(long(10, limit=100, leverage=10))
    made.bar(bar(0, 100))
    made.close()
    lines = made.bar(bar(1, 85))
    assert "FILL_SELL ETH -1 0" in lines
    assert made.money("ETH") == (D(1), D(0))
    assert made.money() == (D(0), D(0))


@pytest.mark.parametrize(
    ("cash", "left"),
    [
        # 10 long at 100 have lost 150 at 85: what is there pays, the insurance bears the rest.
        (150, "0"),
        (160, "10"),
        (140, "0"),
    ],
)
def test_what_the_account_cannot_pay_the_insurance_bears(cash: int, left: str) -> None:
    made = crossed(cash, long(10, limit=100, leverage=10))
    made.close()
    made.bar(bar(1, 85))
    assert made.money() == (D(left), D(0))
    assert made.house("insurance") == min(0, cash - 150)


# -- cross margin between agents -------------------------------------------------------------------


def market(cash: Any, **more: Any) -> ExchangeRoom:
    """main is long 10 at 100 of bob, with cross margin and 0.01 of maintenance."""
    made = ExchangeRoom(
        {"maintenance_rate": "0.01"},
        cash={"main": {"USD": cash}, "bob": {"USD": 10_000}, "ann": {"USD": 10_000}},
        accounts=CROSS,
        **more,
    )
    made.do(short(10, limit=100, leverage=10, account="bob"))
    made.do(long(10, limit=100, leverage=10))
    return made


def fall(made: ExchangeRoom, price: Any) -> list[str]:
    """A trade of others at ``price``."""
    lines = made.do(long("0.001", limit=price, leverage=10, account="ann"))
    return lines + made.do(short("0.001", limit=price, leverage=10, account="bob"))


def test_between_agents_a_called_account_comes_to_the_book() -> None:
    """Called at 85.85, as above. It is a market order there: it takes who bids."""
    made = market(150)
    assert "TRIGGERED" not in fall(made, "85.86")
    made.do(long(4, limit=85, leverage=10, account="ann"))
    fall(made, "85.85")
    assert made.tape()[-1] == "4 at 85 main took"
    # 6 are left: 150 - 60 - 90 = 0 is not more than 0.01 x 6 x 85.
    assert list(made.venue.called) == ["main"]
    assert len(made.book.unmet) == 1


def test_what_it_has_pending_is_cancelled_before() -> None:
    made = market(200)
    made.do(long(1, limit=50, leverage=10))
    made.news()
    assert made.stands() == ["buy 1 at 50 main"]
    lines = fall(made, 80)
    assert "CANCELLED MARGIN_CALL" in lines
    assert made.stands() == []


def test_what_waits_for_somebody_waits_no_more_once_the_account_suffices() -> None:
    made = market(150)
    fall(made, "85.85")
    assert len(made.book.unmet) == 1
    lines = fall(made, 90)
    # ann's bid at 90 is met by what waits; what is left, of 9.999, suffices at 90.
    assert "CLOSE_CANCELLED MARGIN_CALL" in lines
    assert made.book.unmet == {}
    assert list(made.venue.called) == []


def test_of_two_positions_the_worst_comes_first() -> None:
    """10 at 100 and 10 at 95, 250 in all, as above: at 85.85 the first is called."""
    made = market(250)
    made.do(short(10, limit=95, leverage=10, account="bob"))
    made.do(long(10, limit=95, leverage=10))
    made.do(long(20, limit="85.85", leverage=10, account="ann"))
    lines = made.do(short("0.001", limit="85.85", leverage=10, account="bob"))
    assert lines.count("LIQUIDATED") == 1
    assert [one.pool.cost for one in made.book.held("main")] == [D(950)]
