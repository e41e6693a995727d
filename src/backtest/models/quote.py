"""Quotes: what a market bids and asks at one moment."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from attrs import frozen

from backtest.errors import FieldError
from backtest.log import get_logger
from backtest.models._validate import (
    NON_NEGATIVE_IF_SET,
    POSITIVE,
    check_count,
    check_texts,
    market_number,
)
from backtest.money import add, mul, sub
from backtest.times import from_ns

__all__ = ["Quote", "trusted_quote", "uncrossed"]

_HALF = Decimal("0.5")
_NOISE = Decimal("1e-12")


@frozen
class Quote:
    """The best bid and ask of ``pair`` from ``time_ns`` on (ns since 1970 UTC).

    ``bid_size`` and ``ask_size`` are in base; ``None`` means unknown (no cap on fills), 0 that
    there is nothing to be had. Frozen and slotted: a run holds millions.

    Raises `FieldError` or `FieldTypeError` unless 0 < bid <= ask (a crossed quote is refused, a
    locked one, bid = ask, is not) and both sizes >= 0. Where bid and ask cross by less than 1e-12
    of the price, as sums of floats do, they are exchanged, and a warning is logged.

    >>> quote = Quote("EURUSD", 0, Decimal("1.1213"), Decimal("1.1215"))
    >>> quote.mid, quote.time.isoformat()
    (Decimal('1.12140'), '1970-01-01T00:00:00+00:00')
    """

    pair: str
    time_ns: int
    bid: Decimal
    ask: Decimal
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None

    def __attrs_post_init__(self) -> None:
        check_texts({"pair": self.pair}, ("pair",))
        check_count(self.time_ns, "time_ns")
        for name in ("bid", "ask"):
            object.__setattr__(self, name, market_number(getattr(self, name), name, POSITIVE))
        for name in ("bid_size", "ask_size"):
            object.__setattr__(
                self, name, market_number(getattr(self, name), name, NON_NEGATIVE_IF_SET)
            )
        if self.bid > self.ask:
            self._uncross()

    def _uncross(self) -> None:
        """Take a bid and an ask that cross only by the noise of floats for each other."""
        found = uncrossed(self.bid, self.ask)
        if found is None:
            raise FieldError(
                "bid", f"must not be above ask (a crossed quote): {self.bid} > {self.ask}"
            )
        get_logger("backtest.data").warning(
            "data.uncrossed", pair=self.pair, quote=f"bid {self.bid} and ask {self.ask} exchanged"
        )
        object.__setattr__(self, "bid", found[0])
        object.__setattr__(self, "ask", found[1])

    @property
    def time(self) -> datetime:
        """When the quote was made, and the first moment at which anyone may see it (aware, UTC)."""
        return from_ns(self.time_ns)

    @property
    def mid(self) -> Decimal:
        """Half way between bid and ask, exact."""
        return mul(add(self.bid, self.ask), _HALF)

    @property
    def open_ns(self) -> int:
        """``time_ns``: a quote begins and ends at one moment."""
        return self.time_ns

    @property
    def close_ns(self) -> int:
        """``time_ns``: by which sources are merged, as bars are by the end of theirs."""
        return self.time_ns


_new = object.__new__
# Slot descriptors write past the frozen __setattr__, and are looked up once, here.
_pair, _time_ns, _bid, _ask, _bid_size, _ask_size = (
    Quote.__dict__[_name].__set__
    for _name in ("pair", "time_ns", "bid", "ask", "bid_size", "ask_size")
)


def uncrossed(bid: Decimal, ask: Decimal) -> tuple[Decimal, Decimal] | None:
    """Bid and ask exchanged where they cross by less than 1e-12 of it; None where by more."""
    return (ask, bid) if sub(bid, ask) < mul(bid, _NOISE) else None


def trusted_quote(
    pair: str,
    time_ns: int,
    bid: Decimal,
    ask: Decimal,
    bid_size: Decimal | None,
    ask_size: Decimal | None,
) -> Quote:
    """A `Quote` of values that a loader has validated; nothing is checked here."""
    quote = _new(Quote)
    _pair(quote, pair)
    _time_ns(quote, time_ns)
    _bid(quote, bid)
    _ask(quote, ask)
    _bid_size(quote, bid_size)
    _ask_size(quote, ask_size)
    return quote
