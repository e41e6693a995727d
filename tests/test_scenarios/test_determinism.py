"""One seed, one journal: in this process, in others, for every hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.random_trading import run_wild

ROOT = Path(__file__).parents[2]
PROGRAM = """
from tests.random_trading import run_wild
for seed in (5, 6, 7):
    world = run_wild(seed)
    events = [(e.time, e.message, e.kind.value, e.branch, e.order_number, e.detail)
              for e in world.records.events]
    ids = [str(one.id) for one in world.records.orders]
    import hashlib
    print(world.sha256, hashlib.sha256(repr((events, ids, world.fills())).encode()).hexdigest())
"""


def elsewhere(hash_seed: str) -> str:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_journal_is_the_same_for_every_hash_seed_and_process() -> None:
    first = elsewhere("0")
    assert len(first.split()) == 6
    assert len(set(first.split())) == 6
    for hash_seed in ("1", "42", "random"):
        assert elsewhere(hash_seed) == first


def test_the_journal_is_the_same_again_and_another_for_another_seed() -> None:
    one, again, other = run_wild(11), run_wild(11), run_wild(12)
    assert one.rows() == again.rows()
    assert one.sha256 == again.sha256
    assert one.records.events == again.records.events
    assert one.records.fills == again.records.fills
    assert one.sha256 != other.sha256
