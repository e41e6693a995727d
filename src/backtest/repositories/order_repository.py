"""Trading orders and the positions they became."""

from __future__ import annotations

from uuid import UUID

from backtest.models.orders import OrderStatus, TradingOrder
from backtest.repositories._orders import OrdersInMemory

__all__ = ["OrderRepository"]


class OrderRepository(OrdersInMemory[TradingOrder]):
    """Trading orders in memory, in their latest state."""

    def get_open_positions(
        self, agent_id: UUID | None = None, backtest_run_id: UUID | None = None
    ) -> list[TradingOrder]:
        """The positions that are open (filled, not closed): of an agent, of a run, or all."""
        return self._group((OrderStatus.FILLED, agent_id, backtest_run_id))
