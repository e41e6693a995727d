"""Orders, transactions and balances for tests: by hand with defaults, and drawn by Hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from backtest.models import (
    Balance,
    OrderDirection,
    OrderStatus,
    SpotOrder,
    TradingOrder,
    Transaction,
    TransactionType,
)

__all__ = [
    "ACCOUNT",
    "AGENT",
    "BROKER",
    "DAY",
    "OTHER",
    "RUN",
    "D",
    "amounts",
    "balance",
    "later",
    "spot",
    "trading",
    "transaction",
    "uid",
    "volumes",
]

D = Decimal
DAY = datetime(2024, 1, 1, tzinfo=UTC)


def uid(number: int) -> UUID:
    """A small id that a person can tell from another in a failure."""
    return UUID(int=number)


ACCOUNT, AGENT, BROKER, RUN, OTHER = uid(101), uid(102), uid(103), uid(104), uid(105)


def later(seconds: float) -> datetime:
    """``seconds`` after `DAY`."""
    return DAY + timedelta(seconds=seconds)


def transaction(**fields: Any) -> Transaction:
    """A transaction that locks 1000, but for what is given."""
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "backtest_run_id": RUN,
        "timestamp": DAY,
        "description": "lock",
        "available_balance_change": D(-1000),
        "unavailable_balance_change": D(1000),
        "transaction_type": TransactionType.RESERVE_MARGIN,
    }
    return Transaction(**(values | fields))


def balance(**fields: Any) -> Balance:
    """A balance of 95000 free and 5000 locked, but for what is given."""
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "backtest_run_id": RUN,
        "timestamp": DAY,
        "available_balance": D(95_000),
        "unavailable_balance": D(5_000),
    }
    return Balance(**(values | fields))


def spot(**fields: Any) -> SpotOrder:
    """A pending limit buy of 1.5 at 50000, but for what is given."""
    values: dict[str, Any] = {
        "broker_id": BROKER,
        "trading_pair_code": "BTCUSD",
        "agent_id": AGENT,
        "account_id": ACCOUNT,
        "backtest_run_id": RUN,
        "order_number": 1,
        "direction": OrderDirection.LONG,
        "status": OrderStatus.PENDING,
        "create_timestamp": DAY,
        "volume": D("1.5"),
        "limit_price": D(50_000),
    }
    return SpotOrder(**(values | fields))


def trading(**fields: Any) -> TradingOrder:
    """A pending market order for 10 long at leverage 10, but for what is given."""
    values: dict[str, Any] = {
        "trading_pair_code": "BTCUSD",
        "direction": OrderDirection.LONG,
        "volume": D(10),
        "create_timestamp": DAY,
        "create_price": D(50_000),
        "agent_id": AGENT,
        "account_id": ACCOUNT,
        "broker_id": BROKER,
        "backtest_run_id": RUN,
        "leverage": D(10),
    }
    return TradingOrder(**(values | fields))


def amounts(low: str = "-1000", high: str = "1000", places: int = 2) -> st.SearchStrategy[Decimal]:
    """Decimals with ``places`` digits after the point."""
    return st.decimals(D(low), D(high), places=places, allow_nan=False, allow_infinity=False)


def volumes(high: str = "100", places: int = 3) -> st.SearchStrategy[Decimal]:
    """Positive volumes on a grid of ``places`` digits."""
    return st.decimals(D(1).scaleb(-places), D(high), places=places)
