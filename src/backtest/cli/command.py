"""The door: arguments in, exit code out, and one message for whatever goes wrong."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from backtest.actors.kernel.interrupts import INTERRUPTED, at_once, on_interrupt
from backtest.cli.failure import message_of
from backtest.cli.logs import logged
from backtest.cli.parser import parser
from backtest.cli.terminal import say

__all__ = ["main"]

_PIPE_CLOSED = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out the command line ``argv`` (the process's own, if left out); the exit code.

    0 when all went well, 2 for arguments that make no sense, 130 after Ctrl-C, else 1. Whatever
    goes wrong is one message on standard error; ``--debug`` adds the traceback.
    """
    arguments = parser().parse_args(argv)
    try:
        level = "error" if arguments.quiet else arguments.log_level
        with logged(level), on_interrupt(at_once):
            code: int = arguments.command(arguments)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt as stop:
        where = f"\n  {stop}" if str(stop) else ""
        _tell(arguments, None, f"interrupted: nothing was written{where}")
        return INTERRUPTED
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
