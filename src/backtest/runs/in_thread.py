"""A simulation beside a running event loop: refused, or in a thread until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event

import anyio
import anyio.to_thread

from backtest.actors import System
from backtest.errors import ConfigError

__all__ = ["refuse_running_loop", "run_in_thread"]


async def run_in_thread(system: System, simulate: Callable[[], None]) -> None:
    """Let ``simulate`` run ``system`` in a thread of its own, and wait for it.

    Cancelled, it cancels the simulation and waits until its actors have ended, as far as the next
    event: a strategy that computes without ever awaiting is waited for.
    """
    begun, ended = Event(), Event()

    def work() -> None:
        begun.set()
        try:
            simulate()
        finally:
            ended.set()

    try:
        await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
    finally:
        if not ended.is_set():
            system.cancel()
            if begun.is_set():
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(ended.wait)


def refuse_running_loop(instead: str) -> None:
    """Raise `ConfigError` where an event loop is running; ``instead`` is what to do there."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise ConfigError(f"an event loop is running here: use {instead} instead")
