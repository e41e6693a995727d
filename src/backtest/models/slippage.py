"""Slippage policies: how much worse than the market's price a taker's fill is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from attrs import field, frozen

from backtest.errors import FieldError
from backtest.models.bar import Bar
from backtest.money import ZERO, div, mul, setting_of

__all__ = [
    "FixedSlippage",
    "NoSlippage",
    "PercentSlippage",
    "SlippagePolicy",
    "VolumeShareSlippage",
]


@runtime_checkable
class SlippagePolicy(Protocol):
    """How far from the market's price market orders and stops fill. Limits have no slippage."""

    def slip(self, price: Decimal, buy: bool, volume: Decimal, bar: Bar) -> Decimal:
        """The distance in units of price, 0 or more.

        ``price`` is the market's, ``volume`` what fills. The venue takes the distance against the
        trader, rounds to the price increment against him, and keeps the price within the bar
        unless `TradingRules.slippage_beyond_bar`.
        """


def _amount(value: Any) -> Decimal:
    amount = setting_of(value, "slippage")
    if amount < ZERO:
        raise FieldError("slippage", f"must be non-negative, is {amount}")
    return amount


@frozen
class NoSlippage:
    """Takers fill at the market's price."""

    def slip(self, price: Decimal, buy: bool, volume: Decimal, bar: Bar) -> Decimal:
        return ZERO

    def plain(self) -> dict[str, Any]:
        return {"slippage": ZERO, "slippage_rate": ZERO}


@frozen
class FixedSlippage:
    """``amount`` units of price."""

    amount: Decimal = field(converter=_amount)

    def slip(self, price: Decimal, buy: bool, volume: Decimal, bar: Bar) -> Decimal:
        return self.amount

    def plain(self) -> dict[str, Any]:
        return {"slippage": self.amount, "slippage_rate": ZERO}


@frozen
class PercentSlippage:
    """A share of the price: ``rate`` 0.001 is 0.1 %."""

    rate: Decimal = field(converter=_amount)

    def slip(self, price: Decimal, buy: bool, volume: Decimal, bar: Bar) -> Decimal:
        return mul(price, self.rate)

    def plain(self) -> dict[str, Any]:
        return {"slippage": ZERO, "slippage_rate": self.rate}


@frozen
class VolumeShareSlippage:
    """Quadratic in the share of the bar's volume: ``price × impact × min(volume / bar, limit)²``.

    As zipline's `VolumeShareSlippage` and LEAN's `VolumeShareSlippageModel` have it, with their
    defaults (zipline/finance/slippage.py; Common/Orders/Slippage/VolumeShareSlippageModel.cs).
    There the same limit also caps how much may fill: here that is ``participation``. Without a
    volume in the data, or with none traded, the share is the limit.

    >>> from backtest.models import Bar
    >>> bar = Bar("X", 0, 1, Decimal(100), Decimal(101), Decimal(99), Decimal(100), Decimal(1000))
    >>> VolumeShareSlippage().slip(Decimal(100), True, Decimal(20), bar)  # 100 × 0.1 × 0.02²
    Decimal('0.00400')
    """

    limit: Decimal = field(default=Decimal("0.025"), converter=_amount)
    impact: Decimal = field(default=Decimal("0.1"), converter=_amount)

    def slip(self, price: Decimal, buy: bool, volume: Decimal, bar: Bar) -> Decimal:
        share = self.limit
        if bar.volume:
            part = div(volume, bar.volume)
            share = part if part < share else share
        return mul(mul(price, self.impact), mul(share, share))
