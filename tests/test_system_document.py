"""The calls of the system document, one test per sample: imports, names and arguments as there."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import uuid4

import pytest

from backtest.models.balance import Balance
from backtest.models.orders import OrderDirection, OrderStatus, TradingOrder
from backtest.models.spot_order import SpotOrder
from backtest.models.transaction import Transaction, TransactionType
from backtest.repositories.balance_repository import BalanceRepository
from backtest.repositories.spot_order_repository import SpotOrderRepository
from backtest.repositories.transaction_repository import TransactionRepository

account_id, run_id, agent_id, broker_id = uuid4(), uuid4(), uuid4(), uuid4()
NOON = datetime(2024, 5, 1, 12)  # naive, as datetime.now() is in the document
ONE_PM = datetime(2024, 5, 1, 13)


def reserve() -> Transaction:
    return Transaction(
        account_id=account_id,
        backtest_run_id=run_id,
        timestamp=ONE_PM,
        description="Reserve margin for order",
        available_balance_change=Decimal("-1000"),
        unavailable_balance_change=Decimal("1000"),
        transaction_type=TransactionType.RESERVE_MARGIN,
    )


def hold() -> Balance:
    return Balance(
        account_id=account_id,
        backtest_run_id=run_id,
        timestamp=NOON,
        available_balance=Decimal("95000"),
        unavailable_balance=Decimal("5000"),
    )


def ask() -> SpotOrder:
    return SpotOrder(
        broker_id=broker_id,
        trading_pair_code="BTCUSD",
        agent_id=agent_id,
        account_id=account_id,
        backtest_run_id=run_id,
        order_number=1,
        direction=OrderDirection.LONG,
        status=OrderStatus.PENDING,
        create_timestamp=NOON,
        volume=Decimal("1.5"),
        limit_price=Decimal("50000"),
    )


def test_a_transaction_reserves_margin() -> None:
    assert reserve().total_balance_change == 0
    assert reserve().transaction_type is TransactionType.RESERVE_MARGIN


def test_a_balance_prints_its_total_and_utilization() -> None:
    balance = hold()
    assert f"Total: {balance.total_balance}" == "Total: 100000"
    assert f"Utilization: {balance.utilization_rate}%" == "Utilization: 5%"


def test_a_balance_is_reconciled_from_transactions() -> None:
    repository = BalanceRepository()
    balance = repository.reconcile_balance(
        account_id=account_id,
        backtest_run_id=run_id,
        timestamp=ONE_PM,
        transactions=[reserve()],
        initial_balance=hold(),
    )
    # 95000 - 1000 free, 5000 + 1000 locked
    assert (balance.available_balance, balance.unavailable_balance) == (
        Decimal(94_000),
        Decimal(6_000),
    )
    assert repository.get_latest_balance(account_id, run_id) is balance


def test_a_spot_order_fills_wholly() -> None:
    filled = ask().create_filled_copy(
        fill_timestamp=ONE_PM,
        fill_price=Decimal("50000"),
        fill_volume=Decimal("1.5"),
        fee_fill=Decimal("37.50"),
    )
    assert filled.is_filled
    assert (filled.remaining_volume, filled.total_fees) == (Decimal(0), Decimal("37.50"))


def test_a_spot_order_fills_partly() -> None:
    part = ask().create_filled_copy(
        fill_timestamp=ONE_PM,
        fill_price=Decimal("50000"),
        fill_volume=Decimal("1.0"),
        fee_fill=Decimal("25.00"),
    )
    assert f"Remaining: {part.remaining_volume}" == "Remaining: 0.5"


def test_a_spot_order_is_cancelled() -> None:
    cancelled = ask().create_cancelled_copy(
        cancel_timestamp=ONE_PM, cancel_volume=Decimal("1.5"), fee_cancel=Decimal("0")
    )
    assert cancelled.is_cancelled
    assert cancelled.remaining_volume == 0


def test_a_trading_order_has_leverage_and_protection() -> None:
    order = TradingOrder(
        trading_pair_code="BTCUSD",
        direction=OrderDirection.LONG,
        volume=Decimal("10"),
        create_timestamp=NOON,
        create_price=Decimal("50000"),
        agent_id=agent_id,
        account_id=account_id,
        broker_id=broker_id,
        backtest_run_id=run_id,
        leverage=Decimal("10"),
        stop_loss=Decimal("48000"),
        take_profit=Decimal("55000"),
    )
    assert order.is_pending
    assert (order.stop_loss, order.take_profit) == (Decimal(48_000), Decimal(55_000))


def test_repositories_answer_the_documents_questions() -> None:
    spot_repo = SpotOrderRepository()
    transaction_repo = TransactionRepository()
    balance_repo = BalanceRepository()
    order, last_balance, transaction = ask(), hold(), reserve()
    fee = Transaction(
        account_id=account_id,
        backtest_run_id=run_id,
        timestamp=NOON,
        description="Fill fee",
        available_balance_change=Decimal("-25"),
        unavailable_balance_change=Decimal("0"),
        transaction_type=TransactionType.FEE_FILL,
    )
    spot_repo.save(order)
    balance_repo.save(last_balance)
    transaction_repo.save(transaction)
    transaction_repo.save(fee)

    assert spot_repo.get_pending_orders(agent_id, run_id) == [order]
    assert transaction_repo.get_by_account(account_id, run_id) == [fee, transaction]
    assert balance_repo.get_latest_balance(account_id, run_id) is last_balance
    # The fee is of the balance's own time and in it already; only what came after is new.
    since = transaction_repo.get_since_timestamp(account_id, last_balance.timestamp)
    assert since == [transaction]
    assert transaction_repo.get_by_type(TransactionType.FEE_FILL, run_id) == [fee]


def test_assignment_is_an_error_and_a_copy_is_the_way() -> None:
    order = ask()
    with pytest.raises(AttributeError):
        order.status = OrderStatus.FILLED  # type: ignore[misc]
    balance = hold()
    with pytest.raises(AttributeError):
        balance.available_balance -= Decimal("100")  # type: ignore[misc]
    assert order.create_filled_copy(ONE_PM, Decimal("50000")).is_filled


def test_floats_are_the_wrong_way() -> None:
    with pytest.raises(TypeError, match=r"^fill_price must be a Decimal"):
        ask().create_filled_copy(ONE_PM, 50000.0)  # type: ignore[arg-type]
