"""What waits for a price: stops, stop-losses, take-profits and liquidations of one market."""

from __future__ import annotations

from decimal import Decimal
from heapq import heapify, heappop, heappush

from backtest.services.fills.walk import Working

__all__ = ["Trigger", "Triggers"]

_RANK = {"stop_loss": 1, "liquidation": 2, "take_profit": 3}
"""At an equal price an entry comes first, then these (docs/fills.md)."""


class Trigger:
    """That an order waits for a price; its working order has it in ``place`` while it does."""

    __slots__ = ("price", "working")

    def __init__(self, working: Working, price: Decimal) -> None:
        self.working = working
        self.price = price


class Triggers:
    """Those that a rising price fires and those that a falling one does, the nearest first.

    What is withdrawn stays in its heap until it comes up or most of the heap is like it.
    """

    __slots__ = ("_arrivals", "_falling", "_rising", "_stale")

    def __init__(self) -> None:
        self._rising: list[tuple[Decimal, int, int, int, Trigger]] = []
        self._falling: list[tuple[Decimal, int, int, int, Trigger]] = []
        self._arrivals = 0
        self._stale = 0

    def wait(self, working: Working) -> None:
        """Fire ``working`` once the price has reached its own."""
        price = working.price
        assert price is not None
        trigger = working.place = Trigger(working, price)
        rank = _RANK.get(working.kind, 0)
        if working.rises:
            heap, level = self._rising, price
        else:
            heap, level = self._falling, price.copy_negate()
        # Parts of a split have the place of what was split: among them the first to come is first.
        self._arrivals += 1
        heappush(heap, (level, rank, working.sequence, self._arrivals, trigger))

    def withdraw(self, working: Working) -> None:
        """It waits no more."""
        working.place = None
        self._stale += 1
        if self._stale > 64 and self._stale * 2 > len(self._rising) + len(self._falling):
            for heap in (self._rising, self._falling):
                heap[:] = [item for item in heap if item[4].working.place is item[4]]
                heapify(heap)
            self._stale = 0

    def fire(self, price: Decimal) -> list[Working]:
        """What waits no more now that the price is ``price``, in the order of being reached."""
        fired = []
        for heap, level in ((self._rising, price), (self._falling, price.copy_negate())):
            while heap and heap[0][0] <= level:
                trigger = heappop(heap)[4]
                if trigger.working.place is trigger:
                    trigger.working.place = None
                    fired.append(trigger.working)
                else:
                    self._stale -= 1
        return fired
