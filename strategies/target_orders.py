"""What became of bringing a strategy to its targets: the orders that were sent, and the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import overload

from backtest.errors import OrderRejected

from .handle import OrderHandle

__all__ = ["TargetOrders"]


class TargetOrders(Sequence[OrderHandle]):
    """The handles of the orders that were accepted, what is sold or closed first; a sequence.

    ``refused`` has the refusal of each pair of which a part was refused, and ``missing`` by how
    much volume each pair stays off its target, for want of money or because the venue takes no
    order of so little.
    """

    def __init__(self) -> None:
        self._orders: list[OrderHandle] = []
        self.refused: dict[str, OrderRejected] = {}
        """The first refusal of each pair."""
        self.missing: dict[str, Decimal] = {}
        """By pair, positive: the volume for which no order could be sent."""

    def __repr__(self) -> str:
        return (
            f"<TargetOrders {self._orders!r} refused {list(self.refused)} "
            f"missing {list(self.missing)}>"
        )

    @overload
    def __getitem__(self, place: int) -> OrderHandle: ...
    @overload
    def __getitem__(self, place: slice) -> list[OrderHandle]: ...
    def __getitem__(self, place: int | slice) -> OrderHandle | list[OrderHandle]:
        return self._orders[place]

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[OrderHandle]:
        return iter(self._orders)

    async def done(self, timeout: float | timedelta | str | None = None) -> bool:
        """Wait until nothing of them is pending; False where ``timeout`` (of each) was over."""
        found = [await one.done(timeout) for one in self._orders]
        return all(found)

    def add(self, order: OrderHandle) -> None:
        """An order was accepted."""
        self._orders.append(order)

    def refuse(self, pair: str, refusal: OrderRejected) -> None:
        """Something of ``pair`` was refused."""
        self.refused.setdefault(pair, refusal)
