"""Every agent on bars of the past: it trades, the run proves itself, and is the same again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backtest.services.fundamental import Fundamental
from backtest.strategies.agents import (
    Agent,
    MarketMaker,
    MeanReversion,
    Momentum,
    PovMarketMaker,
    PrivateValue,
    ValueAgent,
    ZeroIntelligence,
)

from .running import bars, play

START = next(iter(bars())).open_ns
WORTH = Fundamental(mean=100, volatility=0.05, reversion=5.0, start=START, seed=1)

AGENTS: dict[str, Callable[[bool], Agent]] = {
    "noise": lambda spot: ZeroIntelligence(spot=spot),
    "private": lambda spot: PrivateValue(spot=spot),
    "value": lambda spot: ValueAgent(spot=spot, fundamental=WORTH),
    "momentum": lambda spot: Momentum(spot=spot),
    "reversion": lambda spot: MeanReversion(spot=spot),
    "maker": lambda spot: MarketMaker(spot=spot),
    "pov": lambda spot: PovMarketMaker(spot=spot, size="0.5", step=3),
}


@pytest.mark.parametrize("spot", [True, False], ids=["spot", "margin"])
@pytest.mark.parametrize("name", AGENTS)
def test_trades_on_history_and_the_run_proves_itself(name: str, spot: bool) -> None:
    result = play(AGENTS[name](spot))
    assert result.fills
    assert {one.direction.name for one in result.fills} == {"LONG", "SHORT"}
    again = play(AGENTS[name](spot))
    assert [one.price for one in again.fills] == [one.price for one in result.fills]
