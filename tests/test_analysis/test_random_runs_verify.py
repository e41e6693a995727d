"""Whatever strategies do: a run verifies against its own bars, row by row of equity."""

from __future__ import annotations

from random import Random
from typing import Any

import backtest
from tests.random_trading import PAIRS, Wild, Wildest, random_bars, random_rules


def random_run(seed: int) -> Any:
    """Two wild strategies on accounts of their own, under rules and latencies from ``seed``."""
    chance = Random(seed)
    bars = random_bars(seed)
    more: dict[str, Any] = {}
    if chance.random() < 0.4:
        more["latency"] = chance.choice(["3ms", "20s", "2m"])
    if chance.random() < 0.3:
        more["margin_mode"] = "cross"
    return backtest.run(
        {"one": chance.choice([Wild, Wildest])(), "two": Wildest()},
        data={pair.code: [bar for bar in bars if bar.pair == pair.code] for pair in PAIRS},
        cash={"one": ["20000 USD", "3 BTC"], "two": ["500 USD"]},
        accounts={"one": ["one"], "two": ["two"]},
        rules=random_rules(seed),
        seed=seed,
        **more,
    )


def netting_run(seed: int) -> Any:
    """Two wild strategies, whose fills close what is open on the other side."""
    bars, chance = random_bars(seed), Random(seed)
    return backtest.run(
        {"one": Wildest(), "two": Wildest()},
        data={pair.code: [bar for bar in bars if bar.pair == pair.code] for pair in PAIRS},
        cash={"one": ["20000 USD", "3 BTC"], "two": ["500 USD"]},
        accounts={"one": ["one"], "two": ["two"]},
        rules=random_rules(seed),
        seed=seed,
        netting=True,
        margin_mode=chance.choice(["isolated", "cross"]),
    )


def test_random_runs_verify_against_their_data(soak: bool) -> None:
    for seed in range(300 if soak else 6):
        result = random_run(seed)
        assert result.fills, seed
        verification = result.verify(data=True)
        assert verification.ok, (seed, verification.problems)
        # Everything was looked at: nothing is left that the data would have shown.
        assert not any("against the data" in one for one in verification.unproven)


def test_random_runs_verify_where_accounts_net(soak: bool) -> None:
    # In the first two a branch with fills at two prices is split: its position stays as it is, and
    # so does what its other orders show.
    for seed in (114, 2030, *range(300 if soak else 2)):
        verification = netting_run(seed).verify(data=True)
        assert verification.ok, (seed, verification.problems)
