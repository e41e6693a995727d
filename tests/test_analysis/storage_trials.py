"""Writes of a run that are cut short, one process each: what they leave is told line by line.

    python storage_trials.py FOLDER OLD NEW SEED COUNT

OLD and NEW are folders of two runs. Each trial has a folder in a state of its own, writes NEW there
in a process that is killed or gets an error from the file system at some call, and looks at what is
left: at once, after somebody has read it, and after somebody has written again. It is a program of
its own, with one thread, so that it may fork.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from backtest.analysis.tables.files import read_run
from backtest.errors import ConfigError
from backtest.testing.simulation.storage import FailingDisk, Writing, content

STATES = ("nothing", "empty", "run", "run and notes", "notes", "run, no exchange")
FAULTS = ("ENOSPC", "EIO", "killed before", "killed after", "killed some time")


class Trials(Writing):
    """Writes in a process each, which may be killed."""

    def begin(self, state: str) -> Path:
        """A folder in that state; what the trial before left is gone."""
        shutil.rmtree(self.home / "trial", ignore_errors=True)
        return self.prepare("trial", state)

    def calls(self, state: str) -> int:
        """How many calls a write makes that nothing disturbs."""
        disk = FailingDisk("", 0, exchanges="no exchange" not in state)
        self.write(self.begin(state), disk)
        return disk.calls

    def run(self, state: str, fault: str, at: int, delay: float) -> None:
        """One trial; a `ValueError` says what is wrong afterwards."""
        target, exchanges = self.begin(state), "no exchange" not in state
        disk = FailingDisk(fault, at, exchanges=exchanges)
        child = os.fork()
        if not child:
            try:
                self.write(target, disk)
            except ConfigError:
                os._exit(3)
            os._exit(0)
        if fault == "killed some time":
            time.sleep(delay)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code not in (0, 3, -signal.SIGKILL):
            raise ValueError(f"it ended with {code}")
        self.look(target, state, done=code == 0, exchanges=exchanges)


def drawn(trials: Trials, seed: int, count: int) -> Iterator[tuple[str, str, int, float]]:
    """As many trials as asked for, every state and fault among them."""
    chance = random.Random(seed)
    calls = {state: trials.calls(state) for state in STATES}
    for number in range(count):
        state = STATES[number % len(STATES)]
        fault = FAULTS[number // len(STATES) % len(FAULTS)]
        last = calls[state]
        # Most calls write a row; what comes after the rows is worth as much.
        first = 1 if chance.random() < 0.4 else last - 30
        at = 0 if fault == FAULTS[-1] else chance.randint(first, last)
        yield state, fault, at, chance.uniform(0, 0.02)


def main(folder: str, old: str, new: str, seed: str, count: str) -> None:
    trials = Trials(Path(folder), read_run(new), content(Path(old)), content(Path(new)))
    for trial in drawn(trials, int(seed), int(count)):
        try:
            trials.run(*trial)
        except (ValueError, OSError, ConfigError) as error:
            print(f"{trial}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
