"""A simulation in pieces: it stands still where an actor asks for it, and is otherwise the same."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

from backtest.actors import RealClock, System
from backtest.errors import BacktestError, Deadlock, SimulationEnded

from .kernel import SECOND, Echo, Script, Sink, keys_of


def system_of(*lives: Callable[[Any], Awaitable[Any]]) -> System:
    """A system of scripts a, b, … beside an echo."""
    system = System(1)
    for name, life in zip("abcdef", lives, strict=False):
        system.add(Script(name, life))
    system.add(Echo("echo"))
    return system


def log_of(system: System, name: str = "a") -> list[Any]:
    actor = system.actors[name]
    assert isinstance(actor, Script)
    return actor.log


async def asks_thrice(self: Script) -> None:
    for number in range(3):
        await anyio.sleep(1)
        self.note(await self.link("echo").request(number))
        if self.system.drive is not None:
            try:
                self.note(await self.system.drive.pause())
            except asyncio.CancelledError:
                self.note("ended")
                raise


async def ticks(self: Script) -> None:
    for number in range(8):
        await anyio.sleep(0.5)
        self.note(number)


def test_it_stands_still_and_goes_on_with_the_answer() -> None:
    system = system_of(asks_thrice, ticks)
    steps = system.stepwise()
    assert steps.go_on()
    # The other's timer of the same time has fired, for the answer to the request is a message.
    assert (system.now, log_of(system, "b")) == (SECOND, [(SECOND // 2, 0), (SECOND, 1)])
    time.sleep(0.01)
    assert system.now == SECOND
    assert (steps.is_over, steps.is_paused) == (False, True)
    assert steps.go_on("first")
    assert (system.now, len(log_of(system, "b"))) == (2 * SECOND, 4)
    assert steps.go_on("second")
    assert not steps.go_on("third")
    assert (steps.is_over, steps.is_paused) == (True, False)
    assert [what for _, what in log_of(system)] == [0, "first", 1, "second", 2, "third"]
    assert system.now == 4 * SECOND  # the ticker went on to its end
    with pytest.raises(SimulationEnded, match="the run is over"):
        steps.go_on()


def test_a_run_with_pauses_is_the_same_message_by_message() -> None:
    whole, pieces = system_of(asks_thrice, ticks), system_of(asks_thrice, ticks)
    expected, got = keys_of(whole), keys_of(pieces)
    whole.simulate()
    steps = pieces.stepwise()
    while steps.go_on():
        pass
    assert got == expected
    assert len(got) == 6
    assert log_of(pieces, "b") == log_of(whole, "b")


def test_what_an_actor_raises_comes_out_where_the_run_is_driven() -> None:
    async def fails(self: Script) -> None:
        assert self.system.drive is not None
        await self.system.drive.pause()
        raise ValueError("broken")

    steps = system_of(fails).stepwise()
    assert steps.go_on()
    with pytest.raises(ValueError, match="broken") as caught:
        steps.go_on()
    assert any("a" in note for note in caught.value.__notes__)
    assert steps.is_over
    steps.close()  # does no harm


def test_a_deadlock_is_found() -> None:
    async def waits(self: Script) -> None:
        await self.link("b").request("?")

    async def deaf(self: Script) -> None:
        await self.receive()
        await self.link("a").request("!")

    with pytest.raises(Deadlock, match="a waits for b"):
        system_of(waits, deaf).stepwise().go_on()


def test_close_ends_it_in_order() -> None:
    async def patient(self: Script) -> None:
        assert self.system.drive is not None
        try:
            await self.system.drive.pause()
        finally:
            self.note("cleaned up")

    class Closing(Sink):
        def closing(self, stage: int) -> None:
            self.got.append((stage, "closing"))

    system = system_of(patient)
    sink = Closing()
    system.add(sink)
    steps = system.stepwise()
    assert steps.go_on()
    steps.close()
    steps.close()
    assert steps.is_over
    assert log_of(system) == [(0, "cleaned up")]
    assert [stage for stage, _ in sink.got] == [0, 1, 2]


def test_when_it_is_wound_down_nobody_stands_still_any_more() -> None:
    class Late(Script):
        def closing(self, stage: int) -> None:
            if stage == 2:
                self.system.spawn(self, "late", self.asks())

        async def asks(self) -> None:
            assert self.system.drive is not None
            try:
                await self.system.drive.pause()
            finally:
                self.note("cancelled")

    system = system_of(asks_thrice)
    system.add(Late("late", ticks))
    steps = system.stepwise()
    assert steps.go_on()
    steps.close()
    assert log_of(system, "late")[-1] == (SECOND, "cancelled")


def test_close_before_it_began() -> None:
    system = system_of(asks_thrice)
    steps = system.stepwise()
    steps.close()
    assert steps.is_over
    with pytest.raises(SimulationEnded):
        steps.go_on()


def test_forgotten_it_leaves_neither_threads_nor_warnings() -> None:
    before = threading.active_count()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        system = system_of(asks_thrice, ticks)
        steps = system.stepwise()
        assert steps.go_on()
        assert threading.active_count() == before
        del steps
        assert log_of(system) == [(SECOND, 0), (SECOND, "ended")]
        del system
        gc.collect()


def test_only_one_can_ask_for_a_pause() -> None:
    async def asks(self: Script) -> None:
        assert self.system.drive is not None
        await self.system.drive.pause()

    with pytest.raises(BacktestError, match="stands still already"):
        system_of(asks, asks).stepwise().go_on()


def test_it_cannot_be_driven_from_inside() -> None:
    async def meddles(self: Script) -> None:
        assert self.system.drive is not None
        self.system.drive.go_on(None)

    with pytest.raises(BacktestError, match="from inside itself"):
        system_of(meddles).stepwise().go_on()


def test_real_time_does_not_stand_still() -> None:
    with pytest.raises(BacktestError, match="real clock"):
        System(1, RealClock()).stepwise()


def test_a_thread_freezes_time_between_two_pauses() -> None:
    async def computes(self: Script) -> None:
        assert self.system.drive is not None
        await self.system.drive.pause()
        await anyio.to_thread.run_sync(time.sleep, 0.03)
        self.note("done")
        await self.system.drive.pause()

    system = system_of(computes)
    steps = system.stepwise()
    assert steps.go_on()
    assert steps.go_on()
    assert log_of(system) == [(0, "done")]
    assert not steps.go_on()


def test_inside_a_running_loop_it_steps_that_aside() -> None:
    async def notebook() -> list[Any]:
        system = system_of(asks_thrice)
        steps = system.stepwise()
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        while steps.go_on():
            assert asyncio.get_running_loop() is loop
            assert asyncio.current_task() is task
            await asyncio.sleep(0)
        return log_of(system)

    assert len(asyncio.run(notebook())) == 6


def test_one_simulation_may_drive_another() -> None:
    async def dreams(self: Script) -> None:
        await anyio.sleep(5)
        inner = system_of(asks_thrice)
        steps = inner.stepwise()
        while steps.go_on():
            pass
        await anyio.sleep(5)
        self.note(inner.now)

    system = system_of(dreams)
    system.simulate()
    assert log_of(system) == [(10 * SECOND, 3 * SECOND)]


def test_ctrl_c_cancels_the_actors_in_order() -> None:
    async def interrupted(self: Script) -> None:
        assert self.system.drive is not None
        await self.system.drive.pause()
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await anyio.sleep(1)
        finally:
            self.note("cleaned up")

    system = system_of(interrupted, ticks)
    steps = system.stepwise()
    assert steps.go_on()
    with pytest.raises(KeyboardInterrupt):
        steps.go_on()
    assert steps.is_over
    assert [what for _, what in log_of(system)] == ["cleaned up"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_breaks_it_off() -> None:
    async def impatient(self: Script) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        self.note("never")

    system = system_of(impatient, ticks)
    steps = system.stepwise()
    with pytest.raises(KeyboardInterrupt):
        steps.go_on()
    assert steps.is_over
    assert log_of(system) == log_of(system, "b") == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_of_another_handler_breaks_it_off() -> None:
    async def interrupted(self: Script) -> None:
        try:
            await anyio.sleep(1)
            raise KeyboardInterrupt
        finally:
            self.note("cleaned up")

    system = system_of(interrupted, ticks)
    steps = system.stepwise()
    with pytest.raises(KeyboardInterrupt):
        steps.go_on()
    assert steps.is_over
    assert log_of(system) == [(SECOND, "cleaned up")]
