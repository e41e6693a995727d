"""The benchmark of the order book does what it says; how fast is nobody's business here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "order_book.py"


def run(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(SCRIPT), "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_measures_the_mix_that_it_says() -> None:
    result = run("--operations", "4000", "--rounds", "1")
    assert result["operations"] == sum(result["mix"].values()) == 4_000
    # While the book fills there are no cancels to speak of; from then on it is as described.
    assert result["mix"]["add"] > result["mix"]["cancel"] > 0
    assert result["mix"]["match"] > 300
    assert {"bare_per_s", "book_per_s", "made_before_per_s", "ratio_to_bare"} <= result.keys()


def test_operations_depend_on_the_seed_alone() -> None:
    one, again, other = (
        run("--operations", "3000", "--verify", "--seed", seed) for seed in ("5", "5", "6")
    )
    assert one["verified"] is True
    assert one["fills"] > 0
    assert one == again != other
