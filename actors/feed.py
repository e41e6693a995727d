"""The market-data actor: any number of sources, merged by time, sent to the venue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backtest.errors import DataError
from backtest.models import MarketEvent

from .kernel.actor import Actor
from .kernel.channel import Channel
from .kernel.system import NEVER
from .protocol import BROKER, EndOfData

__all__ = ["MarketData"]


class MarketData(Actor):
    """Sends each bar to the venue at its close time, each quote and trade at its time.

    ``events`` come in the order of ``(close time, order of registration)``, as the merge of
    `backtest.data` gives them; it is read one event ahead.
    """

    handles_inside = False

    def __init__(self, events: Iterable[MarketEvent], name: str = "market-data") -> None:
        super().__init__(name)
        self._events: Iterator[MarketEvent] = iter(events)
        self._next: MarketEvent | None = next(self._events, None)
        self._broke: Exception | None = None
        self.sent = 0
        """Market events sent so far."""

    @property
    def first(self) -> MarketEvent | None:
        """The event that comes first, before anything was sent."""
        return self._next if not self.sent else None

    def attach(self) -> None:
        self.system.set_feed(
            self._emit, NEVER if self._next is None else self._next.close_ns, self.fiber
        )

    async def started(self) -> None:
        self._venue: Channel = self.link(BROKER)
        if self._broke is None:
            return
        # Restarted by its rule: go on behind the event with which it failed.
        self._next = following = next(self._events, None)
        if following is None:
            # A generator that has raised is over. That is not the end of the data.
            raise DataError(
                "the source broke down and gives nothing more; without a rule to restart, the run "
                f"ends with its error: {self._broke!r}"
            ) from self._broke
        self._broke = None
        self.system.set_feed(self._emit, following.close_ns, self.fiber)

    def _emit(self) -> int:
        """Send the event that is due; when the next one is."""
        bar = self._next
        if bar is None:
            return NEVER
        self.sent += 1
        try:
            self._venue.post(bar)
            self._next = bar = next(self._events, None)
        except Exception as error:
            self._broke = error
            raise
        if bar is None:
            self._venue.post(EndOfData())
            return NEVER
        return bar.close_ns
