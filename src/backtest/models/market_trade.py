"""Trades between agents, as the tape of an exchange has them: with both sides by name."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from backtest.models._show import instant, shown, sized
from backtest.models.trade import Aggressor
from backtest.money import mul

__all__ = ["MarketTrade"]


class MarketTrade(NamedTuple):
    """A trade of two agents: ``volume`` of ``pair`` at ``price``, dealt at ``time_ns``.

    A tuple, as a market of a thousand agents makes tens of thousands of them. What the others see
    of it is a `backtest.models.Trade`; the names of both sides are for the record alone.

    >>> trade = MarketTrade(
    ...     0, "STOCK", Decimal("99.97"), Decimal(30), "sell",
    ...     "maker", "noise-17", UUID(int=4), UUID(int=9), 12,
    ... )
    >>> trade.maker, trade.taker, trade.notional
    ('maker', 'noise-17', Decimal('2999.10'))
    """

    time_ns: int
    pair: str
    price: Decimal
    volume: Decimal
    """In base, or in contracts."""
    aggressor: Aggressor | None
    """The side whose order met a resting one; None where nobody's did, in an auction."""
    buyer: str
    """The account that bought."""
    seller: str
    buyer_order: UUID
    seller_order: UUID
    entry: int
    """The number of the ledger's entry that settled it."""

    def __repr__(self) -> str:
        traded, sides = sized(self.price, self.volume), f"{self.buyer} from {self.seller}"
        return shown(self, self.pair, instant(self.time_ns), traded, self.aggressor, sides)

    @property
    def maker(self) -> str | None:
        """The account whose order rested; None in an auction."""
        if self.aggressor is None:
            return None
        return self.seller if self.aggressor == "buy" else self.buyer

    @property
    def taker(self) -> str | None:
        """The account whose order came in and met a resting one; None in an auction."""
        if self.aggressor is None:
            return None
        return self.buyer if self.aggressor == "buy" else self.seller

    @property
    def notional(self) -> Decimal:
        """Price times volume, unrounded, for contracts of one unit."""
        return mul(self.price, self.volume)
