"""Check a coverage report against what each part of the package must have.

    python tools/check_coverage.py COVERAGE.json

The report is what ``coverage json`` writes, with branches. Models, services and the account actor
must be covered wholly, each other package by 95 % of its lines and branches together. Prints a line
a package, and the lines that are missing where it is too little; exit code 1 then.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["FLOOR", "WHOLE", "check", "main", "package_of"]

WHOLE = ("models", "services", "actors/account.py")
"""What must be covered wholly."""
FLOOR = 95.0
"""Per cent that each other package needs."""


def package_of(file: str) -> str:
    """The part of the package that a file counts for: ``services``, ``actors/account.py``."""
    path = file.replace("\\", "/")
    _, _, inside = path.rpartition("backtest/")
    if inside == path:  # the folders actors and strategies are at the top
        inside = path[max(path.find("actors/"), path.find("strategies/"), 0) :]
    if inside in WHOLE:
        return inside
    return inside.partition("/")[0] if "/" in inside else "(top)"


def check(report: dict[str, Any]) -> tuple[list[str], list[str]]:
    """A line for each package, and a line for each shortfall."""
    if not report["meta"].get("branch_coverage"):
        return [], ["the report has no branches: run coverage with branch = true"]
    counts: dict[str, tuple[int, int]] = {}
    missing: dict[str, list[str]] = {}
    for file, found in sorted(report["files"].items()):
        package, summary = package_of(file), found["summary"]
        covered, all_ = counts.get(package, (0, 0))
        counts[package] = (
            covered + summary["covered_lines"] + summary["covered_branches"],
            all_ + summary["num_statements"] + summary["num_branches"],
        )
        lines = [str(line) for line in found["missing_lines"]]
        lines += [f"{a}->{b}" for a, b in found["missing_branches"]]
        if lines:
            missing.setdefault(package, []).append(f"  {file}: {', '.join(lines)}")
    told, short = [], []
    for package, (covered, all_) in sorted(counts.items()):
        share = 100 * covered / all_ if all_ else 100.0
        wanted = 100.0 if package in WHOLE else FLOOR
        told.append(f"{package:20} {share:6.2f} % of {all_}, wanted {wanted:.0f} %")
        if share < wanted:
            short += [f"{package} has {share:.2f} %, not {wanted:.0f} %:", *missing[package]]
    return told, short


def main(arguments: list[str]) -> int:
    """Check the report named; the exit code."""
    if len(arguments) != 1:
        print("usage: python tools/check_coverage.py COVERAGE.json", file=sys.stderr)
        return 2
    told, short = check(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    print("\n".join(told))
    print("\n".join(short), file=sys.stderr)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
