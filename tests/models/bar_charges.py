"""What falls due in the model while positions are held: the night's fee and funding, and the levels
tested after each. See docs/margin.md."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from tests.models.bar_state import QUOTE, Position, State
from tests.models.money import fee_of, up

__all__ = ["Due", "charge", "dues", "level_reached"]

DAY, SECOND = 86_400, 10**9


class Due(NamedTuple):
    """Something that falls due, in the order of time; the night's fee before funding."""

    second: int
    what: str


def dues(state: State, first: int, last: int) -> Iterator[Due]:
    """What falls due from ``first`` to ``last``, both included."""
    rules, found = state.rules, []
    if "overnight_filled" in rules.get("fees", {}):
        rollover = rules.get("rollover_ns", 0) // SECOND
        found += [Due(second, "a night") for second in times(first, last, DAY, rollover)]
    if "funding" in rules:
        every = int(rules["funding"]["every"].removesuffix("s"))
        found += [Due(second, "funding") for second in times(first, last, every, 0)]
    yield from sorted(found)


def times(first: int, last: int, every: int, at: int) -> Iterator[int]:
    """The seconds ``at`` + any multiple of ``every`` between the two."""
    second = at + -((at - first) // every) * every
    while second <= last:
        yield second
        second += every


def charge(state: State, due: Due, position: Position, mark: Decimal) -> None:
    """Charge one position: from available, then from its margin, then from the insurance."""
    worth = position.volume * mark * state.contract
    if due.what == "funding":
        cost = up(worth * Decimal(state.rules["funding"]["rate"]) * position.side, state.places)
    else:
        fee = fee_of(state.rules, "overnight_filled")
        assert fee is not None
        base = {"percent_of_notional": worth, "percent_of_margin": position.margin}
        base["flat_per_volume"], base["flat_per_trade"] = position.volume, Decimal(1)
        cost = up(fee.rate * base[fee.kind], state.places)
    purse = state.purses[position.account]
    paid = min(cost, purse.free[QUOTE])
    purse.get(QUOTE, -paid)
    rest = cost - paid
    taken = min(rest, position.margin)
    position.margin -= taken
    purse.held[QUOTE] -= taken
    purse.insured += rest - taken


def level_reached(state: State, position: Position, mark: Decimal) -> bool:
    """Whether margin and PnL at ``mark`` are no more than maintenance; not rounded."""
    worth = position.volume * mark * state.contract
    gain = (mark - position.price) * position.side * position.volume * state.contract
    rate, amount = state.bracket(worth)
    return position.margin + gain <= worth * rate - amount
