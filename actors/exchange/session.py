"""The session: it tells the exchange the phases of the day, and ends the run at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple

from backtest.actors.kernel.actor import Actor
from backtest.actors.kernel.channel import Channel
from backtest.actors.kernel.system import NEVER
from backtest.actors.protocol import BROKER, EndOfData
from backtest.errors import ConfigError
from backtest.times import format_ns

__all__ = ["PHASES", "Phase", "PhaseName", "SessionActor"]

PhaseName = Literal["auction", "continuous", "closed"]

PHASES: Final[tuple[PhaseName, ...]] = ("auction", "continuous", "closed")


class Phase(NamedTuple):
    """To the exchange: from now on ``pair`` trades like this.

    ``"auction"``: orders are collected and nothing is matched. ``"continuous"``: they are matched
    as they come. ``"closed"``: none is taken. Whatever phase follows an auction uncrosses it first,
    at one price; so an opening auction is ``auction`` and then ``continuous``, a closing one
    ``auction`` and then ``closed``.
    """

    pair: str
    phase: PhaseName


class SessionActor(Actor):
    """Sends each `Phase` at its time, and `EndOfData` at ``until``, with which the run ends.

    It plays the market feed, so what it sends comes before all else of its time. ``phases`` are
    pairs of a time in nanoseconds and a phase; those of one time go in the order given, and what
    comes after ``until`` is not sent. ``progress`` is called with the simulated time ``steps``
    times on the way; nothing in the run can tell.

    Raises `ConfigError` when the day does not begin before it ends, or a phase lies before it.
    """

    handles_inside = False

    def __init__(
        self,
        start: int,
        until: int,
        phases: Iterable[tuple[int, Phase]],
        *,
        progress: Callable[[int], None] | None = None,
        steps: int = 200,
        name: str = "session",
    ) -> None:
        super().__init__(name)
        if until <= start:
            raise ConfigError(
                f"the session must end after it begins, at {format_ns(start)}; "
                f"it ends at {format_ns(until)}"
            )
        self.start = start
        self.until = until
        self._progress = progress
        self._step = -(-(until - start) // steps)
        self._day = sorted(phases, key=lambda one: one[0])  # stable: as given, at one time
        if self._day and self._day[0][0] < start:
            early = self._day[0]
            raise ConfigError(
                f"{early[1].pair} changes to {early[1].phase!r} at {format_ns(early[0])}, before "
                f"the session begins at {format_ns(start)}"
            )
        self._sent = 0
        self._seen = start
        """When `progress` was told last."""

    def attach(self) -> None:
        self.system.set_feed(self._emit, self.start, self.fiber)

    async def started(self) -> None:
        self._exchange: Channel = self.link(BROKER)

    def _emit(self) -> int:
        """Send what is due; when the next thing is."""
        now, day = self.events.now, self._day
        while self._sent < len(day) and day[self._sent][0] <= now:
            phase = day[self._sent][1]
            self._sent += 1
            self._exchange.post(phase)
        if now >= self.until:
            self._exchange.post(EndOfData())
            if self._progress is not None:
                self._progress(now)
            return NEVER
        at = self.until
        if self._sent < len(day):
            at = min(at, day[self._sent][0])
        if self._progress is None:
            return at
        if now >= self._seen + self._step:
            self._seen = now
            self._progress(now)
        return min(at, self._seen + self._step)
