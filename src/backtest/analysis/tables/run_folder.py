"""Folders that runs are written into: whose they are, and how a new run takes an old one's place.

A folder is a run's by its ``run.json``, which names the files that were written. What it does not
name is somebody else's, whatever it is called.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from backtest.errors import ConfigError
from backtest.storage import DISK, Disk, Draft, make_folders, sole_writer, sweep

__all__ = ["KIND", "RUN_FILE", "RunFolder", "recover"]

RUN_FILE = "run.json"
KIND = "backtest run"
_READY = f".{RUN_FILE}.ready"
"""In a folder: a run that is whole, and is being put there file by file."""


class RunFolder:
    """A folder that a run is to be written into as files called ``names``.

    ``known`` are all names that a file of a run may have. Nothing is touched until `put`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        names: Iterable[str],
        known: frozenset[str],
        disk: Disk = DISK,
    ) -> None:
        if not isinstance(directory, str | os.PathLike):
            raise ConfigError(f"a run is written into a folder, 'results' say, not {directory!r}")
        self._given = os.fspath(directory)
        self._names = frozenset(names)
        self._known = known
        self._disk = disk
        self.path = Path(directory).resolve()

    def check(self, inputs: Iterable[str | os.PathLike[str]] = (), *, force: bool = False) -> None:
        """Raises `ConfigError` where a run cannot be written, or would cost the user a file.

        ``inputs`` are files that the run was made from: they are never replaced.
        """
        if not self._given:
            raise ConfigError("the folder to write to has no name")
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self._given} is a file: give the name of a folder to write to")
        try:
            if self.path.is_dir():
                self._check_contents(inputs, force)
            self._probe()
        except OSError as error:
            raise ConfigError(f"cannot write to {self._given}: {_reason(error)}") from error

    def _check_contents(self, inputs: Iterable[str | os.PathLike[str]], force: bool) -> None:
        if self.path == Path.cwd().resolve():
            raise ConfigError(
                "the folder to write to is the current one: give it a name, --out results"
            )
        recover(self.path, self._known, self._disk)
        old = _names_of(self.path, self._known)
        for one in inputs:
            for name in sorted(self._names | old):
                if _is_same(self.path / name, Path(one)):
                    raise ConfigError(
                        f"{self.path / name} is data of this run, and would be replaced: give "
                        "another folder to write to"
                    )
        for name in sorted(self._names):
            if (self.path / name).is_dir() and not (self.path / name).is_symlink():
                raise ConfigError(f"{self.path / name} is a folder, and in the way of a file")
        if force:
            return
        others = self._others(old)
        if others and not old:
            raise ConfigError(
                f"{self._given} holds {others[0]!r} and is not a run of ours: give another folder, "
                "or --force (force=True) to write into it beside what is there"
            )
        in_the_way = [name for name in others if name in self._names]
        if in_the_way:
            raise ConfigError(
                f"{self._given} holds {in_the_way[0]!r}, which the run there did not write: move "
                "it, give another folder, or --force (force=True) to replace it"
            )

    def _others(self, old: frozenset[str]) -> list[str]:
        """What is in the folder and is not of the run there."""
        return sorted(
            one.name
            for one in self.path.iterdir()
            if one.name not in old and not one.name.startswith(f".{RUN_FILE}.")
        )

    def _probe(self) -> None:
        """Write something, and take it away again."""
        home = self._home()
        while not home.exists():
            home = home.parent
        with Draft(home, self._name_in(home), self._disk) as draft:
            probe = draft.path / RUN_FILE
            with self._disk.create(probe) as file:
                file.write("\n")
            self._disk.sync(probe)

    def _home(self) -> Path:
        """Where to write first: beside the folder, so that both can change places; in it where
        that cannot be."""
        path = self.path
        if not path.exists():
            return path.parent
        beside = os.access(path.parent, os.W_OK) and not os.path.ismount(path)
        company = self._others(_names_of(path, self._known))
        return path.parent if beside and not company else path

    def _name_in(self, home: Path) -> str:
        return RUN_FILE if home == self.path else self.path.name

    def draft(self) -> Draft:
        """A folder to write the run into; what dead processes left of theirs is gone."""
        make_folders(self.path.parent, self._disk)
        for home in (self.path.parent, self.path):
            sweep(home, self._name_in(home), self._known, self._disk)
        home = self._home()
        return Draft(home, self._name_in(home), self._disk)

    def put(self, draft: Path) -> None:
        """Make what is written in ``draft`` the run in the folder; the old one goes only then.

        A failure, or the end of the process, leaves the old run or the new one, and all else.
        """
        disk, path = self._disk, self.path
        for one in sorted(draft.iterdir()):
            disk.sync(one)
        disk.sync(draft)
        if not path.exists():
            disk.replace(draft, path)
            disk.sync(path.parent)
            return
        old = _names_of(path, self._known)
        if draft.parent != path and not self._others(old):
            draft.chmod(stat.S_IMODE(path.stat().st_mode))
            if disk.exchange(draft, path):
                try:
                    disk.sync(path.parent)
                except OSError:
                    disk.exchange(draft, path)
                    raise
                self._leave(draft, old)
                return
        with sole_writer(path):
            _finish(path, self._known, disk)  # somebody else's, who was as far
            disk.replace(draft, path / _READY)
            _finish(path, self._known, disk)

    def _leave(self, place: Path, old: frozenset[str]) -> None:
        """The old run is at ``place`` now, and goes. What came to it meanwhile stays."""
        with suppress(OSError):
            for name in sorted(old):
                self._disk.remove(place / name)
            for one in sorted(place.iterdir()):
                if not (self.path / one.name).exists():
                    self._disk.replace(one, self.path / one.name)
            self._disk.remove_folder(place)


def recover(folder: Path, known: frozenset[str], disk: Disk = DISK) -> None:
    """Bring to its end what somebody who died had begun: a run that is whole takes its place."""
    if (folder / _READY).is_dir():
        with sole_writer(folder):
            _finish(folder, known, disk)


def _finish(folder: Path, known: frozenset[str], disk: Disk) -> None:
    """Put the run that is ready into its folder, file by file.

    As long as ``run.json`` is the old one it names what is to go. Then it goes, and the new one
    comes last: no mixture of two runs is a run. Whoever comes after a failure begins again here.
    """
    ready = folder / _READY
    if not ready.is_dir():
        return
    if (ready / RUN_FILE).exists():
        tables = sorted(one.name for one in ready.iterdir() if one.name != RUN_FILE)
        for name in sorted(_names_of(folder, known) - {RUN_FILE, *tables}):
            disk.remove(folder / name)
        disk.remove(folder / RUN_FILE)
        disk.sync(folder)
        for name in tables:
            disk.replace(ready / name, folder / name)
        disk.sync(folder)
        disk.replace(ready / RUN_FILE, folder / RUN_FILE)
        disk.sync(folder)
    disk.remove_folder(ready)


def _names_of(folder: Path, known: frozenset[str]) -> frozenset[str]:
    """The files of the run in ``folder``, as its ``run.json`` tells; none where there is no run."""
    try:
        facts = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        if facts["kind"] != KIND:
            return frozenset()
        told = {one["file"] for one in facts["tables"].values()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return frozenset()
    return frozenset({RUN_FILE, *(told & known)})


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
