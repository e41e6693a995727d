"""What of the log a user of the command line sees, on standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["LEVELS", "logged"]

LEVELS = ("debug", "info", "warning", "error")
_OURS = "backtest"


class _Lines(logging.Formatter):
    """``warning: order.rejected reason=...``: no time, which would be the real one."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {record.getMessage()}"


@contextmanager
def logged(level: str) -> Iterator[None]:
    """Print the package's log from ``level`` up while inside.

    Not printed are messages to an actor that has failed, as the failure is told once, and what a
    handler of the user's own prints to standard error already.
    """
    logger = logging.getLogger(_OURS)
    before = logger.level
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    handler.addFilter(_is_wanted)
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _is_wanted(record: logging.LogRecord) -> bool:
    others = logging.getLogger().handlers
    printed = any(getattr(one, "stream", None) is sys.stderr for one in others)
    return not printed and not record.getMessage().startswith("message.dead ")
