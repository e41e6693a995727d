"""A whole case by the model: commands and bars in the order of time, and what comes of it."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from tests.models.bar_changes import carry_out
from tests.models.bar_charges import Pending, charge, dues
from tests.models.bar_fill import Fills, Hit, Market
from tests.models.bar_positions import Lot
from tests.models.bar_state import BASE, QUOTE, State
from tests.models.bar_walk import at_this_close, walk
from tests.models.common import Case, Outcome, Unclear
from tests.models.money import EXACT, ZERO
from tests.models.play import BAR, DIGITS, merged

__all__ = ["expect"]


def expect(case: Case) -> Outcome:
    """What must come of ``case``."""
    with localcontext(EXACT):
        return Run(case).run()


class Run:
    """One case."""

    def __init__(self, case: Case) -> None:
        self.case, self.state = case, State(case)
        self.commands = sorted(case["commands"], key=lambda command: command[0])
        self.answers: list[list[Any]] = []
        self.balances: list[dict[str, list[Decimal]]] = []
        self.levels: list[dict[str, list[Decimal | None]]] = []
        self.closed: int = case["bars"][0][0]
        """When the last bar closed: what fell due before is done."""
        self.pending = Pending(self.state)

    def run(self) -> Outcome:
        state = self.state
        for row in self.case["bars"]:
            closes = row[0] + BAR
            self.issue(closes - 1)
            self.pending.note(row[0])
            self.expire(row[0])
            self.charge_between(row[0])
            walk(state, row)
            for position in state.positions:
                position.called = False
            self.pending.note(closes - 1)
            self.charge_inside(row)
            self.expire(closes)
            state.last, self.closed = Decimal(row[4]), closes
            self.balances.append(self.owned())
            self.levels.append(
                {
                    label: [state.liquidation(one.position), one.volume]
                    for label, one in state.lots.items()
                }
            )
            self.issue(closes)
        return {
            "answers": self.answers,
            "fills": merged(state.fills, state.netting),
            "ends": state.ends,
            "orders": {label: self.row(label) for label in state.known},
            "balances": self.balances,
            "levels": self.levels,
            "final": self.owned(),
            "insurance": -sum((purse.insured for purse in state.purses.values()), ZERO),
            "equity": self.equity(),
        }

    def issue(self, until: int) -> None:
        """Carry out the commands of all seconds up to ``until``."""
        while self.commands and self.commands[0][0] <= until:
            command = self.commands.pop(0)
            second, verb, label, given = command
            self.state.now = second
            self.pending.note(second)
            if any(one.expires and one.expires <= second for one in self.state.orders.values()):
                raise Unclear("a command after an expiry that may wait for a bar to end")
            self.charge_before(verb, label)
            answer = carry_out(self.state, verb, label, given)
            sends = verb in ("buy", "sell", "long", "short", "close")
            if sends and self.case["rules"].get("fill_on") == "this_close":
                at_this_close(self.state)
            self.answers.append([*command[:3], answer])

    def expire(self, until: int) -> None:
        """End what is good no longer than ``until``."""
        for order in list(self.state.orders.values()):
            if order.expires is not None and order.expires <= until:
                self.state.end(order, "EXPIRED")

    def charge_before(self, verb: str, label: str) -> None:
        """What stood when something fell due is charged for it before a command changes it."""
        state = self.state
        order, lot = state.orders.get(label), state.lots.get(label)
        if order is not None and verb in ("modify", "split", "cancel"):
            self.pending.charge_order(order, state.last or ZERO)
        if lot is not None and verb == "split":
            for due in dues(state, self.closed, state.now):
                charge(state, due, lot.position, state.last or ZERO)
            lot.position.paid = state.now

    def charge_between(self, opens: int) -> None:
        """What fell due since the last bar, on its close."""
        state = self.state
        for due in dues(state, self.closed, opens):
            for position in state.positions:
                assert state.last is not None
                charge(state, due, position, state.last)
            self.pending.charge(due, state.last or ZERO)

    def charge_inside(self, row: list[Any]) -> None:
        """What fell due inside the bar, on its close; levels are tested after each."""
        state, mark = self.state, Decimal(row[4])
        for due in dues(state, row[0] + 1, row[0] + BAR - 1):
            for position in list(state.positions):
                if position not in state.positions:
                    continue
                if position.grown[0] == state.now and position.grown[1]:
                    raise Unclear(
                        "whether a position stood at a moment inside the bar of its entry"
                    )
                charge(state, due, position, mark)
                if position.called:
                    call = state.calls[0] if state.cross else position.call
                    hit = Hit(call, "called", ZERO, 2, mark, False, mark)
                    Fills(state, Market(state, row)).execute(hit, 3)
            if any(one.leaves != volume for _, one, volume in self.pending.noted):
                raise Unclear("an order that changed in the bar after a night fell due in it")
            self.pending.charge(due, mark)

    def owned(self) -> dict[str, list[Decimal]]:
        """What the accounts have of each asset, available and set apart."""
        return {
            f"{name} {asset}": [purse.free[asset], purse.held[asset]]
            for name, purse in self.state.purses.items()
            for asset in self.case["cash"][name]
        }

    def row(self, label: str) -> list[Any]:
        """How an order stands: filled, pending, open, and why it ended."""
        known = self.state.known[label]
        if known is None:
            return ["REJECTED"]
        lot = self.state.lots.get(label)
        open_volume = ZERO if lot is None else lot.volume
        if isinstance(known, Lot):
            return [known.filled, ZERO, open_volume, None]
        return [known.filled, known.leaves, open_volume, known.reason]

    def equity(self) -> Decimal:
        """All that is owned at the last close, and what the positions have gained."""
        state, last = self.state, self.state.last
        assert last is not None
        total = Fraction(0)
        for purse in state.purses.values():
            base = purse.free.get(BASE, ZERO) + purse.held.get(BASE, ZERO)
            total += Fraction(purse.free[QUOTE] + purse.held[QUOTE] + base * last)
        for one in state.positions:
            total += (Fraction(last * one.volume * state.contract) - one.cost) * one.side
        return Decimal(round(total * 10**DIGITS)).scaleb(-DIGITS)
