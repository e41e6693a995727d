"""The kernel: it delivers messages in one order, moves the clock, and supervises the actors.

Everything that happens at one moment is kept in four queues, one for each priority; what lies in
the future is in one heap keyed by integers ``(time, priority, sequence)``. The next market event
has a slot of its own, because there is always exactly one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from datetime import datetime
from heapq import heapify, heappop, heappush
from random import Random
from typing import Any, Protocol

import anyio
import attrs

from backtest.errors import BacktestError, Deadlock, Livelock, SimulationEnded, Undeliverable
from backtest.log import get_logger
from backtest.times import DAY, format_ns, from_ns

from .actor import Actor, Life
from .channel import Answer, Channel
from .clock import Clock, SimulatedClock, moment_ns
from .collector import calm_collector
from .fiber import HANDLE, OWNER, RECEIVE, Fiber
from .latency import Latency
from .live import GRACE_S, MOMENT_S, Live
from .message import TIMER, Envelope
from .signal import Signal
from .simulated_loop import SimulatedLoop, SimulatedTask
from .supervision import DeadLetter, Supervisor

__all__ = ["NEVER", "DeadLetter", "System", "SystemStatistics"]

STAGES = 3
"""Steps in which the actors of a finished run are wound down; see `Actor.closing`."""
STALL_BOUND = 10_000_000
"""Steps at one simulated time that are taken for a livelock: minutes of real time."""
STRIDE = 4096
"""Steps between two looks at whether time moves."""
_STRIDE = (None,) * STRIDE
NEVER = 1 << 80
"""Later than any time: what the market feed answers when there is nothing more."""


class Awaited(Protocol):
    """Something that is waited for and knows whether it has come."""

    is_answered: bool


@attrs.frozen(kw_only=True)
class SystemStatistics:
    """Where the messages of a system are: sent = handled + waiting + dead."""

    sent: int
    """Messages and answers sent on all channels."""
    handled: int
    """Taken by their targets (an answer: by whoever asked)."""
    waiting: int
    """On their way, or in an inbox."""
    dead: int
    """Kept in `System.dead_letters`, each with a reason."""


class System:
    """The actors of one run.

    ``seed`` is the root of every random stream and id. With a `SimulatedClock` run it by
    `simulate`; with a `RealClock`, by awaiting `run` on an ordinary asyncio loop.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_base",
        "_channels",
        "_closing",
        "_ending",
        "_error",
        "_feed",
        "_feed_fiber",
        "_feed_time",
        "_fibers",
        "_finished",
        "_heap",
        "_latencies",
        "_live",
        "_main",
        "_moment",
        "_over",
        "_owners",
        "_randoms",
        "_stale_timers",
        "_stall_steps",
        "_stall_time",
        "_supervisor",
        "_wakes",
        "actors",
        "asides",
        "clock",
        "current",
        "dead_letters",
        "kick",
        "log",
        "loop",
        "loose",
        "now",
        "observer",
        "priority",
        "queues",
        "seed",
        "sequence",
        "simulated",
        "stall_bound",
        "task_class",
        "tracer",
    )

    def __init__(self, seed: int = 0, clock: Clock | None = None) -> None:
        self.seed = seed
        self.clock: Clock = SimulatedClock() if clock is None else clock
        self.simulated = isinstance(self.clock, SimulatedClock)
        self.loop: Any = None
        self.now = self.clock.now()
        """Simulated (or real) time in nanoseconds."""
        self.priority = 0
        """Priority of the event being handled; what it sends now cannot be more urgent."""
        self.sequence = 0
        self.current: Fiber | None = None
        """The fiber that runs now; None while the loop runs an ordinary task."""
        self.loose = 0
        """Fibers that are not parked: they run, or wait for something of the loop's. In a
        simulation the tasks that they started count, too."""
        self.asides: dict[asyncio.Future[None], tuple[Signal, str]] = {}
        """What tasks that are no fiber wait for, and whose they are."""
        self.task_class: Any = asyncio.Task
        self.stall_bound = STALL_BOUND
        """How many steps there may be at one simulated time; beyond it is a `Livelock`."""
        self.queues: tuple[deque[Any], deque[Any], deque[Any], deque[Any]] = (
            deque(),
            deque(),
            deque(),
            deque(),
        )
        self.kick: Callable[[], None] | None = None
        self.tracer: Callable[[Envelope], None] | None = None
        """Called with every message just before it is delivered. Set it before the run."""
        self.observer: Callable[[Envelope], None] | None = None
        """Called with every message after its delivery: where invariants are checked. Likewise."""
        self.dead_letters: list[DeadLetter] = []
        self.actors: dict[str, Actor] = {}
        self.log = get_logger("backtest.kernel")
        self._wakes: deque[tuple[Fiber, Signal, Any]] = deque()
        self._heap: list[Any] = []
        self._feed_time = NEVER
        self._feed: Any = None
        self._feed_fiber: Any = None
        self._channels: dict[tuple[str, str], Channel] = {}
        self._latencies: dict[tuple[str, str], Latency] = {}
        self._fibers: dict[Fiber, None] = {}
        self._owners: dict[Fiber, Actor] = {}
        self._supervisor = Supervisor(self)
        self._randoms: dict[str, Random] = {}
        self._error: BaseException | None = None
        self._finished: asyncio.Future[None] | None = None
        self._ending = False
        self._closing = False
        self._over = False
        self._main: asyncio.Task[Any] | None = None
        self._base = 0
        self._stale_timers = 0
        self._moment = (0, from_ns(0))
        self._live = Live(self)
        self._stall_time = -1
        self._stall_steps = 0

    @property
    def moment(self) -> datetime:
        """The time as an aware UTC `datetime`, made once for each nanosecond."""
        if self._moment[0] != self.now:
            self._moment = (self.now, from_ns(self.now))
        return self._moment[1]

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
        if self._finished is not None:
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
                self._latencies.get((sender, target)),
                self.random_for(f"latency/{sender}/{target}"),
            )
            channel.is_prompt = self._is_prompt(sender, target)
            self._channels[sender, target] = channel
        return channel

    def make_channel(
        self, sender: str, target: Fiber, latency: Latency | None, random: Random
    ) -> Channel:
        """The link itself, made once for each sender and target; tests inject faults here."""
        return Channel(self, sender, target, latency, random)

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

    def _is_prompt(self, sender: str, target: str) -> bool:
        """Whether a question and its answer between the two take no time."""
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
        return self._closing

    def fibers(self) -> list[Fiber]:
        """All lines of execution that have not ended for good."""
        return list(self._fibers)

    def lines(self, actor: Actor) -> list[Fiber]:
        """The lines of execution of ``actor``, its own fiber first."""
        return [fiber for fiber, owner in self._owners.items() if owner is actor]

    def statistics(self) -> SystemStatistics:
        """A snapshot of the counters, for the books: no message is ever lost."""
        waiting = sum(len(fiber.inbox) for fiber in self._fibers)
        for queue in (*self.queues, self._heap):
            waiting += sum(type(item) is Envelope for item in queue)
        sent = sum(channel.sent for channel in self._channels.values())
        dead = len(self.dead_letters)
        return SystemStatistics(
            sent=sent, handled=sent - waiting - dead, waiting=waiting, dead=dead
        )

    def outside(self) -> int:
        """The cause of what a task that is no fiber sends: that of the fiber that started it."""
        if not self.simulated:
            self.now = max(self.now, self.clock.now())
        fiber = OWNER.get(None)
        return 0 if fiber is None or fiber.system is not self else fiber.cause

    # -- time ------------------------------------------------------------------------------------

    def schedule(self, envelope: Envelope) -> None:
        """Deliver ``envelope`` at its time."""
        heappush(self._heap, envelope)
        if self.kick is not None:
            self.kick()

    def schedule_timer(self, timer: asyncio.TimerHandle) -> None:
        """Fire an asyncio timer at its nanosecond."""
        at = moment_ns(timer.when(), self._base)
        if at is None or at >= NEVER:
            # anyio.sleep_forever() is a sleep until infinity.
            timer._scheduled = False  # type: ignore[attr-defined]
            return
        at = max(at, self.now)
        number = self.sequence = self.sequence + 1
        if at == self.now and self.simulated:
            self.queues[TIMER].append((at, TIMER, number, timer))
        else:
            heappush(self._heap, (at, TIMER, number, timer))

    def timer_cancelled(self) -> None:
        """Cancelled timers stay in the heap; when they are most of it, they are swept out."""
        self._stale_timers += 1
        if self._stale_timers > 100 and self._stale_timers * 2 > len(self._heap):
            # In place: whoever moves the time has the heap in hand.
            self._heap[:] = [item for item in self._heap if not self._is_stale(item[3])]
            heapify(self._heap)
            self._stale_timers = 0

    @staticmethod
    def _is_stale(what: Any) -> bool:
        """Whether a thing in the heap is a timer or a sleep that was cancelled."""
        if isinstance(what, asyncio.TimerHandle):
            return what.cancelled()
        return type(what) is Signal and what.is_set

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

    def set_feed(self, emit: Callable[[], int], at: int, fiber: Fiber) -> None:
        """Call ``emit`` at ``at``, before all else at that time, and again at each time it returns.

        There is one feed: the market-data actor, which merges all sources. When ``emit`` returns
        `NEVER` the data has ended: what follows at that time is still done, later timers are not.
        One that has failed is set again when its actor is restarted.
        """
        is_down = self._feed_time == NEVER and self._feed_fiber is fiber and not self._ending
        if self._feed is not None and not is_down:
            raise BacktestError("a system has one market feed: give all sources to one MarketData")
        self._feed, self._feed_fiber, self._feed_time = emit, fiber, at
        if not self.simulated and at < NEVER:
            self._live.feed()

    # -- delivery --------------------------------------------------------------------------------

    def wake(self, fiber: Fiber, signal: Signal, value: Any) -> None:
        """Resume ``fiber``, which waits for ``signal``, before any further message."""
        current = self.current
        if current is not None and current is not fiber:
            fiber.cause = current.cause
        self._wakes.append((fiber, signal, value))
        if self.kick is not None:
            self.kick()

    def pump(self) -> None:
        """Deliver what is due until the loop has work of its own, moving time when all wait."""
        ready = self.loop._ready
        wakes = self._wakes
        first, second, third, fourth = self.queues
        deliver, emit, advance = self._deliver, self._emit, self._advance
        watched = self.tracer is not None or self.observer is not None
        while True:
            for _ in _STRIDE:
                if ready:
                    return
                if wakes:
                    fiber, signal, value = wakes.popleft()
                    if fiber.waiting is signal:
                        fiber.step(value)
                    continue
                if first:
                    envelope = first.popleft()
                elif self._feed_time == self.now:
                    emit()
                    continue
                elif second:
                    self.priority = 1
                    envelope = second.popleft()
                elif third:
                    self.priority = 2
                    envelope = third.popleft()
                elif fourth:
                    self.priority = 3
                    envelope = fourth.popleft()
                elif self.now < self._feed_time < NEVER and not (
                    self._heap or self.loose or self._ending
                ):
                    # The common case of `_advance`: all wait, nothing but the next bar is to come.
                    self.now = self.clock.ns = self._feed_time  # type: ignore[attr-defined]
                    self.priority = 0
                    emit()
                    continue
                elif advance():
                    continue
                else:
                    return
                # The common case of `_deliver`, here because a call of it is a tenth of it all.
                if not watched and type(envelope) is Envelope and type(envelope[4]) is not Answer:
                    fiber = envelope[3].target
                    if fiber.waiting is HANDLE and fiber.room is None:
                        fiber.deliver(envelope)
                        continue
                deliver(envelope)
            self.note_steps(STRIDE)

    def note_steps(self, steps: int) -> None:
        """So many steps were made since the last call. Raises `Livelock` when time stands still."""
        if self.now != self._stall_time:
            self._stall_time, self._stall_steps = self.now, 0
            return
        self._stall_steps += steps
        if self._stall_steps < self.stall_bound:
            return
        made, self._stall_steps = self._stall_steps, 0
        # What is wound down now may be as restless; nobody should wait as long for that again.
        self.stall_bound = min(self.stall_bound, 16 * STRIDE)
        raise Livelock(self._busy(), made, format_ns(self.now))

    def _busy(self) -> list[str]:
        """Who is at work now: those whom the loop runs next, and between whom messages travel."""
        busy: dict[str, None] = {}
        for handle in self.loop._ready:
            task = getattr(handle._callback, "__self__", None)
            if isinstance(task, asyncio.Task):
                busy[task.get_name()] = None
        for fiber, _, _ in self._wakes:
            busy[fiber.name] = None
        for queue in self.queues:
            for item in queue:
                if type(item) is Envelope:
                    busy |= {item.channel.sender: None, item.channel.target.name: None}
                elif type(item[3]) is Signal:
                    busy |= dict.fromkeys(item[3].waiters())
        return list(busy)

    def is_idle(self, priority: int) -> bool:
        """Whether a message sent now without latency would be the very next to be delivered."""
        first, second, third, fourth = self.queues
        if first or second or third or fourth or self._wakes or self.loop._ready:
            return False
        return priority <= self.priority or self._feed_time != self.now

    def run_ahead(self, awaited: Awaited) -> None:
        """Deliver what is due now, as `pump` would, for a fiber that is about to wait.

        Stops as soon as ``awaited`` is answered, or when the next thing is more than handing a
        message to an idle actor or to the fiber itself; then the fiber parks, and `pump` goes on.
        It spares a strategy that awaits a command most of the cost of being parked and resumed.
        """
        own = self.current
        wakes, ready = self._wakes, self.loop._ready
        if own is None or not self.simulated:
            return
        if self.tracer is not None or self.observer is not None:
            return
        level = self.priority
        # What is sent meanwhile is no more urgent than the event at hand, so one look is enough.
        if level and self._urgent(level):
            return
        queue = self.queues[level]
        while queue and not (awaited.is_answered or wakes or ready):
            envelope = queue[0]
            if type(envelope) is not Envelope or type(envelope[4]) is Answer:
                return
            fiber = envelope[3].target
            if fiber is own:
                if own.arrive is None:
                    return
                del queue[0]
                if self._arrives(own, envelope):
                    own.load -= 1
                else:
                    own.inbox.append(envelope)
            elif fiber.waiting is HANDLE and fiber.hosts and fiber.room is None:
                del queue[0]
                fiber.deliver_as_guest(envelope)
            else:
                return

    def _urgent(self, level: int) -> bool:
        """Whether something more urgent than an event of priority ``level`` is due now."""
        first, second, third, _ = self.queues
        return bool(
            first or self._feed_time == self.now or (level > 1 and second) or (level > 2 and third)
        )

    def _emit(self) -> None:
        """Let the market feed send the event that is due."""
        fiber = self._feed_fiber
        fiber.cause = 0
        self.current = fiber
        try:
            self._feed_time = at = self._feed()
        except BaseException as error:
            self._feed_time = NEVER
            if fiber.waiting is None:
                self._supervisor.explain(error, fiber)
                self.fail(error)
            else:
                fiber.fail(error)
        else:
            if at == NEVER:
                self._ending = True
        finally:
            self.current = None

    def _deliver(self, envelope: Any) -> None:
        if type(envelope) is not Envelope:
            self._fire(envelope[3])
            return
        if self.tracer is not None:
            self.tracer(envelope)
        fiber = envelope[3].target
        if fiber.waiting is HANDLE:
            if type(envelope[4]) is Answer:
                envelope[4].signal.resolve(envelope[4].value)
            else:
                fiber.deliver(envelope)
        elif type(envelope[4]) is Answer:
            envelope[4].signal.resolve(envelope[4].value)
        elif fiber.arrive is not None and self._arrives(fiber, envelope):
            fiber.load -= 1
        elif fiber.waiting is RECEIVE:
            fiber.take(envelope)
            fiber.step(envelope)
        elif fiber.open:
            fiber.inbox.append(envelope)
            if fiber.mail is not None:
                mail, fiber.mail = fiber.mail, None
                mail.resolve()
        else:
            fiber.load -= 1
            self._supervisor.bury(envelope, f"{fiber.name} has ended")
        if fiber.room is not None and fiber.has_room:
            fiber.make_room()
        if self.observer is not None:
            self.observer(envelope)

    def _arrives(self, fiber: Fiber, envelope: Envelope) -> bool:
        try:
            return fiber.arrive(envelope)  # type: ignore[misc]
        except BaseException as error:
            self._supervisor.explain(error, fiber)
            self.fail(error)
            return True

    def _fire(self, what: Any) -> None:
        if type(what) is Signal:
            what.resolve()
        elif not what.cancelled():
            # Float and integer time may differ by rounding; asyncio must never see a timer early.
            self.loop.floor = max(self.loop.floor, float(what.when()))
            what._scheduled = False
            self.loop._ready.append(what)

    def _advance(self) -> bool:
        """Move to the next time at which something happens; False when the loop must go on."""
        if self.loose and self.loop.outside_work():
            # Somebody waits for a thread or a socket: simulated time stands still.
            self.loop.poll()
            return False
        heap = self._heap
        at = self._feed_time
        if heap:
            while heap and self._is_stale(heap[0][3]):
                heappop(heap)
                self._stale_timers = max(0, self._stale_timers - 1)
            if heap and heap[0][0] < at:
                at = heap[0][0]
        if at == NEVER or self._ending:
            self._quiescent()
            return False
        if at < self.now:
            raise BacktestError(f"time cannot go back from {self.now} to {at}")
        self.now = self.clock.ns = at  # type: ignore[attr-defined]
        self.priority = 0
        while heap and heap[0][0] == at:
            item = heappop(heap)
            self.queues[item[1]].append(item)
        return True

    # -- ends ------------------------------------------------------------------------------------

    def _quiescent(self) -> None:
        """Nothing can happen any more: end the run, or say who waits for whom."""
        finished = self._finished
        if finished is None or finished.done():
            raise Deadlock(self._deadlock() or [("the system", "an actor that does not end")])
        finished.set_result(None)

    def _waits(self) -> list[tuple[str, Signal]]:
        """Who waits for an answer, or for room, that is not on its way."""
        waits = [
            (fiber.name, fiber.waiting)
            for fiber in self._fibers
            if isinstance(fiber.waiting, Signal)
        ]
        waits += [(name, signal) for signal, name in self.asides.values()]
        return [
            (who, signal)
            for who, signal in waits
            if signal.about and not (signal.answered or signal.is_set)
        ]

    def waits_for(self, name: str) -> list[Signal]:
        """The signals on which somebody waits for the actor called ``name``."""
        return [signal for _, signal in self._waits() if signal.about == name]

    def _deadlock(self) -> list[tuple[str, str]]:
        """Who waits for whom in vain.

        While there is a future (a message with latency, a timer, a bar after `stop`) that may be
        what they wait for; then only those are in vain who wait for each other in a circle.
        """
        waits = [(who, signal.about) for who, signal in self._waits()]
        if self._feed_time == NEVER and all(self._is_stale(item[3]) for item in self._heap):
            return waits
        whom = dict(waits)
        circle = []
        for who in whom:
            seen = [who]
            while (after := whom.get(seen[-1])) is not None and after not in seen:
                seen.append(after)
            if after == who:
                circle.append((who, whom[who]))
        return circle

    def stop(self) -> None:
        """End the run at the next moment at which nothing more is to be done now."""
        self._ending = True
        if not self.simulated:
            self._live.kick()

    def fiber_ended(self, fiber: Fiber, task: asyncio.Task[Any]) -> None:
        """A task has ended: deal with it by the rule of its actor."""
        owner = self._owners.get(fiber)
        self._supervisor.ended(fiber, owner, task)
        if owner is not None and fiber is not owner.fiber and not fiber.alive:
            # A line that has ended is forgotten: an actor may start any number of them.
            del self._fibers[fiber], self._owners[fiber]

    def fail(self, error: BaseException) -> None:
        """End the run with ``error``, unless another one was first."""
        if self._error is None:
            self._error = error
        self._finish()

    def crash(self, error: Exception) -> None:
        """The delivery itself has raised, in no actor: a tracer, say, or an invariant's check."""
        if self._finished is None or self._finished.done():
            raise error
        error.add_note(f"in the kernel at {format_ns(self.now)}")
        # They would only raise again while the actors are wound down.
        self.tracer = self.observer = None
        self.fail(error)

    # -- running ---------------------------------------------------------------------------------

    def simulate(self) -> None:
        """Run the system in simulated time to its end, on a loop of its own."""
        if asyncio._get_running_loop() is not None:
            raise BacktestError(
                "a simulation runs on an event loop of its own and here one runs already: "
                "await anyio.to_thread.run_sync(system.simulate)"
            )
        if not self.simulated:
            raise BacktestError("a system with a real clock is not simulated: await system.run()")
        loop = SimulatedLoop()
        try:
            with calm_collector(), asyncio.Runner(loop_factory=lambda: loop) as runner:
                try:
                    runner.run(self._simulate(loop))
                finally:
                    self._clean_up(loop)
        finally:
            loop.close()

    async def _simulate(self, loop: SimulatedLoop) -> None:
        loop.base = self._base = self.now - self.now % DAY
        loop.watch_threads()
        loop.system = self
        self.task_class = SimulatedTask
        self._main = asyncio.current_task()
        await self.run()

    def _clean_up(self, loop: SimulatedLoop) -> None:
        """Leave nothing behind, also where the loop itself was left by a KeyboardInterrupt."""
        try:
            if self._main is not None and not self._main.done():
                self._main.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    loop.run_until_complete(self._main)
        finally:
            loop.abandon()
            loop.system = None

    async def run(self) -> None:
        """Start every actor, run until nothing can happen any more (or `stop`), and end them."""
        if self._finished is not None:
            raise SimulationEnded("a system runs once: build a new one")
        self.loop = asyncio.get_running_loop()
        if not self.simulated:
            self.kick = self._live.kick
        elif getattr(self.loop, "system", None) is not self:
            raise BacktestError("simulated time needs a loop of its own: call system.simulate()")
        try:
            for actor in list(self.actors.values()):
                self._start(actor)
            if not self.simulated:
                self._live.kick()
            await self._settle()
            self._closing = True
            if self.simulated and self._error is None and (waits := self._deadlock()):
                raise Deadlock(waits)
            for stage in range(STAGES):
                if self._error is not None:
                    break
                self._ending = True
                for actor in list(self.actors.values()):
                    if actor.life is Life.RUNNING:
                        actor.closing(stage)
                await self._settle()
        finally:
            # Shielded, for live somebody may have cancelled the scope around `run`.
            with anyio.CancelScope(shield=True):
                await self._end_tasks()
            self._over = True
            if self.simulated and (error := self.loop.unseen_failure()) is not None:
                error.add_note("in a task that an actor started and nobody awaited")
                self.fail(error)
        if self._error is not None:
            raise self._error

    async def _settle(self) -> None:
        """Wait until nothing more is to be done (at this time, once the run is ending)."""
        if self._error is not None:
            return
        self._finished = self.loop.create_future()
        if not self.simulated and self._ending:
            # Live there is no quiescence to observe: give what was started a moment.
            self.loop.call_later(MOMENT_S, self._finish)
        await self._finished

    def _finish(self) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    async def _end_tasks(self) -> None:
        """End every actor, and in a simulation every task that they left behind."""
        self._ending = self._closing = True
        for attempt in range(4):
            tasks = [fiber.task for fiber in self._fibers if fiber.alive]
            if self.simulated and attempt:
                # Only now: a task group that is cancelled ends its own.
                tasks += self.loop.children
            if not tasks and attempt:
                break
            for task in tasks:
                task.cancel()  # type: ignore[union-attr]
            await self._until_done(tasks)
        self._report_stubborn()
        killed = [fiber.task for fiber in self._fibers if fiber.alive]
        for fiber in self._fibers:
            if fiber.alive:
                fiber.kill()
        await self._until_done(killed)
        for actor in self.actors.values():
            actor.fiber.shut()
            if actor.life is Life.RUNNING:
                actor.change("stop")

    async def _until_done(self, tasks: list[Any]) -> None:
        """Wait for ``tasks``, or until nothing can happen any more."""
        if not tasks:
            return
        self._finished = self.loop.create_future()
        done = asyncio.gather(*tasks, return_exceptions=True)
        done.add_done_callback(lambda _: self._finish())
        if not self.simulated:
            timer = self.loop.call_later(GRACE_S, self._finish)
            done.add_done_callback(lambda _: timer.cancel())
        await self._finished

    def _report_stubborn(self) -> None:
        stubborn = [fiber.name for fiber in self._fibers if fiber.alive]
        if self.simulated:
            owners = [task.get_name() for task in self.loop.children]
            stubborn += owners
        if stubborn and self._error is None:
            self._error = Deadlock(
                [(name, "something, and refuses to be cancelled") for name in stubborn]
            )
