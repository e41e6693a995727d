"""Transactions, by account, order, type and time."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from uuid import UUID

from backtest.models._validate import check_id, check_member, check_times
from backtest.models.transaction import Transaction, TransactionType
from backtest.repositories._memory import MemoryRepository
from backtest.repositories._time_index import TimeIndex

__all__ = ["TransactionRepository"]


class TransactionRepository(MemoryRepository[Transaction]):
    """Transactions in memory. What came after a time is found by bisection, however many there are.

    >>> TransactionRepository().get_all()
    []
    """

    def _id(self, item: Transaction) -> UUID:
        return item.transaction_id

    def _time(self, item: Transaction) -> datetime:
        return item.timestamp

    def _run(self, item: Transaction) -> UUID:
        return item.backtest_run_id

    def _keys(self, item: Transaction) -> tuple[Hashable, ...]:
        if item.order_id is None:
            return (item.transaction_type,)
        return (item.transaction_type, ("order", item.order_id))

    def _series_keys(self, item: Transaction) -> tuple[Hashable, ...]:
        account = item.account_id
        return ((account, None), (account, item.backtest_run_id))

    def get_by_account(
        self, account_id: UUID, backtest_run_id: UUID | None = None
    ) -> list[Transaction]:
        """All transactions of an account."""
        series = self._of(account_id, backtest_run_id)
        return [] if series is None else series.all()

    def get_by_order(
        self, order_id: UUID, backtest_run_id: UUID | None = None
    ) -> list[Transaction]:
        """All transactions that an order caused."""
        check_id(order_id, "order_id")
        return self._group(("order", order_id), backtest_run_id)

    def get_by_type(
        self, transaction_type: TransactionType, backtest_run_id: UUID | None = None
    ) -> list[Transaction]:
        """All transactions of a type."""
        check_member(transaction_type, "transaction_type", TransactionType)
        return self._group(transaction_type, backtest_run_id)

    def get_by_time_range(
        self,
        account_id: UUID,
        start: datetime,
        end: datetime | None = None,
        backtest_run_id: UUID | None = None,
    ) -> list[Transaction]:
        """An account's transactions from ``start`` to ``end``, both included (no end: all)."""
        check_times({"start": start, "end": end}, ("start",), optional=("end",))
        series = self._of(account_id, backtest_run_id)
        return [] if series is None else series.between(start, end)

    def get_since_timestamp(
        self, account_id: UUID, timestamp: datetime, backtest_run_id: UUID | None = None
    ) -> list[Transaction]:
        """An account's transactions **after** ``timestamp``: those a balance of then knows not."""
        check_times({"timestamp": timestamp}, ("timestamp",))
        series = self._of(account_id, backtest_run_id)
        return [] if series is None else series.after(timestamp)

    def _of(self, account_id: UUID, backtest_run_id: UUID | None) -> TimeIndex[Transaction] | None:
        """The series of an account, in one run or in all."""
        check_id(account_id, "account_id")
        check_id(backtest_run_id, "backtest_run_id", optional=True)
        return self._series.get((account_id, backtest_run_id))
