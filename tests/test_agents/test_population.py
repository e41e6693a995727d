"""Crowds: names, parameters that are each agent's own, and what one agent more changes."""

from __future__ import annotations

import sys
from random import Random
from typing import Any

import pytest

from backtest.errors import ConfigError, FieldError
from backtest.services.arrivals import poisson
from backtest.strategies.agents import (
    MarketMaker,
    Momentum,
    Population,
    ZeroIntelligence,
    population,
)
from backtest.times import SECOND

from .running import bars, play, sent_orders


def noise(count: int, **settings: Any) -> Population:
    return population(ZeroIntelligence, count, name="noise", cash="10000 USD", **settings)


class TestPopulation:
    def test_names_are_padded_so_that_no_number_of_them_changes_one(self) -> None:
        assert list(noise(3)) == ["noise-00000", "noise-00001", "noise-00002"]
        assert list(population(Momentum, 1)) == ["momentum-00000"]

    def test_each_agent_is_one_of_its_own_with_money_of_its_own(self) -> None:
        crowd = noise(4, size=3)
        assert len({id(crowd[name]) for name in crowd}) == 4
        assert all(one.size == 3 for one in crowd.values() if isinstance(one, ZeroIntelligence))
        assert crowd.cash == dict.fromkeys(crowd, "10000 USD")
        assert not population(ZeroIntelligence, 2).cash

    def test_parameters_can_be_drawn(self) -> None:
        crowd = population(
            ZeroIntelligence,
            50,
            cash=lambda index, random: f"{1000 + index} USD",
            distance=lambda index, random: index + random.random(),
        )
        drawn = [one.parameters["distance"] for one in crowd.values()]
        assert [int(one) for one in drawn] == list(range(50))
        assert len({one - int(one) for one in drawn}) == 50
        assert crowd.cash["zerointelligence-00007"] == "1007 USD"

    def test_one_agent_more_changes_the_parameters_of_none(self) -> None:
        def drawn(count: int, seed: int = 0) -> list[float]:
            crowd = noise(count, seed=seed, distance=lambda index, random: random.random())
            return [one.parameters["distance"] for one in crowd.values()]

        assert drawn(20)[:10] == drawn(10)
        assert drawn(10, seed=1) != drawn(10)

    def test_arrivals_are_handed_out_in_order(self) -> None:
        crowd = noise(5, arrivals=poisson(2.0, Random(1)), wakes=1)
        times = [one.parameters["at"] for one in crowd.values()]
        expected = [
            time / SECOND for time, _ in zip(poisson(2.0, Random(1)), range(5), strict=False)
        ]
        assert times == expected
        with pytest.raises(FieldError, match="end after 3 of 5"):
            noise(5, arrivals=iter([1, 2, 3]))

    def test_two_are_joined_and_a_name_is_nobody_elses(self) -> None:
        crowd = noise(2) | population(MarketMaker, 1, name="maker", cash="1 USD")
        assert list(crowd) == ["noise-00000", "noise-00001", "maker-00000"]
        assert list(crowd.cash) == list(crowd)
        with pytest.raises(ConfigError, match="noise-00000"):
            crowd | noise(1)
        with pytest.raises(FieldError, match="count"):
            noise(-1)

    def test_it_runs_as_it_is(self) -> None:
        crowd = noise(5, every="5m")
        result = play(dict(crowd), bars(60), crowd.cash)
        assert len({one.agent_id for one in result.orders}) == 5


def test_one_agent_more_leaves_the_draws_of_the_others_as_they_were() -> None:
    # On bars orders do not meet: whoever draws the same does the same.
    def orders(count: int) -> dict[str, list[tuple[Any, ...]]]:
        crowd = noise(count, every="3m", distance=lambda index, random: 10 * random.random())
        result = play(dict(crowd), bars(60), crowd.cash, seed=4)
        found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in crowd}
        for one in sent_orders(result):
            found[result.agents[one.agent_id]].append(
                (one.create_timestamp, one.direction, one.volume, one.limit_price)
            )
        return found

    few, many = orders(3), orders(4)
    assert all(few.values())
    assert {name: many[name] for name in few} == few


def test_an_agent_that_has_not_started_is_small() -> None:
    # Ten thousand must be made at once. The objects of one agent, counted by hand: itself and its
    # attributes, which share their names and most of their values with those of the others.
    agent = next(iter(noise(1).values()))
    assert sys.getsizeof(agent) + sys.getsizeof(vars(agent)) < 1_500
