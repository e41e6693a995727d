"""Whole systems drawn from seeds: all hold, and the same seed gives the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backtest.testing.simulation import draw_plan, run_seed
from tests.effort import examples

# `make simulate` goes on where these end.
SEEDS = range(examples(20, soak=200))


@pytest.mark.parametrize("first", SEEDS[::10])
def test_ten_whole_systems_hold(first: int) -> None:
    for seed in range(first, first + 10):
        outcome = run_seed(seed, 400)
        assert outcome.is_good, f"seed {seed}: {outcome.problem}"
        assert outcome.events >= 400
        assert outcome.checks > 0


def test_the_same_seed_gives_the_same_bytes_in_every_process() -> None:
    here = [run_seed(seed, 300).sha256 for seed in range(100, 120)]
    program = (
        "from backtest.testing.simulation import run_seed\n"
        "for seed in range(100, 120): print(run_seed(seed, 300).sha256)"
    )
    for hash_seed in ("1", "random"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == here


def test_the_oracle_changes_nothing() -> None:
    for seed in range(120, 125):
        assert run_seed(seed, 300).sha256 == run_seed(seed, 300, watched=False).sha256


def test_what_is_left_out_leaves_the_rest_as_it_is() -> None:
    whole = draw_plan(3)
    first = whole.agents[0].name
    less = draw_plan(3, frozenset((f"agent:{first}",)))
    assert [one.name for one in less.agents] == [one.name for one in whole.agents[1:]]
    assert less.pairs == whole.pairs
    assert less.rules == whole.rules


def _lines() -> list[tuple[int, int, frozenset[str]]]:
    found = []
    for line in (Path(__file__).parent.parent / "seeds.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            seed, events, without, _ = line.split(maxsplit=3)
            left_out = frozenset() if without == "-" else frozenset(without.split(","))
            found.append((int(seed), int(events), left_out))
    return found


@pytest.mark.parametrize(("seed", "events", "without"), _lines())
def test_a_seed_that_failed_once_holds(seed: int, events: int, without: frozenset[str]) -> None:
    outcome = run_seed(seed, events, without)
    assert outcome.is_good, outcome.problem
