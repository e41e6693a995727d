"""What became of the volume of an order chain, summed from the orders alone."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from backtest.errors import FieldError
from backtest.models.lifecycle import OrderStatus
from backtest.models.orders import TradingOrder
from backtest.models.spot_order import SpotOrder
from backtest.money import ZERO, add, sub

__all__ = ["ChainVolumes", "chain_volumes"]

Order = SpotOrder | TradingOrder


class ChainVolumes(NamedTuple):
    """The volumes of one chain, in base or contracts.

    ``ordered`` is the root's first volume as its parts make it up (compare it with the command);
    ``increased`` what modifies added; ``filled`` counts open and closed positions once;
    ``cancelled`` includes what modifies took away.
    """

    ordered: Decimal
    increased: Decimal
    pending: Decimal
    filled: Decimal
    cancelled: Decimal

    @property
    def conserved(self) -> bool:
        """Whether what was ordered and added equals what is pending, filled and cancelled."""
        put_in = add(self.ordered, self.increased)
        return put_in == add(add(self.pending, self.filled), self.cancelled)


def chain_volumes(orders: Iterable[Order]) -> dict[UUID, ChainVolumes]:
    """Per root id, what became of the chain's volume; ``REPLACED`` orders count for nothing.

    ``orders`` are whole chains of either kind, in any order. Raises `FieldError` when a parent is
    missing.
    """
    known = {order.id: order for order in orders}
    children: dict[UUID, list[Order]] = {id: [] for id in known}
    roots = []
    for order in known.values():
        if order.parent_id is None:
            roots.append(order)
        elif order.parent_id in children:
            children[order.parent_id].append(order)
        else:
            raise FieldError("orders", f"lack {order.parent_id}, the parent of {order.id}")
    return {root.id: _volumes(root, children) for root in roots}


def _volumes(root: Order, children: dict[UUID, list[Order]]) -> ChainVolumes:
    chain = [root]
    for order in chain:  # grows while it is walked: parents always stand before their children
        chain.extend(children[order.id])
    first: dict[UUID, Decimal] = {}
    counts = dict.fromkeys(("pending", "filled", "cancelled", "increased"), ZERO)
    for order in reversed(chain):
        below = ZERO
        for child in children[order.id]:
            below = add(below, first[child.id])
        if order.status is not OrderStatus.REPLACED:
            # What lives on under another id was part of this order once.
            first[order.id] = add(order.volume, below)
            name = _COUNTED[order.status]
            counts[name] = add(counts[name], order.volume)
            continue
        if order.fill_volume is not None:
            # A position: those that replace it hold its volume exactly, and beside them stand
            # the leaves of the fill that opened it.
            first[order.id] = below
            continue
        first[order.id] = order.volume
        change = sub(below, order.volume)
        if change > ZERO:
            counts["increased"] = add(counts["increased"], change)
        else:
            counts["cancelled"] = sub(counts["cancelled"], change)
    return ChainVolumes(ordered=first[root.id], **counts)


_COUNTED = {
    OrderStatus.PENDING: "pending",
    OrderStatus.FILLED: "filled",
    OrderStatus.CLOSED: "filled",
    OrderStatus.CANCELLED: "cancelled",
}
