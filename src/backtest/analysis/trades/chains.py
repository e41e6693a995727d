"""What was charged to order chains as wholes: create and cancel fees, and what waiting cost."""

from __future__ import annotations

from decimal import Decimal

from attrs import define, field

from backtest.analysis.trades.history import Charge, Costs, Execution, History
from backtest.money import ZERO, add, div, mul, round_half_even, sub

__all__ = ["Chains", "share", "share_of_costs"]


def share(total: Decimal, part: Decimal, whole: Decimal, step: Decimal) -> Decimal:
    """``total`` x ``part`` / ``whole``, halves to even; all of it for the whole."""
    if part == whole or not total:
        return total
    return round_half_even(div(mul(total, part), whole), step)


def share_of_costs(costs: Costs, part: Decimal, whole: Decimal, step: Decimal) -> Costs:
    """The same of each kind of cost."""
    return Costs(
        share(costs.fees, part, whole, step),
        share(costs.financing, part, whole, step),
        share(costs.insured, part, whole, step),
    )


@define
class _Chain:
    account: str
    pair: str
    costs: Costs = field(factory=Costs)
    volume: Decimal = ZERO
    """What its orders traded that has not had its share of the costs yet."""
    open: Decimal = ZERO


class Chains:
    """Deals what a chain was charged out to all that its orders traded, by volume.

    A chain that was charged and never traded is of no trade: that is ``untraded``. What was charged
    while the chain had a position open is a charge of that position.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._chains: dict[str, _Chain] = {}
        self._of_positions: set[tuple[str, str]] = set()
        alone: list[Charge] = []
        for one, charges in history.steps():
            if one is not None:
                self._saw(one)
                continue
            for charge in charges:
                alone.append(charge)
                chain = self._chains.get(charge.root)
                if charge.what == "financing" and chain is not None and chain.open:
                    self._of_positions.add((charge.entry, charge.order))
        for charge in alone:
            if not self.is_of_position(charge):
                self._chain(charge.root, charge.account, charge.pair).costs.book(charge)
        self.untraded: dict[tuple[str, str], Decimal] = {}
        """What was paid for chains that never traded, by account and asset."""
        for chain in self._chains.values():
            if not chain.volume and chain.costs.paid:
                key = chain.account, history.pairs[chain.pair].quote
                self.untraded[key] = add(self.untraded.get(key, ZERO), chain.costs.paid)

    def _chain(self, root: str, account: str, pair: str) -> _Chain:
        chain = self._chains.get(root)
        if chain is None:
            chain = self._chains[root] = _Chain(account, pair)
        return chain

    def _acting(self, one: Execution) -> str:
        """The chain of the order that traded; what closes a position otherwise is no order."""
        if one.is_spot or one.opens:
            return one.root
        return self._history.chains.get(one.closing, "") if one.kind == "netting" else ""

    def _saw(self, one: Execution) -> None:
        if acting := self._acting(one):
            chain = self._chain(acting, one.account, one.pair)
            chain.volume = add(chain.volume, one.volume)
        if not one.is_spot:
            own = self._chain(one.root, one.account, one.pair)
            own.open = (add if one.opens else sub)(own.open, one.volume)

    def is_of_position(self, charge: Charge) -> bool:
        """Whether a charge is of a position, which was open then."""
        return (charge.entry, charge.order) in self._of_positions

    def share_of(self, one: Execution) -> Costs:
        """What ``one`` bears of its chain's costs: asked once for each, in order."""
        chain = self._chains.get(self._acting(one))
        if chain is None:
            return Costs()
        step = self._history.pairs[one.pair].step
        costs = share_of_costs(chain.costs, one.volume, chain.volume, step)
        chain.costs = chain.costs.less(costs)
        chain.volume = sub(chain.volume, one.volume)
        return costs
