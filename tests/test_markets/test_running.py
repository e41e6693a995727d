"""Markets run: assembled as described, the same every time, and no cent lost or made."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from backtest.errors import ConfigError
from backtest.markets import Instrument, MarketResult, Population, Scenario, run_market, uniform
from backtest.models import HOUSE, Asset, SpotOrder, TradingPair, TradingRules
from backtest.services.fundamental import Fundamental
from backtest.strategies import Strategy
from backtest.strategies.agents import Agent, ValueAgent
from backtest.times import MINUTE, SECOND
from tests.test_markets.crowd import CROWD, PAIR, Idler

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def crowd() -> MarketResult:
    return CROWD.run()


def _tape(result: MarketResult) -> list[tuple[Any, ...]]:
    return [(one.time_ns, one.price, one.volume, one.buyer, one.seller) for one in result.trades]


def _held(result: MarketResult, asset: str, *, of_house: bool) -> Decimal:
    """What all agents have of an asset (or the house, but for `world`), reserved or not."""
    total = Decimal(0)
    for account, assets in result.ledger.balances().items():
        if (account in HOUSE) == of_house and account != "world":
            available, unavailable = assets.get(asset, (Decimal(0), Decimal(0)))
            total += available + unavailable
    return total


# -- assembly ----------------------------------------------------------------------------------


def test_a_crowd_trades(crowd: MarketResult) -> None:
    assert len(crowd.strategies) == CROWD.agents == 42
    assert len(crowd.trades) >= 50
    assert crowd.messages > 1_000
    assert crowd.messages_per_s > 0
    assert {name: len(members) for name, members in crowd.agents_by_type.items()} == {
        "maker": 2, "value": 10, "trend": 5, "noise": 25,
    }  # fmt: skip
    assert repr(crowd) == (
        f"<MarketResult crowd: 42 agents, {crowd.messages} messages, {len(crowd.trades)} trades>"
    )


def test_it_verifies(crowd: MarketResult) -> None:
    assert crowd.verify().ok, crowd.verify().problems


def test_money_is_conserved_over_all_agents_and_the_house(crowd: MarketResult) -> None:
    paid_in = sum((one["USD"] for one in _owned(crowd)), Decimal(5_000))
    shares = sum((one.get("ABM", Decimal(0)) for one in _owned(crowd)), Decimal(0))
    for asset, came_in in (("USD", paid_in), ("ABM", shares)):
        held = _held(crowd, asset, of_house=False) + _held(crowd, asset, of_house=True)
        assert held == came_in
    # Fees were paid and nobody but the agents paid them.
    assert crowd.ledger.balances()["fees"]["USD"][0] > 0


def _owned(result: MarketResult) -> list[Mapping[str, Decimal]]:
    return [
        one.cash or result.scenario.cash or {}
        for one in result.scenario.populations
        for _ in one.names()
    ]


def test_each_agent_has_an_account_of_its_own_with_its_cash(crowd: MarketResult) -> None:
    opening = {
        (row.account, row.asset): row.available
        for row in crowd.rows()
        if "opening balance" in row.description and row.account not in HOUSE
    }
    assert opening["noise-00001", "USD"] == 100_000
    assert opening["noise-00025", "ABM"] == 1_000
    assert opening["trend-00003", "USD"] == 20_000
    assert ("trend-00003", "ABM") not in opening
    assert crowd.accounts["noise-00001"].netting is True


def test_parameters_are_drawn_for_each_agent(crowd: MarketResult) -> None:
    sizes = [one.parameters["size"] for name, one in crowd.strategies.items() if "noise" in name]
    assert all(1 <= size <= 9 and size == int(size) for size in sizes)
    assert len(set(sizes)) > 3
    trends = [one for name, one in crowd.strategies.items() if "trend" in name]
    assert {one.parameters["leverage"] for one in trends} == {Decimal(3)}


def test_the_fundamental_is_the_pairs_and_the_same_for_all(crowd: MarketResult) -> None:
    worth = crowd.fundamentals["ABMUSD"]
    assert isinstance(worth, Fundamental)
    assert worth.mean == 100
    believers = [one for one in crowd.strategies.values() if isinstance(one, ValueAgent)]
    assert len(believers) == 10
    assert all(one.fundamental is worth for one in believers)


def test_seed_until_and_agents_can_be_said_for_one_run() -> None:
    result = CROWD.run(seed=8, until="09:31", agents=84)
    assert (result.run.seed, len(result.strategies)) == (8, 84)
    assert result.run.end_ns == CROWD.start_ns + MINUTE
    assert result.scenario.until_ns == CROWD.start_ns + MINUTE
    assert CROWD.seed == 7  # a scenario is frozen


def test_a_strategy_of_the_users_joins_the_crowd() -> None:
    mine = Idler()
    result = CROWD.run(mine, cash="500 USD", until="09:31")
    assert result.strategies["idler"] is mine
    assert mine.pair == "ABMUSD"  # the only one, though its default is another
    assert mine.draws  # it ran
    assert result.balances["idler"]["USD"]["available"] == 500
    assert result.populations["idler"] == "idler"
    named = CROWD.run(
        {"a": Idler(), "b": Idler()}, cash={"a": "1 USD", "b": "2 USD"}, until="09:31"
    )
    assert named.balances["b"]["USD"]["available"] == 2


def test_a_market_may_hold_nobody_but_the_users_strategies() -> None:
    empty = Scenario(pairs=Instrument(pair=PAIR, reference_price=100), duration="10s")
    assert len(empty.run(Idler(), cash="1 USD").strategies) == 1
    with pytest.raises(ConfigError, match="there are no agents"):
        empty.run()


def test_an_event_loop_may_be_running() -> None:
    async def inside() -> MarketResult:
        with pytest.raises(ConfigError, match=r"use await backtest.markets.run_market_async"):
            run_market(CROWD, until="09:31")
        return await CROWD.run_async(until="09:31")

    assert _tape(asyncio.run(inside())) == _tape(CROWD.run(until="09:31"))


def test_one_seed_gives_one_market_whether_progress_is_told_or_not(crowd: MarketResult) -> None:
    told: list[tuple[int, int]] = []
    again = CROWD.run(progress=lambda now, messages: told.append((now, messages)))
    assert told == sorted(told)
    assert 100 < len(told) <= 201
    assert told[-1][0] == CROWD.until_ns
    assert again.journal_sha256 == crowd.journal_sha256
    assert again.config_sha256 == crowd.config_sha256
    assert _tape(again) == _tape(crowd)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"strategies": {"noise-00001": Idler()}, "cash": "1 USD"}, "is called like an agent"),
        ({"strategies": Idler(), "cash": {"other": "1 USD"}}, "strategy 'idler' has no cash"),
        ({"agents": 2}, "2 agents are too few: there must be 4 at least"),
        ({"until": "soon"}, "until must be a time of day such as '09:30', not 'soon'"),
        ({"seed": 1.5}, "seed must be a whole number, not 1.5"),
    ],
)
def test_what_cannot_be_run_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        run_market(CROWD, **settings)


def test_an_agent_that_refuses_its_parameters_is_told_with_its_population() -> None:
    class Picky(Strategy):
        size: int = 1

        def __attrs_post_init__(self) -> None:
            if self.size > 3:
                raise ValueError("too large")

    scenario = evolve(CROWD, populations=[Population(Picky, 2, parameters={"size": 9})])
    with pytest.raises(ConfigError) as caught:
        scenario.run()
    assert str(caught.value) == (
        "population 'picky': cannot make Picky(size=9): ValueError: too large"
    )


def test_an_agent_of_several_pairs_must_be_told_which() -> None:
    other = TradingPair("XYZUSD", Asset("XYZ", 0), Asset("USD", 2), volume_increment=Decimal(1))
    both = [*CROWD.pairs, Instrument(pair=other, reference_price=5)]
    with pytest.raises(ConfigError, match="population 'maker': needs parameter pair, one of ABM"):
        evolve(CROWD, pairs=both).run()
    with pytest.raises(ConfigError, match="there is no pair 'NONE'; there are: ABMUSD, XYZUSD"):
        evolve(
            CROWD, pairs=both, populations=[Population("noise", parameters={"pair": "NONE"})]
        ).run()


# -- the same every time -----------------------------------------------------------------------


def test_another_seed_gives_another_market() -> None:
    one, other = (CROWD.run(seed=seed, until="09:31") for seed in (7, 8))
    assert one.journal_sha256 != other.journal_sha256


def test_one_agent_more_that_does_not_trade_changes_nothing_for_the_others() -> None:
    def played(count: int) -> MarketResult:
        first = Population(Idler, count, cash="1 USD", name="idler")
        return evolve(CROWD, populations=[first, *CROWD.populations]).run(until="09:32")

    few, many = played(2), played(3)
    assert len(many.strategies) == len(few.strategies) + 1
    assert len(few.trades) > 20
    assert _tape(many) == _tape(few)
    for name, one in few.strategies.items():
        assert many.strategies[name].parameters == one.parameters
        if isinstance(one, Idler):
            assert many.strategies[name].draws == one.draws
    # Another configuration is another run: ids come of it, and no two runs share one.
    assert {one.buyer_order for one in many.trades}.isdisjoint(
        one.buyer_order for one in few.trades
    )


def test_a_thousand_agents_give_the_same_bytes_whatever_the_hash_seed() -> None:
    program = (
        "from tests.test_markets.crowd import CROWD\n"
        "result = CROWD.run(agents=1000, until='09:30:20')\n"
        "print(len(result.strategies), len(result.trades), result.messages)\n"
        "print(result.journal_sha256, result.config_sha256)\n"
    )
    told = []
    for seed in ("0", "42"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        told.append(done.stdout)
    assert told[0] == told[1]
    agents, trades, *_ = told[0].split()
    assert (agents, int(trades) > 100) == ("1000", True)


def test_hours_are_kept() -> None:
    (pair,) = CROWD.pairs
    hours = {"opens": "09:31", "closing_auction": "09:33", "closes": "09:34"}
    day = evolve(CROWD, pairs=evolve(pair, hours=hours), duration="5m")
    result = day.run()
    at = [(one.time_ns - day.start_ns) / MINUTE for one in result.trades]
    assert at
    assert min(at) >= 1
    continuous = [one for one in at if one < 3]
    assert continuous
    # From the third minute on orders are collected; they meet once, at the fourth, at one price.
    closing = [one for one in result.trades if one.time_ns >= day.start_ns + 3 * MINUTE]
    assert {one.time_ns for one in closing} <= {day.start_ns + 4 * MINUTE}
    assert len({one.price for one in closing}) <= 1
    assert result.verify().ok


def test_a_slow_market_trades_later() -> None:
    slow = evolve(CROWD, latency="1s", duration="2m")
    first = min(one.time_ns for one in slow.run().trades)
    assert first >= CROWD.start_ns + SECOND


class Bidder(Strategy):
    """Bids for one share as soon as it can."""

    pair: str = "ABMUSD"

    async def run(self) -> None:
        self.sent = self.now_ns
        await self.long(self.pair, 1, limit_price=90)
        self.answered = self.now_ns


def test_the_latency_of_a_population_is_its_own() -> None:
    quick = Population(Bidder, 2, name="quick", latency={"orders": "2ms"})
    slow = Population(Bidder, 2, name="slow")
    result = evolve(CROWD, populations=[quick, slow], latency="50ms", duration="1s").run()
    took = {name: one.answered - one.sent for name, one in result.strategies.items()}
    # There and back: 2 ms and nothing, 50 ms and 50 ms.
    assert took == {
        "quick-00001": 2_000_000, "quick-00002": 2_000_000,
        "slow-00001": 100_000_000, "slow-00002": 100_000_000,
    }  # fmt: skip
    told = result.config["strategies"]["slow-00001"]["latency"]
    assert told["orders"] == "FixedLatency(50000000)"


def test_latency_may_be_a_matter_of_distance() -> None:
    far = {"spread": 1000, "base": "10us"}
    result = evolve(
        CROWD, populations=Population(Bidder, 20), latency=far, computation="7us", duration="1s"
    ).run()
    took = [one.answered - one.sent for one in result.strategies.values()]
    # 7 us to think, 10 us at least each way, 5 us for each of up to 1 000 km, there and back.
    assert min(took) >= 27_000
    assert max(took) <= 27_000 + 2 * 5_000_000
    assert len(set(took)) == 20


def test_distributions_of_whole_numbers_reach_whole_number_parameters() -> None:
    many = Population("noise", 5, parameters={"wakes": uniform(1, 3)}, cash="1 USD")
    result = evolve(CROWD, populations=[many], duration="1s").run()
    kinds = {type(one.parameters["wakes"]) for one in result.strategies.values()}
    assert kinds == {int}


def test_one_book_takes_one_kind_of_orders() -> None:
    (pair,) = CROWD.pairs
    market = evolve(CROWD, pairs=evolve(pair, kind="spot", rules=TradingRules()), duration="2m")
    result = evolve(market, populations=market.populations[:2]).run()
    assert result.trades
    assert all(one.spot for one in result.strategies.values() if isinstance(one, Agent))
    assert {type(one) for one in result.orders} == {SpotOrder}
    assert result.verify().ok
    # Between agents a spot trade needs nothing of the house but fees, and there are none.
    accounts = {row.account for row in result.rows()}
    assert accounts <= {"world", "insurance", *result.strategies}


class _Early(Strategy):
    """Sends its order the moment it is there, and says when it filled."""

    side: str = "long"

    async def run(self) -> None:
        order = await getattr(self, self.side)("ABMUSD", 3, limit_price=100)
        await order.filled()
        self.filled_ns = self.now_ns


def test_a_day_that_begins_with_an_auction_collects_from_its_first_moment() -> None:
    """Both send at 09:00, in the auction; they meet when it ends, a minute later."""
    market = Scenario(
        pairs=Instrument(
            pair="ABMUSD",
            price_increment="0.01",
            volume_increment=1,
            reference_price=100,
            hours={"opening_auction": "09:00", "opens": "09:01", "closes": "17:00"},
        ),
        populations=[
            Population(_Early, name="bid"),
            Population(_Early, name="ask", parameters={"side": "short"}),
        ],
        cash="1000 USD",
        start="2024-01-02T09:00:00Z",
        duration="2m",
    )
    result = market.run()
    (trade,) = result.trades
    assert trade.time_ns == market.start_ns + MINUTE
    assert trade.aggressor is None
    assert result.verify().ok


def test_ticks_and_lots_can_be_given_beside_a_code() -> None:
    made = Instrument(
        pair="ABMUSD", reference_price=100, price_increment="0.05", volume_increment=10
    )
    assert (made.pair.price_increment, made.pair.volume_increment) == (Decimal("0.05"), Decimal(10))
    with pytest.raises(ConfigError, match=r"no multiple of the price increment 0\.05"):
        Instrument(pair="ABMUSD", reference_price="100.01", price_increment="0.05")
