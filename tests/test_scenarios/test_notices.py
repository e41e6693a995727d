"""What the rules left out that trading would have felt is said beside the figures."""

from __future__ import annotations

from typing import Any

import pytest

import backtest
from backtest.models import TradingRules
from backtest.strategies import Strategy
from tests.harness import bar

SAID = (
    "positions of BTCUSD had leverage up to 5 and maintenance_rate 0: they are liquidated only "
    "when all of their margin is lost, later than at any exchange; give maintenance_rate in the "
    "rules"
)


class Levered(Strategy):
    """Goes long on the first bar, twice, the second time with more leverage."""

    leverage: int = 5

    async def run(self) -> None:
        await anext(self.bars("BTCUSD"))
        await self.long("BTCUSD", 1, leverage=1)
        await self.long("BTCUSD", 1, leverage=self.leverage)


@pytest.mark.parametrize(
    ("leverage", "rules", "said"),
    [
        (5, {}, [SAID]),
        (1, {}, []),
        (5, {"maintenance_rate": "0.005"}, []),
        (5, {"maintenance_tiers": [{"rate": "0.004"}]}, []),
    ],
    ids=["no-rate", "no-leverage", "a-rate", "tiers"],
)
def test_leverage_without_a_maintenance_rate_is_noted(
    leverage: int, rules: dict[str, Any], said: list[str]
) -> None:
    result = backtest.run(
        Levered(leverage=leverage),
        data=[bar(number, 100) for number in range(3)],
        cash="1000 USD",
        rules=TradingRules.from_mapping(rules),
    )
    assert len(result.fills) == 2
    assert list(result.notices) == result.receipt["notices"] == said
    assert ("\nNotices\n" in result.report()) is bool(said)
