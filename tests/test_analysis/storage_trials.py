"""Writes of a run that are cut short, one process each: what they leave is told line by line.

    python storage_trials.py FOLDER OLD NEW SEED COUNT

OLD and NEW are folders of two runs. Each trial has a folder in a state of its own, writes NEW there
in a process that is killed or gets an error from the file system at some call, and looks at what is
left: at once, after somebody has read it, and after somebody has written again. It is a program of
its own, with one thread, so that it may fork.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from backtest.analysis.files import read_run, write_run
from backtest.errors import ConfigError, DataError
from backtest.storage import Disk

Content = dict[str, bytes]

STATES = ("nothing", "empty", "run", "run and notes", "notes", "run, no exchange")
FAULTS = ("ENOSPC", "EIO", "killed before", "killed after", "killed some time")
NOTES = {"notes.txt": b"years of work", "mine.csv": b"ts,close\n"}


class FailingDisk(Disk):
    """Lets the call with the number ``at`` fail, or ends the process there."""

    def __init__(self, fault: str, at: int, exchanges: bool) -> None:
        self._fault, self._at, self._exchanges = fault, at, exchanges
        self.calls = 0

    def fail(self, do: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        self.calls += 1
        if self.calls != self._at:
            return do()
        if self._fault == "killed after":
            do()
        elif half is not None:
            half()
        if self._fault.startswith("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, self._fault)
        raise OSError(number, os.strerror(number))

    def make_folder(self, path: Path) -> None:
        self.fail(lambda: super(FailingDisk, self).make_folder(path))

    def create(self, path: Path) -> TextIO:
        file = self.fail(lambda: super(FailingDisk, self).create(path))
        return cast("TextIO", _File(file, self))

    def sync(self, path: Path) -> None:
        self.fail(lambda: super(FailingDisk, self).sync(path))

    def replace(self, old: Path, new: Path) -> None:
        self.fail(lambda: super(FailingDisk, self).replace(old, new))

    def exchange(self, one: Path, other: Path) -> bool:
        if not self._exchanges:
            return False
        return bool(self.fail(lambda: super(FailingDisk, self).exchange(one, other)))

    def remove(self, path: Path) -> None:
        self.fail(lambda: super(FailingDisk, self).remove(path))

    def remove_folder(self, path: Path) -> None:
        self.fail(lambda: super(FailingDisk, self).remove_folder(path))


class _File:
    """A file of which every write is a call; one that fails has written half."""

    def __init__(self, file: TextIO, disk: FailingDisk) -> None:
        self._file, self._disk = file, disk

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, text: str) -> int:
        def half() -> None:
            self._file.write(text[: len(text) // 2])
            self._file.flush()

        return int(self._disk.fail(lambda: self._file.write(text), half))


def content(folder: Path) -> Content:
    """All files in a folder and below, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Trials:
    def __init__(self, folder: Path, old: Path, new: Path) -> None:
        self._folder = folder
        self._old, self._new = content(old), content(new)
        self._tables = read_run(new)

    def prepare(self, state: str) -> Path:
        """A folder called ``results`` in that state, in a folder with something of the user's."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        (self._folder / "thesis.txt").write_bytes(b"mine")
        target = self._folder / "results"
        if state != "nothing":
            target.mkdir()
        for name, text in {
            **(self._old if "run" in state else {}),
            **(NOTES if "notes" in state else {}),
        }.items():
            (target / name).write_bytes(text)
        return target

    def write(self, target: Path, disk: Disk) -> None:
        write_run(self._tables, target, force=True, disk=disk)

    def calls(self, state: str) -> int:
        """How many calls a write makes that nothing disturbs."""
        disk = FailingDisk("", 0, "no exchange" not in state)
        self.write(self.prepare(state), disk)
        return disk.calls

    def run(self, state: str, fault: str, at: int, delay: float) -> None:
        """One trial; a `ValueError` says what is wrong afterwards."""
        target = self.prepare(state)
        disk = FailingDisk(fault, at, "no exchange" not in state)
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
        self.look(target, state, code)

    def look(self, target: Path, state: str, code: int) -> None:
        notes = NOTES if "notes" in state else {}
        old = {**(self._old if "run" in state else {}), **notes}
        new = {**self._new, **notes}
        self._notes(target, notes)
        found = self._visible(target)
        swapped_at_once = state in ("nothing", "empty", "run")
        if swapped_at_once and found not in (old, new):
            raise ValueError(f"it left {sorted(found)}")
        if "run.json" in found and found not in (old, new) and "notes" not in state:
            raise ValueError("what it left says of itself that it is a run")
        if code == 0 and found != new:
            raise ValueError("it said that it had written, and has not")
        try:
            read_run(target)
        except DataError:
            if "run" in state:
                raise ValueError("there is no run any more") from None
        found = self._visible(target)
        if found not in (old, new):
            raise ValueError(f"whoever reads it finds {sorted(found)}")
        self.write(target, Disk())
        self._notes(target, notes)
        if content(target) != new:
            raise ValueError(f"whoever writes again leaves {sorted(content(target))}")
        if sorted(os.listdir(self._folder)) != ["results", "thesis.txt"]:
            raise ValueError(f"there is left {sorted(os.listdir(self._folder))}")

    def _visible(self, target: Path) -> Content:
        return {name: text for name, text in content(target).items() if name[0] != "."}

    def _notes(self, target: Path, notes: Content) -> None:
        for name, text in notes.items():
            if (target / name).read_bytes() != text:
                raise ValueError(f"{name} is lost")
        if (self._folder / "thesis.txt").read_bytes() != b"mine":
            raise ValueError("thesis.txt is lost")


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
    trials = Trials(Path(folder) / "trial", Path(old), Path(new))
    for trial in drawn(trials, int(seed), int(count)):
        try:
            trials.run(*trial)
        except (ValueError, OSError, ConfigError) as error:
            print(f"{trial}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
