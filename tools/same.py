"""Say which runs a change made different: all that the tests and a corpus book, fill and end with.

    python tools/same.py                        compare with tests/same/baseline.txt; exit code 1
                                                when a run differs or is missing
    python tools/same.py --only calm            a part of it: runs whose name begins so
    python tools/same.py --renew                write the baseline anew (with --only: that part)
    python tools/same.py show NAME              the first row that differs from that run at the
                                                revision of the baseline
    python tools/same.py show NAME --against REV|FILE     at another, or in a file that `dump` made
    python tools/same.py dump NAME --out FILE   the rows of a run

A run that is new is told and is no failure; one whose name is gone while a new one comes to the
same has moved. What of a run counts: see `tests/same/lines.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.same.corpus import corpus, run_of  # noqa: E402
from tests.same.lines import digest_of  # noqa: E402

__all__ = ["Difference", "compare", "first_difference", "main", "read", "write"]

BASELINE = ROOT / "tests" / "same" / "baseline.txt"
SUITES = (
    "tests/test_scenarios",
    "tests/test_strategies",
    "tests/test_analysis",
    "tests/test_gym",
    "tests/test_agents",
    "tests/test_markets",
    "tests/test_system_document.py",
    "tests/test_what_a_run_is_given.py",
)
LEFT_OUT = (
    "tests/test_agents/test_on_exchange.py",
    "tests/test_analysis/test_market",
    "tests/test_analysis/test_no_fill.py",
    "tests/test_analysis/test_stories.py",
    "tests/test_analysis/test_verify.py",
    "tests/test_markets/test_conservation.py",
    "tests/test_markets/test_shipped_scenarios.py",
)
"""Tests that take long for the runs they make: the corpus has markets and crowds for them."""
AROUND = 4
"""How many rows before and after the first different one are shown."""
FAILED = 1
"""What pytest ends with when tests failed."""


class Difference(NamedTuple):
    """How the runs there are compare with those of the baseline."""

    changed: list[str]
    missing: list[str]
    new: list[str]
    moved: list[tuple[str, str]]
    """Runs that are called otherwise now, and came to the same."""

    @property
    def is_failure(self) -> bool:
        return bool(self.changed or self.missing)


def compare(old: Mapping[str, str], now: Mapping[str, str]) -> Difference:
    """What became of each run of ``old``."""
    changed = sorted(name for name in old.keys() & now.keys() if old[name] != now[name])
    missing = sorted(old.keys() - now.keys())
    new = sorted(now.keys() - old.keys())
    by_digest: dict[str, list[str]] = {}
    for name in reversed(new):
        by_digest.setdefault(now[name], []).append(name)
    moved = []
    for name in missing:
        if by_digest.get(old[name]):
            moved.append((name, by_digest[old[name]].pop()))
    gone, come = {one for one, _ in moved}, {one for _, one in moved}
    return Difference(
        changed,
        [one for one in missing if one not in gone],
        [one for one in new if one not in come],
        moved,
    )


def read(path: Path) -> dict[str, str]:
    """A baseline: hash by name."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: digest for name, _, digest in (line.rpartition("  ") for line in lines)}


def write(path: Path, runs: Mapping[str, str]) -> None:
    """One sorted line per run, so that a diff says what moved."""
    text = "".join(f"{name}  {digest}\n" for name, digest in sorted(runs.items()))
    path.write_text(text, encoding="utf-8")


def first_difference(old: Sequence[str], now: Sequence[str]) -> list[str]:
    """The first row that differs, with those around it, marked; nothing when all are equal."""
    if list(old) == list(now):
        return []
    shared = min(len(old), len(now))
    place = next((at for at in range(shared) if old[at] != now[at]), shared)
    told = [f"line {place + 1} of {len(old)} then, {len(now)} now:"]
    told += [f"    {line}" for line in old[max(0, place - AROUND) : place]]
    told += [f"  - {line}" for line in old[place : place + AROUND]]
    told += [f"  + {line}" for line in now[place : place + AROUND]]
    return told


# -- running ---------------------------------------------------------------------------------------


def all_runs(only: str) -> dict[str, str]:
    """The hash of every run whose name begins with ``only``."""
    found: dict[str, str] = {}
    wanted = [name for name, _ in corpus() if name.startswith(only)]
    # The longest first, or the last one would keep a core waiting.
    wanted.sort(key=lambda name: not name.startswith(("market/", "bench/")))
    if wanted:
        with ProcessPoolExecutor() as pool:
            for runs in pool.map(_runs_of, wanted, chunksize=4):
                found.update(runs)
    if only.startswith("tests/") or "tests/".startswith(only):
        found.update(_of_tests(only))
    return {name: digest for name, digest in found.items() if name.startswith(only)}


def _runs_of(name: str) -> dict[str, str]:
    return run_of(name).runs()


def _of_tests(only: str) -> dict[str, str]:
    file = only.partition("::")[0]
    is_one = file.startswith(SUITES) and (ROOT / file).exists()
    targets = [file] if is_one else list(SUITES)
    folder = Path(tempfile.mkdtemp(prefix="same-"))
    try:
        _pytest(folder, ["--numprocesses", "auto", *targets])
        found: dict[str, str] = {}
        for one in sorted(folder.glob("*.json")):
            found.update(json.loads(one.read_text(encoding="utf-8"))["runs"])
        return found
    finally:
        shutil.rmtree(folder)


def _pytest(folder: Path, arguments: Sequence[str]) -> None:
    """Run tests; those that fail are told, and their runs count as far as they came."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.same.plugin", "--same-runs"]
    command += [str(folder), "-q", "--no-header", "--tb=no", "-rfE", *arguments]
    command += [f"--ignore={one}" for one in LEFT_OUT]
    done = subprocess.run(command, cwd=ROOT, env=_environment(ROOT), capture_output=True, text=True)
    if done.returncode not in (0, FAILED):
        raise SystemExit(f"pytest failed:\n{done.stdout}{done.stderr}")
    if done.returncode == FAILED:
        failed = [one for one in done.stdout.splitlines() if one.startswith(("FAILED", "ERROR"))]
        print("tests failed, and are compared as far as they came:", *failed, sep="\n  ")


def _environment(root: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**kept, "PYTHONPATH": str(root / "src")}


# -- one run ---------------------------------------------------------------------------------------


def rows_of(name: str) -> list[str]:
    """The rows of one run of this working tree."""
    whose, _, number = name.rpartition("#")
    if not number or not whose:
        raise SystemExit(f"{name!r} is no run: a name ends with its number, as in calm/003#0")
    if not whose.startswith("tests/"):
        return run_of(whose, name).kept
    file, _, test = whose.partition("::")
    folder = Path(tempfile.mkdtemp(prefix="same-"))
    try:
        is_test = test.startswith(("test", "Test"))
        # A fixture runs with whichever test asks for it.
        _pytest(folder, ["-p", "no:xdist", "--same-rows", name, whose if is_test else file])
        kept: list[str] = json.loads((folder / "main.json").read_text(encoding="utf-8"))["kept"]
        return kept
    finally:
        shutil.rmtree(folder)


def rows_at(revision: str, name: str) -> list[str]:
    """The rows of that run at another revision, by the tool of that time where there is one."""
    place = Path(tempfile.mkdtemp(prefix="same-"))
    try:
        packed = place / "tree.tar"
        _git("archive", "--output", str(packed), revision)
        tree = place / "tree"
        shutil.unpack_archive(packed, tree)
        for one in ("tools/same.py", "tests/same"):
            if not (tree / one).exists():
                copy = shutil.copytree if (ROOT / one).is_dir() else shutil.copy
                copy(ROOT / one, tree / one)
        out = place / "rows.txt"
        command = [sys.executable, "tools/same.py", "dump", name, "--out", str(out)]
        subprocess.run(command, cwd=tree, env=_environment(tree), check=True)
        return out.read_text(encoding="utf-8").splitlines()
    finally:
        shutil.rmtree(place)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


# -- the command line ------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when nothing differs."""
    asked = _parser().parse_args(arguments)
    if asked.command == "dump":
        return _dump(asked.name, asked.out)
    if asked.command == "show":
        return _show(asked.name, asked.against)
    old, now = read(BASELINE), all_runs(asked.only)
    kept = {name: digest for name, digest in old.items() if not name.startswith(asked.only)}
    old = {name: digest for name, digest in old.items() if name not in kept}
    difference = compare(old, now)
    _tell(difference, len(now))
    if asked.renew:
        write(BASELINE, {**kept, **now})
        return 0
    return 1 if difference.is_failure else 0


def _tell(difference: Difference, count: int) -> None:
    for title, names in (
        ("changed", difference.changed),
        ("missing", difference.missing),
        ("moved", [f"{one} -> {other}" for one, other in difference.moved]),
        ("new", difference.new),
    ):
        for name in names:
            print(f"{title}  {name}")
    told = {title: len(names) for title, names in difference._asdict().items()}
    print(f"{count} runs: " + ", ".join(f"{number} {title}" for title, number in told.items()))
    if difference.changed:
        print(f"the first row that differs: python tools/same.py show {difference.changed[0]!r}")


def _dump(name: str, out: str | None) -> int:
    text = "".join(f"{line}\n" for line in rows_of(name))
    if not text:
        print(f"there is no run {name!r}", file=sys.stderr)
        return 1
    if out is None:
        sys.stdout.write(text)
    else:
        Path(out).write_text(text, encoding="utf-8")
    return 0


def _show(name: str, against: str | None) -> int:
    if against is not None and Path(against).is_file():
        old = Path(against).read_text(encoding="utf-8").splitlines()
    else:
        revision = against or _git("log", "-1", "--format=%H", "--", str(BASELINE))
        old = rows_at(revision, name)
        known = read(BASELINE).get(name)
        if against is None and known not in (None, digest_of(old[1:])):
            print(f"(at {revision[:7]} the run is not what the baseline has: give --against REV)")
    told = first_difference(old, rows_of(name))
    print("\n".join(told) or "the same")
    return 1 if told else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog="`tools/same.py` without a command compares all runs with the baseline.",
    )
    parser.add_argument("--only", default="", metavar="BEGINNING", help="runs whose name begins so")
    parser.add_argument("--renew", action="store_true", help="write the baseline anew")
    commands = parser.add_subparsers(dest="command")
    show = commands.add_parser("show", help="the first row of a run that differs")
    show.add_argument("name")
    show.add_argument("--against", metavar="REV|FILE", help="default: where the baseline is from")
    dump = commands.add_parser("dump", help="the rows of a run")
    dump.add_argument("name")
    dump.add_argument("--out", metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
