"""Trades: what was dealt at one moment, as the market's tape has it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from attrs import frozen

from backtest.errors import FieldError
from backtest.models._validate import (
    POSITIVE,
    POSITIVE_IF_SET,
    check_count,
    check_texts,
    market_number,
)
from backtest.times import from_ns

__all__ = ["Aggressor", "Trade", "trusted_trade"]

Aggressor = Literal["buy", "sell"]


@frozen
class Trade:
    """A trade of others in ``pair`` at ``time_ns`` (ns since 1970 UTC).

    ``volume`` is in base; ``None`` means unknown (no cap on fills). ``aggressor`` is the side that
    took: ``"buy"`` (it met the ask), ``"sell"`` or ``None`` where it is not known. Frozen and
    slotted: a run holds millions.

    Raises `FieldError` or `FieldTypeError` unless price and volume are positive.

    >>> Trade("BTCUSD", 60_000_000_000, Decimal(100), Decimal("0.5"), "buy").time.isoformat()
    '1970-01-01T00:01:00+00:00'
    """

    pair: str
    time_ns: int
    price: Decimal
    volume: Decimal | None = None
    aggressor: Aggressor | None = None

    def __attrs_post_init__(self) -> None:
        check_texts({"pair": self.pair}, ("pair",))
        check_count(self.time_ns, "time_ns")
        object.__setattr__(self, "price", market_number(self.price, "price", POSITIVE))
        object.__setattr__(self, "volume", market_number(self.volume, "volume", POSITIVE_IF_SET))
        if self.aggressor not in ("buy", "sell", None):
            raise FieldError("aggressor", f"must be 'buy', 'sell' or None, not {self.aggressor!r}")

    @property
    def time(self) -> datetime:
        """When it was dealt, and the first moment at which anyone may see it (aware, UTC)."""
        return from_ns(self.time_ns)

    @property
    def open_ns(self) -> int:
        """``time_ns``: a trade begins and ends at one moment."""
        return self.time_ns

    @property
    def close_ns(self) -> int:
        """``time_ns``: by which sources are merged, as bars are by the end of theirs."""
        return self.time_ns


_new = object.__new__
# Slot descriptors write past the frozen __setattr__, and are looked up once, here.
_pair, _time_ns, _price, _volume, _aggressor = (
    Trade.__dict__[_name].__set__ for _name in ("pair", "time_ns", "price", "volume", "aggressor")
)


def trusted_trade(
    pair: str,
    time_ns: int,
    price: Decimal,
    volume: Decimal | None,
    aggressor: Aggressor | None,
) -> Trade:
    """A `Trade` of values that a loader has validated; nothing is checked here."""
    trade = _new(Trade)
    _pair(trade, pair)
    _time_ns(trade, time_ns)
    _price(trade, price)
    _volume(trade, volume)
    _aggressor(trade, aggressor)
    return trade
