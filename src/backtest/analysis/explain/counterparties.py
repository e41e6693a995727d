"""Who was on the other side of a fill, where agents trade with each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backtest.analysis.explain.waits import Line

__all__ = ["Others"]


class Others:
    """The fills of a run by the entry that booked them: one with both sides is a trade."""

    def __init__(self, orders: Iterable[Line], fills: Iterable[Line]) -> None:
        self._orders = {order["order_id"]: order for order in orders}
        self._fills: dict[str, list[Line]] = {}
        for fill in fills:
            self._fills.setdefault(fill["entry_id"], []).append(fill)

    def words(self, fill: Line) -> Iterator[str]:
        """Whom it was bought from or sold to, and by which order; nothing for historical data."""
        there = self._fills.get(fill["entry_id"], ())
        acting: dict[str, Line] = {}
        for one in there:
            if one["direction"] != fill["direction"]:
                acting.setdefault(_order_of(one), one)
        word = "bought from" if fill["direction"] == "LONG" else "sold to"
        for order_id, one in acting.items():
            order = self._orders.get(order_id)
            number = "" if order is None else f" #{order['order_number']}"
            line = f"    {word} account {one['account']!r}, order{number} {order_id}"
            if one["kind"] == "liquidation":
                line += ", which was liquidated"
            yield line


def _order_of(fill: Line) -> str:
    """The order that traded: of a position closed by another order, that one."""
    if fill["kind"] == "netting" and fill["closing_order_id"]:
        return fill["closing_order_id"]
    return fill["order_id"]
