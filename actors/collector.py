"""Python's garbage collector during a run."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

__all__ = ["calm_collector"]

_COLLECT = (25_000, 20, 100)
"""The collector's thresholds during a simulation (Python's own are 700, 10, 10)."""

_lock = threading.Lock()
_users = 0
_thresholds: tuple[int, int, int] = gc.get_threshold()


@contextlib.contextmanager
def calm_collector() -> Iterator[None]:
    """Let the collector look less often: a run makes millions of small objects that live on.

    It would look through all of them (orders, entries) again and again. Cycles of young objects
    are still found. The settings are the process's, so the last of several runs puts them back.
    """
    global _users, _thresholds
    with _lock:
        _users += 1
        if _users == 1:
            _thresholds = gc.get_threshold()
            gc.freeze()
            gc.set_threshold(*_COLLECT)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                gc.set_threshold(*_thresholds)
                gc.unfreeze()
