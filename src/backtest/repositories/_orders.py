"""The questions asked about orders of either kind."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import datetime
from typing import ClassVar, TypeVar
from uuid import UUID

from backtest.models._validate import check_id, check_member, check_texts
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

    ACTIVE: ClassVar[tuple[OrderStatus, ...]]
    """The statuses in which an order of this kind is active (`is_active`)."""

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
        check_member(status, "status", OrderStatus)
        return self._in((status,), None, backtest_run_id)

    def get_by_agent(self, agent_id: UUID, backtest_run_id: UUID | None = None) -> list[OrderT]:
        """All orders of an agent."""
        check_id(agent_id, "agent_id")
        return self._group(("agent", agent_id), backtest_run_id)

    def get_by_account(self, account_id: UUID, backtest_run_id: UUID | None = None) -> list[OrderT]:
        """All orders of an account."""
        check_id(account_id, "account_id")
        return self._group(("account", account_id), backtest_run_id)

    def get_pending_orders(
        self, agent_id: UUID | None = None, backtest_run_id: UUID | None = None
    ) -> list[OrderT]:
        """The orders that wait to fill: of an agent, of a run, or all."""
        return self._in((OrderStatus.PENDING,), agent_id, backtest_run_id)

    def get_active_orders(
        self, agent_id: UUID | None = None, backtest_run_id: UUID | None = None
    ) -> list[OrderT]:
        """The orders that are active: of a spot order that is pending, of a trading order pending
        or filled, an open position; of an agent, of a run, or all."""
        return self._in(self.ACTIVE, agent_id, backtest_run_id)

    def get_filled_orders(
        self, agent_id: UUID | None = None, backtest_run_id: UUID | None = None
    ) -> list[OrderT]:
        """The orders that are filled (and, of trading orders, not closed): of an agent, of a run,
        or all."""
        return self._in((OrderStatus.FILLED,), agent_id, backtest_run_id)

    def get_cancelled_orders(
        self, agent_id: UUID | None = None, backtest_run_id: UUID | None = None
    ) -> list[OrderT]:
        """The orders that were cancelled: of an agent, of a run, or all."""
        return self._in((OrderStatus.CANCELLED,), agent_id, backtest_run_id)

    def get_by_trading_pair(
        self, trading_pair_code: str, backtest_run_id: UUID | None = None
    ) -> list[OrderT]:
        """All orders of a pair."""
        check_texts({"trading_pair_code": trading_pair_code}, ("trading_pair_code",))
        return self._group(("pair", trading_pair_code), backtest_run_id)

    def get_by_root_id(self, root_id: UUID, backtest_run_id: UUID | None = None) -> list[OrderT]:
        """A chain: the root order and all that came of it."""
        check_id(root_id, "root_id")
        return self._group(("root", root_id), backtest_run_id)

    def _in(
        self,
        statuses: Iterable[OrderStatus],
        agent_id: UUID | None,
        backtest_run_id: UUID | None,
    ) -> list[OrderT]:
        """The orders in ``statuses``, of an agent, of a run, or all."""
        check_id(agent_id, "agent_id", optional=True)
        check_id(backtest_run_id, "backtest_run_id", optional=True)
        return self._joined((status, agent_id, backtest_run_id) for status in statuses)
