"""What falls due in the model while positions are held: the night's fee and funding, and the levels
tested after each. See docs/margin.md."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from tests.models.bar_cross import cover, margin_called
from tests.models.bar_positions import Position, level_reached
from tests.models.bar_state import QUOTE, Order, State
from tests.models.money import ZERO, fee_of, up

__all__ = ["Due", "Pending", "charge", "dues"]

DAY, SECOND = 86_400, 10**9


class Due(NamedTuple):
    """Something that falls due, in the order of time; the night's fee before funding."""

    second: int
    what: str


def dues(state: State, first: int, last: int) -> Iterator[Due]:
    """What falls due from ``first`` to ``last``, both included."""
    rules, found = state.rules, []
    if {"overnight_filled", "overnight_pending"} & rules.get("fees", {}).keys():
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
    """Charge one position: from available, then from its margin, then from the insurance. What a
    charge has called is charged no more, and nothing is charged twice."""
    if position.called or due.second <= position.paid:
        return
    worth = position.volume * mark * state.contract
    if due.what == "funding":
        cost = up(worth * Decimal(state.rules["funding"]["rate"]) * position.side, state.places)
    else:
        cost = night(state, "overnight_filled", position.volume, worth, position.margin)
    purse = state.purses[position.account]
    paid = min(cost, purse.free[QUOTE])
    purse.get(QUOTE, -paid)
    rest = cost - paid
    taken = min(rest, position.margin)
    position.margin -= taken
    purse.held[QUOTE] -= taken
    if state.cross:
        cover(state, position, rest - taken)
        if margin_called(state, position.account, mark):
            for one in state.positions:
                one.called = one.called or one.account == position.account
        return
    purse.insured += rest - taken
    position.called = bool(taken) and level_reached(position, state.brackets, state.contract, mark)


def night(
    state: State, stage: str, volume: Decimal, worth: Decimal, margin: Decimal = ZERO
) -> Decimal:
    """What a night costs."""
    fee = fee_of(state.rules, stage)
    if fee is None:
        return ZERO
    base = {"percent_of_notional": worth, "percent_of_margin": margin}
    base["flat_per_volume"], base["flat_per_trade"] = volume, Decimal(1)
    return up(fee.rate * base[fee.kind], state.places)


class Pending:
    """The nights of pending orders: what stood when one fell due is charged with the next bar."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.done = -1
        """Up to which second all that fell due is noted."""
        self.noted: list[tuple[Due, Order, Decimal]] = []

    def note(self, until: int) -> None:
        """Note what stands, for all that has fallen due by now."""
        state = self.state
        if "overnight_pending" not in state.rules.get("fees", {}):
            return
        for due in dues(state, self.done + 1, until):
            for order in state.orders.values():
                over = order.expires is not None and order.expires <= due.second
                if due.what == "a night" and not order.of_entry and not over:
                    self.noted.append((due, order, order.leaves))
        self.done = max(self.done, until)

    def charge(self, due: Due, mark: Decimal) -> None:
        """Charge what was noted of ``due``."""
        self.take([one for one in self.noted if one[0] == due], mark)

    def charge_order(self, order: Order, mark: Decimal) -> None:
        """Charge what was noted of an order that a command is about to change or to end."""
        self.take([one for one in self.noted if one[1] is order], mark)

    def take(self, owed: list[tuple[Due, Order, Decimal]], mark: Decimal) -> None:
        """Charge these, and note them no more."""
        for _, order, volume in owed:
            worth = volume * mark * self.state.contract
            cost = night(self.state, "overnight_pending", volume, worth)
            self.state.pay(self.state.purses[order.account], cost)
        self.noted = [one for one in self.noted if one not in owed]
