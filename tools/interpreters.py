"""The Python interpreters of this machine that the package is made for, the newest first.

    python tools/interpreters.py            # a line each, and which are missing
    python tools/interpreters.py --newest   # the path of the newest

Those that the classifiers of ``pyproject.toml`` name are looked for: on the ``PATH``, and among
what pyenv has installed. One counts if it starts and can make an environment: pyenv leaves names on
the ``PATH`` behind which there is no interpreter.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["find", "main", "supported"]

ROOT = Path(__file__).resolve().parent.parent
_CLASSIFIER = re.compile(r'"Programming Language :: Python :: (3\.\d+)"')
_PROBE = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"


def supported() -> list[str]:
    """The versions that the package says it is for, the newest first: ``3.13``, ``3.12``, …"""
    found = _CLASSIFIER.findall((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return sorted(found, key=_number, reverse=True)


def find(environment: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """An interpreter for each supported version that this machine has, the newest first."""
    found = {}
    for version in supported():
        for path in _places(version, environment):
            if _version_of(path) == version:
                found[version] = path
                break
    return found


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _places(version: str, environment: Mapping[str, str]) -> Iterator[Path]:
    """Where an interpreter of ``version`` may be; the later of pyenv's patches before the older."""
    folders = [Path(one) for one in environment.get("PATH", "").split(os.pathsep) if one]
    names = [f"python{version}", "python3", "python"]
    yield from (folder / name for name in names for folder in folders)
    pyenv = environment.get("PYENV_ROOT") or Path(environment.get("HOME", "."), ".pyenv")
    released = re.compile(re.escape(version) + r"\.\d+")
    patches = [one for one in Path(pyenv, "versions").glob("*") if released.fullmatch(one.name)]
    for patch in sorted(patches, key=lambda one: _number(one.name), reverse=True):
        yield patch / "bin" / "python"


def _version_of(path: Path) -> str:
    """What the interpreter at ``path`` is; empty where none starts that makes environments."""
    if not path.is_file():
        return ""
    try:
        done = subprocess.run([path, "-c", _PROBE], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def main(arguments: list[str] | None = None) -> int:
    """Print what there is; exit code 1 if there is none."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--newest", action="store_true", help="print the path of the newest alone")
    newest = parser.parse_args(arguments).newest
    found = find()
    if newest and found:
        print(next(iter(found.values())))
    elif not newest:
        for version in supported():
            print(f"Python {version}: {found.get(version, 'not on this machine')}")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
