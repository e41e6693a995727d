"""What a cross margin account that is called closes next, and what it sells of its collateral."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import ROUND_CEILING, Decimal
from typing import TypeVar

from backtest.money import ONE, ZERO, add, div, mul, to_step

__all__ = ["best_of", "next_to_close", "volume_to_sell"]

Key = TypeVar("Key")
Results = Iterable[tuple[Key, Decimal]]
"""Positions, and what each has won or lost; the oldest first."""


def next_to_close(results: Results[Key], money: Decimal) -> Key | None:
    """The worst position; but where ``money`` does not pay what that has lost, the best, if it has
    won anything. The oldest of equals; None where there is none."""
    known = list(results)
    if not known:
        return None
    worst, lost = min(known, key=lambda one: one[1])
    if add(money, lost) < ZERO:
        best = best_of(known)
        return worst if best is None else best
    return worst


def best_of(results: Results[Key]) -> Key | None:
    """The position that has won most, the oldest of equals; None where none has won."""
    found: Key | None = None
    most = ZERO
    for key, pnl in results:
        if pnl > most:
            found, most = key, pnl
    return found


def volume_to_sell(
    short: Decimal,
    price: Decimal,
    step: Decimal,
    there: Decimal,
    proceeds: Callable[[Decimal], Decimal],
) -> Decimal:
    """How much collateral brings what is ``short``, in whole ``step``; all that is ``there`` where
    that is not enough, and nothing where it brings nothing.

    ``proceeds`` says what a volume brings, its fees taken off.
    """
    most = int(div(there, step))
    low, high = min(int(to_step(div(short, mul(price, step)), ONE, ROUND_CEILING)), most), most
    while low < high:
        middle = (low + high) // 2
        if proceeds(mul(Decimal(middle), step)) >= short:
            high = middle
        else:
            low = middle + 1
    volume = mul(Decimal(low), step)
    return volume if proceeds(volume) > ZERO else ZERO
