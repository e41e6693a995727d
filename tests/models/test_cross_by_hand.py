"""What cross margin comes to, worked out by hand: the model on bars against numbers in comments. A
lot of 1, ticks and money of 0.01."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

from tests.models import by_hand
from tests.models.by_hand import FEE, PNL, PRICE, answers, close, column, long, money, short
from tests.models.common import Outcome


def run(prices: list[Any], *commands: Any, **given: Any) -> Outcome:
    return by_hand.run(prices, *commands, netting=False, cross=True, **given)


def test_all_that_the_account_has_stands_behind_a_position() -> None:
    keep = {"maintenance_rate": "0.01"}
    found = run([100, 100, 100], long(1, "a", "1"), usd="50", rules=keep)
    # 50 + p - 100 = 0.01 p: 50 / 0.99 = 50.505, down
    assert found["levels"][1] == {"a": [D("50.50"), D(1)]}
    found = run([100, 100, 100], short(1, "a", "1"), usd="50", rules=keep)
    # 50 + 100 - p = 0.01 p: 150 / 1.01 = 148.5148, up
    assert found["levels"][1] == {"a": [D("148.52"), D(1)]}


def test_the_worst_is_closed_first_and_no_more_than_it_takes() -> None:
    found = run(
        [100, 100, 80, (80, 80, 60, 60)],
        long(1, "a", "1"),
        long(2, "b", "1"),
        usd="60",
        rules={"maintenance_rate": "0.1"},
    )
    # 60 + 2 p - 180 = 0.2 p: 66.666, down; there 13.32 are left for 13.332
    assert [(row[1], row[PRICE], row[PNL]) for row in found["fills"][2:]] == [
        ("a", D("66.66"), D("-33.34"))
    ]
    assert money(found, 3) == [D("18.66"), D("8.00")]
    # 26.66 + p - 80 = 0.1 p: 59.2666, down, and the low is 60
    assert found["levels"][3] == {"b": [D("59.26"), D(1)]}


def test_one_call_may_follow_another_on_the_same_bar() -> None:
    found = run(
        [100, 100, 80, (80, 80, 59, 59)],
        long(1, "a", "1"),
        long(2, "b", "1"),
        usd="60",
        rules={"maintenance_rate": "0.1"},
    )
    assert column(found, "liquidation", PRICE) == [D("66.66"), D("59.26")]
    assert money(found, 3) == [D("5.92"), D(0)]


def test_a_gap_closes_as_many_as_it_takes_and_the_rest_is_the_insurances() -> None:
    found = run([100, 100, 80, 55], long(1, "a", "1"), long(2, "b", "1"), usd="60")
    # 60 - 45 - 25: 15 are left when the worst is closed, 10 less than the other loses
    assert column(found, "liquidation", PNL) == [D(-45), D(-25)]
    assert (money(found, 3), found["insurance"]) == ([D(0), D(0)], D(-10))


def test_a_gain_of_the_other_side_counts() -> None:
    found = run(
        [100, 100, 100, (100, 100, 60, 60), 60],
        long(1, "a", "2"),
        short(2, "b", "1"),
        usd="50",
        rules={"maintenance_rate": "0.01"},
    )
    # 50 + 2 p - 200 + 100 - p = 0.03 p: 50 / 0.97 = 51.546, down; a alone were called at 75
    assert found["levels"][3] == {"a": [D("51.54"), D(2)], "b": [D("51.54"), D(1)]}
    assert found["equity"] == 10


def test_pending_orders_end_with_a_call() -> None:
    found = run(
        [100, 100, (100, 100, 70, 70)],
        long(1, "a", "2"),
        long(2, "b", "1", limit_price="60"),
        usd="50",
    )
    # 50 + 2 p - 200: 75
    assert column(found, "liquidation", PRICE) == [D(75)]
    assert found["ends"] == {"b": [["MARGIN_CALL", D(1)]]}
    assert money(found, 2) == [D(0), D(0)]


def test_what_the_positions_have_lost_cannot_be_spent() -> None:
    found = run(
        [100, 100, 95, 95],
        long(1, "a", "5"),
        long(3, "b", "3", limit_price="90"),
        long(3, "c", "2", limit_price="90"),
        usd="100",
    )
    # 50 available less 25 lost: 27 is too much, 18 is not
    assert answers(found) == ["ok", "INSUFFICIENT_FUNDS", "ok"]


def test_a_gain_cannot_be_spent_before_it_is_made() -> None:
    found = run(
        [100, (100, 110, 100, 110), 110, 110],
        long(1, "a", "5"),
        long(2, "b", "5", limit_price="105"),
        close(2, "a"),
        long(3, "c", "5", limit_price="105"),
        usd="100",
    )
    # 50 available for 52.50; then 150
    assert answers(found) == ["ok", "INSUFFICIENT_FUNDS", "ok", "ok"]


def test_a_loss_beyond_its_margin_is_taken_from_available() -> None:
    found = run(
        [100, 100, 80, 80],
        long(1, "a", "1"),
        close(2, "a"),
        rules={"fees": {"close": {"percent_of_notional": "0.01"}}},
    )
    # 20 lost of 10
    assert column(found, "close", FEE) == [D("0.80")]
    assert money(found, 2) == [D("979.20"), D(0)]


def test_a_close_that_came_first_gets_the_volume_first() -> None:
    found = run(
        [100, 100, (100, 100, 100, 100, 2), (100, 100, 100, 100, 2)],
        long(1, "a", "2"),
        close(2, "a"),
        short(2, "b", "2"),
    )
    assert [(row[0], row[1], row[2]) for row in found["fills"][1:]] == [
        (180, "a", "close"),
        (240, "b", "entry"),
    ]
