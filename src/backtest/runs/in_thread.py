"""A simulation beside a running event loop: in a thread, until it ends or is cancelled."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import anyio
import anyio.to_thread

from backtest.actors import System

__all__ = ["run_in_thread"]


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
