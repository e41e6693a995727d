"""What falls due first, what funding comes to, and who bears a charge: each decision as a table."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backtest.services.margin.financing import borne_by, first_due, funding_amount

D = Decimal
RATE = D("0.01")


@pytest.mark.parametrize(
    ("night", "funding", "end", "due"),
    [
        (24, None, 24, (24, None)),
        (24, None, 23, None),
        (24, 8, 24, (8, RATE)),
        (24, 8, 8, (8, RATE)),
        (24, 8, 7, None),
        (24, 32, 24, (24, None)),
        # at one time the night
        (24, 24, 24, (24, None)),
        (24, 24, 23, None),
        # before the first bar nobody knows of a night, and nothing is due
        (None, 8, 100, None),
    ],
)
def test_what_falls_due_first(
    night: int | None, funding: int | None, end: int, due: tuple[int, Decimal | None] | None
) -> None:
    assert first_due(night, None if funding is None else (funding, RATE), end) == due


@pytest.mark.parametrize(
    ("worth", "rate", "long", "amount"),
    [
        ("1000", "0.01", True, "10"),
        ("1000", "0.01", False, "-10"),
        ("1000", "-0.01", True, "-10"),
        ("1000", "-0.01", False, "10"),
        # 10.0007: a payment up, income down
        ("1000.07", "0.01", True, "10.01"),
        ("1000.07", "0.01", False, "-10"),
        ("1000", "0", True, "0"),
    ],
)
def test_funding(worth: str, rate: str, long: bool, amount: str) -> None:
    assert funding_amount(D(worth), D(rate), long, D("0.01")) == D(amount)


@pytest.mark.parametrize(
    ("amount", "free", "margin", "from_margin", "uncovered"),
    [
        ("10", "20", "100", "0", "0"),
        ("10", "10", "100", "0", "0"),
        ("10", "4", "100", "6", "0"),
        ("10", "0", "10", "10", "0"),
        ("10", "4", "5", "5", "1"),
        ("10", "0", "0", "0", "10"),
        # income, and one that is below nothing already
        ("-10", "0", "5", "0", "0"),
    ],
)
def test_who_bears_a_charge(
    amount: str, free: str, margin: str, from_margin: str, uncovered: str
) -> None:
    assert borne_by(D(amount), D(free), D(margin)) == (D(from_margin), D(uncovered))
