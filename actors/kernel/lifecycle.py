"""The course of a run: its actors start, it goes on until nothing can happen, they are ended."""

from __future__ import annotations

import asyncio
import contextlib
import decimal
from typing import TYPE_CHECKING, Any

import anyio

from backtest.errors import BacktestError, Deadlock, SimulationEnded, Stubborn
from backtest.times import DAY, format_ns

from .actor import Life
from .deadlock import in_vain, line_of
from .fiber import ARITHMETIC
from .garbage import calm_collector, never_end
from .interrupts import interruptible
from .realtime import GRACE_S, MOMENT_S
from .simulated_loop import SimulatedLoop, SimulatedTask

if TYPE_CHECKING:
    from .system import System

__all__ = ["Lifecycle"]

STAGES = 3
"""Steps in which the actors of a finished run are wound down; see `Actor.closing`."""


class Lifecycle:
    """Carries one run of a system through, and knows how far it has come and what broke it."""

    __slots__ = ("_error", "_finished", "_main", "_system", "is_closing", "is_over")

    def __init__(self, system: System) -> None:
        self._system = system
        self._error: BaseException | None = None
        self._finished: asyncio.Future[None] | None = None
        """What `run` waits for now; None before it."""
        self._main: asyncio.Task[Any] | None = None
        self.is_closing = False
        """Whether the run is over and its actors are being wound down."""
        self.is_over = False
        """Whether they have been."""

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
            raise Deadlock(in_vain(self._system) or [("the system", "an actor that does not end")])
        finished.set_result(None)

    def fail(self, error: BaseException) -> None:
        """End the run with ``error``, unless another one was first."""
        if self._error is None:
            self._error = error
        self.finish()

    def end_cancelled(self) -> None:
        """Somebody outside wants the run to end."""
        self.fail(SimulationEnded("the run was cancelled"))

    def crash(self, error: Exception) -> None:
        """The delivery itself has raised, in no actor: a tracer, say, or an invariant's check."""
        if self._finished is None or self._finished.done():
            raise error
        error.add_note(f"in the kernel at {format_ns(self._system.now)}")
        # They would only raise again while the actors are wound down.
        self._system.tracer = self._system.observer = None
        self.fail(error)

    # -- from start to end -----------------------------------------------------------------------

    def simulate(self) -> None:
        """Run the system in simulated time to its end, on a loop of its own."""
        if asyncio._get_running_loop() is not None:
            raise BacktestError(
                "a simulation runs on an event loop of its own and here one runs already: "
                "await anyio.to_thread.run_sync(system.simulate)"
            )
        if not self._system.simulated:
            raise BacktestError("a system with a real clock is not simulated: await system.run()")
        loop = SimulatedLoop()
        try:
            with (
                interruptible(self._system),
                calm_collector(),
                decimal.localcontext(ARITHMETIC),  # for what runs in no fiber: policies, sources
                asyncio.Runner(loop_factory=lambda: loop) as runner,
            ):
                try:
                    runner.run(self.on_loop(loop))
                finally:
                    self.clean_up(loop)
        finally:
            loop.close()

    async def on_loop(self, loop: SimulatedLoop) -> None:
        """`run`, as the first task of a simulated loop of its own."""
        system = self._system
        loop.base = system._base = system.now - system.now % DAY
        loop.watch_threads()
        loop.system = system
        system.task_class = SimulatedTask
        self._main = asyncio.current_task()
        await self.run()

    def clean_up(self, loop: SimulatedLoop) -> None:
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
        system = self._system
        if self._finished is not None:
            raise SimulationEnded("a system runs once: build a new one")
        system.loop = asyncio.get_running_loop()
        if system.cancelled:
            self.end_cancelled()
        if not system.simulated:
            system.kick = system._live.kick
        elif getattr(system.loop, "system", None) is not system:
            raise BacktestError("simulated time needs a loop of its own: call system.simulate()")
        try:
            for actor in list(system.actors.values()):
                system._start(actor)
            if not system.simulated:
                system._live.kick()
            await self._settle()
            self.is_closing = True
            if system.simulated and self._error is None and (waits := in_vain(system)):
                raise Deadlock(waits)
            for stage in range(STAGES):
                if self._error is not None:
                    break
                system._ending = True
                for actor in list(system.actors.values()):
                    if actor.life is Life.RUNNING:
                        actor.closing(stage)
                await self._settle()
        finally:
            # Shielded, for live somebody may have cancelled the scope around `run`.
            with anyio.CancelScope(shield=True):
                await self._end_tasks()
            self.is_over = True
            if system.simulated and (error := system.loop.unseen_failure()) is not None:
                self.fail(error)
        if self._error is not None:
            raise self._error

    async def _settle(self) -> None:
        """Wait until nothing more is to be done (at this time, once the run is ending)."""
        system = self._system
        if self._error is not None:
            return
        self._finished = system.loop.create_future()
        if not system.simulated and system._ending:
            # Live there is no quiescence to observe: give what was started a moment.
            system.loop.call_later(MOMENT_S, self.finish)
        await self._finished

    async def _end_tasks(self) -> None:
        """End every actor, and in a simulation every task that they left behind."""
        system = self._system
        system._ending = self.is_closing = True
        for attempt in range(4):
            tasks = [fiber.task for fiber in system._fibers if fiber.alive]
            if system.simulated and attempt:
                # Only now: a task group that is cancelled ends its own.
                tasks += system.loop.children
            if not tasks and attempt:
                break
            for task in tasks:
                task.cancel()  # type: ignore[union-attr]
            await self._until_done(tasks)
        self._report_stubborn()
        killed = [fiber.task for fiber in system._fibers if fiber.alive]
        for fiber in system._fibers:
            if fiber.alive:
                fiber.kill()
        if system.simulated:
            for task in system.loop.children:
                never_end(task.get_coro())
        await self._until_done(killed)
        for actor in system.actors.values():
            actor.fiber.shut()
            if actor.life is Life.RUNNING:
                actor.change("stop")

    async def _until_done(self, tasks: list[Any]) -> None:
        """Wait for ``tasks``, or until nothing can happen any more."""
        if not tasks:
            return
        self._finished = self._system.loop.create_future()
        done = asyncio.gather(*tasks, return_exceptions=True)
        done.add_done_callback(lambda _: self.finish())
        if not self._system.simulated:
            timer = self._system.loop.call_later(GRACE_S, self.finish)
            done.add_done_callback(lambda _: timer.cancel())
        await self._finished

    def _report_stubborn(self) -> None:
        tasks = [fiber.task for fiber in self._system._fibers if fiber.alive]
        if self._system.simulated:
            tasks += self._system.loop.children
        if tasks and self._error is None:
            self._error = Stubborn([(task.get_name(), line_of(task)) for task in tasks if task])
