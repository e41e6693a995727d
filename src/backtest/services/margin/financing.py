"""What falls due as time passes, what it comes to, and who bears it."""

from __future__ import annotations

from decimal import Decimal

from backtest.money import ZERO, mul, round_up, sub

__all__ = ["borne_by", "first_due", "funding_amount"]


def first_due(
    night: int | None, funding: tuple[int, Decimal] | None, end: int
) -> tuple[int, Decimal | None] | None:
    """What falls due first by ``end``, and at what rate: None of a ``night``, which at one time
    goes before ``funding``. Nothing where no night is known."""
    if night is None:
        return None
    if funding is None or night <= funding[0]:
        return (night, None) if night <= end else None
    return funding if funding[0] <= end else None


def funding_amount(worth: Decimal, rate: Decimal, long: bool, step: Decimal) -> Decimal:
    """What a position ``worth`` so much pays, or gets where it is negative: longs pay a positive
    ``rate``. Rounded against the account, a payment up, income down."""
    return round_up(mul(worth, rate if long else rate.copy_negate()), step)


def borne_by(amount: Decimal, free: Decimal, margin: Decimal) -> tuple[Decimal, Decimal]:
    """What of a charge is taken from the margin of a position, and what the insurance account
    bears: first it is taken from what is ``free``, then from the ``margin``."""
    missing = max(ZERO, sub(amount, free))
    from_margin = min(missing, margin)
    return from_margin, sub(missing, from_margin)
