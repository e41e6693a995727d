"""Transactions: the only way in which a balance changes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

from attrs import field, frozen

from backtest.models._show import shown
from backtest.models._validate import AMOUNT, check_member, check_numbers, check_texts, check_times
from backtest.money import add
from backtest.named import Named

__all__ = ["Transaction", "TransactionType"]


class TransactionType(Named):
    """Why a balance changed."""

    RESERVE_MARGIN = "RESERVE_MARGIN"
    """Available money locked for an order."""
    RETURN_MARGIN = "RETURN_MARGIN"
    """Locked money set free again."""
    FEE_CREATE = "FEE_CREATE"
    FEE_FILL = "FEE_FILL"
    FEE_CLOSE = "FEE_CLOSE"
    FEE_CANCEL = "FEE_CANCEL"
    FEE_OVERNIGHT = "FEE_OVERNIGHT"
    """Overnight fees and funding; income is negative."""
    FILL_BUY = "FILL_BUY"
    """Quote asset paid for a spot buy."""
    FILL_SELL = "FILL_SELL"
    """Base asset delivered for a spot sell."""
    CLOSE_PNL = "CLOSE_PNL"
    """Realised profit or loss of a position."""
    SPOT_EXCHANGE = "SPOT_EXCHANGE"
    """Asset received for a spot fill."""
    ADJUSTMENT = "ADJUSTMENT"
    """Deposits, withdrawals and corrections."""


_NUMBERS = (("available_balance_change", AMOUNT), ("unavailable_balance_change", AMOUNT))


@frozen(slots=False)
class Transaction:
    """One change of one account's available and unavailable balance in one asset. Frozen.

    Changes are in units of ``asset_code``; ``None`` means the account's settlement asset. In the
    ledger of a run, ``entry_id`` names the entry it was posted in and ``sequence`` its place in the
    journal.

    Raises `FieldError` or `FieldTypeError`; the message begins with the field.

    >>> from datetime import UTC, datetime
    >>> lock = Transaction(
    ...     uuid4(), uuid4(), datetime(2024, 1, 1, tzinfo=UTC), "Reserve margin",
    ...     Decimal("-1000"), Decimal("1000"), TransactionType.RESERVE_MARGIN,
    ... )
    >>> lock.total_balance_change
    Decimal('0')
    """

    account_id: UUID
    backtest_run_id: UUID
    timestamp: datetime
    description: str
    available_balance_change: Decimal
    unavailable_balance_change: Decimal
    transaction_type: TransactionType
    order_id: UUID | None = None
    transaction_id: UUID = field(factory=uuid4)
    asset_code: str | None = None
    entry_id: UUID | None = None
    sequence: int | None = None

    def __attrs_post_init__(self) -> None:
        values = self.__dict__
        check_times(values, ("timestamp",))
        check_texts(values, ("description",))
        check_numbers(values, _NUMBERS)
        check_member(self.transaction_type, "transaction_type", TransactionType)
        if self.asset_code is not None:
            check_texts(values, ("asset_code",))

    def __repr__(self) -> str:
        changes = (
            ("available", self.available_balance_change or None),
            ("unavailable", self.unavailable_balance_change or None),
        )
        kind, order = self.transaction_type, ("order", self.order_id)
        return shown(self, kind, self.asset_code, *changes, self.timestamp, order)

    @property
    def total_balance_change(self) -> Decimal:
        """Available and unavailable change together: zero when money is only locked or set free."""
        return add(self.available_balance_change, self.unavailable_balance_change)
