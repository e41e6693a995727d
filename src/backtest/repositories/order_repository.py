"""Trading orders and the positions they became."""

from __future__ import annotations

from uuid import UUID

from backtest.models.orders import OrderStatus, TradingOrder
from backtest.repositories._orders import OrdersInMemory

__all__ = ["OrderRepository"]


class OrderRepository(OrdersInMemory[TradingOrder]):
    """Trading orders in memory, in their latest state."""

    ACTIVE = (OrderStatus.PENDING, OrderStatus.FILLED)

    def get_open_positions(
        self, agent_id: UUID | None = None, backtest_run_id: UUID | None = None
    ) -> list[TradingOrder]:
        """The positions that are open (filled, not closed): of an agent, of a run, or all."""
        return self.get_filled_orders(agent_id, backtest_run_id)

    def get_closed_orders(
        self, agent_id: UUID | None = None, backtest_run_id: UUID | None = None
    ) -> list[TradingOrder]:
        """The positions that were closed: of an agent, of a run, or all."""
        return self._in((OrderStatus.CLOSED,), agent_id, backtest_run_id)
