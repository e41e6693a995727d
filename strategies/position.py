"""The net view of the open positions in one pair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from uuid import UUID

from backtest.models import OrderDirection, TradingOrder
from backtest.money import ZERO, add, div, mul, plain, sub

__all__ = ["Changes", "PositionView", "nearest", "take_changes"]

Changes = Sequence[tuple[UUID, TradingOrder | None]]
"""Open positions that changed, as an event tells them: the new state, or None for gone."""


class PositionView:
    """All open parts of a pair taken together; false when there is none.

    A hedged long and short are parts too: true, whatever ``volume``, their balance, is.

    A snapshot: ask ``self.position(pair)`` again after something happened.
    """

    __slots__ = ("_prices", "mark", "pair", "parts")

    def __init__(
        self,
        pair: str,
        parts: Iterable[TradingOrder],
        mark: Decimal | None,
        prices: Callable[[Sequence[TradingOrder]], Iterable[Decimal | None]] = lambda parts: (),
    ) -> None:
        """``prices`` tells at what prices the positions of the parts are liquidated."""
        self._prices = prices
        self.pair = pair
        self.parts = tuple(parts)
        """The filled trading orders, oldest first."""
        self.mark = mark
        """The last price, or None before the first bar."""

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __repr__(self) -> str:
        price = self.average_price
        at = None if price is None else plain(price)
        both = ""
        if self.long_volume and self.short_volume:
            both = f" (long {plain(self.long_volume)}, short {plain(self.short_volume)})"
        return f"<PositionView {self.pair} {plain(self.volume)}{both} at {at}>"

    @property
    def volume(self) -> Decimal:
        """Signed: positive when long on balance, negative when short."""
        total = ZERO
        for part in self.parts:
            total = add(total, _signed(part))
        return total

    @property
    def long_volume(self) -> Decimal:
        """Of the long parts together."""
        return self._side(OrderDirection.LONG)

    @property
    def short_volume(self) -> Decimal:
        """Of the short parts together, positive."""
        return self._side(OrderDirection.SHORT)

    def _side(self, direction: OrderDirection) -> Decimal:
        total = ZERO
        for part in self.parts:
            if part.direction is direction:
                total = add(total, part.volume)
        return total

    @property
    def is_long(self) -> bool:
        return self.volume > ZERO

    @property
    def is_underfunded(self) -> bool:
        return self.volume < ZERO

    @property
    def average_price(self) -> Decimal | None:
        """The price at which the parts of the net side were entered, weighted by volume."""
        net = self.volume
        if not net:
            return None
        cost = volume = ZERO
        for part in self.parts:
            if (_signed(part) > ZERO) == (net > ZERO):
                cost = add(cost, mul(part.volume, part.fill_price))  # type: ignore[arg-type]
                volume = add(volume, part.volume)
        return div(cost, volume)

    @property
    def margin(self) -> Decimal:
        """What the parts hold in margin, in the settlement asset."""
        total = ZERO
        for part in self.parts:
            total = add(total, part.margin_reserved)
        return total

    @property
    def unrealised_pnl(self) -> Decimal:
        """PnL if all were closed at the last price, fees left out."""
        total = ZERO
        if self.mark is not None:
            for part in self.parts:
                moved = sub(self.mark, part.fill_price)  # type: ignore[arg-type]
                total = add(total, mul(mul(moved, _signed(part)), part.contract_size))
        return total

    @property
    def liquidation_price(self) -> Decimal | None:
        """The price at which the venue liquidates a part of it: of those of the parts the one
        nearest to the last price. None when no price does."""
        return nearest(self._prices(self.parts), self.mark)


def nearest(prices: Iterable[Decimal | None], mark: Decimal | None) -> Decimal | None:
    """The price nearest to ``mark`` (without a mark the first); None when there is none."""
    known = [price for price in prices if price is not None]
    if mark is None or not known:
        return known[0] if known else None
    return min(known, key=lambda price: sub(price, mark).copy_abs())


def take_changes(held: dict[UUID, TradingOrder], changes: Changes) -> None:
    """Bring ``held`` up to date. What takes the place of another (the rest of a partial close, a
    modified child, the parts of a split) stands where that stood: oldest first."""
    if len(changes) == 1:
        # By far the most open a position, change it in its place, or close it.
        order_id, position = changes[0]
        if position is None:
            held.pop(order_id, None)
        else:
            held[order_id] = position
        return
    gone = [order_id for order_id, position in changes if position is None]
    new = {order_id: position for order_id, position in changes if position is not None}
    if gone and new:
        before = list(held.items())
        held.clear()
        for order_id, position in before:
            if order_id in gone:
                held.update(new)
            else:
                held[order_id] = position
    else:
        for order_id in gone:
            held.pop(order_id, None)
    held.update(new)


def _signed(part: TradingOrder) -> Decimal:
    if part.direction is OrderDirection.LONG:
        return part.volume
    return part.volume.copy_negate()
