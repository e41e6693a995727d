"""Depth: what stands in an order book at one moment, and how it changes from there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from attrs import frozen

from backtest.errors import FieldError, FieldTypeError
from backtest.models._show import instant, shown, sized
from backtest.models._validate import (
    NON_NEGATIVE,
    POSITIVE,
    POSITIVE_IF_SET,
    check_count,
    check_texts,
    number,
)
from backtest.money import add, mul, sub
from backtest.times import from_ns

__all__ = [
    "Depth",
    "DepthChange",
    "DepthLevel",
    "DepthUpdate",
    "trusted_depth",
    "trusted_level",
    "trusted_update",
]

_HALF = Decimal("0.5")


@frozen
class DepthLevel:
    """One price at which orders stand, with all that stands there.

    ``volume`` is in base; ``None`` means unknown (a historical quote without sizes). ``orders`` is
    their number; 0 where it is not known. Raises `FieldError` or `FieldTypeError` otherwise.
    """

    price: Decimal
    volume: Decimal | None
    orders: int = 0

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "price", number(self.price, "price", POSITIVE))
        object.__setattr__(self, "volume", number(self.volume, "volume", POSITIVE_IF_SET))
        check_count(self.orders, "orders")


class DepthChange(NamedTuple):
    """What one level is now; a volume of 0: it is gone."""

    buy: bool
    """Whether it is one of the bids."""
    price: Decimal
    volume: Decimal
    orders: int = 0


@frozen
class Depth:
    """The order book of ``pair`` as it stands at ``time_ns`` (ns since 1970 UTC): a snapshot.

    ``bids`` and ``asks`` are the levels of each side, the best first; there may be more than are
    told. ``last`` is the price at which the venue marks, ``None`` before there was one.
    ``sequence`` is that of the last `DepthUpdate` in it; 0 where a venue has no updates. While an
    auction collects orders the book may be crossed; otherwise ``best_bid < best_ask``.

    Raises `FieldError` or `FieldTypeError` unless both sides are `DepthLevel` values in order, with
    no price twice.

    >>> depth = Depth("BTCUSD", 0, 1, (DepthLevel(Decimal(99), Decimal(2), 1),), ())
    >>> depth.best_bid, depth.best_ask, depth.mid
    (Decimal('99'), None, None)
    """

    pair: str
    time_ns: int
    sequence: int
    bids: tuple[DepthLevel, ...]
    asks: tuple[DepthLevel, ...]
    last: Decimal | None = None

    def __attrs_post_init__(self) -> None:
        check_texts({"pair": self.pair}, ("pair",))
        check_count(self.time_ns, "time_ns")
        check_count(self.sequence, "sequence")
        for name, descending in (("bids", True), ("asks", False)):
            object.__setattr__(self, name, _side(getattr(self, name), name, descending))
        object.__setattr__(self, "last", number(self.last, "last", POSITIVE_IF_SET))

    @property
    def time(self) -> datetime:
        """The moment at which the book stood so (aware, UTC)."""
        return from_ns(self.time_ns)

    def __repr__(self) -> str:
        sides = [
            f"{sized(side[0].price, side[0].volume)} ({len(side)} levels)" if side else None
            for side in (self.bids, self.asks)
        ]
        both = ("bid", sides[0]), ("ask", sides[1])
        when = instant(self.time_ns), f"#{self.sequence}"
        return shown(self, self.pair, *when, *both, ("last", self.last))

    @property
    def best_bid(self) -> Decimal | None:
        """The highest price that somebody bids; None when nobody does."""
        return self.bids[0].price if self.bids else None

    @property
    def best_ask(self) -> Decimal | None:
        """The lowest price that somebody asks; None when nobody does."""
        return self.asks[0].price if self.asks else None

    @property
    def mid(self) -> Decimal | None:
        """Half way between the best bid and ask, exact; None unless there are both."""
        if not self.bids or not self.asks:
            return None
        return mul(add(self.bids[0].price, self.asks[0].price), _HALF)

    @property
    def spread(self) -> Decimal | None:
        """The best ask less the best bid; None unless there are both."""
        if not self.bids or not self.asks:
            return None
        return sub(self.asks[0].price, self.bids[0].price)


@frozen
class DepthUpdate:
    """How the order book of ``pair`` changed at ``time_ns``: the levels that are other than before.

    ``sequence`` rises by one with each update of the pair, so a gap can be told. Applying the
    updates that follow a `Depth` to it, in order, gives the next
    (`backtest.services.book.depth_view`).

    Raises `FieldError` or `FieldTypeError` unless every change is a price, a volume >= 0 and a
    number of orders, and there is at least one.

    >>> update = DepthUpdate("BTCUSD", 0, 2, (DepthChange(True, Decimal(99), Decimal(0)),))
    >>> update.changes[0].buy, update.changes[0].volume
    (True, Decimal('0'))
    """

    pair: str
    time_ns: int
    sequence: int
    changes: tuple[DepthChange, ...]
    last: Decimal | None = None
    """The price at which the venue marks, where it changed with this; None where it did not."""

    def __attrs_post_init__(self) -> None:
        check_texts({"pair": self.pair}, ("pair",))
        check_count(self.time_ns, "time_ns")
        check_count(self.sequence, "sequence", 1)
        object.__setattr__(self, "changes", _changes(self.changes))
        object.__setattr__(self, "last", number(self.last, "last", POSITIVE_IF_SET))

    def __repr__(self) -> str:
        when = instant(self.time_ns), f"#{self.sequence}"
        return shown(self, self.pair, *when, f"{len(self.changes)} levels", ("last", self.last))

    @property
    def time(self) -> datetime:
        """When it happened (aware, UTC)."""
        return from_ns(self.time_ns)


def _side(levels: object, name: str, descending: bool) -> tuple[DepthLevel, ...]:
    """One side of a book, checked."""
    if not isinstance(levels, tuple) or not all(type(one) is DepthLevel for one in levels):
        raise FieldTypeError(name, f"must be a tuple of DepthLevel, not {levels!r}")
    prices = [one.price for one in levels]
    if any((a <= b) if descending else (a >= b) for a, b in pairwise(prices)):
        order = "falling" if descending else "rising"
        raise FieldError(name, f"must be in {order} order of price, each once: {prices}")
    return levels


def _changes(given: Iterable[DepthChange]) -> tuple[DepthChange, ...]:
    made = []
    for one in given:
        buy, price, volume, orders = one
        if not isinstance(buy, bool):
            raise FieldTypeError("changes", f"begin with True for a bid, False for an ask: {one!r}")
        check_count(orders, "orders")
        price = number(price, "price", POSITIVE)
        made.append(DepthChange(buy, price, number(volume, "volume", NON_NEGATIVE), orders))
    if not made:
        raise FieldError("changes", "must not be empty: an update changes something")
    return tuple(made)


_new = object.__new__
# Slot descriptors write past the frozen __setattr__, and are looked up once, here.
_price, _volume, _orders = (
    DepthLevel.__dict__[_name].__set__ for _name in ("price", "volume", "orders")
)
_pair, _time_ns, _sequence, _bids, _asks, _last = (
    Depth.__dict__[_name].__set__
    for _name in ("pair", "time_ns", "sequence", "bids", "asks", "last")
)
_update_pair, _update_time_ns, _update_sequence, _update_changes, _update_last = (
    DepthUpdate.__dict__[_name].__set__
    for _name in ("pair", "time_ns", "sequence", "changes", "last")
)


def trusted_level(price: Decimal, volume: Decimal | None, orders: int) -> DepthLevel:
    """A `DepthLevel` of values that a venue answers for; nothing is checked here."""
    level = _new(DepthLevel)
    _price(level, price)
    _volume(level, volume)
    _orders(level, orders)
    return level


def trusted_depth(
    pair: str,
    time_ns: int,
    sequence: int,
    bids: tuple[DepthLevel, ...],
    asks: tuple[DepthLevel, ...],
    last: Decimal | None,
) -> Depth:
    """A `Depth` of values that a venue answers for; nothing is checked here."""
    depth = _new(Depth)
    _pair(depth, pair)
    _time_ns(depth, time_ns)
    _sequence(depth, sequence)
    _bids(depth, bids)
    _asks(depth, asks)
    _last(depth, last)
    return depth


def trusted_update(
    pair: str,
    time_ns: int,
    sequence: int,
    changes: tuple[DepthChange, ...],
    last: Decimal | None = None,
) -> DepthUpdate:
    """A `DepthUpdate` of values that a venue answers for; nothing is checked here.

    ``changes`` may be plain tuples of the same four values.
    """
    update = _new(DepthUpdate)
    _update_pair(update, pair)
    _update_time_ns(update, time_ns)
    _update_sequence(update, sequence)
    _update_changes(update, changes)
    _update_last(update, last)
    return update
