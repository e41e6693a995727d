"""Scenario files: what they mean, and what is said of those that cannot be."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from backtest.errors import ConfigError
from backtest.markets.reading import read_scenario, scenario_of
from backtest.markets.scenario import Scenario
from backtest.models import FeeStage
from backtest.times import HOUR, MINUTE, SECOND

HEAD = """
start = 2024-01-02T09:30:00Z
until = "16:00"
cash = "1000 USD"
"""
PAIR = """
[pairs.ABMUSD]
price_increment = "0.01"
volume_increment = 1
reference_price = "100"
"""
NOISE = """
[populations.noise]
count = 10
"""
GOOD = HEAD + PAIR + NOISE


def _read(text: str) -> Scenario:
    return scenario_of(text, "day.toml", Path())


def test_the_smallest_scenario() -> None:
    scenario = _read(GOOD)
    assert scenario.name == "day"
    assert scenario.start == datetime(2024, 1, 2, 9, 30, tzinfo=UTC)
    assert scenario.until_ns - scenario.start_ns == 6 * HOUR + 30 * MINUTE
    (pair,) = scenario.pairs
    assert (pair.code, pair.pair.base.code, pair.pair.quote.code) == ("ABMUSD", "ABM", "USD")
    assert pair.pair.price_increment == Decimal("0.01")
    assert pair.pair.volume_increment == 1
    assert pair.reference_price == 100
    (noise,) = scenario.populations
    assert (noise.name, noise.agent, noise.count) == ("noise", "noise", 10)
    assert scenario.cash == {"USD": Decimal(1000)}
    assert scenario.netting is True
    assert scenario.agents == 10


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(
        "from backtest.strategies import Strategy\n\n\nclass Mine(Strategy):\n    fast: int = 3\n"
    )
    file = tmp_path / "all.toml"
    file.write_text(
        """
name = "everything"
description = "Two pairs."
start = "2024-01-02T09:00:00+00:00"
duration = "2h"
seed = 11
latency = { orders = "20us", market_data = { uniform = ["10us", "30us"] } }
computation = "50ns"
insurance_fund = "5000 USD"
netting = false
margin_mode = "cross"

[rules]
max_leverage = 20
maintenance_rate = "0.005"
[rules.fees]
fill = { percent_of_notional = "0.001", maker = "-0.0002" }

[assets.USD]
precision = 2

[pairs.ABMUSD]
price_increment = 0.01
volume_increment = 1
reference_price = "100.50"
max_leverage = 5
self_trade = "cancel_both"
band = "0.1"
halt = "2m"
hours = { opening_auction = "09:10", opens = "09:30", closing_auction = "15:55", closes = 16:00:00 }
fundamental = { volatility = 0.02, reversion = 3, shocks = [["1h", -0.05]] }

[pairs."XYZ/USD"]
reference_price = 7

[populations.makers]
agent = "market_maker"
count = 2
cash = { USD = "100000", ABM = 500 }
leverage = 3
latency = "5us"
computation = "1us"
margin_mode = "isolated"
fixed = true
parameters = { pair = "ABMUSD", size = { uniform = [5, 20], step = 5 }, skew = 0.5 }

[populations.mine]
agent = "my.py:Mine"
cash = "10 USD"
parameters = { fast = { choice = [3, 5, 8] } }
"""
    )
    scenario = read_scenario(file)
    assert (scenario.name, scenario.seed, scenario.netting) == ("everything", 11, False)
    assert scenario.until_ns - scenario.start_ns == 2 * HOUR
    assert scenario.insurance_fund == {"USD": Decimal(5000)}
    assert scenario.computation == "50ns"
    assert repr(scenario.latency.orders) == "FixedLatency(20000)"  # type: ignore[union-attr]
    first, second = scenario.pairs
    assert first.reference_price == Decimal("100.50")
    assert first.pair.quote.precision == 2
    assert first.rules.max_leverage == 5
    assert second.rules.max_leverage == 20
    (fee,) = first.rules.fees_at(FeeStage.FILL)
    assert (fee.rate, fee.maker_rate) == (Decimal("0.001"), Decimal("-0.0002"))
    assert (first.self_trade, first.band, first.halt) == (
        "cancel_both", Decimal("0.1"), 2 * MINUTE,
    )  # fmt: skip
    assert first.hours is not None
    assert first.hours.phase_at(9 * HOUR) == "closed"
    assert first.hours.phase_at(9 * HOUR + 10 * MINUTE) == "auction"
    assert first.hours.phase_at(9 * HOUR + 30 * MINUTE) == "continuous"
    assert first.hours.phase_at(15 * HOUR + 55 * MINUTE) == "auction"
    assert first.hours.phase_at(16 * HOUR) == "closed"
    worth = first.worth(11, scenario.start_ns)
    assert worth is not None
    assert (worth.mean, worth.volatility, worth.reversion) == (Decimal("100.50"), 0.02, 3.0)
    assert (worth.seed, worth.start) == (11, scenario.start_ns)
    makers, mine = scenario.populations
    assert makers.cash == {"USD": Decimal(100_000), "ABM": Decimal(500)}
    assert (makers.computation, makers.margin_mode, makers.fixed) == (1_000, "isolated", True)
    assert makers.settings["leverage"] == 3
    assert makers.parameters["size"].step == 5
    assert mine.kind.__name__ == "Mine"
    assert (mine.name, mine.count) == ("mine", 1)


def test_rules_may_be_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "fees.toml").write_text("max_leverage = 3\n[assets.USD]\nprecision = 2\n")
    file = tmp_path / "day.toml"
    file.write_text(HEAD + 'rules = "fees.toml"\n' + PAIR + NOISE)
    (pair,) = read_scenario(file).pairs
    assert pair.rules.max_leverage == 3
    assert pair.pair.quote.precision == 2


def test_decimals_of_a_file_are_read_as_they_are_written() -> None:
    text = GOOD.replace('reference_price = "100"', "reference_price = 100.10")
    # 100.1 as a binary float is 100.099999999999994315658113919198513031005859375.
    assert _read(text).pairs[0].reference_price == Decimal("100.10")


def test_until_before_the_start_is_the_next_day() -> None:
    scenario = _read(GOOD.replace('until = "16:00"', 'until = "09:00"'))
    assert scenario.until_ns - scenario.start_ns == 23 * HOUR + 30 * MINUTE


def test_until_may_be_a_moment() -> None:
    scenario = _read(GOOD.replace('until = "16:00"', "until = 2024-01-02T09:30:05Z"))
    assert scenario.until_ns - scenario.start_ns == 5 * SECOND
    assert scenario.ends("2024-01-02T09:31:00Z") - scenario.start_ns == MINUTE


BAD = {
    "not TOML": (
        GOOD + "[",
        " is not TOML: ",
    ),
    "a key that nobody knows": (
        "sead = 3\n" + GOOD,
        " has no key 'sead'; did you mean 'seed'?",
    ),
    "a table that nobody knows": (
        GOOD + "[oracle]\n",
        (
            " has no key 'oracle'; known: name, description, start, until, duration, seed, "
            "cash, latency, computation, insurance_fund, netting, margin_mode, rules, assets, "
            "pairs, populations"
        ),
    ),
    "no pair": (
        HEAD + NOISE,
        " has no pair: add a table [pairs.ABMUSD]",
    ),
    "pairs that are no tables": (
        HEAD + "pairs = 3\n" + NOISE,
        ": pairs must be tables such as [pairs.NAME], not 3",
    ),
    "a pair that is no table": (
        HEAD + "[pairs]\nABMUSD = 3\n" + NOISE,
        ": [pairs] must hold tables, ABMUSD is 3",
    ),
    "a key of a pair": (
        HEAD + PAIR + "price_incremnt = 1\n" + NOISE,
        ": [pairs.ABMUSD] has no key 'price_incremnt'; did you mean 'price_increment'?",
    ),
    "no reference price": (
        HEAD + PAIR.replace("reference_price", "min_volume") + NOISE,
        (": [pairs.ABMUSD]: needs reference_price: at what it is marked before the first trade"),
    ),
    "a reference price off the grid": (
        GOOD.replace('reference_price = "100"', 'reference_price = "100.005"'),
        (
            ": [pairs.ABMUSD]: ABMUSD: reference_price 100.005 is no multiple of the price "
            "increment 0.01"
        ),
    ),
    "a reference price of nothing": (
        GOOD.replace('reference_price = "100"', "reference_price = 0"),
        ": [pairs.ABMUSD]: ABMUSD: reference_price must be above zero, is 0",
    ),
    "a price that is no number": (
        GOOD.replace('reference_price = "100"', 'reference_price = "dear"'),
        ": [pairs.ABMUSD]: reference_price must be a number, not 'dear'",
    ),
    "a price that is not finite": (
        GOOD.replace('reference_price = "100"', "reference_price = inf"),
        ": [pairs.ABMUSD]: reference_price must be a finite number, not Infinity",
    ),
    "a pair whose quote nobody can tell": (
        GOOD.replace("ABMUSD", "ABMEUR"),
        ": [pairs.ABMEUR]: cannot tell the quote asset of pair 'ABMEUR'",
    ),
    "cash that nobody has": (
        GOOD.replace("cash = ", "description = "),
        ": [pairs.ABMUSD]: cannot tell the quote asset of pair 'ABMUSD': nobody has any cash ",
    ),
    "self-trade": (
        HEAD + PAIR + 'self_trade = "newest"\n' + NOISE,
        (
            ": [pairs.ABMUSD]: ABMUSD: self_trade must be one of cancel_newest, cancel_oldest, "
            "cancel_both, not 'newest'"
        ),
    ),
    "a band beyond everything": (
        HEAD + PAIR + "band = 1\n" + NOISE,
        ": [pairs.ABMUSD]: ABMUSD: band must be a share between 0 and 1, is 1",
    ),
    "no halt": (
        HEAD + PAIR + 'halt = "0s"\n' + NOISE,
        ": [pairs.ABMUSD]: ABMUSD: halt must be longer than nothing",
    ),
    "hours that are no table": (
        HEAD + PAIR + 'hours = "09:00"\n' + NOISE,
        (": [pairs.ABMUSD]: hours must be a table such as {opens = '09:30', closes = '16:00'}"),
    ),
    "hours without a close": (
        HEAD + PAIR + 'hours = { opens = "09:30" }\n' + NOISE,
        ": [pairs.ABMUSD]: hours needs closes: a time of day such as '09:30'",
    ),
    "hours with a key too many": (
        HEAD + PAIR + 'hours = { open = "09:30" }\n' + NOISE,
        ": [pairs.ABMUSD]: hours has no key 'open'; did you mean 'opens'?",
    ),
    "hours the wrong way round": (
        HEAD + PAIR + 'hours = { opens = "09:30", closes = "08:00" }\n' + NOISE,
        ": [pairs.ABMUSD]: hours: opens must come before closes",
    ),
    "an hour that is none": (
        HEAD + PAIR + 'hours = { opens = "24:00", closes = "08:00" }\n' + NOISE,
        ": [pairs.ABMUSD]: hours.opens must be a time of day such as '09:30', not '24:00'",
    ),
    "a fundamental that is no table": (
        HEAD + PAIR + "fundamental = 100\n" + NOISE,
        ": [pairs.ABMUSD]: ABMUSD: fundamental must be a table, not 100",
    ),
    "a fundamental's key": (
        HEAD + PAIR + "fundamental = { volatilty = 0.1 }\n" + NOISE,
        (
            ": [pairs.ABMUSD]: ABMUSD: fundamental has no key 'volatilty'; did you mean "
            "'volatility'?"
        ),
    ),
    "a fundamental's number": (
        HEAD + PAIR + "fundamental = { volatility = -1 }\n" + NOISE,
        ": [pairs.ABMUSD]: volatility must be finite and non-negative, not -1.0",
    ),
    "a rule": (
        GOOD + "[rules]\nmax_leverag = 3\n",
        ": [rules] has no key 'max_leverag'; did you mean 'max_leverage'?",
    ),
    "a rule's value": (
        GOOD + '[rules]\nmaintenance_rate = "much"\n',
        ": rules: maintenance_rate must be a number, not 'much'",
    ),
    "rules that are no table": (
        "rules = 3\n" + GOOD,
        ": rules must be a table or the name of a rules file, not 3",
    ),
    "rules with pairs": (
        GOOD + "[rules.pairs.ABMUSD]\n",
        ": [rules] cannot hold 'pairs': a scenario says that in tables apart",
    ),
    "a rules file that is not there": (
        'rules = "nowhere.toml"\n' + GOOD,
        ": cannot read the rules file nowhere.toml: No such file or directory",
    ),
    "an asset's key": (
        GOOD + "[assets.USD]\ndigits = 2\n",
        ": [assets.USD] has no key 'digits'; known: precision",
    ),
    "cash with more digits than the asset": (
        GOOD.replace('"1000 USD"', '"1000.005 USD"') + "[assets.USD]\nprecision = 2\n",
        ": noise's cash of 1000.005 USD has more digits than USD: 2 after the point",
    ),
    "cash without an asset": (
        GOOD.replace('"1000 USD"', "1000"),
        ": cash must be like '100000 USD', not 1000",
    ),
    "no cash": (
        GOOD.replace('cash = "1000 USD"', "").replace("ABMUSD", '"ABM/USD"'),
        ": population 'noise' has no cash: give it some, or the scenario",
    ),
    "a population's key": (
        GOOD + "cuont = 3\n",
        ": [populations.noise]: it has no key 'cuont'; did you mean 'count'?",
    ),
    "an agent that nobody knows": (
        GOOD + '[populations.x]\nagent = "noize"\n',
        ": [populations.x]: no agent is called 'noize'; did you mean 'noise'?",
    ),
    "no agent": (
        GOOD + "[populations.crowd]\n",
        ": [populations.crowd]: needs agent: what they are, one of ",
    ),
    "an agent that is no name": (
        GOOD + "[populations.crowd]\nagent = 3\n",
        ": [populations.crowd]: agent must be the name of one, not 3",
    ),
    "an agent's file that is not there": (
        GOOD + '[populations.crowd]\nagent = "nowhere.py:Mine"\n',
        ": [populations.crowd]: there is no file nowhere.py",
    ),
    "a count that is none": (
        GOOD.replace("count = 10", "count = -1"),
        ": [populations.noise]: count must be a whole number of agents, not -1",
    ),
    "a count that is no whole number": (
        GOOD.replace("count = 10", "count = 1.5"),
        ": [populations.noise]: count must be a whole number of agents, not ",
    ),
    "a parameter": (
        GOOD + "parameters = { evry = 3 }\n",
        (": [populations.noise]: ZeroIntelligence has no parameter 'evry'; did you mean 'every'?"),
    ),
    "parameters that are no table": (
        GOOD + "parameters = 3\n",
        ": [populations.noise]: parameters must be a table of names and values, not 3",
    ),
    "a parameter's type": (
        GOOD + 'parameters = { wakes = "often" }\n',
        ": [populations.noise]: wakes must be int, not 'often'",
    ),
    "a parameter that is no whole number": (
        GOOD + "parameters = { wakes = 1.5 }\n",
        ": [populations.noise]: wakes must be int, not 1.5",
    ),
    "a distribution that nobody knows": (
        GOOD + "parameters = { size = { unifrom = [1, 2] } }\n",
        (
            ": [populations.noise]: size must be a value or one distribution (choice, "
            "exponential, lognormal, normal, uniform), not {'unifrom': [1, 2]}"
        ),
    ),
    "a distribution with too little": (
        GOOD + "parameters = { size = { uniform = 3 } }\n",
        ": [populations.noise]: size.uniform must be [lowest, highest], not [3]",
    ),
    "a distribution upside down": (
        GOOD + "parameters = { size = { uniform = [3, 2] } }\n",
        ": [populations.noise]: size.uniform must be [lowest, highest]: 3 is above 2",
    ),
    "a distribution's option": (
        GOOD + "parameters = { size = { uniform = [1, 2], stp = 1 } }\n",
        (
            ": [populations.noise]: size.uniform has no option 'stp'; did you mean 'step'?; "
            "known: step, at_least, at_most"
        ),
    ),
    "leverage twice": (
        GOOD + "leverage = 3\nparameters = { leverage = 2 }\n",
        (": [populations.noise]: leverage is given twice: beside the parameters, and among them"),
    ),
    "a latency": (
        GOOD + 'latency = "soon"\n',
        (
            ": [populations.noise]: latency must be a length of time such as '1m', '4h' or "
            "'1d', not 'soon'"
        ),
    ),
    "a link": (
        'latency = { order = "1ms" }\n' + GOOD,
        ": latency has no key 'order'; did you mean 'orders'?",
    ),
    "a latency that is no time": (
        "latency = { uniform = [1, 2] }\n" + GOOD,
        ": a latency is drawn from lengths of time: write {uniform = ['1ms', '3ms']}",
    ),
    "a margin mode": (
        'margin_mode = "crossed"\n' + GOOD,
        ": margin_mode must be isolated or cross, not 'crossed'",
    ),
    "a seed": (
        'seed = "7"\n' + GOOD,
        ": seed must be a whole number, not '7'",
    ),
    "netting": (
        'netting = "yes"\n' + GOOD,
        ": netting must be true or false, not 'yes'",
    ),
    "a naive start": (
        GOOD.replace("09:30:00Z", "09:30:00"),
        ": start must know its zone: write 2024-01-02T09:30:00Z for UTC",
    ),
    "a start that is none": (
        GOOD.replace("2024-01-02T09:30:00Z", '"tomorrow"'),
        ": start must be a time such as '2024-01-02T09:30:00Z', not 'tomorrow'",
    ),
    "until and duration": (
        'duration = "1h"\n' + GOOD,
        ": a scenario needs until or duration, and not both",
    ),
    "neither": (
        GOOD.replace('until = "16:00"', ""),
        ": a scenario needs until or duration, and not both",
    ),
    "no length": (
        GOOD.replace('until = "16:00"', 'duration = "0s"'),
        (
            ": a scenario must end after it begins, at 2024-01-02T09:30:00+00:00; it ends at "
            "2024-01-02T09:30:00+00:00"
        ),
    ),
    "a time of day that is none": (
        GOOD.replace('until = "16:00"', 'until = "4pm"'),
        ": until must be a time of day such as '09:30', not '4pm'",
    ),
    "an insurance fund": (
        'insurance_fund = "-5 USD"\n' + GOOD,
        ": cash must be an amount and an asset, like '100000 USD', not '-5 USD'",
    ),
    "a computation": (
        'computation = "-5ns"\n' + GOOD,
        ": computation must be a length of time such as '1m', '4h' or '1d', not '-5ns'",
    ),
    "a population's name": (
        GOOD + '[populations."a b"]\nagent = "noise"\n',
        (": [populations.a b]: a population is called by letters, digits, '_' and '.', not 'a b'"),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_refused_with_the_place_and_what_was_meant(case: str) -> None:
    text, told = BAD[case]
    told = f"day.toml{told}"
    with pytest.raises(ConfigError) as caught:
        _read(text)
    message = str(caught.value)
    if told.endswith(" ") or case == "a pair whose quote nobody can tell":
        assert message.startswith(told)
    else:
        assert message == told


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"^cannot read the scenario nowhere.toml: No such file"):
        read_scenario("nowhere.toml")
