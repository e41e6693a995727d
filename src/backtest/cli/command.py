"""The door: arguments in, exit code out, and one message for whatever goes wrong."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from backtest.cli.failure import message_of
from backtest.cli.logs import logged
from backtest.cli.parser import parser
from backtest.cli.terminal import say

__all__ = ["main"]

_INTERRUPTED = 130
_PIPE_CLOSED = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out the command line ``argv`` (the process's own, if left out); the exit code.

    0 when all went well, 2 for arguments that make no sense, 130 after Ctrl-C, else 1. Whatever
    goes wrong is one message on standard error; ``--debug`` adds the traceback.
    """
    arguments = parser().parse_args(argv)
    try:
        level = "error" if arguments.quiet else arguments.log_level
        with logged(level), _interruptible():
            code: int = arguments.command(arguments)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        _tell(arguments, None, "interrupted: nothing was written")
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left (`| head`): nobody is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except Exception as error:
        _tell(arguments, error, message_of(error))
        return 1


def _tell(arguments: Any, error: BaseException | None, message: str) -> None:
    if arguments.debug and error is not None:
        say("".join(traceback.format_exception(error)), end="", error=True)
    say(f"error: {message}", error=True)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends the run at once.

    asyncio's own way waits for the loop's next turn, which a strategy that computes for ever, or
    a simulation that never needs the loop, may not grant.
    """

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGINT, interrupt)
    except ValueError:  # not in the main thread: there is no Ctrl-C to catch
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
