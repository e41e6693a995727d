"""All that the kernel uses of asyncio and anyio and that they do not document.

Nothing of it stands anywhere else. Tried with CPython 3.11 to 3.13 and anyio 4.4 to 4.16; what each
of it must do is in `tests/test_actors/test_asyncio_internals.py`, which says so when it changes.
"""

from __future__ import annotations

import asyncio
from asyncio.events import _get_running_loop as running_loop
from asyncio.events import _set_running_loop as set_running_loop
from asyncio.tasks import _enter_task as enter_task
from asyncio.tasks import _leave_task as leave_task
from asyncio.tasks import _unregister_task
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import anyio.to_thread
from anyio._backends import _asyncio as backend

__all__ = [
    "OpenLoop",
    "ThreadPool",
    "abandon",
    "awaited",
    "enter_task",
    "failed_unseen",
    "fire",
    "leave_task",
    "running_loop",
    "set_running_loop",
    "tasks_of",
    "unarm",
]


def awaited(future: asyncio.Future[None]) -> asyncio.Future[None]:
    """What a coroutine yields to its task so that the task waits for ``future``."""
    future._asyncio_future_blocking = True
    return future


def failed_unseen(task: asyncio.Task[Any]) -> bool:
    """Whether ``task`` has failed and nobody has asked for its error."""
    return bool(task._log_traceback)


def abandon(task: asyncio.Task[Any]) -> None:
    """Let asyncio forget ``task``, which will never end, and say nothing about it."""
    _unregister_task(task)
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def tasks_of(handles: Iterable[asyncio.Handle]) -> Iterator[asyncio.Task[Any]]:
    """The tasks that ``handles`` would step."""
    for handle in handles:
        task = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
        if isinstance(task, asyncio.Task):
            yield task


def unarm(timer: asyncio.TimerHandle) -> None:
    """Note that ``timer`` is in no heap: cancelling it concerns nobody."""
    timer._scheduled = False  # type: ignore[attr-defined]


def fire(timer: asyncio.TimerHandle, ready: deque[asyncio.Handle]) -> None:
    """Let the loop call in its next pass what ``timer`` was set for."""
    unarm(timer)
    ready.append(timer)


class ThreadPool:
    """anyio's threads of the loop that runs now: whether one is at work.

    The pool, not the default limiter: a thread may be run under a limiter of the caller's own.
    """

    def __init__(self) -> None:
        self._workers: set[Any] = set()
        self._idle: deque[Any] = deque()
        self._limiter: anyio.CapacityLimiter | None = None
        try:
            backend._threadpool_workers.set(self._workers)
            backend._threadpool_idle_workers.set(self._idle)
        except AttributeError:  # pragma: no cover - an anyio whose pool looks different
            self._limiter = anyio.to_thread.current_default_thread_limiter()

    def is_busy(self) -> bool:
        if self._limiter is not None:  # pragma: no cover - see above
            return self._limiter.borrowed_tokens > 0
        return len(self._workers) > len(self._idle)


class OpenLoop(asyncio.SelectorEventLoop):
    """An ordinary loop that lets whoever inherits from it see and turn its wheels."""

    def __init__(self) -> None:
        super().__init__()
        self.ready: deque[asyncio.Handle] = self._ready  # type: ignore[attr-defined]
        """What it calls in its next pass."""

    def open_files(self) -> int:
        """How many sockets and pipes it watches, its own included."""
        return len(self._selector.get_map())  # type: ignore[attr-defined]

    def poll(self, seconds: float) -> None:
        """Look, in real time, at what comes from threads and sockets."""
        self._process_events(self._selector.select(seconds))  # type: ignore[attr-defined]

    def check_open(self) -> None:
        """Raises `RuntimeError` when it is closed."""
        self._check_closed()  # type: ignore[attr-defined]

    def timer(self, when: float, callback: Any, args: Any, context: Any) -> asyncio.TimerHandle:
        """A timer that is in the heap of whoever asks for it."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def abandon(self) -> None:
        """Forget the tasks that refuse to end, so that closing the loop does not wait for them."""
        for task in asyncio.all_tasks(self):
            abandon(task)
        for generator in list(self._asyncgens):  # type: ignore[attr-defined]
            if generator.ag_running:  # held by such a task: it cannot be closed
                self._asyncgens.discard(generator)  # type: ignore[attr-defined]

    # -- to override -------------------------------------------------------------------------------

    def begin_pass(self) -> bool:
        """Called before each pass; whether what is ready is all that there is to wait for."""
        return False

    def timer_cancelled(self) -> bool:
        """Called for each `timer` that is cancelled; whether that is all there is to do."""
        return False

    def _run_once(self) -> None:
        if not self.begin_pass():
            super()._run_once()  # type: ignore[misc]
            return
        ready = self.ready
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if not handle._scheduled or not self.timer_cancelled():  # type: ignore[attr-defined]
            super()._timer_handle_cancelled(handle)  # type: ignore[misc]
