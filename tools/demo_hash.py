"""Run the demo with every interpreter of this machine, and compare what it books and writes.

    python -m tools.demo_hash

A wheel is built and installed into a new environment for each interpreter that
``tools/interpreters.py`` finds; in each the demo writes its folder. The journal's hash in
``run.json`` and the bytes of every table must be those of the others. Prints a line for each
version, those that this machine lacks among them; exit code 1 if two differ.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools import interpreters

__all__ = ["differences", "main", "marks"]

ROOT = Path(__file__).resolve().parent.parent
JOURNAL = "journal"


def _run(*command: str | Path, cwd: Path) -> None:
    dropped = ("PYTHONPATH", "PYTHONHASHSEED", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"demo_hash: failed: {' '.join(map(str, command))}\n{done.stderr}")


def _environment(folder: Path, interpreter: Path, wheel: Path) -> Path:
    """A new environment with the wheel and nothing else; the path of its interpreter."""
    _run(interpreter, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    _pip("--python", python, "install", wheel, cwd=folder.parent)
    return python


def _pip(*arguments: str | Path, cwd: Path) -> None:
    _run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, cwd=cwd)


def _wheel(scratch: Path) -> Path:
    """A wheel of a copy of the tree: what an earlier build left in the tree is not in it."""
    tree = scratch / "tree"
    for name in ("src", "actors", "strategies"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, tree / name)
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", scratch, tree, cwd=scratch)
    (wheel,) = scratch.glob("*.whl")
    return wheel


def marks(folder: Path) -> dict[str, str]:
    """The journal's hash that a run's folder tells, and the SHA-256 of each of its tables."""
    receipt = json.loads((folder / "run.json").read_text(encoding="utf-8"))["receipt"]
    tables = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.csv"))
    }
    return {JOURNAL: receipt["journal_sha256"], **tables}


def differences(found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What is not the same with every version: a line each."""
    names = dict.fromkeys(name for told in found.values() for name in told)
    lines = []
    for name in names:
        kinds: dict[str, list[str]] = {}
        for version, told in found.items():
            kinds.setdefault(told.get(name, "missing"), []).append(version)
        if len(kinds) > 1:
            told_by = "; ".join(f"{mark[:12]} on {', '.join(on)}" for mark, on in kinds.items())
            lines.append(f"{name}: {told_by}")
    return lines


def _told(scratch: Path, version: str, interpreter: Path, wheel: Path) -> dict[str, str]:
    """The marks of the demo's folder, as this interpreter writes it."""
    python = _environment(scratch / f"venv-{version}", interpreter, wheel)
    out = scratch / version
    _run(python, "-m", "backtest", "demo", "--quiet", "--out", out, cwd=scratch)
    return marks(out)


def main() -> int:
    """Run them all; the exit code."""
    there = interpreters.find()
    found: dict[str, dict[str, str]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="demo-hash-") as name,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        scratch = Path(name)
        wheel = _wheel(scratch)
        told = pool.map(lambda one: _told(scratch, one, there[one], wheel), there)
        for version, path in there.items():
            found[version] = next(told)
            print(f"Python {version}: journal {found[version][JOURNAL]} ({path})")
        for version in interpreters.supported():
            if version not in there:
                print(f"Python {version}: not on this machine")
    if not found:
        print("demo_hash: no interpreter found", file=sys.stderr)
        return 1
    wrong = differences(found)
    if wrong:
        print("\n".join(["the demo is not the same on all:", *wrong]), file=sys.stderr)
        return 1
    tables = len(next(iter(found.values()))) - 1
    print(f"the demo is the same on {len(found)}: its journal, and {tables} tables")
    return 0


if __name__ == "__main__":
    sys.exit(main())
