"""Anything at any time, on cross margin accounts that are often called: the oracle watches."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from attrs import evolve

from backtest.actors import EventKind
from backtest.models import Funding, Tiers, TradingRules
from tests.harness import D, play
from tests.random_trading import PAIRS, Wildest, random_bars, random_rules

BRACKETS = Tiers([(100, "0.02"), (300, "0.05", 50), (None, "0.10", 25)])


def wild_rules(seed: int) -> dict[str, TradingRules]:
    """The rules of `random_rules`, some with brackets, some with funding."""
    chance = Random(seed)
    made = {}
    for code, own in random_rules(seed).items():
        if chance.random() < 0.4:
            own = evolve(own, maintenance_rate=D(0), maintenance_tiers=BRACKETS)
        if chance.random() < 0.6:
            rate = D(chance.randrange(-200, 300)) / 10_000
            own = evolve(own, funding=Funding(rate, every="7m", at="00:03"))
        made[code] = own
    return made


def run(seed: int) -> Any:
    chance = Random(seed)
    cross: dict[str, Any] = {"margin_mode": "cross", "netting": chance.random() < 0.3}
    return play(
        random_bars(seed, 120),
        kinds=[Wildest, Wildest, Wildest],
        cash={"main": {"USD": 90, "BTC": "0.4"}, "other": {"USD": 50}},
        own=[["main"], ["main"], ["other", "main"]],
        pairs=PAIRS,
        rules=wild_rules(seed),
        seed=seed,
        accounts={"main": {**cross, "collateral": {"BTC": "0.8"}}, "other": cross},
        finishes=False,
    )


@pytest.mark.parametrize("seed", range(10))
def test_every_invariant_holds_after_every_message(seed: int) -> None:
    run(seed)


def test_accounts_are_called_and_nothing_is_random() -> None:
    calls = 0
    for seed in range(28, 32):
        one, two = run(seed), run(seed)
        assert one.sha256 == two.sha256
        calls += sum(event.kind is EventKind.LIQUIDATED for event in one.records.events)
    assert calls
