"""A file that is read several times and must be the same each time."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from stat import S_ISREG
from typing import TextIO

from backtest.errors import DataError

__all__ = ["BROKEN_GZIP", "InputFile"]

BROKEN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading a truncated or damaged gzip file raises."""

_GZIP = b"\x1f\x8b"
_OTHER_FORMATS = {
    b"PK\x03\x04": "is a zip archive: unzip it first",
    b"PAR1": "is a Parquet file: call it something.parquet",
    b"BZh": "is compressed with bzip2: unpack it, or compress it with gzip",
    b"\xfd7zXZ": "is compressed with xz: unpack it, or compress it with gzip",
    b"(\xb5/\xfd": "is compressed with zstd: unpack it, or compress it with gzip",
    b"\xff\xfe": "is not UTF-8 but UTF-16: save it as UTF-8",
    b"\xfe\xff": "is not UTF-8 but UTF-16: save it as UTF-8",
}


class InputFile:
    """A regular file whose size and time of change are those of when it was first seen.

    Raises `DataError` when it cannot be read, and when it changes between two readings.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.name = str(path)
        self._digest: str | None = None
        self._seen = self._state()

    def _state(self) -> tuple[int, int]:
        try:
            state = self.path.stat()
        except FileNotFoundError:
            raise DataError("there is no such file: check the path", source=self.name) from None
        except (OSError, ValueError) as error:
            raise DataError(f"cannot be read ({error}): check the path", source=self.name) from None
        if not S_ISREG(state.st_mode):
            raise DataError("is not a file (a directory, a pipe?): name a file", source=self.name)
        return state.st_size, state.st_mtime_ns

    def open(self) -> io.BufferedReader:
        """The file's bytes as they are."""
        if self._state() != self._seen:
            raise DataError("has changed while it was being read: start again", source=self.name)
        try:
            return self.path.open("rb")
        except OSError as error:
            raise DataError(
                f"cannot be read ({error.strerror}): check its permissions", source=self.name
            ) from None

    @contextmanager
    def text(self) -> Iterator[TextIO]:
        """The file as UTF-8 text (with or without BOM), unpacked if it is gzip."""
        with self.bytes() as plain:
            yield io.TextIOWrapper(plain, encoding="utf-8-sig", newline="")

    def _unpacked(self, raw: io.BufferedReader) -> io.BufferedReader | gzip.GzipFile:
        head = raw.read(8)
        raw.seek(0)
        for magic, problem in _OTHER_FORMATS.items():
            if head.startswith(magic):
                raise DataError(problem, source=self.name)
        if head.startswith(_GZIP):
            return gzip.GzipFile(fileobj=raw)
        if self.path.suffix.lower() == ".gz" and head:
            raise DataError("is not a gzip file: remove .gz from its name", source=self.name)
        return raw

    @contextmanager
    def bytes(self) -> Iterator[io.BufferedReader | gzip.GzipFile]:
        """The file's bytes, unpacked if it is gzip."""
        with self.open() as raw, self._unpacked(raw) as plain:
            yield plain

    def digest(self) -> str:
        """SHA-256 (hex) of the file's bytes, as they lie on the disk."""
        if self._digest is None:
            with self.open() as raw:
                self._digest = file_digest(raw, "sha256").hexdigest()
        return self._digest
