"""A simulation that is run piece by piece: it stands still whenever one of its actors asks for it.

The loop of a simulation runs in the caller's thread until somebody in it awaits `pause`, and then
gives the control back; `go_on` takes it up again where it stood. Nothing is delivered in between,
so a run with pauses is the same run, message by message, as one without. The other way, a thread
for the simulation whose actor awaits a real answer, costs five times as much a step (two changes of
threads, and a look at the outside) and leaves a thread behind when it is forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import decimal
import signal
import threading
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backtest.errors import BacktestError, SimulationEnded

from .asyncio_internals import enter_task, leave_task, running_loop, set_running_loop
from .fiber import ARITHMETIC
from .signal import Signal
from .simulated_loop import SimulatedLoop

if TYPE_CHECKING:
    from .delivery import Delivery

__all__ = ["Drive", "Stepwise"]


class Stepwise:
    """Drives a system from pause to pause. Made by `System.stepwise`; it runs once, like a run.

    Close it, or forget it: with the last reference to it the run is closed, too.

    ::

        steps = system.stepwise()
        answer = None
        while steps.go_on(answer):  # to the next pause; False at the end of the run
            answer = "..."          # here simulated time stands still
    """

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        # Nothing in the system knows this object, so that it can be forgotten while all in there
        # still hold on to each other; and they are kept until they have been wound down.
        self._forgotten = weakref.finalize(self, drive.close)

    @property
    def is_paused(self) -> bool:
        """Whether somebody in there waits for the answer that `go_on` gives."""
        return self._drive.is_paused

    @property
    def is_over(self) -> bool:
        """Whether the run has ended, by itself or by `close`."""
        return self._drive.is_over

    def go_on(self, answer: Any = None) -> bool:
        """Run to the next pause, giving ``answer`` to who asked for the last one.

        False when the run has come to its end. Raises what `System.simulate` would raise; the run
        is over then, too.
        """
        return self._drive.go_on(answer)

    def close(self) -> None:
        """End the run here and now, as at the end of its data; it may be over already."""
        self._drive.close()


class Drive:
    """What `Stepwise` does; the system's actors reach it as `System.drive`."""

    def __init__(self, delivery: Delivery) -> None:
        if not delivery.events.simulated:
            raise BacktestError("a system with a real clock cannot stand still: await system.run()")
        self._delivery = delivery
        self._course = delivery.course
        self._loop: SimulatedLoop | None = None
        self._runner: asyncio.Runner | None = None
        self._main: asyncio.Task[Any] | None = None
        self._pause: Signal | None = None
        self._interrupts = 0
        self._is_closing = False
        self.is_over = False

    # -- from the inside ---------------------------------------------------------------------------

    async def pause(self) -> Any:
        """Let all stand still until `go_on`, and get what that was given. One at a time."""
        if self._is_closing:
            # Nobody will go on any more: wait to be wound down with everybody else.
            return await Signal(self._delivery).wait()
        if self._pause is not None:
            raise BacktestError("the simulation stands still already: only one can ask for it")
        loop = self._loop
        assert loop is not None, "a pause is asked for while the simulation runs"
        self._pause = Signal(self._delivery)
        # A handle, not a call: what is ready makes the kernel return to the loop at once.
        loop.call_soon(loop.stop)
        return await self._pause.wait()

    # -- from the outside --------------------------------------------------------------------------

    @property
    def is_paused(self) -> bool:
        return self._pause is not None and not self.is_over

    def go_on(self, answer: Any) -> bool:
        """`Stepwise.go_on`."""
        if self.is_over:
            raise SimulationEnded("the run is over: nothing is left to go on with")
        self._check_outside()
        with _no_loop_running():
            if self._main is None:
                self._begin()
            elif self._pause is not None:
                pause, self._pause = self._pause, None
                pause.resolve(answer)
            return self._run()

    def close(self) -> None:
        """`Stepwise.close`."""
        if self.is_over:
            return
        self._check_outside()
        self._is_closing = True
        if self._main is None:
            self.is_over = True  # nothing has begun
            return
        self._course.stop()
        with _no_loop_running():
            self._run()

    def _check_outside(self) -> None:
        if self._loop is not None and self._loop.is_running():
            raise BacktestError("a simulation that is going on cannot be driven from inside itself")

    # -- the loop ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._loop = loop = SimulatedLoop()
        self._runner = asyncio.Runner(loop_factory=lambda: loop)
        self._runner.get_loop()
        self._main = loop.create_task(self._course.on_loop(loop, self._delivery))
        self._main.add_done_callback(lambda _: loop.stop())

    def _run(self) -> bool:
        main, loop = self._main, self._loop
        assert main is not None
        assert loop is not None
        self._interrupts = 0
        try:
            with self._interruptible(), decimal.localcontext(ARITHMETIC):
                while not main.done():
                    loop.run_forever()
                    if self._pause is not None and not self._is_ending():
                        return True
        except BaseException:
            # The loop itself was left: by an interrupt that nobody caught, or a broken kernel.
            self._end()
            raise
        self._end()
        if main.cancelled() and self._interrupts:
            raise KeyboardInterrupt
        main.result()
        return False

    def _is_ending(self) -> bool:
        return bool(self._is_closing or self._interrupts or self._course.has_failed)

    def _end(self) -> None:
        self.is_over = True
        loop, runner = self._loop, self._runner
        assert loop is not None
        assert runner is not None
        try:
            self._course.clean_up(loop)
        finally:
            try:
                runner.close()
            finally:
                loop.close()

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let Ctrl-C cancel the run in order, as `asyncio.run` does; a second one breaks it off."""
        if not (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            yield
            return
        signal.signal(signal.SIGINT, self._interrupted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _interrupted(self, *_: Any) -> None:
        self._interrupts += 1
        main, loop = self._main, self._loop
        assert main is not None
        assert loop is not None
        if self._interrupts > 1 or main.done():
            raise KeyboardInterrupt
        main.cancel()
        loop.call_soon_threadsafe(lambda: None)  # it may be waiting for a thread or a socket


@contextlib.contextmanager
def _no_loop_running() -> Iterator[None]:
    """Step aside with the loop that runs in this thread (a notebook's, say), if there is one.

    To it a step is like any other function that computes for a while: it is not re-entered.
    """
    outer = running_loop()
    if outer is None:
        yield
        return
    task = asyncio.current_task(outer)
    if task is not None:
        leave_task(outer, task)
    set_running_loop(None)
    try:
        yield
    finally:
        set_running_loop(outer)
        if task is not None:
            enter_task(outer, task)
