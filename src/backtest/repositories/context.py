"""The repositories of one run, together."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from uuid import UUID

from backtest.models import BacktestRun
from backtest.money import ZERO, add
from backtest.repositories import (
    BalanceRepository,
    OrderRepository,
    SpotOrderRepository,
    TransactionRepository,
)

__all__ = ["BacktestContext"]


class BacktestContext:
    """Holds the repositories of a run: ``spot_orders``, ``orders``, ``transactions``, ``balances``.

    A finished run gives one that is filled (`RunResult.context`); by hand, make one and save into
    its repositories.
    """

    def __init__(self, run: BacktestRun | None = None) -> None:
        self.run = run
        self.spot_orders = SpotOrderRepository()
        self.orders = OrderRepository()
        self.transactions = TransactionRepository()
        self.balances = BalanceRepository()
        self.house: frozenset[UUID] = frozenset()
        """The ids of house accounts: what they receive of a fee is not counted beside who pays."""

    def reset_runtime_state(self) -> None:
        """Forget everything stored, so that another run can begin."""
        for repository in (self.spot_orders, self.orders, self.transactions, self.balances):
            repository.clear()

    def get_statistics(self) -> dict[str, object]:
        """Counts of what is stored: orders by status, transactions by type, and all fees paid."""
        orders = Counter(
            order.status.value for order in (*self.spot_orders.get_all(), *self.orders.get_all())
        )
        types: Counter[str] = Counter()
        fees: dict[str, Decimal] = {}
        for transaction in self.transactions.get_all():
            name = transaction.transaction_type.value
            types[name] += 1
            if name.startswith("FEE_") and transaction.account_id not in self.house:
                asset = transaction.asset_code or ""
                fees[asset] = add(
                    fees.get(asset, ZERO), transaction.total_balance_change.copy_negate()
                )
        return {
            "spot_orders": self.spot_orders.count(),
            "trading_orders": self.orders.count(),
            "orders_by_status": dict(sorted(orders.items())),
            "transactions": self.transactions.count(),
            "transactions_by_type": dict(sorted(types.items())),
            "balances": self.balances.count(),
            "fees_paid": dict(sorted(fees.items())),
        }
