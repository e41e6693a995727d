"""Fees: what is charged, on what, and when."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from attrs import frozen

from backtest.errors import FieldError
from backtest.models._show import called
from backtest.models._validate import (
    AMOUNT,
    AMOUNT_IF_SET,
    NON_NEGATIVE_IF_SET,
    check_member,
    check_numbers,
)

__all__ = ["Fee", "FeeKind", "FeeStage"]


class FeeKind(Enum):
    """What a fee is a share of."""

    NONE = "NONE"
    FLAT_PER_VOLUME = "FLAT_PER_VOLUME"
    FLAT_PER_TRADE = "FLAT_PER_TRADE"
    """Per order: charged with the branch's first fill only."""
    PERCENT_OF_NOTIONAL = "PERCENT_OF_NOTIONAL"
    PERCENT_OF_MARGIN = "PERCENT_OF_MARGIN"


class FeeStage(Enum):
    """When a fee is charged."""

    CREATE = "CREATE"
    FILL = "FILL"
    CLOSE = "CLOSE"
    CANCEL = "CANCEL"
    OVERNIGHT_PENDING = "OVERNIGHT_PENDING"
    OVERNIGHT_FILLED = "OVERNIGHT_FILLED"


_NUMBERS = (
    ("rate", AMOUNT),
    ("maker_rate", AMOUNT_IF_SET),
    ("minimum", NON_NEGATIVE_IF_SET),
    ("maximum", NON_NEGATIVE_IF_SET),
)


@frozen(slots=False)
class Fee:
    """One fee. ``rate`` is a fraction for ``PERCENT_*`` (0.001 is 0.1 %), else an amount of quote.

    ``maker_rate`` is for fills of resting orders, ``None`` meaning the same. Where a negative rate
    (a rebate, overnight income) is allowed depends on the stage: `TradingRules` checks it.
    ``minimum`` and ``maximum``, in quote, hold for an order over all its fills, not for each of
    them; at the other stages for each charge.
    """

    kind: FeeKind
    rate: Decimal
    maker_rate: Decimal | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    def __attrs_post_init__(self) -> None:
        check_member(self.kind, "kind", FeeKind)
        check_numbers(self.__dict__, _NUMBERS)
        least, most = self.minimum, self.maximum
        if least is not None and most is not None and least > most:
            raise FieldError("minimum", f"must not be above the maximum {most}, is {least}")

    def __repr__(self) -> str:
        return called(self)
