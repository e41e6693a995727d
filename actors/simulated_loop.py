"""An asyncio event loop whose time is simulated.

Only three things differ from the ordinary loop: `time` tells simulated seconds, timers go into the
kernel's own heap (integers, no ties by float), and where the ordinary loop would sleep in `select`
this one lets the kernel deliver the next message or fire the next timer. anyio's and asyncio's
sleeps, timeouts, events, locks and task groups need no change: they are built on just these.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .system import System

__all__ = ["SimulatedLoop"]

_POLL_S = 0.02
"""How long, in real seconds, one look at threads and sockets may wait."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """The loop of one simulation; `System` installs itself as its source of events."""

    def __init__(self) -> None:
        super().__init__()
        self.system: System | None = None
        self.base = 0
        """Nanoseconds at which asyncio's seconds begin: the midnight before the run, so that a
        float holds them to the nanosecond."""
        self.floor = 0.0
        """The time of the last timer. Float and integer time may differ by rounding, and asyncio
        must never find itself before the time of a timer that fired."""
        self._jobs = 0
        self._quiet_fds = len(self._selector.get_map())  # type: ignore[attr-defined]

    def time(self) -> float:
        if self.system is None:
            return super().time()
        return max(self.floor, (self.system.now - self.base) / 1e9)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        if self.system is None:
            # Before and after the simulation this is an ordinary loop.
            return super().call_at(when, callback, *args, context=context)
        timer = asyncio.TimerHandle(when, callback, args, self, context)  # type: ignore[arg-type]
        timer._scheduled = True  # type: ignore[attr-defined]
        self.system.schedule_timer(timer)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if self.system is None:
            super()._timer_handle_cancelled(handle)  # type: ignore[misc]
        else:
            self.system.timer_cancelled()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self._jobs += 1
        future.add_done_callback(self._job_done)
        return future

    def _job_done(self, _: Any) -> None:
        self._jobs -= 1

    def outside_work(self) -> bool:
        """Whether a thread or an open socket of this loop may still bring something."""
        return self._jobs > 0 or len(self._selector.get_map()) > self._quiet_fds  # type: ignore[attr-defined]

    def poll(self, seconds: float = _POLL_S) -> None:
        """Look, in real time, at what comes from threads and sockets."""
        self._process_events(self._selector.select(seconds))  # type: ignore[attr-defined]

    def _run_once(self) -> None:
        if self.system is None:
            super()._run_once()  # type: ignore[misc]
            return
        ready = self._ready  # type: ignore[attr-defined]
        if not ready:
            self.system.pump()
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()
