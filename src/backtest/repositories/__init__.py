"""Storage and queries. In memory: the answers that trading needs cost the same at any size."""

from __future__ import annotations

from backtest.repositories.balance_repository import BalanceRepository
from backtest.repositories.order_repository import OrderRepository
from backtest.repositories.spot_order_repository import SpotOrderRepository
from backtest.repositories.transaction_repository import TransactionRepository

__all__ = [
    "BalanceRepository",
    "OrderRepository",
    "SpotOrderRepository",
    "TransactionRepository",
]
