"""The same agents where they trade with each other: a market that is liquid, and loses no money."""

from __future__ import annotations

from collections import Counter
from statistics import mean, median
from typing import Any

import pytest

from backtest.models import Depth, TradingRules
from backtest.services.fundamental import Fundamental
from backtest.strategies import Strategy
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
    Population,
    PovMarketMaker,
    PrivateValue,
    Replay,
    Scripted,
    Twap,
    ValueAgent,
    Vwap,
    ZeroIntelligence,
    population,
)
from backtest.times import HOUR, MINUTE
from tests.market_harness import START, Market, market_pair, play_market

from .running import D, bars

MONEY = {"USD": "1000000"}


class Eye(Agent):
    """Looks at the market every few seconds and keeps what it saw."""

    def on_start(self) -> None:
        super().on_start()
        self.seen: list[Depth] = []
        self.set_timer("look", every=10)

    def act(self, depth: Depth) -> None:
        self.seen.append(depth)


def worth(**settings: Any) -> Fundamental:
    given = {"mean": 100, "volatility": 0.02, "reversion": 1.0, "start": START, "seed": 5}
    return Fundamental(**{**given, **settings})


def crowd(value: Fundamental, makers: int = 2) -> Population:
    """A small crowd with the defaults of every kind."""
    return (
        population(ZeroIntelligence, 40, name="noise", cash=MONEY)
        | population(ValueAgent, 10, name="value", cash=MONEY, fundamental=value)
        | population(Momentum, 2, name="momentum", cash=MONEY)
        | population(MarketMaker, makers, name="maker", cash=MONEY, reference=100)
    )


def watched(
    agents: dict[str, Strategy], cash: dict[str, Any], until: int, **settings: Any
) -> tuple[Market, list[Depth]]:
    """Let them trade, under the eye of one who does not; no money is made or lost by it."""
    eye = Eye()
    market = play_market(
        {**agents, "eye": eye},
        {**cash, "eye": {"USD": "1"}},
        until=until,
        whole_every=5_000,
        **settings,
    )
    totals: Counter[str] = Counter()
    for owned in market.account.ledger.balances().values():
        for asset, (available, unavailable) in owned.items():
            totals[asset] += available + unavailable  # type: ignore[assignment]
    assert not any(totals.values())
    return market, eye.seen


def test_a_crowd_with_the_defaults_makes_a_liquid_market_that_knows_what_the_asset_is_worth() -> (
    None
):
    value = worth()
    agents = crowd(value)
    market, seen = watched(dict(agents), agents.cash, HOUR, seed=3)
    # Both sides are there, a few increments apart.
    assert all(one.bids and one.asks for one in seen[6:])
    spreads = [one.spread / D("0.01") for one in seen[6:] if one.spread is not None]
    assert 1 <= median(spreads) <= 4
    assert mean(float(one.bids[0].volume or 0) for one in seen[6:]) >= 5
    # They trade, and on both sides (but the trend of an hour may well have one direction only).
    sides = {
        (side, name.rpartition("-")[0])
        for one in market.exchange.trades_log
        for side, name in (("buys", one.buyer), ("sells", one.seller))
    }
    assert sides >= {(side, kind) for side in ("buys", "sells") for kind in KINDS}
    # And the price follows the value: its misses are small beside what the value itself does.
    misses = [
        float(one.mid) / value.at(one.time_ns) - 1 for one in seen[180:] if one.mid is not None
    ]
    assert mean(abs(one) for one in misses) < 0.001


KINDS = ("noise", "value", "maker")


def test_a_shock_to_the_value_moves_the_price_there() -> None:
    value = worth(volatility=0.0, shocks=[("30m", -0.03)])
    agents = crowd(value)
    _, seen = watched(dict(agents), agents.cash, HOUR, seed=4)
    before = [float(one.mid) for one in seen if one.mid and one.time_ns < START + 30 * MINUTE]
    after = [float(one.mid) for one in seen if one.mid and one.time_ns > START + 50 * MINUTE]
    assert mean(before) == pytest.approx(100, abs=0.3)
    assert mean(after) == pytest.approx(97, abs=0.5)


def test_a_large_sale_into_thin_makers_is_a_crash_that_passes() -> None:
    value = worth(volatility=0.0)
    agents = crowd(value, makers=1)
    everyone = {**agents, "seller": Once(volume=400, after="30m")}
    market, seen = watched(everyone, {**agents.cash, "seller": MONEY}, HOUR, seed=5)
    lowest = min(one.price for one in market.exchange.trades_log if one.seller == "seller")
    before = [float(one.mid) for one in seen if one.mid and one.time_ns < START + 30 * MINUTE]
    after = [float(one.mid) for one in seen if one.mid and one.time_ns > START + 50 * MINUTE]
    assert float(lowest) < mean(before) - 0.05
    assert mean(after) == pytest.approx(mean(before), abs=0.2)


@pytest.mark.parametrize("spot", [False, True], ids=["margin", "spot"])
def test_every_kind_trades_with_the_others(spot: bool) -> None:
    value = worth(volatility=0.2, reversion=50.0)
    money = {"USD": "1000000", "BTC": "1000"} if spot else MONEY
    kinds: dict[str, Agent] = {
        "private": PrivateValue(spot=spot, spread=0.002, band=0.005),
        "reversion": MeanReversion(spot=spot, window=10, every="20s"),
        "clustered": ZeroIntelligence(spot=spot, clustering=0.5, every="60s", size=5),
        "pov": PovMarketMaker(spot=spot, size=2, spread=2),
        "stoikov": AvellanedaStoikov(spot=spot, size=5, gamma="0.002", k=50, every="10s"),
        "execution": Execution(spot=spot, side="sell", volume=30, after="5m"),
        "twap": Twap(spot=spot, volume=60, duration="40m", slices=20, passive=True),
        "vwap": Vwap(spot=spot, side="sell", volume=50, duration="40m", profile=[3, 1, 2]),
        "learnt": LearntVwap(
            spot=spot, volume=50, after="15m", period="15m", duration="10m", slices=5
        ),
        "participation": Participation(spot=spot, side="sell", volume=50, rate=0.05),
        "scripted": Scripted(spot=spot, steps=[("5m", "buy", 7), ("15m", "sell", 3)]),
        "once": Once(spot=spot, volume=20, after="20m"),
        "replay": Replay(spot=spot, data=list(bars(60, seed=9, volume=40))),
    }
    if not spot:
        kinds["trend"] = LeveragedTrend(fast=3, slow=10, every="30s", leverage=5)
    agents = (
        population(ZeroIntelligence, 40, name="noise", cash=money, spot=spot)
        | population(ValueAgent, 15, name="value", cash=money, spot=spot, fundamental=value)
        | population(Momentum, 2, name="momentum", cash=money, spot=spot, fast=5, slow=15)
        | population(MarketMaker, 2, name="maker", cash=money, spot=spot, reference=100)
    )
    cash: dict[str, Any] = {**agents.cash, **dict.fromkeys(kinds, money)}
    if not spot:
        cash["trend"] = {"USD": "300"}
    market, _ = watched({**agents, **kinds}, cash, HOUR, spot=spot, seed=6)
    traded: Counter[str] = Counter()
    for one in market.exchange.trades_log:
        traded.update((one.buyer, one.seller))
    assert [name for name in kinds if not traded[name]] == []
    # Those with a schedule have done what they were told, to the last lot.
    for name in ("execution", "twap", "vwap", "learnt"):
        agent = kinds[name]
        assert isinstance(agent, Execution)
        assert agent.remaining == 0
    assert kinds["scripted"].inventory == 4
    assert kinds["once"].inventory == -20
    if not spot:
        total = sum((one.inventory for one in [*agents.values(), *kinds.values()]), D(0))  # type: ignore[attr-defined]
        assert total == 0


def test_a_leveraged_crowd_is_liquidated_when_the_value_falls() -> None:
    value = worth(volatility=0.0, shocks=[("10m", 0.02), ("30m", -0.15)])
    agents = crowd(value)
    trend = population(
        LeveragedTrend,
        5,
        name="trend",
        cash={"USD": "200"},
        leverage=20,
        fast=3,
        slow=10,
        every=lambda index, random: 20 + 20 * random.random(),
    )
    both = agents | trend
    market, _ = watched(
        dict(both),
        both.cash,
        HOUR,
        seed=7,
        rules=TradingRules(maintenance_rate=D("0.01")),
        insurance="1000",
    )
    closed = Counter(one.kind for one in market.exchange.venue.records.fills)
    assert closed["liquidation"] > 0


def test_one_agent_more_draws_nothing_of_the_others() -> None:
    # What one does moves the market, so the others may do otherwise; but when they wake, which they
    # draw before they see anything of it, stays as it was.
    def woken(count: int) -> dict[str, tuple[int, ...]]:
        agents = population(Waker, count, name="noise", cash=MONEY, places={"market": 1.0})
        watched(dict(agents), agents.cash, 10 * MINUTE, seed=8, pair=market_pair())
        return {name: tuple(one.woke) for name, one in agents.items() if isinstance(one, Waker)}

    few, many = woken(3), woken(4)
    assert all(few.values())
    assert {name: many[name] for name in few} == few


class Waker(ZeroIntelligence):
    """Noise that trades at the market only, and notes when it wakes."""

    sizes: str = "fixed"
    every: Any = "30s"

    def on_start(self) -> None:
        self.woke: list[int] = []
        super().on_start()

    def on_timer(self, name: str) -> None:
        self.woke.append(self.now_ns)
        super().on_timer(name)
