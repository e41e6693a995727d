"""What an agent sees of a market when it looks."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from backtest.money import add, mul

__all__ = ["View"]

_HALF = Decimal("0.5")


class View(NamedTuple):
    """The best prices of a pair at one moment, and how much is there; None where nothing is."""

    bid: Decimal | None
    ask: Decimal | None
    bid_size: Decimal | None
    ask_size: Decimal | None
    last: Decimal | None
    """The last price."""

    @property
    def mid(self) -> Decimal | None:
        """Half way between bid and ask, exact; where a side is empty the last price, or else the
        side that there is."""
        if self.bid is not None and self.ask is not None:
            return mul(add(self.bid, self.ask), _HALF)
        if self.last is not None:
            return self.last
        return self.ask if self.bid is None else self.bid
