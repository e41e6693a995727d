"""When a limit is reached, and what a stop gives that the price has passed at once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from attrs import field, frozen

from backtest.errors import FieldError, FieldTypeError
from backtest.money import ZERO, mul

__all__ = [
    "GapAtMarket",
    "GapAtStop",
    "LimitPolicy",
    "Penetrate",
    "StopPolicy",
    "Touch",
]


@runtime_checkable
class LimitPolicy(Protocol):
    """How far beyond a limit the price must go before it fills."""

    def beyond(self, price_increment: Decimal) -> Decimal:
        """The distance in units of price, 0 or more; asked once per pair."""


def _ticks(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldTypeError("ticks", f"must be a whole number, not {value!r}")
    if value < 0:
        raise FieldError("ticks", f"must be non-negative, is {value}")
    return value


_GAPS = ("open", "limit")


def _gap(value: str) -> str:
    if value not in _GAPS:
        raise FieldError("gap", f"must be one of {', '.join(_GAPS)}, not {value!r}")
    return value


@frozen
class Touch:
    """A limit fills when the price reaches it; where it opens beyond it, at the ``gap``: the better
    ``"open"``, or its own price all the same (``"limit"``)."""

    gap: str = field(default="open", converter=_gap)

    def beyond(self, price_increment: Decimal) -> Decimal:
        return ZERO

    def plain(self) -> dict[str, Any]:
        return {"penetration_ticks": 0, "limit_gap": self.gap}


@frozen
class Penetrate:
    """A limit fills when the price goes ``ticks`` increments beyond it; ``gap`` as in `Touch`."""

    ticks: int = field(default=1, converter=_ticks)
    gap: str = field(default="open", converter=_gap)

    def beyond(self, price_increment: Decimal) -> Decimal:
        return mul(Decimal(self.ticks), price_increment)

    def plain(self) -> dict[str, Any]:
        return {"penetration_ticks": self.ticks, "limit_gap": self.gap}


@runtime_checkable
class StopPolicy(Protocol):
    """At which price of the market a stop fills that was passed at the first price it saw."""

    def gap(self, kind: str, stop: Decimal, market: Decimal) -> Decimal:
        """``market`` is that first price, at or beyond ``stop``; slippage comes on top. ``kind`` is
        ``"stop"`` for orders (a stop-limit's price is held within its limit), ``"stop_loss"`` or
        ``"liquidation"`` for exits."""


@frozen
class GapAtMarket:
    """At the market's price: what a gap costs is lost."""

    def gap(self, kind: str, stop: Decimal, market: Decimal) -> Decimal:
        return market

    def plain(self) -> dict[str, Any]:
        return {"stop_gap": "open"}


@frozen
class GapAtStop:
    """At the stop's own price, as if there had been no gap: NautilusTrader's bars. Without
    ``exits`` only stop orders: backtesting.py when it trades on the close."""

    exits: bool = True

    def gap(self, kind: str, stop: Decimal, market: Decimal) -> Decimal:
        return stop if self.exits or kind == "stop" else market

    def plain(self) -> dict[str, Any]:
        return {"stop_gap": "stop" if self.exits else "order_stop"}
