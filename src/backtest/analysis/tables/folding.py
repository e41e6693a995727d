"""Balances as folds of the journal."""

from __future__ import annotations

from backtest.analysis.record import RunRecord
from backtest.ids import derived_id
from backtest.models import Balance
from backtest.money import ZERO, exact_add
from backtest.times import from_ns

__all__ = ["balance_history"]


def balance_history(record: RunRecord) -> list[Balance]:
    """One `Balance` per entry, account and asset that it changed, agents' accounts only."""
    accounts = {
        name: account.account_id
        for name, account in record.accounts.items()
        if not account.is_house
    }
    run_id = record.run.run_id
    now: dict[tuple[str, str], tuple[object, object]] = {}
    history = []
    for entry in record.ledger.entries:
        touched: dict[tuple[str, str], None] = {}
        for account, asset, _, available, unavailable in entry.legs:
            if account in accounts:
                old = now.get((account, asset), (ZERO, ZERO))
                now[account, asset] = (
                    exact_add(old[0], available),  # type: ignore[arg-type]
                    exact_add(old[1], unavailable),  # type: ignore[arg-type]
                )
                touched[account, asset] = None
        for account, asset in touched:
            available, unavailable = now[account, asset]  # type: ignore[assignment]
            name = f"balance/{entry.number}/{account}/{asset}"
            history.append(
                Balance(
                    account_id=accounts[account],
                    backtest_run_id=run_id,
                    timestamp=from_ns(entry.time),
                    available_balance=available,
                    unavailable_balance=unavailable,
                    balance_id=derived_id(run_id, name),
                    asset_code=asset,
                )
            )
    return history
