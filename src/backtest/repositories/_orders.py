"""The questions asked about orders of either kind."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from backtest.models.orders import OrderStatus, TradingOrder
from backtest.models.spot_order import SpotOrder
from backtest.repositories._memory import MemoryRepository

__all__ = ["OrdersInMemory"]

OrderT = TypeVar("OrderT", SpotOrder, TradingOrder)


class OrdersInMemory(MemoryRepository[OrderT]):
    """Orders by status, agent, account, pair and chain; sorted by ``create_timestamp``.

    Orders of a status are grouped by agent and run, so that the pending orders of an agent are
    found without looking at any other order.
    """

    def _id(self, item: OrderT) -> UUID:
        return item.id

    def _time(self, item: OrderT) -> datetime:
        return item.create_timestamp

    def _run(self, item: OrderT) -> UUID:
        return item.backtest_run_id

    def _keys(self, item: OrderT) -> tuple[Hashable, ...]:
        status, agent, run = item.status, item.agent_id, item.backtest_run_id
        return (
            (status, None, None),
            (status, None, run),
            (status, agent, None),
            (status, agent, run),
            ("agent", agent),
            ("account", item.account_id),
            ("pair", item.trading_pair_code),
            ("root", item.root_id),
        )

    def get_by_status(
        self, status: OrderStatus, backtest_run_id: UUID | None = None
    ) -> list[OrderT]:
        """All orders that are in ``status``."""
        return self._group((status, None, backtest_run_id))

    def get_by_agent(self, agent_id: UUID, backtest_run_id: UUID | None = None) -> list[OrderT]:
        """All orders of an agent."""
        return self._group(("agent", agent_id), backtest_run_id)

    def get_by_account(self, account_id: UUID, backtest_run_id: UUID | None = None) -> list[OrderT]:
        """All orders of an account."""
        return self._group(("account", account_id), backtest_run_id)

    def get_pending_orders(
        self, agent_id: UUID | None = None, backtest_run_id: UUID | None = None
    ) -> list[OrderT]:
        """The orders that wait to fill: of an agent, of a run, or all."""
        return self._group((OrderStatus.PENDING, agent_id, backtest_run_id))

    def get_by_trading_pair(
        self, trading_pair_code: str, backtest_run_id: UUID | None = None
    ) -> list[OrderT]:
        """All orders of a pair."""
        return self._group(("pair", trading_pair_code), backtest_run_id)

    def get_by_root_id(self, root_id: UUID, backtest_run_id: UUID | None = None) -> list[OrderT]:
        """A chain: the root order and all that came of it."""
        return self._group(("root", root_id), backtest_run_id)
