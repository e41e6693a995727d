"""Cross margin in the model on bars: one account behind all its positions. See docs/margin.md."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.models.common import Unclear
from tests.models.money import ZERO, to_grid

if TYPE_CHECKING:
    from tests.models.bar_positions import Position
    from tests.models.bar_state import State

__all__ = ["cover", "gain", "levels", "lost", "margin_called", "worst_first"]

QUOTE = "USD"


def of(state: State, account: str) -> list[Position]:
    """The positions of an account, the oldest first."""
    return [one for one in state.positions if one.account == account and one.volume]


def gain(state: State, position: Position, mark: Decimal) -> Fraction:
    """What a position has gained at ``mark``."""
    worth = Fraction(position.volume * mark * state.contract)
    return (worth - position.cost) * position.side


def lost(state: State, account: str, mark: Decimal) -> Fraction:
    """What the positions have lost so far, on balance: it cannot be spent."""
    return max(
        -sum((gain(state, one, mark) for one in of(state, account)), Fraction(0)), Fraction(0)
    )


def pieces(
    state: State, account: str
) -> Iterator[tuple[Fraction, Fraction | None, Fraction, Fraction]]:
    """Equity less maintenance by the price: from, to, value at zero, slope."""
    positions, purse = of(state, account), state.purses[account]
    sizes = [Fraction(one.volume * state.contract) for one in positions]
    bounds = {Fraction(0)}
    for bound, *_ in state.brackets.rows:
        if bound is not None:
            bounds |= {bound / size for size in sizes}
    edges = sorted(bounds)
    owned = Fraction(purse.free[QUOTE] + purse.held[QUOTE])
    for start, end in zip(edges, [*edges[1:], None], strict=True):
        inside = start + 1 if end is None else (start + end) / 2
        value, slope = owned, Fraction(0)
        for one, size in zip(positions, sizes, strict=True):
            rate, amount = state.brackets.at(size * inside)
            value += amount - one.side * one.cost
            slope += size * (one.side - rate)
        yield start, end, value, slope


def levels(state: State, account: str) -> tuple[Decimal | None, Decimal | None]:
    """The prices at and below which, and at and above which the account is called. Infinity as the
    first: it is called at any price."""
    low: Fraction | None = None
    high: Fraction | None = Fraction(0)
    safe = False
    for start, end, value, slope in pieces(state, account):
        first, last = start, end
        if slope > 0:
            first = max(start, -value / slope)
        elif slope < 0:
            root = -value / slope
            last = root if end is None else min(end, root)
        elif value <= 0:
            continue
        if last is not None and last <= first:
            continue
        low = first if not safe else low
        high, safe = last, True
    if not safe:
        return Decimal("Infinity"), None
    assert low is not None
    below = to_grid(low, state.tick, False) if low else ZERO
    return below or None, None if high is None else to_grid(high, state.tick, True)


def margin_called(state: State, account: str, mark: Decimal) -> bool:
    """Whether equity at ``mark`` is no more than the sum of maintenance; not rounded."""
    if not of(state, account):
        return False
    price = Fraction(mark)
    for start, end, value, slope in pieces(state, account):
        if start <= price and (end is None or price <= end):
            return value + slope * price <= 0
    raise AssertionError("a price below zero")


def worst_first(state: State, account: str, mark: Decimal) -> Position:
    """The position that has lost the most, the oldest of equals."""
    return min(of(state, account), key=lambda one: gain(state, one, mark))


def cover(state: State, position: Position, lack: Decimal) -> None:
    """A loss or charge beyond the margin of its position: from available, then from the rest of
    it, then from the margin of the others, the oldest first, then from the insurance."""
    account = position.account
    purse = state.purses[account]
    part = min(lack, purse.free[QUOTE])
    purse.get(QUOTE, -part)
    lack -= part
    if not lack:
        return
    if any(state.reserve(one) for one in state.orders.values() if one.account == account):
        raise Unclear("which reserves of pending orders a loss takes")
    for one in (position, *of(state, account)):
        part = min(lack, one.margin)
        one.margin -= part
        purse.held[QUOTE] -= part
        lack -= part
    if lack and state.last is not None and of(state, account):
        raise Unclear("the profits of other positions that a loss takes")
    purse.insured += lack
