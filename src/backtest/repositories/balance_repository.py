"""Balances: the latest, the one at a time, and the next one from transactions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from backtest.errors import FieldError, MissingExtra
from backtest.models._validate import check_id, check_texts, check_times
from backtest.models.balance import Balance
from backtest.models.transaction import Transaction
from backtest.money import ZERO, exact_add
from backtest.repositories._memory import MemoryRepository
from backtest.repositories._time_index import TimeIndex

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BalanceRepository"]

_COLUMNS = (
    "timestamp",
    "available_balance",
    "unavailable_balance",
    "total_balance",
    "utilization_rate",
    "asset_code",
)


class BalanceRepository(MemoryRepository[Balance]):
    """Balance snapshots in memory. The latest one is found without looking at the others.

    An account holds several assets: give ``asset_code`` to ask about one, else the answer is about
    snapshots of any asset.
    """

    def _id(self, item: Balance) -> UUID:
        return item.balance_id

    def _time(self, item: Balance) -> datetime:
        return item.timestamp

    def _run(self, item: Balance) -> UUID:
        return item.backtest_run_id

    def _keys(self, item: Balance) -> tuple[Hashable, ...]:
        return ()

    def _series_keys(self, item: Balance) -> tuple[Hashable, ...]:
        account, run, asset = item.account_id, item.backtest_run_id, item.asset_code
        whole = ((account, None, None), (account, run, None))
        return whole if asset is None else (*whole, (account, None, asset), (account, run, asset))

    def get_by_account(
        self,
        account_id: UUID,
        backtest_run_id: UUID | None = None,
        asset_code: str | None = None,
    ) -> list[Balance]:
        """All snapshots of an account."""
        series = self._of(account_id, backtest_run_id, asset_code)
        return [] if series is None else series.all()

    def get_latest_balance(
        self,
        account_id: UUID,
        backtest_run_id: UUID | None = None,
        asset_code: str | None = None,
    ) -> Balance | None:
        """The latest snapshot (of several at one time, the one saved last), or ``None``."""
        series = self._of(account_id, backtest_run_id, asset_code)
        return None if series is None else series.last()

    def get_balance_at_time(
        self,
        account_id: UUID,
        timestamp: datetime,
        backtest_run_id: UUID | None = None,
        asset_code: str | None = None,
    ) -> Balance | None:
        """The latest snapshot at or before ``timestamp``, or ``None``."""
        check_times({"timestamp": timestamp}, ("timestamp",))
        series = self._of(account_id, backtest_run_id, asset_code)
        return None if series is None else series.last_at(timestamp)

    def _of(
        self, account_id: UUID, backtest_run_id: UUID | None, asset_code: str | None
    ) -> TimeIndex[Balance] | None:
        """The series of an account, in one run or in all, of one asset or of all."""
        check_id(account_id, "account_id")
        check_id(backtest_run_id, "backtest_run_id", optional=True)
        if asset_code is not None:
            check_texts({"asset_code": asset_code}, ("asset_code",))
        return self._series.get((account_id, backtest_run_id, asset_code))

    def reconcile_balance(
        self,
        account_id: UUID,
        backtest_run_id: UUID,
        timestamp: datetime,
        transactions: Iterable[Transaction],
        initial_balance: Balance | None = None,
        asset_code: str | None = None,
    ) -> Balance:
        """The balance after ``transactions``, from ``initial_balance`` or zero; saved and returned.

        With ``asset_code`` only the transactions of that asset count. Without it all must be in one
        asset. Raises `FieldError` when they are not, when one is of another account or run, or when
        the result would be below zero; nothing is saved then.
        """
        counted = list(transactions)
        if asset_code is None:
            asset_code = _common_asset(counted, initial_balance)
        else:
            counted = [one for one in counted if one.asset_code == asset_code]
        available = unavailable = ZERO
        if initial_balance is not None:
            _check_initial(initial_balance, account_id, asset_code)
            available = initial_balance.available_balance
            unavailable = initial_balance.unavailable_balance
        for one in counted:
            if one.account_id != account_id or one.backtest_run_id != backtest_run_id:
                raise FieldError(
                    "transactions",
                    f"must be of account {account_id} and run {backtest_run_id}; "
                    f"{one.transaction_id} is of {one.account_id} and {one.backtest_run_id}",
                )
            available = exact_add(available, one.available_balance_change)
            unavailable = exact_add(unavailable, one.unavailable_balance_change)
        balance = Balance(
            account_id=account_id,
            backtest_run_id=backtest_run_id,
            timestamp=timestamp,
            available_balance=available,
            unavailable_balance=unavailable,
            asset_code=asset_code,
        )
        return self.save(balance)

    def get_balance_history_df(
        self,
        account_id: UUID,
        backtest_run_id: UUID | None = None,
        asset_code: str | None = None,
    ) -> pd.DataFrame:
        """The snapshots of an account as a pandas frame, a row each, amounts as exact `Decimal`.

        Raises `MissingExtra` when pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtra("pandas", "pandas", "get_balance_history_df") from None
        balances = self.get_by_account(account_id, backtest_run_id, asset_code)
        rows = [[getattr(balance, name) for name in _COLUMNS] for balance in balances]
        return pd.DataFrame(rows, columns=list(_COLUMNS))


def _common_asset(transactions: Iterable[Transaction], initial: Balance | None) -> str | None:
    """The one asset that all of these are in, or a `FieldError` that says how to choose."""
    codes = {one.asset_code for one in transactions}
    if initial is not None:
        codes.add(initial.asset_code)
    if len(codes) > 1:
        named = sorted("the settlement asset" if code is None else code for code in codes)
        raise FieldError(
            "transactions",
            f"are in several assets ({', '.join(named)}): give asset_code=... to choose one",
        )
    return codes.pop() if codes else None


def _check_initial(initial: Balance, account_id: UUID, asset_code: str | None) -> None:
    if initial.account_id != account_id:
        raise FieldError(
            "initial_balance", f"must be of account {account_id}, is of {initial.account_id}"
        )
    if initial.asset_code != asset_code:
        raise FieldError("initial_balance", f"must be in {asset_code}, is in {initial.asset_code}")
