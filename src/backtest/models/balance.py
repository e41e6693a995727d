"""Balances: what an account holds in one asset at one moment."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

from attrs import field, frozen

from backtest.models._show import shown
from backtest.models._validate import NOT_BELOW_ZERO, check_numbers, check_texts, check_times
from backtest.money import ZERO, add, div, mul

__all__ = ["Balance"]

_NUMBERS = (("available_balance", NOT_BELOW_ZERO), ("unavailable_balance", NOT_BELOW_ZERO))
_HUNDRED = Decimal(100)


@frozen(slots=False)
class Balance:
    """What an account holds of ``asset_code`` (``None``: its settlement asset). Frozen.

    ``available_balance`` is free to use, ``unavailable_balance`` locked in orders and positions;
    neither is ever below zero. A balance is a fold of transactions, and changes by them only.

    Raises `FieldError` or `FieldTypeError`; the message begins with the field.

    >>> from datetime import UTC, datetime
    >>> day = datetime(2024, 1, 1, tzinfo=UTC)
    >>> balance = Balance(uuid4(), uuid4(), day, Decimal(95000), Decimal(5000))
    >>> balance.total_balance, balance.utilization_rate
    (Decimal('100000'), Decimal('5'))
    """

    account_id: UUID
    backtest_run_id: UUID
    timestamp: datetime
    available_balance: Decimal
    unavailable_balance: Decimal
    balance_id: UUID = field(factory=uuid4)
    asset_code: str | None = None

    def __attrs_post_init__(self) -> None:
        values = self.__dict__
        check_times(values, ("timestamp",))
        check_numbers(values, _NUMBERS)
        if self.asset_code is not None:
            check_texts(values, ("asset_code",))

    def __repr__(self) -> str:
        both = ("available", self.available_balance), ("unavailable", self.unavailable_balance)
        return shown(self, self.asset_code, *both, self.timestamp)

    @property
    def total_balance(self) -> Decimal:
        """Available and unavailable together."""
        return add(self.available_balance, self.unavailable_balance)

    @property
    def utilization_rate(self) -> Decimal:
        """The locked share of the total in percent; 0 when there is nothing."""
        total = self.total_balance
        return div(mul(self.unavailable_balance, _HUNDRED), total) if total else ZERO
