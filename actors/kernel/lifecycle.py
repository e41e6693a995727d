"""The course of a run: its actors start, it goes on until nothing can happen, they are ended."""

from __future__ import annotations

import asyncio
import contextlib
import decimal
from typing import TYPE_CHECKING, Any

import anyio

from backtest.errors import BacktestError, Deadlock, SimulationEnded, Stubborn
from backtest.times import DAY, format_ns

from .actor import Actor, Life
from .asyncio_internals import running_loop
from .deadlock import in_vain, line_of
from .fiber import ARITHMETIC
from .garbage import calm_collector, never_end
from .interrupts import interruptible
from .realtime import GRACE_S, MOMENT_S, Live
from .simulated_loop import SimulatedLoop, SimulatedTask

if TYPE_CHECKING:
    from .delivery import Delivery
    from .event_queue import EventQueue
    from .population import Population

__all__ = ["Lifecycle"]

STAGES = 3
"""Steps in which the actors of a finished run are wound down; see `Actor.closing`."""


class Lifecycle:
    """Carries one run of a system through, and knows how far it has come and what broke it."""

    __slots__ = (
        "_error",
        "_events",
        "_finished",
        "_main",
        "_population",
        "is_cancelled",
        "is_closing",
        "is_over",
    )

    def __init__(self, events: EventQueue, population: Population) -> None:
        self._events = events
        self._population = population
        self._error: BaseException | None = None
        self._finished: asyncio.Future[None] | None = None
        """What `run` waits for now; None before it."""
        self._main: asyncio.Task[Any] | None = None
        self.is_closing = False
        """Whether the run is over and its actors are being wound down."""
        self.is_over = False
        """Whether they have been."""
        self.is_cancelled = False
        """Whether somebody outside has asked it to end at once."""

    @property
    def is_started(self) -> bool:
        return self._finished is not None

    @property
    def has_failed(self) -> bool:
        """Whether an error is on its way out."""
        return self._error is not None

    # -- what ends it ---------------------------------------------------------------------------

    def finish(self) -> None:
        """Let `run` go on: what it waits for has come."""
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    def quiescent(self) -> None:
        """Nothing can happen any more: end the run, or say who waits for whom."""
        finished = self._finished
        if finished is None or finished.done():
            waits = in_vain(self._events, self._population)
            raise Deadlock(waits or [("the system", "an actor that does not end")])
        finished.set_result(None)

    def fail(self, error: BaseException) -> None:
        """End the run with ``error``, unless another one was first."""
        if self._error is None:
            self._error = error
        self.finish()

    def _end_cancelled(self) -> None:
        self.fail(SimulationEnded("the run was cancelled"))

    def crash(self, error: Exception) -> None:
        """The delivery itself has raised, in no actor: a tracer, say, or an invariant's check."""
        if self._finished is None or self._finished.done():
            raise error
        error.add_note(f"in the kernel at {format_ns(self._events.now)}")
        # They would only raise again while the actors are wound down.
        self._events.tracer = self._events.observer = None
        self.fail(error)

    # -- from start to end -----------------------------------------------------------------------

    def start(self, actor: Actor) -> None:
        """Let ``actor`` begin to live."""
        actor.change("start")
        actor.fiber.start(actor.run())

    def stop(self) -> None:
        """End the run at the next moment at which nothing more is to be done now."""
        self._events.is_ending = True
        if self._events.kick is not None:
            self._events.kick()

    def cancel(self) -> None:
        """End the run at the next event with `SimulationEnded`; from any thread."""
        self.is_cancelled = True
        if self._events.loop is not None:
            with contextlib.suppress(RuntimeError):  # it has just been closed: the run is over
                self._events.loop.call_soon_threadsafe(self._end_cancelled)

    def simulate(self, delivery: Delivery) -> None:
        """Run the system in simulated time to its end, on a loop of its own."""
        if running_loop() is not None:
            raise BacktestError(
                "a simulation runs on an event loop of its own and here one runs already: "
                "await anyio.to_thread.run_sync(system.simulate)"
            )
        if not self._events.simulated:
            raise BacktestError("a system with a real clock is not simulated: await system.run()")
        loop = SimulatedLoop()
        try:
            with (
                interruptible(self._events),
                calm_collector(),
                decimal.localcontext(ARITHMETIC),  # for what runs in no fiber: policies, sources
                asyncio.Runner(loop_factory=lambda: loop) as runner,
            ):
                try:
                    runner.run(self.on_loop(loop, delivery))
                finally:
                    self.clean_up(loop)
        finally:
            loop.close()

    async def on_loop(self, loop: SimulatedLoop, delivery: Delivery) -> None:
        """`run`, as the first task of a simulated loop of its own."""
        events = self._events
        events.base = events.now - events.now % DAY
        events.ready = loop.ready
        events.task_class = SimulatedTask
        loop.simulate(delivery)
        self._main = asyncio.current_task()
        await self.run(delivery)

    def clean_up(self, loop: SimulatedLoop) -> None:
        """Leave nothing behind, also where the loop itself was left by a KeyboardInterrupt."""
        try:
            if self._main is not None and not self._main.done():
                self._main.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    loop.run_until_complete(self._main)
        finally:
            loop.abandon()
            loop.delivery = None

    async def run(self, delivery: Delivery) -> None:
        """Start every actor, run until nothing can happen any more (or `stop`), and end them."""
        events = self._events
        if self._finished is not None:
            raise SimulationEnded("a system runs once: build a new one")
        events.loop = asyncio.get_running_loop()
        if self.is_cancelled:
            self._end_cancelled()
        if not events.simulated:
            events.kick = Live(delivery).kick
        elif getattr(events.loop, "delivery", None) is not delivery:
            raise BacktestError("simulated time needs a loop of its own: call system.simulate()")
        try:
            await self._live()
        finally:
            # Shielded, for live somebody may have cancelled the scope around `run`.
            with anyio.CancelScope(shield=True):
                await self._end_tasks()
            self.is_over = True
            if events.simulated and (error := events.loop.unseen_failure()) is not None:
                self.fail(error)
        if self._error is not None:
            raise self._error

    async def _live(self) -> None:
        """From the start of the actors until the last of them has been wound down."""
        events, actors = self._events, self._population.actors
        for actor in list(actors.values()):
            self.start(actor)
        if events.kick is not None:
            events.kick()
        await self._settle()
        self.is_closing = True
        if events.simulated and self._error is None:
            waits = in_vain(events, self._population)
            if waits:
                raise Deadlock(waits)
        for stage in range(STAGES):
            if self._error is not None:
                break
            events.is_ending = True
            for actor in list(actors.values()):
                if actor.life is Life.RUNNING:
                    actor.closing(stage)
            await self._settle()

    async def _settle(self) -> None:
        """Wait until nothing more is to be done (at this time, once the run is ending)."""
        events = self._events
        if self._error is not None:
            return
        self._finished = events.loop.create_future()
        if not events.simulated and events.is_ending:
            # Live there is no quiescence to observe: give what was started a moment.
            events.loop.call_later(MOMENT_S, self.finish)
        await self._finished

    async def _end_tasks(self) -> None:
        """End every actor, and in a simulation every task that they left behind."""
        events, population = self._events, self._population
        events.is_ending = self.is_closing = True
        for attempt in range(4):
            # Children only later: a task group that is cancelled ends its own.
            tasks = self._tasks() if attempt else [fiber.task for fiber in population.alive()]
            if not tasks and attempt:
                break
            for task in tasks:
                task.cancel()
            await self._until_done(tasks)
        self._report_stubborn()
        refusing = population.alive()
        for fiber in refusing:
            fiber.kill()
        if events.simulated:
            for task in events.loop.children:
                never_end(task.get_coro())
        await self._until_done([fiber.task for fiber in refusing])
        for actor in population.actors.values():
            actor.fiber.shut()
            if actor.life is Life.RUNNING:
                actor.change("stop")

    def _tasks(self) -> list[Any]:
        """What has not ended: tasks of actors, and in a simulation those that they started."""
        tasks: list[Any] = [fiber.task for fiber in self._population.alive()]
        if self._events.simulated:
            tasks += self._events.loop.children
        return tasks

    async def _until_done(self, tasks: list[Any]) -> None:
        """Wait for ``tasks``, or until nothing can happen any more."""
        if not tasks:
            return
        self._finished = self._events.loop.create_future()
        done = asyncio.gather(*tasks, return_exceptions=True)
        done.add_done_callback(lambda _: self.finish())
        if not self._events.simulated:
            timer = self._events.loop.call_later(GRACE_S, self.finish)
            done.add_done_callback(lambda _: timer.cancel())
        await self._finished

    def _report_stubborn(self) -> None:
        tasks = self._tasks()
        if tasks and self._error is None:
            self._error = Stubborn([(task.get_name(), line_of(task)) for task in tasks])
