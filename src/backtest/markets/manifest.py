"""What a market was made of, as plain data: what is kept beside its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backtest.manifest import pair_text, rules_text
from backtest.markets.cast import Member
from backtest.markets.latencies import latency_text
from backtest.markets.scenario import Scenario
from backtest.money import plain

__all__ = ["market_manifest"]


def market_manifest(scenario: Scenario, members: Mapping[str, Member]) -> dict[str, Any]:
    """The configuration of a run of ``scenario`` with ``members``, in the form that `verify` and
    `explain` know from backtests."""
    return {
        "seed": scenario.seed,
        "strategies": {
            name: {
                "class": f"{type(one.strategy).__module__}.{type(one.strategy).__qualname__}",
                "parameters": {k: _plain(v) for k, v in one.strategy.parameters.items()},
                "accounts": [name],
                "population": one.population,
                "latency": latency_text(one.latency),
                "computation_ns": one.computation,
            }
            for name, one in members.items()
        },
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
        "rules": {one.code: rules_text(one.rules) for one in scenario.pairs},
        "data": {},
        "stamp": "open",
        "tz": "UTC",
        "latency": latency_text(scenario.latency),
        "insurance_fund": {
            asset: plain(amount) for asset, amount in scenario.insurance_fund.items()
        },
        "market": scenario.text(),
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str) else str(value)
