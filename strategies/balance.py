"""What an account has, as its strategy sees it."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from backtest.money import ZERO, add, div, mul

__all__ = ["BalanceView"]

_HUNDRED = Decimal(100)


class BalanceView(NamedTuple):
    """What an account has of one asset; false when that is nothing.

    The names of `backtest.models.Balance` work as well as the short ones.
    """

    available: Decimal
    """Free to use."""
    unavailable: Decimal
    """Locked in orders and positions."""

    def __bool__(self) -> bool:
        return bool(self.available or self.unavailable)

    @property
    def total(self) -> Decimal:
        return add(self.available, self.unavailable)

    @property
    def available_balance(self) -> Decimal:
        """The same as ``available``."""
        return self.available

    @property
    def unavailable_balance(self) -> Decimal:
        """The same as ``unavailable``."""
        return self.unavailable

    @property
    def total_balance(self) -> Decimal:
        """The same as ``total``."""
        return self.total

    @property
    def utilization_rate(self) -> Decimal:
        """The locked share of the total in percent; 0 when there is nothing."""
        total = self.total
        return div(mul(self.unavailable, _HUNDRED), total) if total else ZERO
