"""What a called account closes next, and sells of its collateral: each decision as a table."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backtest.services.margin.calls import best_of, next_to_close, volume_to_sell

D = Decimal


def results(told: str) -> list[tuple[str, Decimal]]:
    """``a -5 b 3``: positions, the oldest first, and what each has won or lost."""
    words = told.split()
    return [(key, D(pnl)) for key, pnl in zip(words[::2], words[1::2], strict=True)]


@pytest.mark.parametrize(
    ("held", "money", "first"),
    [
        ("a -5 b -7 c 3", "100", "b"),
        ("a -5 b -5", "100", "a"),  # the oldest of equals
        ("a 5 b 3", "100", "b"),
        # 7 are lost, and 6 are there: what has won goes first, the most of it
        ("a -5 b -7 c 3 d 4 e 4", "6", "d"),
        ("a -5 b -7 c 3", "7", "b"),
        # nothing has won
        ("a -5 b -7 c 0", "6", "b"),
        ("", "6", None),
    ],
)
def test_what_is_closed_next(held: str, money: str, first: str | None) -> None:
    assert next_to_close(results(held), D(money)) == first


@pytest.mark.parametrize(
    ("held", "best"), [("a 1 b 3 c 3", "b"), ("a 0 b -1", None), ("", None), ("a 0.01", "a")]
)
def test_what_has_won_most(held: str, best: str | None) -> None:
    assert best_of(results(held)) == best


@pytest.mark.parametrize(
    ("short", "there", "fee", "volume"),
    [
        # at 50 in steps of 0.1, each of which brings 5
        ("50", "2", "0", "1"),
        ("50.01", "2", "0", "1.1"),
        ("49.99", "2", "0", "1"),
        ("5", "2", "0", "0.1"),
        ("0.01", "2", "0", "0.1"),
        # as much as there is, in whole steps
        ("500", "2", "0", "2"),
        ("500", "2.09", "0", "2"),
        ("50", "0.05", "0", "0"),
        # a fee of 10: 60 are to be brought
        ("50", "2", "10", "1.2"),
        ("49", "2", "10", "1.2"),
        # more than all would bring
        ("50", "0.2", "10", "0"),
        ("50", "0.3", "10", "0.3"),
    ],
)
def test_how_much_collateral_is_sold(short: str, there: str, fee: str, volume: str) -> None:
    found = volume_to_sell(
        D(short), D(50), D("0.1"), D(there), lambda sold: sold * 50 - D(fee) if sold else D(0)
    )
    assert found == D(volume)
