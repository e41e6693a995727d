"""What of a fill an account can pay for."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from backtest.money import ZERO, add, div, mul, sub

__all__ = ["Affordable", "affordable"]


class Affordable(NamedTuple):
    """What of a fill can be paid for."""

    volume: Decimal
    kept: Decimal
    """What stays in reserve for the order's leaves."""
    covered: bool
    """Whether the fill's share of the reserve and available paid, and nothing else had to."""


def affordable(
    volume: Decimal,
    money: Decimal,
    cost: Callable[[Decimal], Decimal],
    keeps: Callable[[Decimal], Decimal],
    step: Decimal,
    whole: bool,
) -> Affordable:
    """How much of ``volume`` can be paid with ``money``: the order's reserve and what is free.

    ``cost`` of a volume is what its fill takes, ``keeps`` what the leaves after it reserve. First
    the fill's share of the reserve and what is free; then the reserve of the leaves, too: an order
    must not end because its parts are rounded up one by one. Beyond that it fills as far as the
    money goes, in steps of ``step``; nothing where it must be ``whole``.
    """
    needed = cost(volume)
    kept = keeps(volume)
    if add(needed, kept) <= money:
        return Affordable(volume, kept, True)
    if needed > money:
        low, high = 0, int(div(volume, step))
        while low < high:
            middle = (low + high + 1) // 2
            if cost(mul(Decimal(middle), step)) <= money:
                low = middle
            else:
                high = middle - 1
        volume = ZERO if whole else mul(Decimal(low), step)
        needed = cost(volume)
        kept = keeps(volume)
    return Affordable(volume, min(kept, sub(money, needed)), False)
