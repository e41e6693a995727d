"""Python's garbage collector during a run."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["calm_collector", "never_end"]

_COLLECT: Final = (25_000, 20, 100)
"""The collector's thresholds during a simulation (Python's own are 700, 10, 10)."""
_FEW: Final = _COLLECT[0] // 10
"""So much garbage in a batch of young objects is let be: memory grows by a tenth more at most."""
_SPARED: Final = 15
"""How many batches go unseen after one with no more garbage than that."""
_LEFT_BEHIND: Final = 100_000
"""So many objects that ended runs left are let be, before the next run begins by collecting."""

_lock = threading.Lock()
_users = 0
_left_behind = 0
_before = 0
_thresholds: tuple[int, int, int] = gc.get_threshold()


def never_end(coroutine: Any) -> None:
    """Keep ``coroutine`` as it is, suspended, for as long as the process lives.

    Whoever throws one away closes it: Python raises `GeneratorExit` where it waits. One that
    catches whatever is raised, and waits again where no loop runs any more, meets the next error
    there, and the next: the collector, or the end of the process, would never return.
    """
    # By a reference that nobody holds: what is in a variable goes when the interpreter ends.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))


def _batches() -> int:
    """How many batches of young objects were full so far."""
    return sum(generation["collections"] for generation in gc.get_stats())


class _Sampler:
    """Decides which batches of young objects the collector looks through.

    A run makes millions of small objects that live on (orders, entries, events), and few cycles of
    garbage. To look through all of them took a third of the time of a market of a thousand agents.
    So the collector samples: what it finds nearly clean is put where it does not look again, and
    so are the next batches. While samples hold garbage it looks at all that is new. Whoever calls
    ``gc.collect()`` has everything looked through.
    """

    __slots__ = ("_left", "_unseen")

    _left: int
    """Batches still to be spared."""
    _unseen: bool
    """Whether the collection under way has nothing to look at."""

    def begin(self) -> None:
        """A run begins: what was found in another says nothing about it."""
        self._left = 0
        self._unseen = False

    def __call__(self, phase: str, info: Mapping[str, int]) -> None:
        if info["generation"] > 1:
            if phase == "start":
                gc.unfreeze()
            else:
                gc.freeze()
                self._left = 0
        elif phase == "start":
            self._unseen = self._left > 0
            if self._unseen:
                self._left -= 1
                gc.freeze()  # all that the collection would now look through
        elif self._unseen:
            self._unseen = False
        elif info["collected"] <= _FEW:
            gc.freeze()
            self._left = _SPARED


@contextlib.contextmanager
def calm_collector() -> Iterator[None]:
    """Let the collector look less often: a run makes millions of small objects that live on.

    It would look through all of them (orders, entries) again and again. Cycles of young objects
    are still found, by samples; what ended runs left behind goes when it has become much, as the
    next one begins. The settings are the process's, so the last of several runs puts
    them back.
    """
    global _users, _thresholds, _left_behind, _before
    with _lock:
        _users += 1
        if _users == 1:
            if _left_behind > _LEFT_BEHIND:
                gc.collect()
                _left_behind = 0
            _thresholds = gc.get_threshold()
            gc.freeze()
            _before = _batches()
            gc.set_threshold(*_COLLECT)
            _sampler.begin()
            gc.callbacks.append(_sampler)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                # Python looks through everything again when it has seen enough young objects grow
                # old. These it has not seen: without a count of ours the garbage of a thousand
                # short runs in one process would stay for ever. Counted before the thresholds are
                # back, which has the youngest looked through, and grown old, at once.
                # Not by `gc.get_freeze_count`, which walks through every object of the process.
                _left_behind += gc.get_count()[0] + (_batches() - _before) * _COLLECT[0]
                gc.callbacks.remove(_sampler)
                gc.set_threshold(*_thresholds)
                gc.unfreeze()


_sampler = _Sampler()
