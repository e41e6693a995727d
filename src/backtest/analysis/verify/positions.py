"""The positions of a run, folded again from its fills: what each was opened at and its closes won.

An account that nets has one position in a pair, any other one per branch. A close takes its share
of the cost by volume, to 24 places, the last the remainder; one of several orders is dealt out to
them likewise. What the closes of a position won in
all is rounded down, and each posts that less what was posted before. Where fills had several
prices, orders show the average, to 24 places: one that closes that of the moment, and what stays
open that of the last close or charge to the margin, or of the split that made their position.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from backtest.analysis.tables.exact import (
    DIGITS,
    ONE_UNIT,
    amount,
    exact_product,
    round_half_even,
)
from backtest.analysis.tables.tables import items

if TYPE_CHECKING:
    from backtest.analysis.verify.lines import EventLine, FillLine, Material, OrderLine, PairFacts

__all__ = ["Closed", "Positions"]

_FINE: int = 10 ** (DIGITS - 24)
"""To so many units shares and averages are rounded."""
_NOISE: int = 10 ** (DIGITS - 20)
"""What is won is looked at to so many units: shares that are cut off sum to something round."""
_OF_FILLS = frozenset({"filled", "closed", "liquidated"})


class Closed(NamedTuple):
    """What a fill that closes takes of its position."""

    position: int
    """Its number in the order in which positions were opened."""
    cost: int
    won: int
    """What it was sold for less that, or for a short the other way round."""
    pnl: int
    """What is posted of that."""


class Positions:
    """What each close took and won, what orders show as their price, and what is open at the end.

    What cannot be folded is left out: that it is not there is for the checks to tell.
    """

    def __init__(self, material: Material) -> None:
        self.closes: dict[tuple[str, str], Closed] = {}
        """By the id of the entry and of the order."""
        self.prices: dict[str, int] = {}
        """By order that is or was open: the price that it shows."""
        self._material = material
        self._of: dict[str, _Position] = {}
        """By order that is open: the position that it is of."""
        self._open: dict[object, _Position] = {}
        self._count = 0
        self._splits = {
            event.order: [amount(part) for part in items(event.parts)]
            for event in material.events
            if event.kind == "split"
        }
        self._heirs = _heirs(material)
        told = [event for event in material.events if event.kind in _OF_FILLS]
        by_event = {
            event.sequence: fill
            for event, fill in zip(told, material.fills, strict=False)
            if fill.order_kind == "trading"
        }
        self._wholes: dict[object, int] = {}
        """What a close closes of a position in all, order by order."""
        for event in told:
            fill = by_event.get(event.sequence)
            if fill is not None and fill.kind != "entry":
                whole = self._whole(event, fill)
                self._wholes[whole] = self._wholes.get(whole, 0) + fill.volume
        for event in material.events:
            if event.kind in _OF_FILLS:
                if event.sequence in by_event:
                    self._fill(event, by_event[event.sequence])
            elif event.kind == "modified":
                child = material.order_by_id.get(event.order)
                if child is not None:
                    self._rename(child.parent, child.id)
            elif event.kind == "split":
                self._split(event)
            elif event.kind == "margin_used" or (
                event.kind == "charged" and event.entry in self._from_margin
            ):
                self._restate(self._of.get(event.order))

    def open(self) -> Iterator[tuple[str, int, int]]:
        """Pair, signed volume and signed cost of each position that is open at the end."""
        for one in dict.fromkeys(self._of.values()):
            if one.volume:
                yield one.code, one.sign * one.volume, one.sign * one.cost

    # -- fills -------------------------------------------------------------------------------------

    def _whole(self, event: EventLine, fill: FillLine) -> object:
        """The close that a fill is a part of: what it closes with the others at one price, by one
        order, or by one liquidation of a position; between agents in one entry."""
        by = (fill.kind, "" if fill.kind == "liquidation" else fill.closing)
        where = fill.entry_id if "market" in self._material.facts["config"] else event.market_event
        return self._key(fill), by, where, fill.price

    def _key(self, fill: FillLine) -> object:
        order = self._material.order_by_id.get(fill.order)
        if fill.account in self._material.netting:
            return fill.account, fill.pair
        return fill.branch if order is None else order.branch

    def _fill(self, event: EventLine, fill: FillLine) -> None:
        order = self._material.order_by_id.get(fill.order)
        pair = self._material.pairs.get(fill.pair)
        if order is None or pair is None:
            return
        if fill.kind == "entry":
            self._enter(fill, order, pair)
        elif order.id in self._of:
            whole = self._wholes.pop(self._whole(event, fill), None)
            self._close(fill, order, self._of.pop(order.id), whole)

    def _enter(self, fill: FillLine, order: OrderLine, pair: PairFacts) -> None:
        key = self._key(fill)
        position = self._open.get(key)
        if position is None or not position.volume:
            position = self._open[key] = self._new(
                fill.pair, pair, 1 if fill.direction == "LONG" else -1
            )
        position.enter(fill.price, fill.volume)
        self._hold(position, order.id, fill.volume, fill.price)

    def _close(
        self, fill: FillLine, order: OrderLine, position: _Position, whole: int | None
    ) -> None:
        volume = position.orders.pop(order.id)
        if whole is not None:
            position.begin(whole)
        if position.price is None:
            self.prices[order.id] = position.average()
        cost, won, pnl = position.close(fill.price, fill.volume)
        self.closes[fill.entry_id, order.id] = Closed(position.number, cost, won, pnl)
        for heir in self._heirs.get(order.id, ())[:1]:
            self._hold(position, heir.id, volume - fill.volume, self.prices[order.id])
        self._restate(position)

    def _new(self, code: str, pair: PairFacts, sign: int) -> _Position:
        self._count += 1
        return _Position(self._count, code, pair, sign)

    def _hold(self, position: _Position, order: str, volume: int, price: int) -> None:
        self._of[order] = position
        position.orders[order] = volume
        self.prices[order] = price

    def _restate(self, position: _Position | None) -> None:
        """Its open orders show the average, where its fills had several prices."""
        if position is not None and position.volume and position.price is None:
            average = position.average()
            for order in position.orders:
                self.prices[order] = average

    # -- changes -----------------------------------------------------------------------------------

    def _rename(self, old: str, new: str) -> None:
        position = self._of.pop(old, None)
        if position is not None:
            self._hold(position, new, position.orders.pop(old), self.prices[old])

    def _split(self, event: EventLine) -> None:
        """All that the branch has open goes on in parts, with the first event that tells of it."""
        whole, known = self._of.get(event.order), self._material.order_by_id
        if whole is None:
            return
        branch = known[event.order].branch
        own = [order for order in whole.orders if known[order].branch == branch]
        parts: dict[str, _Position] = {}
        for order in own:
            for heir, volume in zip(
                self._heirs.get(order, ()), self._splits.get(order, ()), strict=False
            ):
                position = whole
                if known[order].account not in self._material.netting:
                    position = self._part(whole, parts, heir.branch)
                    position.volume += volume
                self._hold(position, heir.id, volume, self.prices[order])
            del whole.orders[order], self._of[order]
        for part in parts.values():
            whole.give(part)
        if len(own) > 1:
            for position in parts.values():
                self._restate(position)

    def _part(self, whole: _Position, parts: dict[str, _Position], branch: str) -> _Position:
        if branch in parts:
            return parts[branch]
        part = parts[branch] = self._open[branch] = self._new(whole.code, whole.pair, whole.sign)
        part.price = whole.price
        return part

    @cached_property
    def _from_margin(self) -> frozenset[str]:
        """The entries in which margin came back; of a charge, because that took it."""
        return frozenset(
            row[2] for row in self._material.tables.rows("transactions") if row[6] == _RETURN
        )


_RETURN = "RETURN_MARGIN"


class _Position:
    """What is open of a position, in units."""

    def __init__(self, number: int, code: str, pair: PairFacts, sign: int) -> None:
        self.number = number
        self.code = code
        self.pair = pair
        self.sign = sign
        self.volume = self.cost = 0
        self.price: int | None = None
        """The price of all its fills; None where they had several."""
        self.orders: dict[str, int] = {}
        """Its open orders, and how much of it each is."""
        self._won = self._posted = 0
        self._going = self._costing = 0

    def _worth(self, price: int, volume: int) -> int:
        return exact_product(exact_product(price, volume), self.pair.contract_size)

    def enter(self, price: int, volume: int) -> None:
        self.price = price if not self.volume or self.price == price else None
        self.volume += volume
        self.cost += self._worth(price, volume)

    def average(self) -> int:
        size = exact_product(self.volume, self.pair.contract_size)
        return round_half_even(self.cost * ONE_UNIT, size * _FINE) * _FINE

    def share(self, volume: int) -> int:
        if self.price is not None:
            return self._worth(self.price, volume)
        if volume == self.volume:
            return self.cost
        return round_half_even(self.cost * volume, self.volume * _FINE) * _FINE

    def begin(self, volume: int) -> None:
        """So much is closed at one go, order by order."""
        self._going, self._costing = volume, self.share(volume)

    def close(self, price: int, volume: int) -> tuple[int, int, int]:
        """The cost of what is closed, what it wins, and what is posted of that."""
        cost = self._costing
        if volume != self._going:
            cost = round_half_even(cost * volume, self._going * _FINE) * _FINE
        self._going -= volume
        self._costing -= cost
        won = self.sign * (self._worth(price, volume) - cost)
        self.volume -= volume
        self.cost -= cost
        self._won += won
        before, step = self._posted, self.pair.quote_step
        self._posted = round_half_even(self._won, _NOISE) * _NOISE // step * step
        return cost, won, self._posted - before

    def give(self, part: _Position) -> None:
        """``part``, which has its volume already, gets its share of the cost."""
        part.cost = self.share(part.volume)
        self.volume -= part.volume
        self.cost -= part.cost


def _heirs(material: Material) -> dict[str, list[OrderLine]]:
    """By order, what its open rest lives on as: those of its children that are or were open and
    that no fill has opened."""
    entered = {fill.order for fill in material.fills if fill.kind == "entry"}
    heirs: dict[str, list[OrderLine]] = {}
    for order in material.orders:
        if order.parent and order.filled and order.kind == "trading":
            if order.id not in entered and order.closing_reason != "offset":
                heirs.setdefault(order.parent, []).append(order)
    return heirs
