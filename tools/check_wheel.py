"""Build the source distribution and the wheel, and run the test-suite against the installed wheel.

    python tools/check_wheel.py [--python INTERPRETER] [-- PYTEST_ARGUMENT ...]

The wheel is built from the source distribution (so that this one is proven whole), installed with
its extra ``test`` into a new environment in a temporary folder, and tested from a copy of the tests
there. Beside the copy lie folders named ``strategies`` and ``actors`` of somebody else's: what the
package imports must not be them, and they must stay importable. Both files are left in ``dist``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
# All that tests may read, and nothing that could be imported instead of the installed package.
COPIED = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "benchmarks",
    "changelog.d",
    "conformance",
    "docs",
    "examples",
    "pyproject.toml",
    "tests",
    "tools",
)

_THEIRS = '''"""A folder of the user's own, which happens to have this name."""

OWNER = "the user"
'''

_PROOF = """
import pathlib, sys
sys.path.insert(0, ".")
import actors, strategies
import backtest, backtest.actors, backtest.strategies
assert strategies.OWNER == actors.OWNER == "the user"
home = pathlib.Path(sys.prefix).resolve()
for module in (backtest, backtest.actors, backtest.strategies):
    path = pathlib.Path(module.__file__).resolve()
    assert path.is_relative_to(home), f"{module.__name__} comes from {path}, not from the wheel"
    print(f"{module.__name__} comes from the wheel")
"""


def _run(*command: str | Path, cwd: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run([str(part) for part in command], cwd=cwd, env=environment, check=True)


def _build() -> Path:
    """Both distributions in ``dist``; the path of the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    _run(sys.executable, "-m", "build", "--outdir", DIST, ROOT, cwd=ROOT)
    (wheel,) = DIST.glob("*.whl")
    return wheel


def _environment(folder: Path, interpreter: str, wheel: Path) -> Path:
    """A new environment with the wheel and what its tests need; the path of its interpreter."""
    _run(interpreter, "-m", "venv", folder, cwd=folder.parent)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    # What is imported is compiled then: most of what the extra brings never is.
    _run(*pip, "install", "--no-compile", f"{wheel}[test]", cwd=folder.parent)
    return python


def _copy(folder: Path) -> None:
    """The tests and what they read, and the folders of somebody else's, in ``folder``."""
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(source, folder / name, ignore=ignored)
        elif source.exists():
            shutil.copy2(source, folder / name)
    for name in ("strategies", "actors"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(_THEIRS, encoding="utf-8")


def main() -> int:
    """Build, install, test; the exit code of the first step that failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter to install it for")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    arguments = parser.parse_args()
    # A path is meant from the root; a bare name is looked up on the PATH.
    interpreter = arguments.python
    if os.sep in interpreter:
        interpreter = str(ROOT / interpreter)
    try:
        wheel = _build()
        with tempfile.TemporaryDirectory(prefix="check-wheel-") as name:
            scratch = Path(name)
            python = _environment(scratch / "venv", interpreter, wheel)
            copy = scratch / "copy"
            _copy(copy)
            _run(python, "-c", _PROOF, cwd=copy)
            _run(python, "-m", "pytest", *arguments.pytest, cwd=copy)
    except subprocess.CalledProcessError as error:
        print(f"check_wheel: failed: {' '.join(error.cmd)[:200]}", file=sys.stderr)
        return error.returncode
    print(f"{wheel.name} holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
