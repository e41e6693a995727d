"""An asyncio event loop whose time is simulated.

Only a few things differ from the ordinary loop: `time` tells simulated seconds, timers go into the
kernel's own heap (integers, no ties by float), and where the ordinary loop would sleep in `select`
this one lets the kernel deliver the next message or fire the next timer. anyio's and asyncio's
sleeps, timeouts, events, locks and task groups need no change: they are built on just these.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from backtest.errors import ConfigError
from backtest.times import format_ns

from .asyncio_internals import OpenLoop, ThreadPool, failed_unseen, fire
from .clock import Instant
from .fiber import OWNER

if TYPE_CHECKING:
    from .delivery import Delivery

__all__ = ["SimulatedLoop", "SimulatedTask"]

_POLL_S = 0.02
"""How long, in real seconds, one look at threads and sockets may wait."""
_PASSES = 256
"""Passes of the loop between two looks at sockets, and at whether time moves."""


class SimulatedTask(asyncio.Task[Any]):
    """A task known by the number of its making instead of its address in memory.

    asyncio and anyio keep tasks and scopes in sets and cancel them in the order of the set, which
    for ordinary objects is that of their addresses: another one in every process. So a task hashes
    to its number, and those that are cancelled together wake up in the order of their numbers.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], *, loop: SimulatedLoop, **how: Any
    ) -> None:
        # Before the rest: making a task puts it into a set.
        loop.tasks_made += 1
        self.number = loop.tasks_made
        self._home = loop
        super().__init__(coroutine, loop=loop, **how)

    def __hash__(self) -> int:
        return self.number

    def cancel(self, msg: Any | None = None) -> bool:
        loop = self._home
        if loop.delivery is None:
            return super().cancel(msg)
        ready = loop.ready
        before = len(ready)
        # It may well cancel another task, for which this one waits.
        loop.cancelling += 1
        accepted = super().cancel(msg)
        loop.cancelling -= 1
        if len(ready) > before:
            loop.hold_back(self.number, [ready.pop() for _ in range(len(ready) - before)])
        if not loop.cancelling:
            loop.let_go_soon()
        return accepted


_NO_CHILDREN = (
    "a child process cannot be awaited in simulated time: run it in a thread, which simulated time "
    "waits for: await anyio.to_thread.run_sync(subprocess.run, [...])"
)


class SimulatedLoop(OpenLoop):
    """The loop of one simulation; outside of one it is an ordinary loop."""

    def __init__(self) -> None:
        super().__init__()
        self.delivery: Delivery | None = None
        """What it asks for work when it has none of its own; None outside of the simulation."""
        self._floor = 0.0
        """The time of the last timer. A bare float and integer time may differ by rounding, and
        asyncio must never find itself before the time of a timer that fired."""
        self.tasks_made = 0
        self.children: dict[asyncio.Task[Any], None] = {}
        """The living tasks that are no fiber, in the order of their making."""
        self._failures: list[tuple[asyncio.Task[Any], str]] = []
        self.cancelling = 0
        """How many calls of `SimulatedTask.cancel` are under way, one inside the other."""
        self._held: list[tuple[int, int, list[asyncio.Handle]]] = []
        self._lets_go = False
        self._jobs = 0
        self._quiet_files = self.open_files()
        self._threads: ThreadPool | None = None
        self._passes = 0

    def simulate(self, delivery: Delivery) -> None:
        """Take time, and work, from ``delivery``; to be called inside the loop's first task."""
        self._threads = ThreadPool()
        self.delivery = delivery

    # -- time --------------------------------------------------------------------------------------

    def time(self) -> float:
        if self.delivery is None:
            return super().time()
        events = self.delivery.events
        return Instant(events.now, events.base, self._floor)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        if self.delivery is None:
            return super().call_at(when, callback, *args, context=context)
        timer = self.timer(when, callback, args, context)
        self.delivery.events.schedule_timer(timer)
        return timer

    def timer_cancelled(self) -> bool:
        if self.delivery is None:
            return False
        self.delivery.events.timer_cancelled()
        return True

    def fire(self, timer: asyncio.TimerHandle) -> None:
        """The time of ``timer`` has come."""
        # Float and integer time may differ by rounding; asyncio must never see a timer early.
        self._floor = max(self._floor, float(timer.when()))
        fire(timer, self.ready)

    # -- tasks -------------------------------------------------------------------------------------

    def create_task(self, coro: Any, **how: Any) -> asyncio.Task[Any]:
        if self.delivery is None:
            return super().create_task(coro, **how)
        task: asyncio.Task[Any]
        if self.get_task_factory() is None:
            self.check_open()
            task = SimulatedTask(coro, loop=self, **how)
        else:
            task = super().create_task(coro, **how)
        if not task.done():
            self.children[task] = None
            self.delivery.events.loose += 1
            task.add_done_callback(self._child_done)
        return task

    def _child_done(self, task: asyncio.Task[Any]) -> None:
        if self.delivery is None:
            return
        events = self.delivery.events
        if task in self.children:
            del self.children[task]
            events.loose -= 1
        if not task.cancelled() and failed_unseen(task):
            # Kept, or asyncio would complain whenever the collector comes by.
            owner = OWNER.get(None)  # a callback runs in the context of who made the task
            name = "the system" if owner is None else owner.name
            place = f"in {name} at {format_ns(events.now)}"
            self._failures = [*self._unseen(), (task, place)]

    def _unseen(self) -> list[tuple[asyncio.Task[Any], str]]:
        return [failed for failed in self._failures if failed_unseen(failed[0])]

    def unseen_failure(self) -> BaseException | None:
        """The error of the first task that failed and that nobody ever awaited."""
        unseen = self._unseen()
        self._failures = []
        if not unseen:
            return None
        # All are asked, or asyncio would log the others.
        error, *_ = [task.exception() for task, _ in unseen]
        if error is not None:
            error.add_note(f"{unseen[0][1]}\n  in a task that it started and nobody awaited")
        return error

    def hold_back(self, number: int, wakeups: list[asyncio.Handle]) -> None:
        """Keep what wakes the cancelled task ``number`` until all of this moment are known."""
        wakeups.reverse()
        self._held.append((number, len(self._held), wakeups))

    def let_go_soon(self) -> None:
        """See to it that what was held back comes, before anything else is delivered."""
        if self._held and not self._lets_go:
            self._lets_go = True
            self.call_soon(self._let_go)

    def _let_go(self) -> None:
        self._lets_go = False
        held, self._held = sorted(self._held, reverse=True), []
        for _, _, wakeups in held:
            self.ready.extendleft(reversed(wakeups))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An error that asyncio would only log, of a callback say, ends the run."""
        error = context.get("exception")
        if self.delivery is None or not isinstance(error, Exception):
            super().call_exception_handler(context)
            return
        error.add_note(f"asyncio: {context.get('message')}")
        self.delivery.course.fail(error)

    def abandon(self) -> None:
        """Forget the tasks that refuse to end, so that closing the loop does not wait for them."""
        super().abandon()
        self.children.clear()

    # -- the world outside -------------------------------------------------------------------------

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self._jobs += 1
        future.add_done_callback(self._job_done)
        return future

    def _job_done(self, _: Any) -> None:
        self._jobs -= 1

    def outside_work(self) -> bool:
        """Whether a thread or an open socket of this loop may still bring something."""
        if self._jobs > 0 or self.open_files() > self._quiet_files:
            return True
        return self._threads is not None and self._threads.is_busy()

    def poll(self, seconds: float = _POLL_S) -> None:
        super().poll(seconds)

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        """Refused while time is simulated: nothing would tell that a child is being waited for."""
        if self.delivery is not None:
            raise ConfigError(_NO_CHILDREN)
        return await super().subprocess_exec(*args, **kwargs)

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> Any:
        """Refused like `subprocess_exec`."""
        if self.delivery is not None:
            raise ConfigError(_NO_CHILDREN)
        return await super().subprocess_shell(*args, **kwargs)

    def begin_pass(self) -> bool:
        """Let the simulation go on, if the loop has no work of its own."""
        delivery = self.delivery
        if delivery is None:
            return False
        self._passes += 1
        try:
            if self._passes % _PASSES == 0:
                delivery.stalls.note(_PASSES)
                if self.ready and self.outside_work():
                    self.poll(0)
            if not self.ready:
                delivery.pump()
        except Exception as error:
            delivery.course.crash(error)
        return True
