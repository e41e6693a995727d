"""Scenarios made in Python: hours, scaling, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest
from attrs import evolve

from backtest.actors import Phase
from backtest.errors import ConfigError
from backtest.markets.hours import Hours, hours_of, phases
from backtest.markets.instrument import Instrument
from backtest.markets.kinds import KINDS, kind_called
from backtest.markets.population import Population
from backtest.markets.scenario import Scenario
from backtest.markets.shipped import SHIPPED, load
from backtest.strategies import Strategy
from backtest.times import DAY, HOUR, MINUTE

ABM = Instrument(pair="ABM/USD", reference_price=100)


def _crowd(*counts: int, fixed: int = 0) -> Scenario:
    crowd = [Population("noise", count, name=f"p{at}") for at, count in enumerate(counts)]
    if fixed:
        crowd.append(Population("noise", fixed, name="fixed", fixed=True))
    return Scenario(pairs=ABM, populations=crowd, duration="1h", cash="100 USD")


def _counts(scenario: Scenario) -> list[int]:
    return [one.count for one in scenario.populations]


# -- scaling -----------------------------------------------------------------------------------


def test_populations_are_scaled_in_proportion_by_largest_remainders() -> None:
    day = _crowd(1000, 102, 2, 12)
    # Of 1000: 896.05, 91.39, 1.79 and 10.75; the rests 0.79 and 0.75 get the two that are left.
    assert _counts(day.scaled(1000)) == [896, 91, 2, 11]
    assert _counts(day.scaled(2232)) == [2000, 204, 4, 24]
    assert _counts(day.scaled(1116)) == [1000, 102, 2, 12]


def test_nobody_vanishes() -> None:
    assert _counts(_crowd(1000, 102, 2, 12).scaled(4)) == [1, 1, 1, 1]
    # Of 10: 8.96, 0.91, 0.02 and 0.11; three are lifted to one, the first gives way.
    assert _counts(_crowd(1000, 102, 2, 12).scaled(10)) == [7, 1, 1, 1]


def test_fixed_populations_keep_their_number_and_empty_ones_stay_empty() -> None:
    assert _counts(_crowd(30, 0, 10, fixed=5).scaled(45)) == [30, 0, 10, 5]
    assert _counts(_crowd(30, 0, 10, fixed=5).scaled(85)) == [60, 0, 20, 5]


def test_too_few_agents_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"3 agents are too few: there must be 4 at least"):
        _crowd(10, 10, fixed=2).scaled(3)
    with pytest.raises(ConfigError, match=r"has 2 agents, all of them fixed: it cannot have 3"):
        _crowd(fixed=2).scaled(3)
    with pytest.raises(ConfigError, match="agents must be a whole number"):
        _crowd(10).scaled(2.5)  # type: ignore[arg-type]


# -- names -------------------------------------------------------------------------------------


def test_names_do_not_depend_on_how_many_there_are() -> None:
    few, many = Population("noise", 2), Population("noise", 10_000)
    assert few.names() == ["noise-00001", "noise-00002"]
    assert many.names()[:2] == few.names()
    assert many.names()[-1] == "noise-10000"


def test_a_population_of_a_class_is_called_like_it() -> None:
    class Mine(Strategy):
        fast: int = 3

    assert Population(Mine).name == "mine"
    with pytest.raises(ConfigError, match="Mine has no parameter 'fats'; did you mean 'fast'"):
        Population(Mine, parameters={"fats": 3})


def test_every_kind_of_agent_is_there() -> None:
    for name in KINDS:
        assert issubclass(kind_called(name), Strategy)


# -- hours -------------------------------------------------------------------------------------

NINE, FIVE = 9 * HOUR, 17 * HOUR


def test_a_pair_without_hours_trades_from_the_start() -> None:
    assert list(phases("X", None, 5, 100)) == [(5, Phase("X", "continuous"))]


def test_a_day_with_both_auctions() -> None:
    hours = hours_of(
        {"opening_auction": "08:50", "opens": "09:00", "closing_auction": "16:55",
         "closes": "17:00"},
        "hours",
    )  # fmt: skip
    start = 100 * DAY + 8 * HOUR
    assert [(at - start, one.phase) for at, one in phases("X", hours, start, start + 9 * HOUR)] == [
        (0, "closed"),
        (50 * MINUTE, "auction"),
        (HOUR, "continuous"),
        (8 * HOUR + 55 * MINUTE, "auction"),
        (9 * HOUR, "closed"),
    ]


def test_a_market_that_starts_at_noon_starts_in_the_phase_of_noon() -> None:
    hours = Hours(opens=NINE, closes=FIVE)
    assert [one.phase for _, one in phases("X", hours, DAY + 12 * HOUR, DAY + 13 * HOUR)] == [
        "continuous"
    ]


def test_days_follow_each_other() -> None:
    hours = Hours(opens=NINE, closes=FIVE)
    told = list(phases("X", hours, NINE, 2 * DAY + NINE))
    assert [at for at, _ in told] == [NINE, FIVE, DAY + NINE, DAY + FIVE, 2 * DAY + NINE]


def test_a_time_of_day_has_no_zone() -> None:
    with pytest.raises(ConfigError, match=r"hours.opens is in UTC: give it without a zone"):
        hours_of({"opens": time(9, tzinfo=UTC), "closes": "17:00"}, "hours")


# -- what is refused ---------------------------------------------------------------------------


def test_python_says_the_same_as_a_file() -> None:
    with pytest.raises(ConfigError, match="needs at least one pair"):
        evolve(_crowd(1), pairs=())
    with pytest.raises(ConfigError, match="pair 'ABM/USD' is there twice"):
        evolve(_crowd(1), pairs=(ABM, ABM))
    with pytest.raises(ConfigError, match="population 'noise' is there twice"):
        evolve(_crowd(1), populations=[Population("noise"), Population("noise", 2)])
    with pytest.raises(ConfigError, match="pairs must be Instrument values, not 'ABMUSD'"):
        evolve(_crowd(1), pairs=["ABMUSD"])
    with pytest.raises(ConfigError, match="until must know its zone: write 2024-01-02T10:00:00Z"):
        evolve(_crowd(1), duration=None, until=datetime(2024, 1, 2, 10))
    with pytest.raises(ConfigError, match=r"an agent is named .* or a class of Strategy, not 3"):
        Population(3)


def test_no_float_becomes_money() -> None:
    with pytest.raises(TypeError, match=r"reference_price must be a Decimal, not the float 0.1"):
        Instrument(pair="ABM/USD", reference_price=0.1)
    with pytest.raises(TypeError, match="cash in USD must be a Decimal, not the float"):
        Population("noise", cash={"USD": 0.1})
    with pytest.raises(TypeError, match="leverage must be a Decimal, not the float"):
        Population("noise", leverage=1.5)


# -- finding them ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_scenario_is_there_and_says_what_it_is(name: str) -> None:
    scenario = load(name)
    assert scenario.name == name
    assert len(scenario.description) > 80
    for one in scenario.populations:
        one.check(one.kind)


def test_the_reference_day_has_the_populations_of_its_model() -> None:
    day = load("reference-day")
    counts = {one.name: one.count for one in day.populations}
    assert counts == {"market_maker": 2, "value": 102, "momentum": 12, "noise": 1000}
    assert day.until_ns - day.start_ns == 6 * HOUR + 30 * MINUTE


def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(ConfigError) as caught:
        load("reference-dya")
    assert str(caught.value) == (
        "there is no scenario 'reference-dya'; did you mean 'reference-day'?; it is one of "
        f"{', '.join(SHIPPED)}, a TOML file, or 'my.py:scenario'"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"parameters": {"every": {"uniform": [30, "90s"]}}}, "lengths of time throughout"),
        ({"parameters": {"size": {"normal": [5, 1], "at_least": 10, "at_most": 2}}}, "is above"),
        ({"leverage": 0}, "leverage must be at least 1, not 0"),
        ({"fixed": "yes"}, "fixed must be true or false"),
        ({"name": "fees"}, "an account of the house"),
    ],
)
def test_a_population_that_could_not_trade_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Population("noise", 1, **given)


def test_so_many_agents_that_no_machine_holds_them_are_refused() -> None:
    with pytest.raises(ConfigError, match="up to 1,000,000, not 100000000000"):
        Population("noise", 100_000_000_000)
