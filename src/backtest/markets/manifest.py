"""What a market was made of, as plain data: what is kept beside its result."""

from __future__ import annotations

from collections.abc import Mapping

from backtest.markets.latencies import latency_text
from backtest.markets.participants import Member
from backtest.markets.scenario import Scenario
from backtest.money import plain
from backtest.runs.content import Contents
from backtest.runs.manifest import Manifest, given_text, pair_text, rules_text

__all__ = ["market_manifest"]


def market_manifest(
    scenario: Scenario, members: Mapping[str, Member], bounds: Mapping[str, int]
) -> Manifest:
    """The configuration of a run of ``scenario`` with ``members``, in the form that `verify` and
    `explain` know from backtests."""
    contents = Contents()
    strategies = {
        name: {
            **contents.strategy(one.strategy, name),
            "accounts": [name],
            "population": one.population,
            "latency": latency_text(one.latency),
            "computation_ns": one.computation,
        }
        for name, one in members.items()
    }
    rules = {one.code: one.rules for one in scenario.pairs}
    config = {
        "seed": scenario.seed,
        "strategies": strategies,
        "cash": {
            name: {asset: plain(amount) for asset, amount in one.cash.items()}
            for name, one in members.items()
        },
        "accounts": {
            name: {
                "margin_mode": one.margin_mode,
                "netting": scenario.netting,
                "collateral": {},
            }
            for name, one in members.items()
        },
        "pairs": {one.code: pair_text(one.pair) for one in scenario.pairs},
        "rules": {code: rules_text(one) for code, one in rules.items()},
        "data": {},
        "stamp": "open",
        "tz": "UTC",
        "latency": latency_text(scenario.latency),
        "insurance_fund": {
            asset: plain(amount) for asset, amount in scenario.insurance_fund.items()
        },
        "market": scenario.text(),
        **bounds,
        **given_text(contents, rules, scenario.latency),
    }
    return Manifest({**config, "sources": contents.sources}, contents.notices)
