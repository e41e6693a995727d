"""Storage that fails: the bank's books are written over older ones, on a disk that gives way.

At a drawn call the disk is full or broken, once or from then on; a row may be half written. Then

* the error is a `ConfigError`, or all is written: nothing is said to be done that is not;
* the folder holds the old books or the new ones, whole, and what is somebody else's is as it was;
* who writes next, on a disk that works, is not in anybody's way, and leaves nothing behind.
"""

from __future__ import annotations

import errno
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO, cast

import attrs

from backtest.analysis.tables.files import read_run, write_run
from backtest.analysis.tables.tables import COLUMNS, Row, Tables
from backtest.errors import BacktestError, ConfigError, DataError
from backtest.storage import Disk

from .chance import draw_weighted, stream

__all__ = [
    "NOTES",
    "Books",
    "Content",
    "FailingDisk",
    "StorageOutcome",
    "Writing",
    "content",
    "run_storage",
]

Content = dict[str, bytes]
STATES = ("nothing", "run", "run and notes", "notes")
NOTES = {"notes.txt": b"years of work", "mine.csv": b"ts,close\n"}


class FailingDisk(Disk):
    """Lets the call with the number ``at`` fail, and those after it where it ``lasts``.

    ``fault`` is the name of an error of the system, ``killed before`` or ``killed after``. Without
    ``flushes`` it is no real disk that is waited for.
    """

    def __init__(
        self,
        fault: str,
        at: int,
        *,
        exchanges: bool = True,
        lasts: bool = False,
        flushes: bool = True,
    ) -> None:
        self._fault, self._at = fault, at
        self._exchanges, self._lasts, self._flushes = exchanges, lasts, flushes
        self.calls = 0

    def fail(self, do: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        """Do it, or fail; with ``half`` of it done, where it can be."""
        self.calls += 1
        if self.calls != self._at and not (self._lasts and self.calls > self._at > 0):
            return do()
        if self._fault == "killed after":
            do()
        elif half is not None:
            half()
        if self._fault.startswith("killed"):
            signal.raise_signal(signal.SIGKILL)
        number = getattr(errno, self._fault)
        raise OSError(number, os.strerror(number))

    def make_folder(self, path: Path) -> None:
        self.fail(lambda: super(FailingDisk, self).make_folder(path))

    def create(self, path: Path) -> TextIO:
        file = self.fail(lambda: super(FailingDisk, self).create(path))
        return cast("TextIO", _File(file, self))

    def sync(self, path: Path) -> None:
        self.fail(lambda: super(FailingDisk, self).sync(path) if self._flushes else None)

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


class Books:
    """The tables of a run of which there is a journal and nothing else."""

    def __init__(self, journal: Sequence[Sequence[str]]) -> None:
        self.facts: dict[str, Any] = {"files": {}, "entries": len(journal)}
        self._journal = journal

    def rows(self, name: str) -> Iterator[Row]:
        width = len(COLUMNS[name])
        for words in self._journal if name == "transactions" else ():
            yield (*words, *[""] * (width - len(words)))


class Writing:
    """A folder in a drawn state, in a folder with something of the user's; and what is left of it.

    What does not hold is a `ValueError`.
    """

    def __init__(self, home: Path, tables: Tables, old: Content, new: Content) -> None:
        self.home = home
        self._tables = tables
        self._old, self._new = old, new

    def prepare(self, name: str, state: str) -> Path:
        """A folder called ``results`` in that state, in one called ``name``."""
        place = self.home / name
        place.mkdir()
        (place / "thesis.txt").write_bytes(b"mine")
        target = place / "results"
        if state != "nothing":
            target.mkdir()
        for file, text in {
            **(self._old if "run" in state else {}),
            **(NOTES if "notes" in state else {}),
        }.items():
            (target / file).write_bytes(text)
        return target

    def write(self, target: Path, disk: Disk) -> None:
        """Write the run there."""
        write_run(self._tables, target, force=True, disk=disk)

    def look(self, target: Path, state: str, *, done: bool, exchanges: bool) -> None:
        """What holds after a write that is said to be ``done``, or not to be."""
        notes = NOTES if "notes" in state else {}
        old = {**(self._old if "run" in state else {}), **notes}
        new = {**self._new, **notes}
        found = self._visible(target)
        if exchanges and not notes and found not in (old, new):
            raise ValueError(f"it left {sorted(found)}")
        if "run.json" in found and found not in (old, new) and not notes:
            raise ValueError("what it left says of itself that it is a run")
        if done and found != new:
            raise ValueError("it said that it had written, and has not")
        try:
            read_run(target)
        except DataError:
            if "run" in state:
                raise ValueError("there is no run any more") from None
        found = self._visible(target)
        if found not in (old, new):
            raise ValueError(f"whoever reads it finds {sorted(found)}")
        self.write(target, FailingDisk("", 0, flushes=False))
        if content(target) != new:
            raise ValueError(f"whoever writes again leaves {sorted(content(target))}")
        beside = content(target.parent)
        if beside != {"thesis.txt": b"mine", **{f"results{os.sep}{k}": v for k, v in new.items()}}:
            raise ValueError(f"beside it is left {sorted(os.listdir(target.parent))}")

    def _visible(self, target: Path) -> Content:
        return {name: text for name, text in content(target).items() if name[0] != "."}


@attrs.frozen(kw_only=True)
class StorageOutcome:
    """What came of writing the books of a seed."""

    problem: str
    told: str
    """What was tried, and how it ended."""
    calls: int
    """How often the disk was asked for something."""


def run_storage(seed: int, journal: Sequence[Sequence[str]]) -> StorageOutcome:
    """Write ``journal`` over its first half on a disk that fails as ``seed`` says, and judge it."""
    chance = stream(seed, "storage")
    state = draw_weighted(chance, [(one, 2 if one == "run" else 1) for one in STATES])
    exchanges, lasts = chance.random() < 0.7, chance.random() < 0.4
    fault = chance.choice(["ENOSPC", "EIO"])
    share = chance.random()
    with tempfile.TemporaryDirectory(prefix="backtest-storage-") as folder:
        home = Path(folder).resolve()
        old, new = (
            content(write_run(Books(part), home / name, disk=FailingDisk("", 0, flushes=False)))
            for name, part in (("old", journal[: len(journal) // 2]), ("new", journal))
        )
        writing = Writing(home, Books(journal), old, new)
        whole = FailingDisk("", 0, exchanges=exchanges, flushes=False)
        writing.write(writing.prepare("whole", state), whole)
        # Half of the calls write rows; what comes after them is worth as much.
        last = whole.calls
        at = 1 + int(share * 2 * last) if share < 0.5 else last - int((share - 0.5) * 2 * 25)
        at = max(1, min(at, last))
        disk = FailingDisk(fault, at, exchanges=exchanges, lasts=lasts, flushes=False)
        target = writing.prepare("failing", state)
        tried = f"{state}, {fault} at call {at} of {last}{' and after' if lasts else ''}"
        problem, ended = "", "written"
        try:
            writing.write(target, disk)
        except ConfigError as error:
            ended = str(error).replace(str(home), "")
        except (OSError, BacktestError) as error:
            problem = f"the error is a {type(error).__name__}"
        try:
            writing.look(target, state, done=ended == "written", exchanges=exchanges)
        except (ValueError, OSError, BacktestError) as error:
            problem = problem or str(error).replace(str(home), "")
    told = f"{tried}: {ended}"
    return StorageOutcome(
        problem=f"{problem} ({told})" if problem else "", told=told, calls=disk.calls
    )
