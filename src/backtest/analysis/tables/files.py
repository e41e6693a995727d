"""The files of a run: written all or not at all, and read again.

A folder holds one file for each table and ``run.json``, which says what was run, what came of it,
and the size and hash of each file.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from backtest.analysis.tables.run_folder import KIND, RUN_FILE, RunFolder, recover
from backtest.analysis.tables.tables import ALL_COLUMNS, COLUMNS, Row, Tables, names_of
from backtest.errors import ConfigError, DataError
from backtest.storage import DISK, Disk

__all__ = ["FORMATS", "RUN_FILE", "RunFiles", "check_target", "file_of", "read_run", "write_run"]

FORMATS = ("csv", "parquet")
_VERSION = 1


def file_of(name: str, form: str) -> str:
    """The file of a table; the tape is CSV in either format."""
    return f"{name}.{'csv' if name == 'tape' else form}"


_KNOWN = frozenset({RUN_FILE, *(file_of(name, form) for name in ALL_COLUMNS for form in FORMATS)})


# -- writing ---------------------------------------------------------------------------------------


def write_run(
    tables: Tables,
    directory: str | os.PathLike[str],
    form: str = "csv",
    *,
    force: bool = False,
    disk: Disk = DISK,
) -> Path:
    """Write the tables and ``run.json`` into ``directory``; its path.

    Everything is written and flushed elsewhere first and takes its place when it is whole: a
    failure leaves the run that was there. Files of others are never touched, but for those in the
    way where ``force`` says so. Raises `ConfigError` for a folder that is not a run's, and for
    what cannot be written, `MissingExtra` for Parquet without pyarrow.
    """
    folder = _folder(directory, form, names_of(tables.facts), disk)
    inputs = [file for files in tables.facts["files"].values() for file in files]
    folder.check(inputs, force=force)
    try:
        with folder.draft() as draft:
            _write_all(tables, draft.path, form, disk)
            folder.put(draft.path)
    except OSError as error:
        raise ConfigError(f"cannot write to {folder.path}: {error.strerror or error}") from error
    return folder.path


def check_target(
    directory: str | os.PathLike[str],
    form: str = "csv",
    *,
    force: bool = False,
    inputs: Iterable[str] = (),
    names: Sequence[str] = tuple(COLUMNS),
) -> Path:
    """The folder to write to, as `write_run` would take it, or `ConfigError`: to ask beforehand.

    ``inputs`` are the files that the run is to be made from, ``names`` its tables.
    """
    folder = _folder(directory, form, names, DISK)
    folder.check(inputs, force=force)
    return folder.path


def _folder(
    directory: str | os.PathLike[str], form: str, names: Sequence[str], disk: Disk
) -> RunFolder:
    if form not in FORMATS:
        raise ConfigError(f"the format must be {' or '.join(FORMATS)}, not {form!r}")
    if form == "parquet":
        from backtest.analysis.tables.parquet import arrow

        arrow()
    files = (RUN_FILE, *(file_of(name, form) for name in names))
    return RunFolder(directory, files, _KNOWN, disk)


def _write_all(tables: Tables, folder: Path, form: str, disk: Disk) -> None:
    written: dict[str, dict[str, Any]] = {}
    for name in names_of(tables.facts):
        path = folder / file_of(name, form)
        columns = ALL_COLUMNS[name]
        if path.suffix == ".csv":
            with disk.create(path) as file:
                rows = _write_csv(file, columns, tables.rows(name))
        else:
            from backtest.analysis.tables.parquet import write_parquet

            rows = write_parquet(path, columns, tables.rows(name))
        written[name] = {"file": path.name, "rows": rows, "sha256": _sha256(path)}
    facts = {"kind": KIND, "version": _VERSION, "format": form, **tables.facts, "tables": written}
    facts["sha256"] = _own_hash(facts)
    with disk.create(folder / RUN_FILE) as file:
        file.write(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def _write_csv(file: TextIO, columns: Row, rows: Iterable[Row]) -> int:
    number = 0
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(row)
        number += 1
    return number


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_hash(facts: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in facts.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


# -- reading ---------------------------------------------------------------------------------------


def read_run(directory: str | os.PathLike[str]) -> RunFiles:
    """The run in ``directory``. Raises `DataError` when there is none, or it cannot be read."""
    folder = Path(directory)
    path = folder / RUN_FILE
    try:
        recover(folder, _KNOWN)
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        missing = "there is no such folder" if not folder.exists() else f"it has no {RUN_FILE}"
        raise DataError(
            f"is not a run: {missing}. Give a folder that 'run ... --out DIR' wrote", source=folder
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", source=path) from None
    try:
        facts = json.loads(text)
    except ValueError as error:
        raise DataError(f"is not JSON: {error}", source=path) from None
    if not isinstance(facts, dict) or facts.get("kind") != KIND:
        raise DataError("is not the file of a run of ours", source=path)
    if facts.get("version") != _VERSION or facts.get("format") not in FORMATS:
        raise DataError(
            f"is of version {facts.get('version')!r} and format {facts.get('format')!r}; this "
            f"program reads version {_VERSION} in {' or '.join(FORMATS)}",
            source=path,
        )
    return RunFiles(folder, facts)


class RunFiles:
    """A run in a folder, read as `backtest.analysis.tables.tables.Tables`."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.folder = folder
        self._facts = facts

    @property
    def facts(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        return self._facts

    def path(self, name: str) -> Path:
        """The file of a table."""
        return self.folder / file_of(name, self._facts["format"])

    def rows(self, name: str) -> Iterator[Row]:
        """The rows of a table. Raises `DataError` with file and line for what is none."""
        path = self.path(name)
        columns = ALL_COLUMNS[name]
        try:
            if path.suffix == ".parquet":
                from backtest.analysis.tables.parquet import read_parquet

                yield from read_parquet(path, columns)
            else:
                yield from _read_csv(path, columns)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"cannot be read: {error}", source=path) from None

    def problems(self) -> Iterator[str]:
        """Where the files are not those that were written, by size and hash."""
        if self._facts.get("sha256") != _own_hash(self._facts):
            yield f"{RUN_FILE} has been changed: its SHA-256 is not the one it gives"
        told = self._facts.get("tables")
        for name in names_of(self._facts):
            path = self.path(name)
            if not path.is_file():
                yield f"{path.name} is missing"
            elif not isinstance(told, dict) or not isinstance(told.get(name), dict):
                yield f"{RUN_FILE} does not tell of {path.name}"
            elif told[name].get("sha256") != _sha256(path):
                yield f"{path.name} has been changed: its SHA-256 is not the one in {RUN_FILE}"
            elif told[name] != {**told[name], "file": path.name, "rows": self._count(name)}:
                yield f"{RUN_FILE} tells of {path.name} what is not so"
        if isinstance(told, dict) and {*told} - {*names_of(self._facts)}:
            yield f"{RUN_FILE} tells of tables that there are not"

    def besides(self) -> list[str]:
        """What is in the folder and is none of the run's files."""
        own = {RUN_FILE, *(self.path(name).name for name in names_of(self._facts))}
        return sorted(one.name for one in self.folder.iterdir() if one.name not in own)

    def _count(self, name: str) -> int | None:
        try:
            return sum(1 for _ in self.rows(name))
        except DataError:
            return None  # which is told by whoever reads it


def _read_csv(path: Path, columns: Row) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, None)
        if header is None or tuple(header) != columns:
            raise DataError(f"must begin with the line {','.join(columns)}", source=path, line=1)
        width = len(columns)
        for row in reader:
            if len(row) != width:
                problem = f"has {len(row)} fields, must have {width}"
                raise DataError(problem, source=path, line=reader.line_num)
            yield tuple(row)
