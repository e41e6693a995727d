"""The kernel: it delivers messages in one order, moves the clock, and supervises the actors.

`EventQueue` knows what is due and when, `Delivery` hands it over, `Lifecycle` carries the run from
its start to its end, `Supervisor` decides what a failure means. Here they come together, with the
actors and the links between them.
"""

from __future__ import annotations

import asyncio
import hashlib
import types
from collections.abc import Coroutine, Generator
from contextlib import suppress
from heapq import heappush
from random import Random
from typing import Any

from backtest.errors import BacktestError, SimulationEnded, Undeliverable
from backtest.log import get_logger

from .actor import Actor, agent_name
from .channel import Channel
from .clock import Clock
from .copies import ends_in_copies
from .deadlock import STALL_BOUND, StallWatch, waits
from .dispatch import Delivery
from .event_queue import NEVER
from .fiber import OWNER, Fiber
from .latency import Latency, Network
from .lifecycle import Lifecycle
from .message import TIMER
from .realtime import Live
from .signal import Signal
from .statistics import SystemStatistics, statistics_of
from .stepping import Drive, Stepwise
from .supervision import DeadLetter, Supervisor

__all__ = ["NEVER", "DeadLetter", "System", "SystemStatistics"]


class System(Delivery):
    """The actors of one run.

    ``seed`` is the root of every random stream and id. With a `SimulatedClock` run it by
    `simulate`; with a `RealClock`, by awaiting `run` on an ordinary asyncio loop.
    """

    __reduce_ex__ = ends_in_copies

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_channels",
        "_course",
        "_fibers",
        "_latencies",
        "_owners",
        "_randoms",
        "_stalls",
        "_supervisor",
        "actors",
        "asides",
        "cancelled",
        "dead_letters",
        "drive",
        "log",
        "network",
        "seed",
        "stall_bound",
    )

    def __init__(self, seed: int = 0, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self.seed = seed
        self.asides: dict[asyncio.Future[None], tuple[Signal, str]] = {}
        """What tasks that are no fiber wait for, and whose they are."""
        self.cancelled = False
        """Whether somebody outside has asked it to end at once."""
        self.stall_bound = STALL_BOUND
        """How many steps there may be at one simulated time; beyond it is a `Livelock`."""
        self.dead_letters: list[DeadLetter] = []
        self.actors: dict[str, Actor] = {}
        self.log = get_logger("backtest.kernel")
        self.network: Network | None = None
        """How long links between two agents take that have no latency of their own."""
        self._channels: dict[tuple[str, str], Channel] = {}
        self._latencies: dict[tuple[str, str], Latency] = {}
        self._fibers: dict[Fiber, None] = {}
        self._owners: dict[Fiber, Actor] = {}
        self._randoms: dict[str, Random] = {}
        self._supervisor = Supervisor(self)
        self._live = Live(self)
        self._course = Lifecycle(self)
        self._stalls = StallWatch(self)
        self.drive: Drive | None = None
        """What makes it stand still and go on (`Drive.pause`); None in an ordinary run."""

    # -- building --------------------------------------------------------------------------------

    def add(self, actor: Actor) -> Actor:
        """Let ``actor`` join; its name must be its own. Joining a running system, it starts."""
        if actor.name in self.actors:
            raise BacktestError(
                f"there is an actor called {actor.name!r} already: names are unique"
            )
        if self._ending:
            raise SimulationEnded(f"{actor.name} cannot join: the run has ended")
        self.actors[actor.name] = actor
        actor.system = self
        actor.fiber = self.fiber(actor.name, actor.inbox_bound)
        self._owners[actor.fiber] = actor
        actor.attach()
        if self._course.is_started:
            self._start(actor)
        return actor

    def _start(self, actor: Actor) -> None:
        actor.change("start")
        actor.fiber.start(actor.run())

    def fiber(self, name: str, bound: int = 1) -> Fiber:
        """A new line of execution, for actors that need a second one."""
        if bound < 0:
            raise BacktestError(f"the inbox of {name} needs a bound of at least 0, not {bound}")
        fiber = Fiber(self, name, bound)
        self._fibers[fiber] = None
        return fiber

    def spawn(self, actor: Actor, name: str, coroutine: Coroutine[Any, Any, None]) -> Fiber:
        """Run ``coroutine`` as a further line of execution of ``actor``, under its supervision."""
        fiber = self.fiber(f"{actor.name}/{name}")
        self._owners[fiber] = actor
        fiber.cause = actor.fiber.cause
        fiber.start(coroutine)
        return fiber

    def channel(self, sender: str, target: str) -> Channel:
        """The link from ``sender`` to ``target``. Raises `Undeliverable` for an unknown target."""
        channel = self._channels.get((sender, target))
        if channel is None:
            if target not in self.actors:
                known = ", ".join(sorted(self.actors))
                raise Undeliverable(f"{sender} knows no actor {target!r}; there are: {known}")
            channel = self.make_channel(
                sender,
                self.actors[target].fiber,
                self._latency_of(sender, target),
            )
            channel.is_prompt = self._is_prompt(sender, target)
            self._channels[sender, target] = channel
        return channel

    def make_channel(self, sender: str, target: Fiber, latency: Latency | None) -> Channel:
        """The link itself, made once for each sender and target; tests inject faults here."""
        return Channel(self, sender, target, latency)

    def set_latency(
        self, sender: str, target: str, latency: Latency | None, priority: int | None = None
    ) -> None:
        """Charge ``latency`` to every message from ``sender`` to ``target``.

        With a ``priority``, to those of that priority alone; they are first in, first out among
        themselves, and the link must exist already.
        """
        if priority is not None:
            self.channel(sender, target).set_latency_of(priority, latency)
        elif latency is None:
            self._latencies.pop((sender, target), None)
        else:
            self._latencies[sender, target] = latency
        channel = self._channels.get((sender, target))
        if channel is not None and priority is None:
            channel.set_latency(latency)
        for one, other in ((sender, target), (target, sender)):
            if (one, other) in self._channels:
                self._channels[one, other].is_prompt = self._is_prompt(one, other)

    def _latency_of(self, sender: str, target: str) -> Latency | None:
        latency = self._latencies.get((sender, target))
        if latency is None and self.network is not None and self._are_agents(sender, target):
            ends = (agent_name(sender), agent_name(target))
            latency = self.network.between(self.seed, *ends) if sender != target else None
        return latency

    def _are_agents(self, *names: str) -> bool:
        return all(name in self.actors and self.actors[name].is_agent for name in names)

    def _is_prompt(self, sender: str, target: str) -> bool:
        """Whether a question and its answer between the two take no time."""
        if self.network is not None and self._are_agents(sender, target):
            return False
        for link in ((sender, target), (target, sender)):
            if link in self._latencies:
                return False
            if link in self._channels and self._channels[link].is_slow:
                return False
        return self.simulated

    def random_for(self, name: str) -> Random:
        """The random stream called ``name``: the same for a seed whoever else there is."""
        random = self._randoms.get(name)
        if random is None:
            digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
            random = self._randoms[name] = Random(int.from_bytes(digest, "big"))
        return random

    # -- looking at it ---------------------------------------------------------------------------

    @property
    def is_closing(self) -> bool:
        """Whether the run is over and its actors are being wound down."""
        return self._course.is_closing

    def fibers(self) -> list[Fiber]:
        """All lines of execution that have not ended for good."""
        return list(self._fibers)

    def lines(self, actor: Actor) -> list[Fiber]:
        """The lines of execution of ``actor``, its own fiber first."""
        return [fiber for fiber, owner in self._owners.items() if owner is actor]

    def statistics(self) -> SystemStatistics:
        """A snapshot of the counters, for the books: no message is ever lost."""
        return statistics_of(self)

    def outside(self) -> int:
        """The cause of what a task that is no fiber sends: that of the fiber that started it."""
        if not self.simulated:
            self.now = max(self.now, self.clock.now())
        fiber = OWNER.get(None)
        return 0 if fiber is None or fiber.system is not self else fiber.cause

    def waits_for(self, name: str) -> list[Signal]:
        """The signals on which somebody waits for the actor called ``name``."""
        return [signal for _, signal in waits(self) if signal.about == name]

    # -- time ------------------------------------------------------------------------------------

    @types.coroutine
    def sleep_until(self, at: int, priority: int = TIMER) -> Generator[Any, Any, None]:
        """Wait until ``at`` (nanoseconds), exactly; a time in the past is now."""
        signal = Signal(self)  # about nobody: who sleeps when the data ends is no deadlock
        number = self.sequence = self.sequence + 1
        at = max(at, self.now)
        if at == self.now and self.simulated:
            self.queues[max(priority, self.priority)].append((at, priority, number, signal))
        else:
            heappush(self._heap, (at, priority, number, signal))
        if self.kick is not None:
            self.kick()
        try:
            yield from signal.wait()
        except BaseException:
            if not signal.is_set:
                signal.resolve()
                self.timer_cancelled()
            raise

    # -- the run -----------------------------------------------------------------------------------

    def simulate(self) -> None:
        """Run the system in simulated time to its end, on a loop of its own."""
        self._course.simulate()

    def stepwise(self) -> Stepwise:
        """Instead of `simulate`: the run in pieces, from one `Drive.pause` of an actor's to the
        next."""
        self.drive = Drive(self)
        return Stepwise(self.drive)

    async def run(self) -> None:
        """Start every actor, run until nothing can happen any more (or `stop`), and end them."""
        await self._course.run()

    def stop(self) -> None:
        """End the run at the next moment at which nothing more is to be done now."""
        self._ending = True
        if not self.simulated:
            self._live.kick()

    def cancel(self) -> None:
        """End the run at the next event with `SimulationEnded`, its actors in order.

        May be called from any thread. What computes without ever waiting is not interrupted.
        """
        self.cancelled = True
        if self.loop is not None:
            with suppress(RuntimeError):  # it has just been closed: the run is over
                self.loop.call_soon_threadsafe(self._course.end_cancelled)

    def fiber_ended(self, fiber: Fiber, task: asyncio.Task[Any]) -> None:
        """A task has ended: deal with it by the rule of its actor."""
        owner = self._owners.get(fiber)
        self._supervisor.ended(fiber, owner, task)
        if owner is not None and fiber is not owner.fiber and not fiber.alive:
            # A line that has ended is forgotten: an actor may start any number of them.
            del self._fibers[fiber], self._owners[fiber]

    def fail(self, error: BaseException) -> None:
        """End the run with ``error``, unless another one was first."""
        self._course.fail(error)

    def crash(self, error: Exception) -> None:
        """The delivery itself has raised, in no actor: a tracer, say, or an invariant's check."""
        self._course.crash(error)

    def note_steps(self, steps: int) -> None:
        """So many steps were made since the last call. Raises `Livelock` when time stands still."""
        self._stalls.note(steps)

    def _quiescent(self) -> None:
        self._course.quiescent()
