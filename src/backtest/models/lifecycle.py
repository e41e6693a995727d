"""The life of an order as a table: status and event give the next status, or there is no way.

Terminal states (``CANCELLED``, ``CLOSED``, ``REPLACED``, and ``FILLED`` of a spot order) absorb: no
event leads out of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from backtest.errors import InvalidTransition
from backtest.named import Named

__all__ = [
    "SPOT_LIFECYCLE",
    "TRADING_LIFECYCLE",
    "OrderDirection",
    "OrderStatus",
    "OrderStep",
    "next_status",
]


class OrderDirection(Named):
    """The side of an order: ``LONG`` (alias ``BUY``) or ``SHORT`` (alias ``SELL``)."""

    LONG = "LONG"
    SHORT = "SHORT"
    BUY = "LONG"
    SELL = "SHORT"

    @property
    def sign(self) -> int:
        """+1 for ``LONG``, -1 for ``SHORT``."""
        return 1 if self is OrderDirection.LONG else -1

    @property
    def opposite(self) -> OrderDirection:
        """The side that undoes this one."""
        return OrderDirection.SHORT if self is OrderDirection.LONG else OrderDirection.LONG


class OrderStatus(Named):
    """Where an order is in its life."""

    PENDING = "PENDING"
    """Accepted, waiting to fill."""
    FILLED = "FILLED"
    """Executed; for a trading order: the position is open."""
    CANCELLED = "CANCELLED"
    """Ended before it filled."""
    CLOSED = "CLOSED"
    """The position of a trading order was closed."""
    REPLACED = "REPLACED"
    """The parent of a modify or split: its children carry on, it counts for nothing."""


class OrderStep(Enum):
    """What can happen to an order."""

    FILL = "FILL"
    CANCEL = "CANCEL"
    MODIFY = "MODIFY"
    SPLIT = "SPLIT"
    CLOSE = "CLOSE"
    CHARGE = "CHARGE"
    """An overnight fee or funding of a trading order."""


_S = OrderStatus
_E = OrderStep

SPOT_LIFECYCLE: Mapping[tuple[OrderStatus, OrderStep], OrderStatus] = MappingProxyType(
    {
        (_S.PENDING, _E.FILL): _S.FILLED,
        (_S.PENDING, _E.CANCEL): _S.CANCELLED,
        (_S.PENDING, _E.MODIFY): _S.REPLACED,
        (_S.PENDING, _E.SPLIT): _S.REPLACED,
    }
)
"""Spot orders: everything that is not here is forbidden."""

TRADING_LIFECYCLE: Mapping[tuple[OrderStatus, OrderStep], OrderStatus] = MappingProxyType(
    {
        **SPOT_LIFECYCLE,
        (_S.PENDING, _E.CHARGE): _S.PENDING,
        (_S.FILLED, _E.CHARGE): _S.FILLED,
        (_S.FILLED, _E.MODIFY): _S.REPLACED,
        (_S.FILLED, _E.SPLIT): _S.REPLACED,
        (_S.FILLED, _E.CLOSE): _S.CLOSED,
    }
)
"""Trading orders: a filled one is an open position and lives on."""


def next_status(
    table: Mapping[tuple[OrderStatus, OrderStep], OrderStatus],
    status: OrderStatus,
    event: OrderStep,
    order_id: object = None,
) -> OrderStatus:
    """The status after ``event``; `InvalidTransition` if there is none."""
    after = table.get((status, event))
    if after is not None:
        return after
    allowed = [one.value.lower() for was, one in table if was is status]
    hint = f"allowed: {', '.join(allowed)}" if allowed else "nothing leads out of that state"
    which = "" if order_id is None else f" {order_id}"
    raise InvalidTransition(
        f"order{which} is {status.value}: cannot {event.value.lower()} it ({hint})"
    )
