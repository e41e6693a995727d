"""What positions and orders cost as time passes: (position, mark, rates, money) -> what is charged.

10 long (or short) at 100 with a leverage of 10 are open since 0:00, for which 100 are held; the
night ends at 24:00.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.harness import DAY, HOUR, M, bar
from tests.room import ExchangeRoom, Room, at_once, buy, long, sell, short

D = Decimal
PERMILLE = {"fees": {"overnight_filled": {"percent_of_notional": "0.001"}}}
PENDING = {"fees": {"overnight_pending": {"percent_of_notional": "0.001"}}}
HUNDREDTH = {"funding": {"rate": "0.01", "every": "8h"}}


def held(rules: dict[str, Any], side: Any = long, cash: Any = 1000, **more: Any) -> Room:
    made = Room(rules, cash=cash, **more)
    made.at(100)
    made.do(side(10, limit=100, leverage=10))
    made.bar(bar(0, 100))
    return made


def until(made: Room, time: int, mark: Any = 100) -> list[str]:
    """What falls due by ``time`` is charged at ``mark``."""
    made.at(mark)
    made.shell.events.now = time
    at_once(made.financing.charge_until(made.book, time))
    return made.news()


@pytest.mark.parametrize(
    ("rules", "side", "mark", "charged"),
    [
        # a share of the notional at the mark: 1000, 1101, 1100.07
        (PERMILLE, long, "100", "-1"),
        (PERMILLE, short, "100", "-1"),
        (PERMILLE, long, "110.007", "-1.11"),  # 1.10007: up
        # income (a negative rate) toward zero: 1.10007
        (
            {"fees": {"overnight_filled": {"percent_of_notional": "-0.001"}}},
            long,
            "110.007",
            "1.1",
        ),
        # a share of the margin, flat, and by volume
        ({"fees": {"overnight_filled": {"percent_of_margin": "0.01"}}}, long, "110", "-1"),
        ({"fees": {"overnight_filled": {"flat_per_trade": "0.7"}}}, long, "110", "-0.7"),
        ({"fees": {"overnight_filled": {"flat_per_volume": "0.07"}}}, long, "110", "-0.7"),
        # never below the least, never above the most
        (
            {"fees": {"overnight_filled": {"percent_of_notional": "0.001", "minimum": "3"}}},
            long,
            "100",
            "-3",
        ),
        (
            {"fees": {"overnight_filled": {"percent_of_notional": "0.1", "maximum": "3"}}},
            long,
            "100",
            "-3",
        ),
    ],
)
def test_a_night(rules: dict[str, Any], side: Any, mark: str, charged: str) -> None:
    made = held(rules, side)
    made.financing.is_due(made.book, bar(0, 100))  # the first bar says which night is the first
    assert until(made, DAY - 1, mark) == []
    assert until(made, DAY, mark) == [f"FEE_OVERNIGHT USD {charged} 0", "CHARGED"]
    assert made.house("market") == -D(charged)
    # Once for each night; never for a part of one.
    assert until(made, DAY + HOUR, mark) == []
    assert until(made, 3 * DAY, mark).count("CHARGED") == 2


@pytest.mark.parametrize(
    ("rate", "side", "mark", "charged"),
    [
        # longs pay, shorts get: 1000 x 0.01
        ("0.01", long, "100", "-10"),
        ("0.01", short, "100", "10"),
        # a negative rate turns that round
        ("-0.01", long, "100", "10"),
        ("-0.01", short, "100", "-10"),
        # 1090.07 x 0.01 = 10.9007: a payment up, income down
        ("0.01", long, "109.007", "-10.91"),
        ("0.01", short, "109.007", "10.9"),
    ],
)
def test_funding(rate: str, side: Any, mark: str, charged: str) -> None:
    made = held({"funding": {"rate": rate, "every": "8h"}}, side)
    made.financing.is_due(made.book, bar(0, 100))
    assert until(made, 8 * HOUR - 1, mark) == []
    assert until(made, 8 * HOUR, mark) == [f"FEE_OVERNIGHT USD {charged} 0", "CHARGED"]


def test_at_one_time_the_night_goes_before_funding() -> None:
    made = held({**PERMILLE, "funding": {"rate": "0.01", "every": "24h"}})
    made.financing.is_due(made.book, bar(0, 100))
    assert until(made, DAY) == [
        "FEE_OVERNIGHT USD -1 0",
        "FEE_OVERNIGHT USD -10 0",
        "CHARGED",
        "CHARGED",
    ]


@pytest.mark.parametrize(
    ("left", "posted", "margin", "insurance"),
    [
        # 10 are due. From what is available, then from the margin, then from the insurance.
        ("20", ["FEE_OVERNIGHT USD -10 0", "CHARGED"], "100", "0"),
        ("10", ["FEE_OVERNIGHT USD -10 0", "CHARGED"], "100", "0"),
        (
            "4",
            ["RETURN_MARGIN USD 6 -6", "FEE_OVERNIGHT USD -10 0", "CHARGED"],
            "94",
            "0",
        ),
        ("0", ["RETURN_MARGIN USD 10 -10", "FEE_OVERNIGHT USD -10 0", "CHARGED"], "90", "0"),
    ],
)
def test_who_pays_it(left: str, posted: list[str], margin: str, insurance: str) -> None:
    made = held(HUNDREDTH, cash=D(100) + D(left))
    made.financing.is_due(made.book, bar(0, 100))
    assert until(made, 8 * HOUR) == posted
    assert made.positions()[0].pool.margin == D(margin)
    assert made.house("insurance") == D(insurance)


def test_what_the_margin_cannot_pay_the_insurance_bears() -> None:
    """120 are due of a position with a margin of 100, and 5 are available."""
    made = held({"funding": {"rate": "0.12", "every": "8h"}}, cash=105)
    made.financing.is_due(made.book, bar(0, 100))
    assert until(made, 8 * HOUR) == [
        "RETURN_MARGIN USD 100 -100",
        "ADJUSTMENT USD 15 0",
        "FEE_OVERNIGHT USD -120 0",
        "CHARGED",
        "BANKRUPTCY",
    ]
    assert made.house("insurance") == -15


def test_a_margin_that_paid_brings_the_liquidation_nearer() -> None:
    """(1000 - 100) / 10 = 90; after 10 of it were paid (1000 - 90) / 10 = 91."""
    made = held(HUNDREDTH, cash=100)
    made.financing.is_due(made.book, bar(0, 100))
    (position,) = made.positions()
    assert position.liquidation == 90
    until(made, 8 * HOUR)
    assert position.liquidation == 91
    assert position.lots[0].closing("liquidation").price == 91


def test_inside_a_bar_the_level_is_tested_after_each_charge() -> None:
    """Three fundings of 10 at 92 (9.20 each) fall due inside a bar that closes there: 100 - 9.20
    leave (1000 - 90.80) / 10 = 90.92, and again 91.84: at 92.76 it is liquidated, at 92."""
    made = held(HUNDREDTH, cash=100)
    made.financing.is_due(made.book, bar(0, 100))
    made.at(92)
    made.shell.events.now = DAY
    at_once(made.financing.charge_until(made.book, DAY - 1, bar(0, 92, length=DAY)))
    # 8:00 and 16:00 alone lie inside the bar
    assert made.news().count("CHARGED") == 2
    assert made.positions()[0].liquidation == D("91.84")
    at_once(made.financing.charge_until(made.book, DAY, bar(0, 92, length=DAY)))
    # 80 are lost of a margin of 72.40.
    assert made.news()[-3:] == ["CHARGED", "LIQUIDATED", "BANKRUPTCY"]
    assert made.house("insurance") == D("-7.6")
    # What was called is charged no more.
    at_once(made.financing.charge_until(made.book, 2 * DAY))
    assert made.news() == []


def test_what_was_opened_later_has_no_part_in_it() -> None:
    made = held(HUNDREDTH)
    made.financing.is_due(made.book, bar(0, 100))
    made.positions()[0].lots[0].opened[0] = (
        made.positions()[0].lots[0].opened[0]._replace(since=8 * HOUR + 1)
    )
    assert until(made, 8 * HOUR) == []
    assert until(made, 16 * HOUR)[-1] == "CHARGED"


@pytest.mark.parametrize(
    ("ask", "charged"),
    [
        (buy(2, limit=50), "-0.2"),  # 2 at the mark of 100
        (sell(2, limit=150), "-0.2"),
        (long(2, limit=50, leverage=10), "-0.2"),
    ],
)
def test_a_pending_order_pays_for_the_night(ask: Any, charged: str) -> None:
    made = Room(PENDING, cash={"main": {"USD": 1000, "BTC": 5}})
    made.at(100)
    made.financing.is_due(made.book, bar(0, 100))
    made.do(ask)
    assert until(made, DAY) == [f"FEE_OVERNIGHT USD {charged} 0", "CHARGED"]
    assert until(made, DAY) == []


def test_what_was_accepted_at_the_very_time_or_has_expired_by_then_does_not() -> None:
    made = Room(PENDING)
    made.at(100)
    made.financing.is_due(made.book, bar(0, 100))
    made.do(buy(1, limit=50, force="DAY"))
    made.shell.events.now = DAY
    made.do(buy(2, limit=50))
    assert until(made, DAY) == []


def test_a_command_charges_first_what_stood_until_then() -> None:
    """For the night that is over it pays for 2, though it is for 1 from now on."""
    made = Room(PENDING)
    made.at(100)
    made.financing.is_due(made.book, bar(0, 100))
    made.do(buy(2, limit=50))
    made.shell.events.now = DAY
    assert made.modify(volume=1) == [
        "FEE_OVERNIGHT USD -0.2 0",
        "RETURN_MARGIN USD 50 -50",
        "CHARGED",
        "MODIFIED",
    ]
    assert until(made, DAY) == []


@pytest.mark.parametrize(
    ("close", "rules", "is_due"),
    [
        (8 * HOUR, HUNDREDTH, False),
        (8 * HOUR + M, HUNDREDTH, True),
        (DAY, PERMILLE, False),
        (DAY + M, PERMILLE, True),
    ],
)
def test_whether_a_bar_has_to_look(close: int, rules: dict[str, Any], is_due: bool) -> None:
    """What falls due at its very close is for the next one."""
    made = Room(rules)
    assert made.financing.is_due(made.book, bar(0, 100, length=close)) is is_due


def test_between_agents_one_side_pays_the_other() -> None:
    """3 x 109.007 x 0.01 = 3.27021: the long pays 3.28, the short gets 3.27, and the cent that is
    over goes to the fees."""
    made = ExchangeRoom(HUNDREDTH, cash={"main": {"USD": 1000}, "bob": {"USD": 1000}})
    made.do(long(3, limit=100, leverage=10))
    made.do(short(3, limit=100, leverage=10, account="bob"))
    made.financing.is_due_at(made.book, 0)
    assert until(made, 8 * HOUR, "109.007") == [
        "bob FEE_OVERNIGHT USD 3.27 0",
        "FEE_OVERNIGHT USD -3.28 0",
        "CHARGED",
        "CHARGED",
    ]
    assert (made.house("clearing"), made.house("fees")) == (D(0), D("0.01"))
