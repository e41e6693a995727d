"""Files that are whole or not there: what is written is flushed before it gets its name.

What is being written stands in a `Draft`, a hidden folder that is locked as long as its process
lives. A draft that nobody holds is what a dead process left, and is swept.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import stat
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

fcntl: Any
try:
    import fcntl
except ImportError:  # not every system has locks that end with their process
    fcntl = None

__all__ = [
    "DISK",
    "Disk",
    "Draft",
    "check_file",
    "make_folders",
    "sole_writer",
    "sweep",
    "whole_file",
]

_EXCHANGE = {"linux": ("renameat2", -100, 2), "darwin": ("renameatx_np", -2, 2)}
"""By system: what swaps two names at once, what it calls the current folder, and its flag."""
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EXDEV)


class Disk:
    """What writing asks of the file system. Tests put one that fails in its place."""

    def make_folder(self, path: Path) -> None:
        """Make a folder. Raises `FileExistsError` when there is something of that name."""
        path.mkdir()

    def create(self, path: Path) -> TextIO:
        """A new text file, open for writing. Raises `FileExistsError` likewise."""
        return path.open("x", encoding="utf-8", newline="")

    def sync(self, path: Path) -> None:
        """What a file holds, or which names a folder has, is on the disk when this returns."""
        if path.is_dir() and os.name == "nt":
            return  # a folder cannot be flushed there
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def replace(self, old: Path, new: Path) -> None:
        """Give ``old`` the name ``new``; a file of that name is gone then."""
        old.replace(new)

    def exchange(self, one: Path, other: Path) -> bool:
        """Swap two names at once; False where the system cannot."""
        name, here, flag = _EXCHANGE.get(sys.platform, ("", 0, 0))
        swap = getattr(ctypes.CDLL(None, use_errno=True), name, None) if name else None
        if swap is None:
            return False
        if swap(here, os.fsencode(one), here, os.fsencode(other), flag) == 0:
            return True
        number = ctypes.get_errno()
        if number in _NO_EXCHANGE:
            return False
        raise OSError(number, os.strerror(number), str(other))

    def remove(self, path: Path) -> None:
        """Remove a file; one that is not there is no error."""
        path.unlink(missing_ok=True)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        path.rmdir()


DISK = Disk()
"""The file system as it is."""


class Draft:
    """A hidden folder in ``home`` in which something called ``name`` is written.

    It is gone at the end of the ``with`` block unless it was given another name.
    """

    def __init__(self, home: Path, name: str, disk: Disk = DISK) -> None:
        self._disk = disk
        for number in count(1):
            path = home / f".{name}.{number}.partial"
            try:
                disk.make_folder(path)
            except FileExistsError:
                continue
            try:
                self._lock = _locked(path)
            except (BlockingIOError, FileNotFoundError):
                continue  # who sweeps took it for a dead one's
            self._node = path.stat().st_ino
            self.path = path
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            if self.path.stat().st_ino == self._node:
                for path in sorted(self.path.iterdir()):
                    self._disk.remove(path)
                self._disk.remove_folder(self.path)
        if self._lock is not None:
            os.close(self._lock)


def sweep(home: Path, name: str, known: Collection[str], disk: Disk = DISK) -> None:
    """Remove the drafts of ``name`` that dead processes left in ``home``.

    Only files called as in ``known`` are removed, and a folder only when it is empty then.
    """
    pattern = re.compile(rf"\.{re.escape(name)}\.[0-9]+\.partial")
    for path in sorted(home.iterdir()) if home.is_dir() else ():
        if not pattern.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
            continue
        with suppress(OSError):
            lock = _locked(path)
            if lock is None:
                continue  # nobody can tell whether its process lives
            try:
                for one in sorted(known):
                    disk.remove(path / one)
                disk.remove_folder(path)
            finally:
                os.close(lock)


def _locked(path: Path) -> int | None:
    """Hold ``path`` until the descriptor is closed; None where there are no locks.

    Raises `BlockingIOError` when somebody else holds it.
    """
    if fcntl is None:
        return None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), path.stat()):
            raise BlockingIOError(errno.EAGAIN, "it was removed meanwhile")
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError as error:
        os.close(descriptor)
        if error.errno == errno.ENOENT:
            raise
        return None  # a file system without locks
    return descriptor


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Wait until nobody else writes into ``folder``, and be the only one."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def make_folders(path: Path, disk: Disk = DISK) -> None:
    """Make ``path`` and the folders on the way to it, as far as they are missing."""
    if path.is_dir():
        return
    make_folders(path.parent, disk)
    with suppress(FileExistsError):
        disk.make_folder(path)
    disk.sync(path.parent)


def check_file(path: Path, disk: Disk = DISK) -> None:
    """Raises `OSError` where `whole_file` could not write: to ask beforehand."""
    target = path.resolve()
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not target.exists() or target.is_file():
        with Draft(target.parent, target.name, disk) as draft, disk.create(draft.path / "x"):
            pass


@contextmanager
def whole_file(path: Path, disk: Disk = DISK) -> Iterator[TextIO]:
    """A text file to write that appears whole or not at all; one of that name is replaced.

    A device or a pipe is written to as it is: it has no contents to keep.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        with target.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    sweep(target.parent, target.name, (target.name,), disk)
    with Draft(target.parent, target.name, disk) as draft:
        written = draft.path / target.name
        with disk.create(written) as file:
            yield file
        if target.exists():
            written.chmod(stat.S_IMODE(target.stat().st_mode))
        disk.sync(written)
        disk.replace(written, target)
        disk.sync(target.parent)
