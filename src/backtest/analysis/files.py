"""The files of a run: written all or not at all, and read again.

A folder holds one file for each table and ``run.json``, which says what was run, what came of it,
and the size and hash of each file.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from backtest.analysis.tables import COLUMNS, Row, Tables
from backtest.errors import ConfigError, DataError

__all__ = ["FORMATS", "RUN_FILE", "RunFiles", "check_target", "read_run", "write_run"]

FORMATS = ("csv", "parquet")
RUN_FILE = "run.json"
_KIND = "backtest run"
_VERSION = 1
# Of a market of agents there is the tape, too, which goes with the run that it belongs to.
_OURS = frozenset(
    {RUN_FILE, "tape.csv", *(f"{name}.{form}" for name in COLUMNS for form in FORMATS)}
)


# -- writing ---------------------------------------------------------------------------------------


def write_run(
    tables: Tables, directory: str | os.PathLike[str], form: str = "csv", *, force: bool = False
) -> Path:
    """Write the tables and ``run.json`` into ``directory``; its path.

    Everything is written into a temporary folder beside it, which is renamed when it is whole: a
    failure leaves no half of it. A previous run in ``directory`` is replaced; files of others are
    never touched, and a folder that holds such and no run is refused unless ``force``. Raises
    `ConfigError` for that and for what cannot be written, `MissingExtra` for Parquet without
    pyarrow.
    """
    target = check_target(directory, form, force=force)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = _new_folder(target)
        try:
            _write_all(tables, partial, form)
            _put_in_place(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise ConfigError(f"cannot write to {target}: {error.strerror or error}") from error
    return target


def check_target(
    directory: str | os.PathLike[str], form: str = "csv", *, force: bool = False
) -> Path:
    """The folder to write to, as `write_run` would take it, or `ConfigError`: to ask beforehand."""
    if form not in FORMATS:
        raise ConfigError(f"the format must be {' or '.join(FORMATS)}, not {form!r}")
    if form == "parquet":
        from backtest.analysis.parquet import arrow

        arrow()
    target = Path(directory).absolute()
    if not os.fspath(directory):
        raise ConfigError("the folder to write to has no name")
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{directory} is a file: give the name of a folder to write to")
    if target.is_dir():
        if target.resolve() == Path.cwd().resolve():
            raise ConfigError(
                "the folder to write to is the current one: give it a name, --out results"
            )
        others = sorted({one.name for one in target.iterdir()} - _OURS)
        if others and not force and not _is_run(target):
            raise ConfigError(
                f"{directory} holds {others[0]!r} and is not a run of ours: give another folder, "
                "or --force (force=True) to write into it beside what is there"
            )
    return target


def _is_run(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))["kind"] == _KIND)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _new_folder(target: Path) -> Path:
    """A folder of our own beside ``target``, on the same file system, hidden."""
    for number in count(1):
        folder = target.parent / f".{target.name}.{number}.partial"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable")


def _write_all(tables: Tables, folder: Path, form: str) -> None:
    written: dict[str, dict[str, Any]] = {}
    for name, columns in COLUMNS.items():
        path = folder / f"{name}.{form}"
        if form == "csv":
            rows = _write_csv(path, columns, tables.rows(name))
        else:
            from backtest.analysis.parquet import write_parquet

            rows = write_parquet(path, columns, tables.rows(name))
        written[name] = {"file": path.name, "rows": rows, "sha256": _sha256(path)}
    facts = {"kind": _KIND, "version": _VERSION, "format": form, **tables.facts, "tables": written}
    facts["sha256"] = _own_hash(facts)
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    (folder / RUN_FILE).write_bytes(text.encode())


def _write_csv(path: Path, columns: Row, rows: Iterable[Row]) -> int:
    number = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow(row)
            number += 1
    return number


def _put_in_place(partial: Path, target: Path) -> None:
    """Make the folder that is whole the target; files that are not ours stay where they are."""
    if not target.exists():
        partial.rename(target)
        return
    if {one.name for one in target.iterdir()} <= _OURS and not target.is_symlink():
        old = _new_folder(target)
        old.rmdir()  # not everywhere may a folder be renamed over an empty one
        target.rename(old)
        try:
            partial.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
        return
    # In company: one file after the other, and run.json, without which it is no run, first gone
    # and last there.
    for name in sorted(_OURS, key=lambda name: name != RUN_FILE):
        (target / name).unlink(missing_ok=True)
    for path in sorted(partial.iterdir(), key=lambda path: path.name == RUN_FILE):
        path.replace(target / path.name)


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
    if not isinstance(facts, dict) or facts.get("kind") != _KIND:
        raise DataError("is not the file of a run of ours", source=path)
    if facts.get("version") != _VERSION or facts.get("format") not in FORMATS:
        raise DataError(
            f"is of version {facts.get('version')!r} and format {facts.get('format')!r}; this "
            f"program reads version {_VERSION} in {' or '.join(FORMATS)}",
            source=path,
        )
    return RunFiles(folder, facts)


class RunFiles:
    """A run in a folder, read as `backtest.analysis.tables.Tables`."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.folder = folder
        self._facts = facts

    @property
    def facts(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        return self._facts

    def path(self, name: str) -> Path:
        """The file of a table."""
        return self.folder / f"{name}.{self._facts['format']}"

    def rows(self, name: str) -> Iterator[Row]:
        """The rows of a table. Raises `DataError` with file and line for what is none."""
        path = self.path(name)
        columns = COLUMNS[name]
        try:
            if self._facts["format"] == "parquet":
                from backtest.analysis.parquet import read_parquet

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
        for name in COLUMNS:
            path = self.path(name)
            if not path.is_file():
                yield f"{path.name} is missing"
            elif not isinstance(told, dict) or not isinstance(told.get(name), dict):
                yield f"{RUN_FILE} does not tell of {path.name}"
            elif told[name].get("sha256") != _sha256(path):
                yield f"{path.name} has been changed: its SHA-256 is not the one in {RUN_FILE}"


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
