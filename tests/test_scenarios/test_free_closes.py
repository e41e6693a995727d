"""A run that charged for opening positions and not for closing them says so."""

from __future__ import annotations

from typing import Any

import pytest

import backtest
from backtest.models import TradingRules
from backtest.strategies import Strategy
from tests.harness import bar

WARNING = "closing positions of BTCUSD was free (1 of them): fees.fill is charged for opening"


class InAndOut(Strategy):
    """Opens a position, or buys, on the first bar and leaves on the next."""

    spot: bool = False

    async def run(self) -> None:
        stream = self.bars("BTCUSD")
        await anext(stream)
        order = await (self.buy if self.spot else self.long)("BTCUSD", 1)
        await anext(stream)
        await (self.sell("BTCUSD", 1) if self.spot else order.close())


@pytest.mark.parametrize(
    ("spot", "rules", "warns"),
    [
        (False, {"fees": {"fill": {"percent_of_notional": "0.01"}}}, True),
        (False, {"commission": "0.01"}, False),
        (False, {}, False),
        (True, {"fees": {"fill": {"percent_of_notional": "0.01"}}}, False),
    ],
)
def test_it_warns_where_it_charged_one_of_the_two(
    spot: bool, rules: dict[str, Any], warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    bars = [bar(number, 100) for number in range(4)]
    result = backtest.run(
        InAndOut(spot=spot),
        data=bars,
        pair="BTCUSD",
        cash="1000 USD",
        rules=TradingRules.from_mapping(rules),
    )
    assert len(result.fills) == 2
    assert (WARNING in caplog.text) is warns
    assert (WARNING in result.report()) is warns
