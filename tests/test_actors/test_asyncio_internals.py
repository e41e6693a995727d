"""What asyncio and anyio do not document and the kernel uses all the same: it is still so.

A failure here says that one of the two has changed; `actors/kernel/asyncio_internals.py` is then
the only module to mend. Nothing else of ours may import or touch what begins with an underscore
there.
"""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.tasks import all_tasks
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

import backtest
from backtest.actors.kernel import asyncio_internals as internals

TRIED = "Python 3.11 to 3.13, anyio 4.4 to 4.16"
CHANGED = (
    f"is not so with Python {sys.version.split()[0]} and anyio {version('anyio')} "
    f"(tried: {TRIED}): "
    "mend actors/kernel/asyncio_internals.py"
)


class Loop(internals.OpenLoop):
    """Makes its own passes, and keeps the timers that were cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = self.cancelled = 0
        self.mine = False

    def begin_pass(self) -> bool:
        self.passes += 1
        return self.mine

    def timer_cancelled(self) -> bool:
        self.cancelled += 1
        return self.mine


def on(loop: internals.OpenLoop, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())


def test_a_task_can_be_entered_and_left() -> None:
    async def main() -> None:
        loop, me = asyncio.get_running_loop(), asyncio.current_task()
        assert me is not None
        other = asyncio.create_task(asyncio.sleep(0))
        internals.leave_task(loop, me)
        internals.enter_task(loop, other)
        seen = asyncio.current_task()
        internals.leave_task(loop, other)
        internals.enter_task(loop, me)
        assert seen is other, f"that _enter_task makes a task the current one {CHANGED}"
        assert asyncio.current_task() is me
        await other

    asyncio.run(main())


def test_the_running_loop_can_be_hidden() -> None:
    async def main() -> None:
        outer = internals.running_loop()
        internals.set_running_loop(None)
        try:
            hidden = internals.running_loop()
        finally:
            internals.set_running_loop(outer)
        assert hidden is None, f"that _set_running_loop hides it {CHANGED}"
        assert asyncio.get_running_loop() is outer

    assert internals.running_loop() is None
    asyncio.run(main())


def test_a_task_waits_for_the_future_that_its_coroutine_yields() -> None:
    class Yields:
        def __init__(self, future: asyncio.Future[None]) -> None:
            self.future = future

        def __await__(self) -> Any:
            yield internals.awaited(self.future)

    async def main() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def waits() -> None:
            await Yields(future)

        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done(), f"that a yielded future is waited for {CHANGED}"
        future.set_result(None)
        await task

    asyncio.run(main())


def test_a_failure_is_unseen_until_somebody_asks() -> None:
    async def fails() -> None:
        raise ValueError("on purpose")

    async def main() -> None:
        task = asyncio.create_task(fails())
        await asyncio.wait([task])
        assert internals.failed_unseen(task), f"that a task knows its error unseen {CHANGED}"
        assert isinstance(task.exception(), ValueError)
        assert not internals.failed_unseen(task), f"that asking for an error is noted {CHANGED}"

    asyncio.run(main())


def test_a_task_is_forgotten() -> None:
    complaints: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        task = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        internals.abandon(task)
        assert task not in all_tasks(), f"that a task can be unregistered {CHANGED}"
        del task

    asyncio.run(main())
    assert not complaints, f"that no complaint comes of a forgotten task {CHANGED}"


def test_what_a_loop_calls_next_is_seen() -> None:
    loop = Loop()

    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(0), name="next")
        found = [one.get_name() for one in internals.tasks_of(loop.ready)]
        assert found == ["next"], f"that a handle knows the task that it steps {CHANGED}"
        await task

    on(loop, main)


@pytest.mark.parametrize("mine", [True, False])
def test_a_loop_makes_its_passes_itself(mine: bool) -> None:
    loop = Loop()
    called: list[str] = []

    async def main() -> None:
        loop.mine = mine
        before = loop.passes
        loop.call_soon(called.append, "called")
        loop.call_soon(called.append, "cancelled").cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop.mine = False
        assert loop.passes == before + 2, f"that each pass is a _run_once {CHANGED}"

    on(loop, main)
    assert called == ["called"], f"that handles are run, or skipped when cancelled, {CHANGED}"


def test_timers_are_kept_elsewhere() -> None:
    loop = Loop()
    called: list[str] = []

    async def main() -> None:
        loop.mine = True
        one, other, third = (
            loop.timer(loop.time(), called.append, (name,), None) for name in "abc"
        )
        internals.fire(one, loop.ready)
        await asyncio.sleep(0)
        assert called == ["a"], f"that a timer can be called like any handle {CHANGED}"
        other.cancel()
        assert loop.cancelled == 1, f"that a cancelled timer tells its loop {CHANGED}"
        internals.unarm(third)
        third.cancel()
        assert loop.cancelled == 1, f"that one in no heap does not {CHANGED}"
        loop.mine = False

    on(loop, main)


def test_sockets_and_threads_are_in_sight() -> None:
    loop = Loop()

    async def main() -> None:
        threads = internals.ThreadPool()
        quiet = loop.open_files()
        read, write = await anyio.to_thread.run_sync(lambda: __import__("socket").socketpair())
        assert not threads.is_busy(), f"that anyio's idle threads are seen {CHANGED}"
        busy = await anyio.to_thread.run_sync(threads.is_busy)
        assert busy, f"that anyio's threads at work are seen {CHANGED}"
        loop.add_reader(read, lambda: None)
        assert loop.open_files() == quiet + 1, f"that a loop's sockets are seen {CHANGED}"
        heard: list[str] = []
        loop.remove_reader(read)
        loop.add_reader(read, heard.append, "heard")
        write.send(b"x")
        loop.poll(1)
        loop.remove_reader(read)
        loop.check_open()
        read.close()
        write.close()

    on(loop, main)
    with pytest.raises(RuntimeError):
        loop.check_open()


def test_nothing_of_it_stands_anywhere_else() -> None:
    """By text: neither an import of what is private there, nor anyio's backend."""
    private = re.compile(
        r"from asyncio[\w.]* import .*\b_\w+|from anyio\._|import anyio\._|\basyncio\.(\w+\.)*_\w+"
    )
    found = [
        f"{path.name}: {line.strip()}"
        for root in backtest.__path__
        for path in sorted(Path(root).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if path.name != "asyncio_internals.py" and private.search(line)
    ]
    assert not found
