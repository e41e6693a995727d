"""Anything at any time under any rules, the oracle watching after every message."""

from __future__ import annotations

import pytest

from tests.effort import examples
from tests.random_trading import run_wild


@pytest.mark.parametrize("first", range(0, examples(60), 10))
def test_the_invariants_hold(first: int) -> None:
    fills = closes = 0
    for seed in range(first, first + 10):
        world = run_wild(seed)
        fills += len(world.records.fills)
        closes += sum(one.kind != "entry" for one in world.records.fills)
        # what the strategies believe is what the ledger says
        for name, account in (("s0", "main"), ("s1", "main"), ("s2", "other")):
            for asset in ("USD", "BTC", "ETH"):
                seen = world.strategies[name].balance(asset, account)
                assert tuple(seen) == world.balance(asset, account)
        assert world.ledger.fold() == world.ledger.balances()
    # a test that never trades tests nothing
    assert fills > 100
    assert closes > 30
