"""Who stands in line at which price: a book written up from what is on record, and nothing else.

It shares no code with the book that the exchange matches in, and is as plain as can be: a list of
orders for each price, first come first. Whoever reads orders, events and trades in turn tells it
what happened; it says what cannot have happened.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from attrs import define

__all__ = ["OutOfLine", "Place", "Queues"]


class OutOfLine(Exception):
    """Something on record that price-time priority does not allow."""


@define(eq=False)
class Place:
    """An order's place in line."""

    key: Hashable
    owner: Hashable
    buy: bool
    price: int
    volume: int


class Queues:
    """The orders of one pair that rest, by price and then by the time of their coming.

    Prices and volumes are whole numbers, of whatever unit.
    """

    def __init__(self) -> None:
        self._sides: dict[bool, dict[int, list[Place]]] = {True: {}, False: {}}
        self._places: dict[Hashable, Place] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def place(self, key: Hashable) -> Place:
        """The place of an order; raises `OutOfLine` where it has none."""
        if key not in self._places:
            raise OutOfLine(f"order {key} does not stand in line")
        return self._places[key]

    # -- what happens ------------------------------------------------------------------------------

    def rest(self, key: Hashable, owner: Hashable, buy: bool, price: int, volume: int) -> None:
        """An order goes to the end of the line at its price."""
        if key in self._places:
            raise OutOfLine(f"order {key} stands in line already")
        if volume <= 0:
            raise OutOfLine(f"order {key} rests with a volume of {volume}")
        place = self._places[key] = Place(key, owner, buy, price, volume)
        self._sides[buy].setdefault(price, []).append(place)

    def reduce(self, key: Hashable, volume: int) -> None:
        """So much of an order is gone; what is left keeps its place, and nothing leaves it."""
        place = self.place(key)
        if not 0 < volume <= place.volume:
            raise OutOfLine(f"order {key} has {place.volume} left, and {volume} of it went")
        place.volume -= volume
        if not place.volume:
            self.leave(key)

    def leave(self, key: Hashable) -> None:
        """An order leaves the line."""
        place = self.place(key)
        line = self._sides[place.buy][place.price]
        line.remove(place)
        if not line:
            del self._sides[place.buy][place.price]
        del self._places[key]

    def rename(self, key: Hashable, new: Hashable) -> None:
        """An order goes on under another key, in its place."""
        place = self._places.pop(key, None)
        if place is None or new in self._places:
            raise OutOfLine(f"order {key} cannot go on as {new}")
        place.key = new
        self._places[new] = place

    def divide(self, key: Hashable, parts: dict[Hashable, int]) -> None:
        """Parts of an order, each with its volume, stand in its place, one behind the other."""
        place = self.place(key)
        line = self._sides[place.buy][place.price]
        at = line.index(place)
        if sum(parts.values()) > place.volume or min(parts.values(), default=1) <= 0:
            raise OutOfLine(f"order {key} has {place.volume} left, and is split into {parts}")
        del self._places[key]
        new = [Place(one, place.owner, place.buy, place.price, vol) for one, vol in parts.items()]
        for one in new:
            if one.key in self._places:
                raise OutOfLine(f"order {one.key} stands in line already")
            self._places[one.key] = one
        line[at : at + 1] = new
        if not line:
            del self._sides[place.buy][place.price]

    def met(self, key: Hashable, price: int, volume: int, owner: Hashable) -> None:
        """A resting order was met by one of ``owner``'s: it must be the first in line."""
        place = self.place(key)
        first = self.first(place.buy)
        if first is not place:
            assert first is not None
            raise OutOfLine(
                f"order {key} at {place.price} was met, and order {first.key} at {first.price} "
                "stood before it"
            )
        if price != place.price:
            raise OutOfLine(f"order {key} rests at {place.price} and was met at {price}")
        if owner == place.owner:
            raise OutOfLine(f"{owner} traded with itself, by order {key}")
        self.reduce(key, volume)

    # -- what there is -----------------------------------------------------------------------------

    def best(self, buy: bool) -> int | None:
        """The best price of a side; None where nobody stands."""
        prices = self._sides[buy]
        if not prices:
            return None
        return max(prices) if buy else min(prices)

    def first(self, buy: bool) -> Place | None:
        """The first in line of a side."""
        price = self.best(buy)
        return None if price is None else self._sides[buy][price][0]

    def is_crossed(self) -> bool:
        """Whether somebody bids what somebody else asks, or more."""
        bid, ask = self.best(True), self.best(False)
        return bid is not None and ask is not None and bid >= ask

    def depth(self, buy: bool) -> Iterator[tuple[int, int, int]]:
        """Price, volume and number of orders of each level, best first."""
        prices = self._sides[buy]
        for price in sorted(prices, reverse=buy):
            line = prices[price]
            yield price, sum(place.volume for place in line), len(line)

    def line(self, buy: bool) -> Iterator[Place]:
        """Everybody on a side, in the order in which they are met."""
        prices = self._sides[buy]
        for price in sorted(prices, reverse=buy):
            yield from prices[price]

    def ahead(self, key: Hashable) -> tuple[int, int]:
        """The volume at better prices than an order's, and that before it at its own."""
        place = self.place(key)
        better = at_price = 0
        for other in self.line(place.buy):
            if other is place:
                break
            if other.price == place.price:
                at_price += other.volume
            else:
                better += other.volume
        return better, at_price
