"""Spot orders."""

from __future__ import annotations

from backtest.models.orders import OrderStatus
from backtest.models.spot_order import SpotOrder
from backtest.repositories._orders import OrdersInMemory

__all__ = ["SpotOrderRepository"]


class SpotOrderRepository(OrdersInMemory[SpotOrder]):
    """Spot orders in memory, in their latest state."""

    ACTIVE = (OrderStatus.PENDING,)
