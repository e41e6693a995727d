"""Whether the simulation finds the bugs that are planted for it.

``python -m tests.plants.table`` (or ``make planted``) prints the table. Each bug is switched
on alone, and seeds are run until one fails. A bug that shows only as runs that differ from process
to process is found by running a seed in two processes with different hash seeds. Exit code 1 when a
bug stays unfound.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import attrs

from backtest.testing.simulation.run import run_seed
from tests.plants.plants import PLANTS, planted
from tests.tree import ROOT

__all__ = ["Find", "look_for", "main"]


@attrs.frozen(kw_only=True)
class Find:
    """How a planted bug was found."""

    name: str
    found_by: str
    """The invariant, or the error of the engine's own checks; empty for not found."""
    seeds: int
    """How many seeds it took."""
    problem: str


def look_for(name: str, seeds: int = 30, events: int = 1200) -> Find:
    """Run seeds from 0 with the bug called ``name`` until one of them fails."""
    if PLANTS[name].is_random:
        return _look_twice(name, min(seeds, 5), events)
    for seed in range(seeds):
        with planted(name):
            outcome = run_seed(seed, events, PLANTS[name].without)
        if outcome.invariant:
            problem = outcome.problem.split("\n")[0]
            return Find(name=name, found_by=outcome.invariant, seeds=seed + 1, problem=problem)
    return Find(name=name, found_by="", seeds=seeds, problem="")


def _look_twice(name: str, seeds: int, events: int) -> Find:
    program = (
        "import sys\n"
        "from tests.plants.plants import planted\n"
        "from backtest.testing.simulation.run import run_seed\n"
        f"without = frozenset({sorted(PLANTS[name].without)})\n"
        f"with planted({name!r}):\n"
        f"    print(run_seed(int(sys.argv[1]), {events}, without).sha256)\n"
    )
    for seed in range(seeds):
        hashes = [
            subprocess.run(
                [sys.executable, "-c", program, str(seed)],
                cwd=ROOT,
                env={**os.environ, "PYTHONHASHSEED": hash_seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for hash_seed in ("1", "2")
        ]
        if hashes[0] != hashes[1]:
            problem = f"seed {seed} gives other bytes in another process"
            return Find(name=name, found_by="same bytes", seeds=seed + 1, problem=problem)
    return Find(name=name, found_by="", seeds=seeds, problem="")


def main(arguments: Sequence[str] | None = None) -> int:
    """Look for all planted bugs, or for those that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.plants.table")
    parser.add_argument("names", nargs="*", help="some of the bugs (all, if none is named)")
    parser.add_argument("--seeds", type=int, default=30, help="how many to try for each bug")
    parser.add_argument("--events", type=int, default=1200, help="of each seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args(arguments)
    names = asked.names or list(PLANTS)
    unknown = [name for name in names if name not in PLANTS]
    if unknown:
        parser.error(f"no planted bug is called {unknown[0]!r}; there are: {', '.join(PLANTS)}")
    missed = []
    print(f"| {'bug':16} | {'what it does':47} | {'found by':15} | seeds |")
    print(f"|{'-' * 18}|{'-' * 49}|{'-' * 17}|------:|")
    with ProcessPoolExecutor(asked.jobs) as pool:
        count = len(names)
        finds = pool.map(look_for, names, [asked.seeds] * count, [asked.events] * count)
        for find in finds:
            if not find.found_by:
                missed.append(find.name)
            what, found = PLANTS[find.name].what, find.found_by or "NOT FOUND"
            print(f"| {find.name:16} | {what:47} | {found:15} | {find.seeds:5} |", flush=True)
    print(f"{len(names) - len(missed)} of {len(names)} found")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
