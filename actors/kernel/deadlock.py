"""When nothing moves: who waits for whom in vain, and who is busy while time stands still."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from backtest.errors import Livelock, Stubborn
from backtest.times import format_ns

from .asyncio_internals import tasks_of
from .event_queue import NEVER, EventQueue
from .interrupts import place_of, place_of_line
from .message import Envelope
from .signal import Signal

if TYPE_CHECKING:
    from .population import Population

__all__ = ["STALL_BOUND", "STRIDE", "StallWatch", "in_vain", "line_of", "stall_bound_of", "waits"]

STRIDE = 4096
"""Steps between two looks at whether time moves."""

STALL_BOUND = 10_000_000
"""Steps at one simulated time that are taken for a livelock by a bare system: minutes of real
time."""
WAKE_BOUND = 100_000
"""The same in a run of a strategy or a few."""


def waits(events: EventQueue, population: Population) -> list[tuple[str, Signal]]:
    """Who waits for an answer, or for room, that is not on its way."""
    pending = [
        (fiber.name, fiber.waiting)
        for fiber in population.fibers
        if isinstance(fiber.waiting, Signal)
    ]
    pending += [(name, signal) for signal, name in events.asides.values()]
    return [
        (who, signal)
        for who, signal in pending
        if signal.about and not (signal.answered or signal.is_set)
    ]


def in_vain(events: EventQueue, population: Population) -> list[tuple[str, str]]:
    """Who waits for whom in vain.

    While there is a future (a message with latency, a timer, a bar after `stop`) that may be
    what they wait for; then only those are in vain who wait for each other in a circle.
    """
    waiting = [(who, signal.about) for who, signal in waits(events, population)]
    if events.next_time() == NEVER:
        return waiting
    whom = dict(waiting)
    circle = []
    for who in whom:
        seen = [who]
        while (after := whom.get(seen[-1])) is not None and after not in seen:
            seen.append(after)
        if after == who:
            circle.append((who, whom[who]))
    return circle


def stall_bound_of(given: int | None, agents: int, pairs: int) -> int:
    """How many steps there may be at one simulated time: as ``given``; else so many that a crowd
    can do its work at once, and that one who never waits is found within seconds."""
    return max(WAKE_BOUND, agents * (pairs + 2) * 100) if given is None else given


def line_of(task: asyncio.Task[Any]) -> str:
    """Where ``task`` waits, in the code of whoever wrote it."""
    frames = task.get_stack()
    for frame in reversed(frames):
        place = place_of(frame)
        if place is not None:
            return place
    return _waits_at(task.get_coro())


def _waits_at(coroutine: Any) -> str:
    """The innermost line of a chain of coroutines that is not ours; a fiber holds its own."""
    found = ""
    while coroutine is not None:
        if hasattr(coroutine, "coroutine"):
            coroutine = coroutine.coroutine
            continue
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None:
            found = place_of_line(frame) or found
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return found or "an unknown line"


class StallWatch:
    """Counts steps for as long as time does not move."""

    __slots__ = ("_events", "_steps", "_time", "bound")

    def __init__(self, events: EventQueue) -> None:
        self._events = events
        self._time = -1
        self._steps = 0
        self.bound = STALL_BOUND
        """How many steps there may be at one simulated time; beyond it is a `Livelock`."""

    def note(self, steps: int) -> None:
        """So many steps were made since the last call. Raises `Livelock` when time stands still."""
        events = self._events
        if events.now != self._time:
            self._time, self._steps = events.now, 0
            return
        self._steps += steps
        if self._steps < self.bound:
            return
        made, self._steps = self._steps, 0
        # What is wound down now may be as restless; nobody should wait as long for that again.
        self.bound = min(self.bound, 2 * STRIDE)
        if refusing := _refusing(events):
            raise Stubborn(refusing)
        raise Livelock(_busy(events), made, format_ns(events.now))


def _refusing(events: EventQueue) -> list[tuple[str, str]]:
    """Whom their task groups cancel again and again while the run is wound down, and where."""
    if not events.is_ending:
        return []
    refusing = [task for task in events.loop.children if task.cancelling()]
    return [(task.get_name(), line_of(task)) for task in refusing]


def _busy(events: EventQueue) -> list[str]:
    """Who is at work now: those whom the loop runs next, and between whom messages travel."""
    busy = dict.fromkeys(task.get_name() for task in tasks_of(events.ready))
    for fiber, _, _ in events.wakes:
        busy[fiber.name] = None
    for queue in events.queues:
        for item in queue:
            if type(item) is Envelope:
                busy |= {item.channel.sender: None, item.channel.target.name: None}
            elif type(item[3]) is Signal:
                busy |= dict.fromkeys(item[3].waiters())
    return list(busy)
