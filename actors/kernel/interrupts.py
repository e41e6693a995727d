"""Ctrl-C in a simulation: it ends at once, and says where it was."""

from __future__ import annotations

import linecache
import os
import signal
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from backtest.source_code import is_ours
from backtest.times import format_ns

if TYPE_CHECKING:
    from .event_queue import EventQueue

__all__ = ["INTERRUPTED", "at_once", "interruptible", "on_interrupt", "place_of", "place_of_line"]

Handler = Callable[[int, FrameType | None], NoReturn]

INTERRUPTED = 130
"""The exit code after Ctrl-C."""
_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


def at_once(number: int, frame: FrameType | None) -> NoReturn:
    """A handler of SIGINT that waits for nobody.

    asyncio's own waits for the loop's next turn, which a strategy that computes for ever, or a
    simulation that never needs the loop, may not grant.
    """
    raise KeyboardInterrupt


@contextmanager
def on_interrupt(handler: Handler) -> Iterator[None]:
    """Let ``handler`` deal with Ctrl-C meanwhile. In another thread than the main one, which no
    Ctrl-C reaches, nothing is done."""
    try:
        before = signal.signal(signal.SIGINT, handler)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interruptible(events: EventQueue) -> Iterator[None]:
    """Let Ctrl-C end the simulation at once; the message of the `KeyboardInterrupt` says which
    actor was at work, at which line, and at what simulated time. Code that catches whatever is
    raised catches that, too: on the command line a second Ctrl-C ends the process. A handler of
    SIGINT of the user's own is left alone, and so is everything in another thread than the main
    one."""
    before = signal.getsignal(signal.SIGINT)
    asked = False

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        nonlocal asked
        who = "the simulation" if events.current is None else events.current.name
        where = place_of(frame)
        told = "" if where is None else f": {where}"
        told = f"{who} was at work at {format_ns(events.now)}{told}"
        if asked and before is at_once:
            _leave(told)
        asked = True
        raise KeyboardInterrupt(told)

    if before not in (signal.default_int_handler, at_once):
        yield
        return
    with on_interrupt(interrupt):
        yield


def _leave(told: str) -> NoReturn:
    """End the process where it is."""
    end = "error: interrupted twice: nothing was written\n  "
    os.write(2, f"\n{end}{told}\n".encode(errors="backslashreplace"))
    os._exit(INTERRUPTED)


def place_of(frame: FrameType | None) -> str | None:
    """The innermost line under ``frame`` that is neither ours nor a library's; None without one."""
    while frame is not None:
        place = place_of_line(frame)
        if place is not None:
            return place
        frame = frame.f_back
    return None


def place_of_line(frame: FrameType) -> str | None:
    """The line at which ``frame`` itself is, unless it is ours or a library's."""
    file = frame.f_code.co_filename
    if file.startswith((*_LIBRARIES, "<frozen")) or is_ours(frame.f_globals.get("__name__", "")):
        return None
    code = linecache.getline(file, frame.f_lineno).strip()
    line = f"{Path(file).name} line {frame.f_lineno}, in {frame.f_code.co_name}"
    return f"{line}: {code}" if code else line
