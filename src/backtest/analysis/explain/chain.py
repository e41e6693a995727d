"""What the tables of a run say of one order chain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backtest.analysis.explain.waits import Line, PairRules

__all__ = ["Chain"]


class Chain:
    """What the tables say of a chain.

    ``crossed`` are the accounts with cross margin, which are called as a whole: their positions
    have no liquidation price of their own. ``netting`` are those with one position in a pair.
    """

    def __init__(
        self,
        orders: Iterable[Line],
        fills: Iterable[Line],
        legs: Mapping[str, list[Line]],
        rules: PairRules,
        crossed: frozenset[str],
        netting: frozenset[str],
    ) -> None:
        self.orders = {order["order_id"]: order for order in orders}
        self.fills = {fill["entry_id"]: fill for fill in fills}
        self.legs = legs
        self.rules = rules
        self.crossed = crossed
        self.netting = netting
        self._children: dict[str, list[str]] = {}
        for order_id, order in self.orders.items():
            if order["parent_id"]:
                self._children.setdefault(order["parent_id"], []).append(order_id)
        self._leaves: set[str] = set()

    def leaves_of(self, order: Line) -> str:
        """What a partial fill or cancel of ``order`` left: its first child, and no position."""
        child = self._children[order["order_id"]][0]
        self._leaves.add(child)
        return child

    def rest_of(self, order: Line) -> str | None:
        """What a partial close left of the position ``order``."""
        for child in self._children.get(order["order_id"], []):
            same = self.orders[child]["fill_timestamp"] == order["fill_timestamp"]
            if child not in self._leaves and same:
                return child
        return None

    def parts_of(self, order: Line, count: int) -> list[Line]:
        """What ``order`` was split into."""
        children = [one for one in self._children[order["order_id"]] if one not in self._leaves]
        return [self.orders[one] for one in children[-count:]]
