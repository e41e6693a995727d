"""The kernel: it delivers messages in one order, moves the clock, and supervises the actors.

Everything that happens at one moment is kept in four queues, one for each priority; what lies in
the future is in one heap keyed by integers ``(time, priority, sequence)``. The next market event
has a slot of its own, because there is always exactly one.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from datetime import datetime
from heapq import heapify, heappop, heappush
from math import inf
from random import Random
from typing import Any, Protocol

import anyio._backends._asyncio
import anyio.to_thread


from backtest.errors import BacktestError, Deadlock, SimulationEnded, Undeliverable
from backtest.log import get_logger
from backtest.times import DAY, format_ns, from_ns

from .actor import Actor, Life
from .channel import Answer, Channel
from .clock import Clock, SimulatedClock
from .fiber import HANDLE, RECEIVE, Fiber
from .latency import Latency
from .message import MARKET_TO_VENUE, TIMER, Envelope
from .signal import Signal
from .simulated_loop import SimulatedLoop
from .supervision import Directive

__all__ = ["NEVER", "DeadLetter", "System"]

_COLLECT = (25_000, 20, 100)
"""The collector's thresholds during a simulation (Python's own are 700, 10, 10)."""
STAGES = 3
"""Steps in which the actors of a finished run are wound down; see `Actor.closing`."""
NEVER = 1 << 80
"""Later than any time: what the market feed answers when there is nothing more."""


class Awaited(Protocol):
    """Something that is waited for and knows whether it has come."""

    is_answered: bool


class DeadLetter:
    """A message that could not be handled, and why."""

    __slots__ = ("envelope", "reason")

    def __init__(self, envelope: Envelope, reason: str) -> None:
        self.envelope = envelope
        self.reason = reason


class System:
    """The actors of one run.

    ``seed`` is the root of every random stream and id. With a `SimulatedClock` run it by
    `simulate`; with a `RealClock`, by awaiting `run` on an ordinary asyncio loop.
    """

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
        self.cause = 0
        self.current: Fiber | None = None
        """The fiber that runs now; None while the loop runs an ordinary task."""
        self.loose = 0
        """Fibers that are not parked: they run, or wait for something of the loop's."""
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
        self._fibers: list[Fiber] = []
        self._owners: dict[Fiber, Actor] = {}
        self._restarts: dict[str, list[int]] = {}
        self._randoms: dict[str, Random] = {}
        self._error: BaseException | None = None
        self._finished: asyncio.Future[None] | None = None
        self._ending = False
        self._base = 0
        self._stale_timers = 0
        self._limiter: Any = None
        self._moment = (0, from_ns(0))
        self._kicked = False
        self._next_live: int | None = None

    @property
    def moment(self) -> datetime:
        """The time as an aware UTC `datetime`, made once for each nanosecond."""
        if self._moment[0] != self.now:
            self._moment = (self.now, from_ns(self.now))
        return self._moment[1]

    # -- building --------------------------------------------------------------------------------

    def add(self, actor: Actor) -> Actor:
        """Let ``actor`` join; its name must be its own."""
        if actor.name in self.actors:
            raise BacktestError(f"there is an actor called {actor.name!r} already: names are unique")
        self.actors[actor.name] = actor
        actor.system = self
        actor.fiber = self.fiber(actor.name, actor.inbox_bound)
        self._owners[actor.fiber] = actor
        actor.attach()
        return actor

    def fiber(self, name: str, bound: int = 1) -> Fiber:
        """A new line of execution, for actors that need a second one."""
        if bound < 1:
            raise BacktestError(f"the inbox of {name} needs a bound of at least 1, not {bound}")
        fiber = Fiber(self, name, bound)
        self._fibers.append(fiber)
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
            channel = Channel(
                self,
                sender,
                self.actors[target].fiber,
                self._latencies.get((sender, target)),
                self.random_for(f"latency/{sender}/{target}"),
            )
            channel.is_prompt = self._is_prompt(sender, target)
            self._channels[sender, target] = channel
        return channel

    def set_latency(self, sender: str, target: str, latency: Latency | None) -> None:
        """Charge ``latency`` to every message from ``sender`` to ``target``."""
        if latency is None:
            self._latencies.pop((sender, target), None)
        else:
            self._latencies[sender, target] = latency
        if (sender, target) in self._channels:
            self._channels[sender, target].latency = latency
        for one, other in ((sender, target), (target, sender)):
            if (one, other) in self._channels:
                self._channels[one, other].is_prompt = self._is_prompt(one, other)

    def _is_prompt(self, sender: str, target: str) -> bool:
        """Whether a question and its answer between the two take no time."""
        latencies = self._latencies
        return (
            self.simulated
            and (sender, target) not in latencies
            and (target, sender) not in latencies
        )

    def random_for(self, name: str) -> Random:
        """The random stream called ``name``: the same for a seed whoever else there is."""
        random = self._randoms.get(name)
        if random is None:
            digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
            random = self._randoms[name] = Random(int.from_bytes(digest, "big"))
        return random

    # -- time ------------------------------------------------------------------------------------

    def schedule(self, envelope: Envelope) -> None:
        """Deliver ``envelope`` at its time."""
        heappush(self._heap, envelope)
        if self.kick is not None:
            self.kick()

    def schedule_timer(self, timer: asyncio.TimerHandle) -> None:
        """Fire an asyncio timer at the nanosecond nearest to its microsecond."""
        when = timer.when()
        # anyio.sleep_forever() is a sleep until infinity.
        at = NEVER if when == inf else max(self._base + round(when * 1e6) * 1_000, self.now)
        number = self.sequence = self.sequence + 1
        if at == self.now and self.simulated:
            self.queues[TIMER].append((at, TIMER, number, timer))
        else:
            heappush(self._heap, (at, TIMER, number, timer))

    def timer_cancelled(self) -> None:
        """Cancelled timers stay in the heap; when they are most of it, they are swept out."""
        self._stale_timers += 1
        if self._stale_timers > 100 and self._stale_timers * 2 > len(self._heap):
            self._heap = [
                item
                for item in self._heap
                if not (isinstance(item[3], asyncio.TimerHandle) and item[3].cancelled())
            ]
            heapify(self._heap)
            self._stale_timers = 0

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
        yield from signal.wait()

    def set_feed(self, emit: Callable[[], int], at: int, fiber: Fiber) -> None:
        """Call ``emit`` at ``at``, before all else at that time, and again at each time it returns.

        There is one feed: the market-data actor, which merges all sources. When ``emit`` returns
        `NEVER` the data has ended: what follows at that time is still done, later timers are not.
        """
        if self._feed is not None:
            raise BacktestError("a system has one market feed: give all sources to one MarketData")
        self._feed, self._feed_fiber, self._feed_time = emit, fiber, at
        if not self.simulated:
            heappush(self._heap, (at, MARKET_TO_VENUE, self.sequence, None))
            self._kick_live()

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
        while not ready:
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
            elif advance():
                continue
            else:
                return
            # The common case of `_deliver`, here because a call of it is a tenth of all there is.
            if not watched and type(envelope) is Envelope and type(envelope[4]) is not Answer:
                fiber = envelope[3].target
                if fiber.waiting is HANDLE and fiber.room is None:
                    fiber.deliver(envelope)
                    continue
            deliver(envelope)

    def is_idle(self) -> bool:
        """Whether a message sent now without latency would be the very next to be delivered."""
        first, second, third, fourth = self.queues
        return not (first or second or third or fourth or self._wakes or self.loop._ready)

    def run_ahead(self, awaited: Awaited) -> None:
        """Deliver what is due now, as `pump` would, for a fiber that is about to wait.

        Stops as soon as ``awaited`` is answered, or when the next thing is more than handing a message to an
        idle actor or to the fiber itself; then the fiber parks, and `pump` goes on. It spares a
        strategy that awaits a command most of the cost of being parked and resumed.
        """
        own = self.current
        queue = self.queues[self.priority]
        if own is None or not self.simulated or self.tracer is not None or self.observer is not None:
            return
        wakes, ready = self._wakes, self.loop._ready
        while queue and not awaited.is_answered:
            envelope = queue[0]
            if type(envelope) is not Envelope or wakes or ready or (self.priority and self._urgent()):
                return
            fiber = envelope[3].target
            if fiber is own:
                if own.arrive is None or type(envelope[4]) is Answer:
                    return
                queue.popleft()
                if own.arrive(envelope):
                    own.load -= 1
                    own.handled += 1
                else:
                    own.inbox.append(envelope)
            elif fiber.waiting is HANDLE and not fiber.enters and fiber.room is None:
                if type(envelope[4]) is Answer:
                    return
                queue.popleft()
                fiber.deliver(envelope)
            else:
                return

    def _urgent(self) -> bool:
        """Whether something more urgent than the event being handled is due now."""
        first, second, third, _ = self.queues
        level = self.priority
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
            fiber.end(error)
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
            fiber.handled += 1
        elif fiber.waiting is RECEIVE:
            fiber.take(envelope)
            fiber.step(envelope)
        elif fiber.open:
            fiber.inbox.append(envelope)
        else:
            self._bury(envelope, f"{fiber.name} has ended")
        if fiber.room is not None and fiber.load < fiber.bound:
            room, fiber.room = fiber.room, None
            room.resolve()
        if self.observer is not None:
            self.observer(envelope)

    def _arrives(self, fiber: Fiber, envelope: Envelope) -> bool:
        try:
            return fiber.arrive(envelope)  # type: ignore[misc]
        except BaseException as error:
            self._explain(error, fiber)
            self._fail(error)
            return True

    def _fire(self, what: Any) -> None:
        if type(what) is Signal:
            what.resolve()
        elif not what.cancelled():
            # Float and integer time may differ by rounding; asyncio must never see a timer early.
            self.loop.floor = what.when()
            self.loop._ready.append(what)

    def _advance(self) -> bool:
        """Move to the next time at which something happens; False when the loop must go on."""
        if self.loose and self._waits_outside():
            return False
        heap = self._heap
        at = self._feed_time
        if heap:
            while heap and type(heap[0][3]) is asyncio.TimerHandle and heap[0][3].cancelled():
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

    def _waits_outside(self) -> bool:
        """Whether somebody waits for a thread or a socket: then simulated time stands still."""
        loop = self.loop
        if self._limiter is not None and self._limiter.borrowed_tokens or loop.outside_work():
            loop.poll()
            return True
        return False

    # -- ends ------------------------------------------------------------------------------------

    def _quiescent(self) -> None:
        """Nothing can happen any more: end the run, or say who waits for whom."""
        finished = self._finished
        if finished is None or finished.done():
            raise Deadlock(self._who_waits() or [("the system", "an actor that does not end")])
        finished.set_result(None)

    def _who_waits(self) -> list[tuple[str, str]]:
        waits = []
        for fiber in self._fibers:
            if fiber.alive and isinstance(fiber.waiting, Signal) and fiber.waiting.about:
                waits.append((fiber.name, fiber.waiting.about))
        return waits

    def stop(self) -> None:
        """End the run at the next moment at which nothing more is to be done now."""
        self._ending = True
        if not self.simulated and self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    def fiber_ended(self, fiber: Fiber, task: asyncio.Task[Any]) -> None:
        """A task has ended: deal with its exception by the rule of its actor."""
        if task.cancelled():
            return
        error = task.exception()
        owner = self._owners.get(fiber)
        if error is None:
            return
        self._explain(error, fiber)
        if owner is None:
            self._fail(error)
            return
        if owner.life is Life.RUNNING:
            owner.change("fail")
        lost = fiber.handling
        if lost is not None:
            self._bury(lost, f"{owner.name} failed: {error!r}")
            if lost.reply is not None:
                failure = BacktestError(f"{owner.name} failed while it handled {lost.payload!r}: {error!r}")
                failure.__cause__ = error
                lost.reply.fail(failure)
        rule = owner.supervision
        if rule.directive is Directive.RESTART and self._may_restart(owner):
            self.log.warning("actor.restart", actor=owner.name, error=repr(error))
            owner.change("start")
            owner.restart(fiber)
        elif rule.directive is Directive.STOP:
            self.log.warning("actor.stop", actor=owner.name, error=repr(error))
            fiber.open = False
            while fiber.inbox:
                waiting = fiber.inbox.popleft()
                self._bury(waiting, f"{owner.name} was stopped after it failed")
                if waiting.reply is not None:
                    waiting.reply.fail(Undeliverable(f"{owner.name} was stopped after it failed"))
        else:
            self._fail(error)

    def _may_restart(self, actor: Actor) -> bool:
        rule = actor.supervision
        past = [at for at in self._restarts.get(actor.name, []) if self.now - at < rule.within_ns]
        self._restarts[actor.name] = [*past, self.now]
        return len(past) < rule.max_restarts

    def _bury(self, envelope: Envelope, reason: str) -> None:
        self.dead_letters.append(DeadLetter(envelope, reason))
        self.log.warning("message.dead", message=envelope.id, to=envelope.channel.target.name, reason=reason)

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    def _explain(self, error: BaseException, fiber: Fiber) -> None:
        """Say on the exception where it happened: actor, simulated time, chain of causes."""
        lines = [f"in {fiber.name} at {format_ns(self.now)}"]
        last = [one.handling for one in self._fibers if one.handling is not None]
        recent = {envelope.id: envelope for envelope in last}
        envelope = fiber.handling
        word = "handling"
        while envelope is not None and len(lines) < 12:
            said = repr(envelope.payload)
            said = said if len(said) <= 160 else said[:157] + "..."
            lines.append(f"  {word} message {envelope.id} from {envelope.channel.sender}: {said}")
            envelope, word = recent.get(envelope.cause), "caused by"
        error.add_note("\n".join(lines))

    # -- running ---------------------------------------------------------------------------------

    def simulate(self) -> None:
        """Run the system in simulated time to its end, on a loop of its own."""
        loop = SimulatedLoop()
        thresholds = gc.get_threshold()
        # A run makes millions of small objects that live on (orders, entries): the collector would
        # look through all of them again and again. Cycles of young objects are still found.
        gc.freeze()
        gc.set_threshold(*_COLLECT)
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                try:
                    runner.run(self._simulate(loop))
                finally:
                    loop.system = None
        finally:
            gc.set_threshold(*thresholds)
            gc.unfreeze()
            loop.close()

    async def _simulate(self, loop: SimulatedLoop) -> None:
        loop.base = self._base = self.now - self.now % DAY
        loop.system = self
        self._limiter = anyio.to_thread.current_default_thread_limiter()
        await self.run()

    async def run(self) -> None:
        """Start every actor, run until nothing can happen any more (or `stop`), and end them."""
        if self._finished is not None:
            raise SimulationEnded("a system runs once: build a new one")
        self.loop = asyncio.get_running_loop()
        if not self.simulated:
            self.kick = self._kick_live
        try:
            for actor in list(self.actors.values()):
                actor.change("start")
                actor.fiber.start(actor.run())
            await self._settle()
            waits = self._who_waits()
            if waits and self._error is None and self.simulated:
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
            await self._end_fibers()
        if self._error is not None:
            raise self._error

    async def _settle(self) -> None:
        """Wait until nothing more is to be done (at this time, once the run is ending)."""
        if self._error is not None:
            return
        self._finished = self.loop.create_future()
        if not self.simulated and self._ending:
            # Live there is no quiescence to observe: give what was started a moment.
            self.loop.call_later(0.01, self._finish)
        await self._finished

    def _finish(self) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    async def _end_fibers(self) -> None:
        self._ending = True
        for _ in range(3):
            tasks = [fiber.task for fiber in self._fibers if fiber.alive]
            if not tasks:
                break
            for task in tasks:
                task.cancel()  # type: ignore[union-attr]
            self._finished = self.loop.create_future()
            done = asyncio.gather(*tasks, return_exceptions=True)  # type: ignore[arg-type]
            done.add_done_callback(lambda _: self._finish())
            await self._finished
        stubborn = [fiber.name for fiber in self._fibers if fiber.alive]
        if stubborn and self._error is None:
            raise Deadlock([(name, "something, and refuses to be cancelled") for name in stubborn])
        for actor in self.actors.values():
            actor.fiber.open = False
            if actor.life is Life.RUNNING:
                actor.change("stop")

    # -- live --------------------------------------------------------------------------------------

    def _kick_live(self) -> None:
        if not self._kicked:
            self._kicked = True
            self.loop.call_soon(self._pump_live)

    def _pump_live(self) -> None:
        """Deliver one thing that is due; come back for the next, or when the next is due."""
        self._kicked = False
        self.now = max(self.now, self.clock.now())
        heap = self._heap
        while heap and heap[0][0] <= self.now:
            item = heappop(heap)
            if item[3] is None:
                self._emit()
                if not self._ending:
                    heappush(heap, (self._feed_time, MARKET_TO_VENUE, self.sequence, None))
            else:
                self.queues[item[1]].append(item)
        if self._wakes:
            fiber, signal, value = self._wakes[0]
            if fiber.waiting is signal and fiber.being_cancelled:
                self._kick_live()
                return
            self._wakes.popleft()
            if fiber.waiting is signal:
                fiber.step(value)
        else:
            for self.priority, queue in enumerate(self.queues):
                if queue:
                    if type(queue[0]) is Envelope and queue[0].channel.target.being_cancelled:
                        break
                    self._deliver(queue.popleft())
                    break
            self.priority = 0
        if self._wakes or any(self.queues):
            self._kick_live()
        elif heap and (self._next_live is None or heap[0][0] < self._next_live):
            self._next_live = heap[0][0]
            self.loop.call_later(max(0, heap[0][0] - self.now) / 1e9, self._wake_live)

    def _wake_live(self) -> None:
        self._next_live = None
        self._kick_live()
