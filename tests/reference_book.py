"""An order book of plain lists, written to be seen to be right, not to be fast.

Orders are lists ``[name, owner, buy, price, volume]`` (price ``None``: at the market); ``orders``
has all that rest, in the order in which they came.
"""

from __future__ import annotations

from typing import Any


class ReferenceBook:
    """What an order book does, in as few words as possible."""

    def __init__(self) -> None:
        self.orders: list[list[Any]] = []

    def side(self, buy: bool) -> list[list[Any]]:
        """The orders of one side as they are met; sorting keeps the order of equal prices."""
        mine = [order for order in self.orders if order[2] is buy]
        return sorted(mine, key=lambda order: -order[3] if buy else order[3])

    def add(self, order: list[Any]) -> None:
        self.orders.append(order)

    def remove(self, name: Any) -> None:
        self.orders = [order for order in self.orders if order[0] != name]

    def reduce(self, name: Any, volume: int) -> None:
        for order in self.orders:
            if order[0] == name:
                order[4] = volume

    def match(self, taker: list[Any], mode: str) -> tuple[list[Any], list[Any]]:
        fills, prevented = [], []
        for maker in self.side(not taker[2]):
            if taker[4] == 0 or not meets(taker, maker[3]):
                break
            if maker[1] is not None and maker[1] == taker[1]:
                gone = {"cancel_newest": [taker], "cancel_oldest": [maker]}.get(
                    mode, [maker, taker]
                )
            else:
                volume = min(taker[4], maker[4])
                fills.append((maker[0], volume))
                maker[4] -= volume
                taker[4] -= volume
                gone = []
            for order in gone:
                prevented.append((order[0], order[4]))
                order[4] = 0
        self.orders = [order for order in self.orders if order[4] > 0]
        return fills, prevented

    def available(self, buy: bool, limit: int | None, cap: int) -> int:
        taker = ["", None, buy, limit, cap]
        there: int = sum(order[4] for order in self.side(not buy) if meets(taker, order[3]))
        return min(cap, there)

    def depth(self, buy: bool) -> list[tuple[int, int, int]]:
        side = self.side(buy)
        prices = dict.fromkeys(order[3] for order in side)
        at = {price: [order[4] for order in side if order[3] == price] for price in prices}
        return [(price, sum(volumes), len(volumes)) for price, volumes in at.items()]


def meets(taker: list[Any], price: int) -> bool:
    """Whether an incoming order goes as far as ``price``."""
    if taker[3] is None:
        return True
    return bool(taker[3] >= price if taker[2] else taker[3] <= price)
