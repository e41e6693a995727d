"""What an account has, as its strategy sees it."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from backtest.money import add

__all__ = ["BalanceView"]


class BalanceView(NamedTuple):
    """What an account has of one asset."""

    available: Decimal
    """Free to use."""
    unavailable: Decimal
    """Locked in orders and positions."""

    @property
    def total(self) -> Decimal:
        return add(self.available, self.unavailable)
