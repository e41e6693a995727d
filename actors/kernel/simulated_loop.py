"""An asyncio event loop whose time is simulated.

Only a few things differ from the ordinary loop: `time` tells simulated seconds, timers go into the
kernel's own heap (integers, no ties by float), and where the ordinary loop would sleep in `select`
this one lets the kernel deliver the next message or fire the next timer. anyio's and asyncio's
sleeps, timeouts, events, locks and task groups need no change: they are built on just these.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from anyio._backends import _asyncio as backend

from backtest.errors import ConfigError
from backtest.times import format_ns

from .clock import Instant
from .fiber import OWNER

if TYPE_CHECKING:
    from .system import System

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
        if loop.system is None:
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


class SimulatedLoop(asyncio.SelectorEventLoop):
    """The loop of one simulation; `System` installs itself as its source of events."""

    def __init__(self) -> None:
        super().__init__()
        self.system: System | None = None
        self.base = 0
        """Nanoseconds at which asyncio's seconds begin: the midnight before the run, so that a
        float holds them well."""
        self.floor = 0.0
        """The time of the last timer. A bare float and integer time may differ by rounding, and
        asyncio must never find itself before the time of a timer that fired."""
        self.tasks_made = 0
        self.children: dict[asyncio.Task[Any], None] = {}
        """The living tasks that are no fiber, in the order of their making."""
        self._failures: list[tuple[asyncio.Task[Any], str]] = []
        self.ready: deque[asyncio.Handle] = self._ready  # type: ignore[attr-defined]
        self.cancelling = 0
        """How many calls of `SimulatedTask.cancel` are under way, one inside the other."""
        self._held: list[tuple[int, int, list[asyncio.Handle]]] = []
        self._lets_go = False
        self._jobs = 0
        self._quiet_fds = len(self._selector.get_map())  # type: ignore[attr-defined]
        self._threads: tuple[Any, Any] | None = None
        self._passes = 0

    # -- time --------------------------------------------------------------------------------------

    def time(self) -> float:
        if self.system is None:
            return super().time()
        return Instant(self.system.now, self.base, self.floor)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        if self.system is None:
            # Before and after the simulation this is an ordinary loop.
            return super().call_at(when, callback, *args, context=context)
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        timer._scheduled = True  # type: ignore[attr-defined]
        self.system.schedule_timer(timer)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if self.system is None:
            super()._timer_handle_cancelled(handle)  # type: ignore[misc]
        elif handle._scheduled:  # type: ignore[attr-defined]
            self.system.timer_cancelled()

    # -- tasks -------------------------------------------------------------------------------------

    def create_task(self, coro: Any, **how: Any) -> asyncio.Task[Any]:
        if self.system is None:
            return super().create_task(coro, **how)
        task: asyncio.Task[Any]
        if self.get_task_factory() is None:
            self._check_closed()  # type: ignore[attr-defined]
            task = SimulatedTask(coro, loop=self, **how)
        else:
            task = super().create_task(coro, **how)
        if not task.done():
            self.children[task] = None
            self.system.loose += 1
            task.add_done_callback(self._child_done)
        return task

    def _child_done(self, task: asyncio.Task[Any]) -> None:
        if task in self.children:
            del self.children[task]
            if self.system is not None:
                self.system.loose -= 1
        if not task.cancelled() and task._log_traceback:
            # Kept, or asyncio would complain whenever the collector comes by.
            owner = OWNER.get(None)  # a callback runs in the context of who made the task
            name = "the system" if owner is None else owner.name
            now = self.base if self.system is None else self.system.now
            place = f"in {name} at {format_ns(now)}"
            self._failures = [*self._unseen(), (task, place)]

    def _unseen(self) -> list[tuple[asyncio.Task[Any], str]]:
        return [failed for failed in self._failures if failed[0]._log_traceback]

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
        if self.system is None or not isinstance(error, Exception):
            super().call_exception_handler(context)
            return
        error.add_note(f"asyncio: {context.get('message')}")
        self.system.fail(error)

    def abandon(self) -> None:
        """Forget the tasks that refuse to end, so that closing the loop does not wait for them."""
        for task in asyncio.all_tasks(self):
            asyncio.tasks._unregister_task(task)
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        for generator in list(self._asyncgens):  # type: ignore[attr-defined]
            if generator.ag_running:  # held by such a task: it cannot be closed
                self._asyncgens.discard(generator)  # type: ignore[attr-defined]
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

    def watch_threads(self) -> None:
        """Have anyio's pool of threads in sight; to be called inside the loop's first task.

        The pool, not the default limiter: a thread may be run under a limiter of the caller's own.
        """
        pool: tuple[Any, Any] = (set(), deque())
        try:
            backend._threadpool_workers.set(pool[0])
            backend._threadpool_idle_workers.set(pool[1])
        except AttributeError:  # pragma: no cover - an anyio whose pool looks different
            limiter = anyio.to_thread.current_default_thread_limiter()
            self._threads = (limiter, None)
        else:
            self._threads = pool

    def outside_work(self) -> bool:
        """Whether a thread or an open socket of this loop may still bring something."""
        if self._jobs > 0 or len(self._selector.get_map()) > self._quiet_fds:  # type: ignore[attr-defined]
            return True
        if self._threads is None:
            return False
        workers, idle = self._threads
        if idle is None:  # pragma: no cover - see watch_threads
            return bool(workers.borrowed_tokens)
        return len(workers) > len(idle)

    def poll(self, seconds: float = _POLL_S) -> None:
        """Look, in real time, at what comes from threads and sockets."""
        self._process_events(self._selector.select(seconds))  # type: ignore[attr-defined]

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        """Refused while time is simulated: nothing would tell that a child is being waited for."""
        if self.system is not None:
            raise ConfigError(_NO_CHILDREN)
        return await super().subprocess_exec(*args, **kwargs)

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> Any:
        """Refused like `subprocess_exec`."""
        if self.system is not None:
            raise ConfigError(_NO_CHILDREN)
        return await super().subprocess_shell(*args, **kwargs)

    def _run_once(self) -> None:
        system = self.system
        if system is None:
            super()._run_once()  # type: ignore[misc]
            return
        ready = self.ready
        self._passes += 1
        try:
            if self._passes % _PASSES == 0:
                system.note_steps(_PASSES)
                if ready and self.outside_work():
                    self.poll(0)
            if not ready:
                system.pump()
        except Exception as error:
            system.crash(error)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()
