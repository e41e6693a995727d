"""Positions of the model on bars: lots with one margin and one cost, what a close brings, where
they are liquidated. See docs/margin.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.models.common import Unclear
from tests.models.money import ZERO, Meter, Purse, down, to_grid

if TYPE_CHECKING:
    from tests.models.bar_state import Order

__all__ = ["Brackets", "Lot", "Position", "apportion", "level_reached", "liquidation", "settle"]


@dataclass(eq=False)
class Lot:
    """What one handle has of a position, with what protects it and what is to close it."""

    label: str
    position: Position
    protection: Order
    volume: Decimal = ZERO
    filled: Decimal = ZERO
    """All that it has had; of the part of a split, what it began with."""
    closes: list[Order] = field(default_factory=list)


@dataclass(eq=False)
class Position:
    """One margin, cost and PnL: of all fills of an order, or of a pair on a netting account."""

    account: str
    side: int
    group: str
    call: Order
    """Its liquidation, as an order that waits for its price."""
    fee: Meter
    """What its liquidation pays by."""
    volume: Decimal = ZERO
    cost: Fraction = Fraction(0)
    """Of what is open: the sum of price × volume × contract size."""
    margin: Decimal = ZERO
    exact: Fraction = Fraction(0)
    """The PnL of its closes, exactly and as posted."""
    posted: Decimal = ZERO
    fills: list[tuple[Lot, Decimal]] = field(default_factory=list)
    """What is open, as it came: the oldest first."""
    grown: tuple[int, int] = (0, 0)
    """The event that opened it or added to it, and where on the path that was."""
    paid: int = -1
    """Up to which second it has been charged."""
    called: bool = False
    """A charge has brought it to its level: it is charged no more."""

    def lots(self) -> list[Lot]:
        """Its lots, the oldest first."""
        return list(dict.fromkeys(lot for lot, _ in self.fills))

    def add(self, lot: Lot, volume: Decimal, worth: Decimal, margin: Decimal) -> None:
        """One more fill of a handle."""
        self.volume += volume
        self.cost += Fraction(worth)
        self.margin += margin
        lot.volume += volume
        lot.filled += volume
        self.fills.append((lot, volume))

    def take(self, volume: Decimal, only: Lot | None = None) -> None:
        """So much closes, the oldest first: of one handle, or of all."""
        self.cost -= self.cost * Fraction(volume) / Fraction(self.volume)
        self.volume -= volume
        rest = []
        for lot, there in self.fills:
            part = min(volume, there) if only in (None, lot) else ZERO
            volume -= part
            lot.volume -= part
            if there > part:
                rest.append((lot, there - part))
        assert not volume
        self.fills = rest


class Brackets:
    """Maintenance by the notional: of each bracket up to where, the rate, and what is taken off."""

    def __init__(self, rules: dict[str, Any]) -> None:
        tiers = rules.get("maintenance_tiers")
        rows = [[None, rules.get("maintenance_rate", 0)]] if tiers is None else tiers
        self.rows: list[tuple[Fraction | None, Fraction, Fraction]] = []
        amount = below = Fraction(0)
        for bound, rate, *_ in rows:
            if self.rows:
                amount += below * (Fraction(rate) - self.rows[-1][1])
            below = Fraction(0 if bound is None else bound)
            self.rows.append((None if bound is None else below, Fraction(rate), amount))

    def __iter__(self) -> Iterator[tuple[Fraction, Fraction]]:
        return iter([row[1:] for row in self.rows])

    def at(self, worth: Fraction) -> tuple[Fraction, Fraction]:
        """Rate and amount for a notional; beyond the last bracket, those of the last."""
        for bound, rate, amount in self.rows:
            if bound is None or worth <= bound:
                return rate, amount
        return self.rows[-1][1:]


def liquidation(
    position: Position, brackets: Brackets, contract: Decimal, tick: Decimal
) -> Decimal | None:
    """The price at which margin and PnL are no more than maintenance; None: never."""
    size, side = Fraction(position.volume * contract), position.side
    for rate, amount in brackets:
        backing = position.cost - side * (Fraction(position.margin) + amount)
        price = backing / (size * (1 - side * rate))
        if (rate, amount) == brackets.at(price * size):
            found = to_grid(price, tick, side < 0)
            return found if found > 0 else None
    return None


def level_reached(position: Position, brackets: Brackets, contract: Decimal, mark: Decimal) -> bool:
    """Whether margin and PnL at ``mark`` are no more than maintenance; not rounded."""
    worth = Fraction(position.volume * mark * contract)
    rate, amount = brackets.at(worth)
    gain = (worth - position.cost) * position.side
    return Fraction(position.margin) + gain <= worth * rate - amount


def settle(
    position: Position,
    purse: Purse,
    quote: str,
    volume: Decimal,
    worth: Decimal,
    places: int,
    only: Lot | None = None,
    pooled: bool = False,
) -> Decimal:
    """Close ``volume`` for ``worth``: its share of the margin comes back with the PnL. A loss
    beyond the share is taken from the rest of the margin, unless the account stands behind it
    (``pooled``), then from the insurance. The PnL."""
    share = Fraction(volume) / Fraction(position.volume)
    position.exact += (Fraction(worth) - position.cost * share) * position.side
    pnl = down(position.exact, places) - position.posted
    position.posted += pnl
    back = down(Fraction(position.margin) * share, places)
    position.take(volume, only)
    back = back if position.volume else position.margin
    taken = ZERO if pooled else min(max(-pnl - back, ZERO), position.margin - back)
    position.margin -= back + taken
    purse.held[quote] -= back + taken
    left = back + taken + pnl
    purse.insured -= min(left, ZERO)
    purse.get(quote, max(left, ZERO))
    return pnl


def apportion(position: Position, volumes: list[Decimal], places: int) -> Iterator[Position]:
    """The parts of a split position, without lots: cost and margin go by volume."""
    if position.exact != Fraction(position.posted):
        raise Unclear("how the remainder of a partly closed position's PnL is split")
    whole, left, margin = position.volume, position.volume, position.margin
    for volume in volumes:
        share = Fraction(margin) * Fraction(volume) / Fraction(left)
        given = down(share, places)
        if share != Fraction(given):
            raise Unclear("how a split rounds the margin of the first parts")
        margin, left = margin - given, left - volume
        cost = position.cost * Fraction(volume) / Fraction(whole)
        yield Position(
            position.account,
            position.side,
            position.group,
            position.call,
            position.fee,
            volume,
            cost,
            given,
            grown=position.grown,
            paid=position.paid,
            called=position.called,
        )
