"""What happened, kept while it happens: orders in their last state, fills, order events."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from backtest.actors.protocol import EventKind, Facts
from backtest.errors import RejectReason
from backtest.models import Fill
from backtest.services.orders.revision import OrderTable

__all__ = ["EventRecord", "Records"]


class EventRecord(NamedTuple):
    """One line of the story of an order, compact."""

    time: int
    message: int
    """Id of the message that caused it."""
    kind: EventKind
    branch: int
    order_number: int
    """Of the order in the table of orders; 0 for a command that never became one."""
    reason: RejectReason | None
    detail: str
    """A sentence for people; what is in it to be reckoned with is in the other fields."""
    entry: int
    """The ledger entry that was posted for it; 0 for none."""
    cause: int
    """Id of the message whose handling sent ``message``; 0 for none."""
    sender: str
    """Who sent ``message``."""
    volume: Decimal | None
    """Of the order, as it was then."""
    asked: UUID | None
    """The id that a refused command named."""
    market_event: int
    """How many market events the venue had been given: what ``sender`` is the market data is part
    of this one, all else came after it and before the next."""
    executed: int | None
    """Of a fill: when it happened, where that is known (`Fill.executed_ns`)."""
    facts: Facts


class Records:
    """Filled by the venue as it goes; read when the run is over."""

    __slots__ = ("entry", "events", "fills", "forks", "orders")

    def __init__(self) -> None:
        self.orders = OrderTable()
        """Every order in its last state; order number ``n`` is at ``n - 1``."""
        self.fills: list[Fill] = []
        self.events: list[EventRecord] = []
        self.forks: list[tuple[int, str]] = []
        """Close and pair of the bars on which the order of the extremes may have mattered: where a
        group alone comes to something else, or where two conditions were met between open and
        close (they share volume and money, and strategies hear of them in that order)."""

        self.entry = 0
        """The number of the ledger entry posted last."""
