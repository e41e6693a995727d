"""What to say of an exception: what went wrong, where, and how to mend it."""

from __future__ import annotations

import linecache
import re
import traceback
from pathlib import Path

from backtest.errors import BacktestError

__all__ = ["StrategyFailed", "message_of"]

_PLACE = re.compile(r"in strategy/(\S+) at (\S+)")
_PACKAGE = Path(__file__).resolve().parent.parent


class StrategyFailed(BacktestError):
    """A strategy raised; ``files`` are those in which its author looks first."""

    def __init__(self, error: BaseException, file: str | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.file = file


def message_of(error: BaseException) -> str:
    """One message for the user."""
    if isinstance(error, StrategyFailed):
        return _of_strategy(error.error, error.file)
    if isinstance(error, BacktestError):
        return str(error)
    if isinstance(error, OSError):
        file = "" if error.filename is None else f"{error.filename}: "
        return f"{file}{error.strerror or error}"
    where = _frame(error, None)
    place = "" if where is None else f" ({where})"
    return f"{_named(error)}{place}; this should not happen: run again with --debug and report it"


def _of_strategy(error: BaseException, file: str | None) -> str:
    """Of an exception that ended a run: strategy, simulated time, exception, line."""
    place = None
    for note in getattr(error, "__notes__", ()):
        place = place or _PLACE.search(note)
    if place is None:
        if isinstance(error, BacktestError):
            return str(error)
        where = _frame(error, file)
        return f"{_named(error)}{'' if where is None else f' ({where})'}"
    leaf = _leaf(error)
    where = _frame(leaf, file) or _frame(error, file)
    name, time = place[1].split("/")[0], place[2]
    text = f"strategy {name!r} raised {_named(leaf)}\n  at {time} (simulated time)"
    return text if where is None else f"{text}, {where}"


def _leaf(error: BaseException) -> BaseException:
    """The first exception in a group: what a task group was cancelled by."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _named(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _frame(error: BaseException, file: str | None) -> str | None:
    """The line to look at: the last one in ``file``, else the last one outside this package."""
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if file is not None and frame.filename == file]
    others = [frame for frame in frames if _PACKAGE not in Path(frame.filename).resolve().parents]
    for found in (mine, others, frames):
        if found:
            frame = found[-1]
            code = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
            return f"{Path(frame.filename).name} line {frame.lineno}, in {frame.name}: {code}"
    return None
