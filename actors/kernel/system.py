"""The kernel: it delivers messages in one order, moves the clock, and supervises the actors.

`EventQueue` knows what is due and when, `Delivery` hands it over, `Lifecycle` carries the run from
its start to its end, `Supervisor` decides what a failure means. Here they come together, with the
actors and the links between them.
"""

from __future__ import annotations

import asyncio
import hashlib
import types
from collections.abc import Callable, Coroutine, Generator
from datetime import datetime
from random import Random
from typing import Any

from backtest.errors import BacktestError, SimulationEnded, Undeliverable

from .actor import Actor, agent_name
from .channel import Channel
from .clock import Clock
from .copies import ends_in_copies
from .deadlock import StallWatch
from .delivery import Awaited, Delivery
from .event_queue import NEVER, EventQueue
from .fiber import Fiber
from .latency import Latency, Network
from .lifecycle import Lifecycle
from .message import TIMER, Envelope
from .population import Population
from .signal import Signal
from .statistics import SystemStatistics, statistics_of
from .stepping import Drive, Stepwise
from .supervision import DeadLetter, Supervisor

__all__ = ["NEVER", "DeadLetter", "System", "SystemStatistics"]


class System:
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
        "_delivery",
        "_latencies",
        "_population",
        "_randoms",
        "_stalls",
        "_supervisor",
        "actors",
        "drive",
        "events",
        "network",
        "run_ahead",
        "seed",
        "simulated",
    )

    def __init__(self, seed: int = 0, clock: Clock | None = None) -> None:
        self.seed = seed
        self.events = EventQueue(clock)
        """What is due and when, and the time it is: what its parts share."""
        self.simulated = self.events.simulated
        self.network: Network | None = None
        """How long links between two agents take that have no latency of their own."""
        self._channels: dict[tuple[str, str], Channel] = {}
        self._latencies: dict[tuple[str, str], Latency] = {}
        self._randoms: dict[str, Random] = {}
        self._population = Population()
        self.actors = self._population.actors
        self._course = Lifecycle(self.events, self._population)
        self._supervisor = Supervisor(self.events, self._population, self._course)
        self._stalls = StallWatch(self.events)
        self._delivery = Delivery(self.events, self._course, self._supervisor, self._stalls)
        self.run_ahead: Callable[[Awaited], None] = self._delivery.run_ahead
        self.drive: Drive | None = None
        """What makes it stand still and go on (`Drive.pause`); None in an ordinary run."""

    # -- building --------------------------------------------------------------------------------

    def add(self, actor: Actor) -> Actor:
        """Let ``actor`` join; its name must be its own. Joining a running system, it starts."""
        if actor.name in self.actors:
            raise BacktestError(
                f"there is an actor called {actor.name!r} already: names are unique"
            )
        if self.events.is_ending:
            raise SimulationEnded(f"{actor.name} cannot join: the run has ended")
        self.actors[actor.name] = actor
        actor.system, actor.events = self, self.events
        actor.fiber = self.fiber(actor.name, actor.inbox_bound)
        self._population.owners[actor.fiber] = actor
        actor.attach()
        if self._course.is_started:
            self._course.start(actor)
        return actor

    def fiber(self, name: str, bound: int = 1) -> Fiber:
        """A new line of execution, for actors that need a second one."""
        if bound < 0:
            raise BacktestError(f"the inbox of {name} needs a bound of at least 0, not {bound}")
        fiber = Fiber(self.events, name, bound, self._fiber_ended)
        self._population.fibers[fiber] = None
        return fiber

    def spawn(self, actor: Actor, name: str, coroutine: Coroutine[Any, Any, None]) -> Fiber:
        """Run ``coroutine`` as a further line of execution of ``actor``, under its supervision."""
        fiber = self.fiber(f"{actor.name}/{name}")
        self._population.owners[fiber] = actor
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
        return list(self._population.fibers)

    def lines(self, actor: Actor) -> list[Fiber]:
        """The lines of execution of ``actor``, its own fiber first."""
        return self._population.lines_of(actor)

    def channels(self) -> list[Channel]:
        """Every link over which something was sent, or may be."""
        return list(self._channels.values())

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The messages that nobody handled, each with a reason."""
        return self._supervisor.dead_letters

    def statistics(self) -> SystemStatistics:
        """A snapshot of the counters, for the books: no message is ever lost."""
        channels, dead = self._channels.values(), len(self.dead_letters)
        return statistics_of(self.events, self._population.fibers, channels, dead)

    @property
    def log(self) -> Any:
        """The logger of what happens to actors and messages."""
        return self._supervisor.log

    @log.setter
    def log(self, logger: Any) -> None:
        self._supervisor.log = logger

    @property
    def tracer(self) -> Callable[[Envelope], None] | None:
        """Called with every message just before it is delivered. Set it before the run."""
        return self.events.tracer

    @tracer.setter
    def tracer(self, tracer: Callable[[Envelope], None] | None) -> None:
        self.events.tracer = tracer

    @property
    def observer(self) -> Callable[[Envelope], None] | None:
        """Called with every message after its delivery: where invariants are checked. Likewise."""
        return self.events.observer

    @observer.setter
    def observer(self, observer: Callable[[Envelope], None] | None) -> None:
        self.events.observer = observer

    @property
    def stall_bound(self) -> int:
        """How many steps there may be at one simulated time; beyond it is a `Livelock`."""
        return self._stalls.bound

    @stall_bound.setter
    def stall_bound(self, bound: int) -> None:
        self._stalls.bound = bound

    # -- time ------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Simulated (or real) time in nanoseconds."""
        return self.events.now

    @property
    def moment(self) -> datetime:
        """The time as an aware UTC `datetime`."""
        return self.events.moment

    def begin_at(self, ns: int) -> None:
        """Let a simulation that has not begun yet begin at ``ns``."""
        self.events.begin_at(ns)

    def set_feed(self, emit: Callable[[], int], at: int, fiber: Fiber) -> None:
        """Let ``emit`` send market events: `EventQueue.set_feed`."""
        self.events.set_feed(emit, at, fiber)

    @types.coroutine
    def sleep_until(self, at: int, priority: int = TIMER) -> Generator[Any, Any, None]:
        """Wait until ``at`` (nanoseconds), exactly; a time in the past is now."""
        signal = Signal(self)  # about nobody: who sleeps when the data ends is no deadlock
        self.events.schedule_sleep(signal, at, priority)
        try:
            yield from signal.wait()
        except BaseException:
            if not signal.is_set:
                signal.resolve()
                self.events.timer_cancelled()
            raise

    # -- the run -----------------------------------------------------------------------------------

    def simulate(self) -> None:
        """Run the system in simulated time to its end, on a loop of its own."""
        self._course.simulate(self._delivery)

    def stepwise(self) -> Stepwise:
        """Instead of `simulate`: the run in pieces, from one `Drive.pause` of an actor's to the
        next."""
        self.drive = Drive(self._delivery)
        return Stepwise(self.drive)

    async def run(self) -> None:
        """Start every actor, run until nothing can happen any more (or `stop`), and end them."""
        await self._course.run(self._delivery)

    def stop(self) -> None:
        """End the run at the next moment at which nothing more is to be done now."""
        self._course.stop()

    def cancel(self) -> None:
        """End the run at the next event with `SimulationEnded`, its actors in order.

        May be called from any thread. What computes without ever waiting is not interrupted.
        """
        self._course.cancel()

    def fail(self, error: BaseException) -> None:
        """End the run with ``error``, unless another one was first."""
        self._course.fail(error)

    def _fiber_ended(self, fiber: Fiber, task: asyncio.Task[Any]) -> None:
        """A task has ended: deal with it by the rule of its actor."""
        owner = self._population.owners.get(fiber)
        try:
            self._supervisor.ended(fiber, owner, task)
            if owner is not None and fiber is not owner.fiber and not fiber.alive:
                self._population.forget(fiber)
        except Exception as error:
            # asyncio would only log what a done-callback raises.
            self._course.fail(error)
