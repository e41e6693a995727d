"""Assets: what accounts hold."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from backtest.errors import FieldError
from backtest.models._show import called
from backtest.models._validate import check_count, check_texts
from backtest.money import exponent

__all__ = ["Asset", "asset_of"]

_MOST_DIGITS = 30


@frozen(slots=False)
class Asset:
    """An asset and how finely its amounts are counted: ``precision`` digits after the point.

    >>> Asset("USD", 2).step
    Decimal('0.01')
    """

    code: str
    precision: int = 8

    def __attrs_post_init__(self) -> None:
        check_texts(self.__dict__, ("code",))
        check_count(self.precision, "precision")
        if self.precision > _MOST_DIGITS:
            raise FieldError(
                "precision", f"must be at most {_MOST_DIGITS}, but is {self.precision}"
            )

    def __repr__(self) -> str:
        return called(self)

    @property
    def step(self) -> Decimal:
        """The smallest amount: one unit of the last digit."""
        return exponent(self.precision)


def asset_of(value: Asset | str) -> Asset:
    """``value``, or the asset of that code with the default precision."""
    return Asset(value) if isinstance(value, str) else value
