"""What a cancel gives back and costs: (order, what has filled, rules) -> what is posted.

The mark is 100; prices lie on cents, volumes on thousandths, money is in cents.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from backtest.actors.protocol import Amend, Create, Verb
from tests.harness import bar
from tests.room import Room, buy, long, sell

D = Decimal
BTC = {"main": {"USD": 1000, "BTC": 5}}


def room(rules: dict[str, Any] | None = None, **more: Any) -> Room:
    made = Room(rules, **{"cash": BTC, **more})
    made.at(100)
    return made


FLAT = {"fees": {"cancel": {"flat_per_trade": "1.5"}}}
SHARE = {"fees": {"cancel": {"percent_of_notional": "0.01"}}}


@pytest.mark.parametrize(
    ("rules", "ask", "volume", "posted"),
    [
        # all that is left
        ({}, buy(2, limit=99), None, ["RETURN_MARGIN USD 198 -198", "CANCELLED REQUESTED"]),
        ({}, sell(2, limit=101), None, ["RETURN_MARGIN BTC 2 -2", "CANCELLED REQUESTED"]),
        (
            {},
            long(2, limit=99, leverage=10),
            None,
            ["RETURN_MARGIN USD 19.8 -19.8", "CANCELLED REQUESTED"],
        ),
        # at the market with its buffer
        ({}, buy(2), None, ["RETURN_MARGIN USD 210 -210", "CANCELLED REQUESTED"]),
        # a part: 1.5 x 99 stay
        ({}, buy(2, limit=99), "0.5", ["RETURN_MARGIN USD 49.5 -49.5", "CANCELLED REQUESTED"]),
        ({}, buy(2, limit=99), "2", ["RETURN_MARGIN USD 198 -198", "CANCELLED REQUESTED"]),
        # 0.333 x 1.01 were 0.34; 0.233 x 1.01 = 0.23533 are 0.24
        (
            {},
            buy("0.333", limit="1.01"),
            "0.1",
            ["RETURN_MARGIN USD 0.1 -0.1", "CANCELLED REQUESTED"],
        ),
        # the least fee stays in reserve with the leaves: 5 and 148.50 of 203
        (
            {"fees": {"fill": {"percent_of_notional": "0.001", "minimum": "5"}}},
            buy(2, limit=99),
            "0.5",
            ["RETURN_MARGIN USD 49.5 -49.5", "CANCELLED REQUESTED"],
        ),
        # its own fee: flat, or a share of what is cancelled
        (
            FLAT,
            buy(2, limit=99),
            None,
            ["RETURN_MARGIN USD 198 -198", "FEE_CANCEL USD -1.5 0", "CANCELLED REQUESTED"],
        ),
        (
            SHARE,
            buy(2, limit=99),
            "0.5",
            ["RETURN_MARGIN USD 49.5 -49.5", "FEE_CANCEL USD -0.5 0", "CANCELLED REQUESTED"],
        ),
        (
            SHARE,
            sell(2, limit=101),
            None,
            # 2 x 101
            ["RETURN_MARGIN BTC 2 -2", "FEE_CANCEL USD -2.02 0", "CANCELLED REQUESTED"],
        ),
        (
            {"fees": {"cancel": {"percent_of_margin": "0.1"}}},
            long(2, limit=99, leverage=10),
            None,
            ["RETURN_MARGIN USD 19.8 -19.8", "FEE_CANCEL USD -1.98 0", "CANCELLED REQUESTED"],
        ),
        # what is left of a sell would bring half a cent: that is cancelled, too
        (
            {},
            sell(2, limit="0.01"),
            "1.5",
            [
                "RETURN_MARGIN BTC 1.5 -1.5",
                "RETURN_MARGIN BTC 0.5 -0.5",
                "CANCELLED REQUESTED",
                "CANCELLED MIN_NOTIONAL",
            ],
        ),
        # a whole cent stays
        (
            {},
            sell(2, limit="0.01"),
            "1",
            ["RETURN_MARGIN BTC 1 -1", "CANCELLED REQUESTED"],
        ),
        # of a buy all of it counts, and it stays
        (
            {},
            buy(2, limit="0.01"),
            "1.5",
            ["RETURN_MARGIN USD 0.01 -0.01", "CANCELLED REQUESTED"],
        ),
    ],
)
def test_what_comes_back(
    rules: dict[str, Any], ask: Create, volume: str | None, posted: list[str]
) -> None:
    made = room(rules)
    made.do(ask)
    assert made.cancel(volume=volume) == posted
    assert sum(one.order.reserved for one in made.branches() if one.order) == sum(
        made.money(asset)[1] for asset in ("USD", "BTC")
    )


def test_after_a_fill_the_rest_comes_back_and_no_more() -> None:
    """1 of 2 fills at 98: 98 of the 198 are paid, 99 stay for the other."""
    made = room()
    made.do(buy(2, limit=99))
    assert made.bar(bar(1, 98, volume=1)) == [
        "FILL_BUY USD 0 -98",
        "SPOT_EXCHANGE BTC 1 0",
        "RETURN_MARGIN USD 1 -1",
        "FILLED",
    ]
    assert made.cancel() == ["RETURN_MARGIN USD 99 -99", "CANCELLED REQUESTED"]
    assert made.cancel() == ["REJECTED ALREADY_DONE"]
    assert made.money() == (D(902), D(0))


def test_a_cancel_is_never_refused_for_its_fee() -> None:
    """1.50 are due and 0.50 are there: the insurance account bears the rest."""
    made = room(FLAT, cash={"main": {"USD": "0.5", "BTC": 5}})
    made.do(sell(2, limit=101))
    assert made.cancel() == [
        "RETURN_MARGIN BTC 2 -2",
        "ADJUSTMENT USD 1 0",
        "FEE_CANCEL USD -1.5 0",
        "CANCELLED REQUESTED",
        "BANKRUPTCY",
    ]
    assert made.house("insurance") == -1


def test_the_reserve_that_comes_back_pays_the_fee() -> None:
    made = room(FLAT, cash=198)
    made.do(buy(2, limit=99))
    assert made.cancel()[-1] == "CANCELLED REQUESTED"
    assert made.money() == (D("196.5"), D(0))


def test_what_a_sale_still_owes_is_due_with_its_end() -> None:
    """3 are charged with the first fill of 1 at 1, which has 1 and the 1 that is available: 1 stays
    due, and the insurance account bears it when the rest is cancelled."""
    made = room({"fees": {"fill": {"flat_per_trade": "3"}}}, cash={"main": {"USD": "1", "BTC": 5}})
    made.at(1)
    made.do(sell(2, limit=1))
    assert made.bar(bar(1, 1, volume=1))[1:4] == [
        "SPOT_EXCHANGE USD 1 0",
        "FEE_FILL USD -2 0",
        "FILLED",
    ]
    assert made.cancel() == [
        "RETURN_MARGIN BTC 1 -1",
        "ADJUSTMENT USD 1 0",
        "FEE_CANCEL USD -1 0",
        "CANCELLED REQUESTED",
        "BANKRUPTCY",
    ]


@pytest.mark.parametrize(
    ("volume", "reason"),
    [
        ("2.001", "STALE"),
        ("0", "INVALID_VOLUME"),
        ("-1", "INVALID_VOLUME"),
        ("0.0005", "VOLUME_INCREMENT"),
    ],
)
def test_why_a_cancel_is_refused(volume: str, reason: str) -> None:
    made = room()
    made.do(buy(2, limit=99))
    assert made.cancel(volume=volume) == [f"REJECTED {reason}"]
    assert made.money() == (D(802), D(198))


def test_it_is_for_the_owner_and_what_is_there() -> None:
    made = Room(cash={**BTC, "theirs": {"USD": 1}}, others={"s1": ["theirs"]})
    made.do(buy(2, limit=99))
    branch = made.branch()
    assert made.do(Amend(0, Verb.CANCEL, branch.id), by="s1") == ["REJECTED NOT_YOURS"]
    assert made.do(Amend(0, Verb.CANCEL, None)) == ["REJECTED UNKNOWN_ORDER"]
    assert made.cancel() == ["RETURN_MARGIN USD 198 -198", "CANCELLED REQUESTED"]
    assert made.do(Amend(0, Verb.CANCEL, branch.id)) == ["REJECTED ALREADY_DONE"]


def test_of_a_position_the_pending_closes_are_cancelled() -> None:
    made = room()
    made.do(long(2, limit=100, leverage=10))
    made.bar(bar(1, 100))
    assert made.cancel() == ["REJECTED ALREADY_DONE"]
    made.close(limit_price=110)
    made.close(limit_price=120)
    assert made.cancel() == ["CLOSE_CANCELLED REQUESTED"]
    assert made.cancel() == ["REJECTED ALREADY_DONE"]


# -- one cancels other -----------------------------------------------------------------------------


def test_any_fill_of_one_cancels_the_others() -> None:
    """Half of the first fills: its partners go, its own rest stays."""
    made = room()
    made.do(buy(2, limit=99, oco="in"))
    made.do(buy(1, stop=105, oco="in"))
    made.do(buy(1, limit=98, oco="other"))
    made.do(long(1, limit=98, leverage=10, oco="in"))
    assert made.bar(bar(1, 99, volume=1)) == [
        "FILL_BUY USD 0 -99",
        "SPOT_EXCHANGE BTC 1 0",
        "RETURN_MARGIN USD 110.25 -110.25",  # 105 x 1.05
        "RETURN_MARGIN USD 9.8 -9.8",
        "FILLED",
        "CANCELLED ONE_CANCELS_OTHER",
        "CANCELLED ONE_CANCELS_OTHER",
    ]
    assert [one.number for one in made.branches()] == [1, 3]


def test_a_group_of_which_one_has_filled_takes_nobody_in_until_it_is_done() -> None:
    made = room()
    made.do(buy(2, limit=99, oco="in"))
    made.bar(bar(1, 99, volume=1))
    assert made.do(buy(1, limit=98, oco="in")) == ["REJECTED ONE_CANCELS_OTHER"]
    assert made.do(buy(1, limit=98, oco="in too"))[-1] == "ACCEPTED"
    made.cancel(made.branch(1))
    assert made.do(buy(1, limit=98, oco="in"))[-1] == "ACCEPTED"


def test_parts_of_one_order_are_one_partner() -> None:
    made = room()
    made.do(buy(2, limit=99, oco="in"))
    made.do(buy(1, limit=90, oco="in"))
    made.split(1, 1, branch=made.branch(1))
    lines = made.bar(bar(1, 99, volume=1))
    # The other half of what was split goes on.
    assert lines.count("CANCELLED ONE_CANCELS_OTHER") == 1
    assert [one.number for one in made.branches()] == [4]


def test_partners_are_of_one_account() -> None:
    made = Room(cash={"main": {"USD": 1000}, "second": {"USD": 1000}})
    made.at(100)
    made.do(buy(1, limit=99, oco="in"))
    made.do(buy(1, limit=98, oco="in", account="second"))
    assert "CANCELLED ONE_CANCELS_OTHER" not in made.bar(bar(1, 99))
    assert [one.account for one in made.branches()] == ["second"]
