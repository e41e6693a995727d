"""What the oracle asks of messages: none lost (I8), each command once (I9), every change told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from backtest.actors import Envelope, EventKind, OrderEvent, System
from backtest.models import Bar

__all__ = ["MessageAudit"]

_UNTOLD = frozenset(("PENDING", "FILLED", "REPLACED"))
"""These may be told of with others: leaves with their fill, a rest with what was closed."""


class MessageAudit:
    """Counts what is sent and what is delivered. Call `saw` before each delivery."""

    def __init__(self, system: System, broker: Any, fail: Callable[[str, str], NoReturn]) -> None:
        self.delivered = 0
        self.lost = 0
        """Sent, and dropped on purpose: whoever injects that says so here."""
        self._system = system
        self._broker = broker
        self._fail = fail
        self._told = 0
        """Order events delivered."""
        self._read = 0
        self._known: set[int] = set()
        """Numbers of orders of which something was told."""
        self._done: set[tuple[str, int]] = set()
        """Commands that had an effect, by sender and number."""

    def saw(self, message: Envelope) -> None:
        """``message`` is being delivered."""
        self.delivered += 1
        payload = message.payload
        kind = type(payload)
        if kind is OrderEvent:
            self._told += 1
            self._heard(message.channel.target.name, payload)
        elif kind is Bar and payload.close_ns > self._system.now:
            self._fail(
                "I7", f"a bar that closes at {payload.close_ns} is seen at {self._system.now}"
            )

    def _heard(self, agent: str, event: OrderEvent) -> None:
        if event.time > self._system.now:
            self._fail("I7", f"an order event of {event.time} is heard at {self._system.now}")
        if not event.command or event.kind is EventKind.REJECTED:
            return
        command = (agent, event.command)
        if command in self._done:
            self._fail("I9", f"command {event.command} of {agent} had a second effect: {event}")
        self._done.add(command)

    def check(self) -> None:
        """Every message is delivered, on its way, or was dropped on purpose; every change of an
        order is told to its owner."""
        system = self._system
        queues = (*system.events.queues, system.events.heap)
        on_their_way = [item for queue in queues for item in queue if type(item) is Envelope]
        waiting = len(on_their_way)
        told = sum([type(item[4]) is OrderEvent for item in on_their_way])
        sent = sum([channel.sent for channel in system.channels()])
        if sent != self.delivered + waiting + self.lost:
            self._fail(
                "I8",
                f"{sent} messages were sent, {self.delivered} delivered, {waiting} are on their "
                f"way, {self.lost} were dropped on purpose",
            )
        # An exchange tells what a command did once all of it is done.
        told += sum(type(one[1]) is OrderEvent for one in self._broker.venue.publisher.held or ())
        happened = len(self._broker.venue.records.events)
        if happened != self._told + told:
            self._fail(
                "I17", f"{happened} things happened to orders, {self._told + told} were told"
            )

    def check_told(self, changed: list[Any]) -> None:
        """Of every order in ``changed`` that filled or ended, something was told."""
        events = self._broker.venue.records.events
        while self._read < len(events):
            self._known.add(events[self._read].order_number)
            self._read += 1
        for order in changed:
            if order.status.name not in _UNTOLD and order.order_number not in self._known:
                self._fail("I17", f"order {order.id} is {order.status.name}, and nobody was told")
