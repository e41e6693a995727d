"""Every agent on bars of the past: it trades, the run proves itself, and is the same again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backtest.services.fundamental import Fundamental
from backtest.strategies import agents
from backtest.strategies.agents import (
    Agent,
    AvellanedaStoikov,
    Execution,
    LearntVwap,
    LeveragedTrend,
    MarketMaker,
    MeanReversion,
    Momentum,
    Once,
    Participation,
    PovMarketMaker,
    PrivateValue,
    Replay,
    Scripted,
    Twap,
    ValueAgent,
    Vwap,
    ZeroIntelligence,
)

from .running import bars, play

COUNT = 150
DATA = list(bars(COUNT))
WORTH = Fundamental(mean=100, volatility=0.05, reversion=5.0, start=DATA[0].open_ns, seed=1)

TWO_SIDED: dict[type[Agent], Callable[[bool], Agent]] = {
    ZeroIntelligence: lambda spot: ZeroIntelligence(spot=spot, clustering=0.3),
    PrivateValue: lambda spot: PrivateValue(spot=spot),
    ValueAgent: lambda spot: ValueAgent(spot=spot, fundamental=WORTH),
    Momentum: lambda spot: Momentum(spot=spot, fast=5, slow=20),
    MeanReversion: lambda spot: MeanReversion(spot=spot),
    MarketMaker: lambda spot: MarketMaker(spot=spot, every="60s"),
    PovMarketMaker: lambda spot: PovMarketMaker(spot=spot, size="0.5", step=3, every="60s"),
    AvellanedaStoikov: lambda spot: AvellanedaStoikov(spot=spot, every="60s", k=50, gamma="0.002"),
    Replay: lambda spot: Replay(spot=spot, data=list(bars(COUNT, seed=9))),
    Scripted: lambda spot: Scripted(
        spot=spot, steps=[("5m", "buy", 3), ("10m", "buy", 2, "101"), ("1h", "sell", 4)]
    ),
}
ONE_SIDED: dict[type[Agent], Callable[[bool], Agent]] = {
    Execution: lambda spot: Execution(spot=spot, side="sell"),
    Twap: lambda spot: Twap(spot=spot, side="sell", passive=True),
    Vwap: lambda spot: Vwap(spot=spot, side="sell", profile=[3, 1, 2]),
    LearntVwap: lambda spot: LearntVwap(
        spot=spot, side="sell", after="1h", period="1h", duration="30m", slices=6
    ),
    Participation: lambda spot: Participation(spot=spot, side="sell", volume=20),
    Once: lambda spot: Once(spot=spot, volume=5),
}
MARGIN_ONLY: dict[type[Agent], Callable[[bool], Agent]] = {
    LeveragedTrend: lambda spot: LeveragedTrend(fast=5, slow=20)
}
EVERY = {**TWO_SIDED, **ONE_SIDED, **MARGIN_ONLY}
CASES = [
    pytest.param(kind, spot, id=f"{kind.__name__}-{'spot' if spot else 'margin'}")
    for kind in EVERY
    for spot in (True, False)
    if not (spot and kind in MARGIN_ONLY)
]


@pytest.mark.parametrize(("kind", "spot"), CASES)
def test_trades_on_history_and_the_run_proves_itself(kind: type[Agent], spot: bool) -> None:
    # All the money of the others, ten times over, would be a hundred times a bar's volume.
    cash = {"USD": "20"} if kind in MARGIN_ONLY else None
    result = play(EVERY[kind](spot), DATA, cash)
    assert type(next(iter(result.strategies.values()))) is kind
    assert result.fills
    if kind not in ONE_SIDED:
        assert {one.direction.name for one in result.fills} == {"LONG", "SHORT"}


def test_none_of_the_agents_is_left_out_here() -> None:
    known = {getattr(agents, name) for name in agents.__all__}
    kinds = {one for one in known if isinstance(one, type) and issubclass(one, Agent)}
    assert kinds - {Agent} == set(EVERY)


@pytest.mark.parametrize("kind", [ZeroIntelligence, ValueAgent, MarketMaker])
def test_one_seed_gives_one_history(kind: type[Agent]) -> None:
    once, again = (play(EVERY[kind](False), DATA, seed=5) for _ in range(2))
    assert [(one.timestamp_ns, one.price, one.volume) for one in once.fills] == [
        (one.timestamp_ns, one.price, one.volume) for one in again.fills
    ]
    other = play(EVERY[kind](False), DATA, seed=6)
    assert [one.create_timestamp for one in other.orders] != [
        one.create_timestamp for one in once.orders
    ]
