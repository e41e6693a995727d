"""Money by hand: every change of a balance is a transaction, and a balance is their sum.

Run it from the project's folder: python examples/transaction_balance_system.py
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from backtest.models.balance import Balance
from backtest.models.transaction import Transaction, TransactionType
from backtest.repositories.balance_repository import BalanceRepository
from backtest.repositories.transaction_repository import TransactionRepository

ACCOUNT, RUN = uuid4(), uuid4()
START = datetime(2024, 1, 1, 9, 0, tzinfo=UTC)

# What happens in a morning: minutes after nine, what it is, what becomes free, what gets locked.
MORNING = [
    (5, TransactionType.RESERVE_MARGIN, "Reserve for a buy of 1.5 BTC at 50000", -75000, 75000),
    (5, TransactionType.FEE_CREATE, "Fee for placing it", -10, 0),
    (7, TransactionType.FILL_BUY, "1.0 BTC bought at 49900", 0, -49900),
    (7, TransactionType.FEE_FILL, "Fee of the fill", 0, -25),
    (7, TransactionType.RETURN_MARGIN, "It was cheaper than reserved", 75, -75),
    (30, TransactionType.RETURN_MARGIN, "Rest of the order cancelled", 25000, -25000),
]


def main() -> None:
    transactions, balances = TransactionRepository(), BalanceRepository()
    nothing, opening = Decimal(0), Decimal(100000)
    balance = Balance(ACCOUNT, RUN, START, available_balance=opening, unavailable_balance=nothing)
    balances.save(balance)
    print(f"{'time':6}{'type':16}{'what':40}{'available':>12}{'locked':>10}{'in use':>8}")
    print(f"{balance.timestamp:%H:%M} {'':16}{'Opening balance':40}", row(balance))

    for minutes, kind, why, available, unavailable in MORNING:
        transaction = Transaction(
            account_id=ACCOUNT,
            backtest_run_id=RUN,
            timestamp=START + timedelta(minutes=minutes),
            description=why,
            available_balance_change=Decimal(available),
            unavailable_balance_change=Decimal(unavailable),
            transaction_type=kind,
        )
        transactions.save(transaction)
        # The next balance is the last one plus what has been posted since.
        balance = balances.reconcile_balance(
            account_id=ACCOUNT,
            backtest_run_id=RUN,
            timestamp=transaction.timestamp,
            transactions=[transaction],
            initial_balance=balance,
        )
        balances.save(balance)
        print(f"{balance.timestamp:%H:%M} {kind.name:16}{why:40}", row(balance))

    kinds = (TransactionType.FEE_CREATE, TransactionType.FEE_FILL)
    fees = [one for kind in kinds for one in transactions.get_by_type(kind, RUN)]
    (bought,) = transactions.get_by_type(TransactionType.FILL_BUY, RUN)
    late = transactions.get_since_timestamp(ACCOUNT, START + timedelta(minutes=10))
    print("\nFees paid:", -sum(one.total_balance_change for one in fees), "USD")
    print("Spent on BTC:", -bought.total_balance_change, "USD")
    print("After 9:10:", "; ".join(one.description for one in late))
    latest = balances.get_latest_balance(ACCOUNT, RUN)
    assert latest == balance
    print("Latest balance:", latest.total_balance, "USD in all")


def row(balance: Balance) -> str:
    locked, used = balance.unavailable_balance, balance.utilization_rate
    return f"{balance.available_balance:>11}{locked:>10}{used:>7.1f}%"


if __name__ == "__main__":
    main()
