"""The stories that the shipped scenarios are there to tell happen, by tape and ledger."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from attrs import evolve

from backtest.markets import MarketResult, Scenario
from backtest.models import MarketTrade, Quote
from backtest.models.account import HOUSE
from backtest.times import MINUTE, SECOND

# -- a large sale into thin makers ------------------------------------------------------------


@pytest.fixture(scope="module")
def crash() -> MarketResult:
    return Scenario.load("flash-crash").run()


def _parted(
    result: MarketResult, minutes: int
) -> tuple[int, Sequence[MarketTrade], Sequence[MarketTrade]]:
    """The time so many minutes after the start, the trades before it, and those after."""
    at = result.scenario.start_ns + minutes * MINUTE
    before = [one for one in result.trades if one.time_ns < at]
    return at, before, result.trades[len(before) :]


def _lowest(trades: Sequence[MarketTrade]) -> MarketTrade:
    return min(trades, key=lambda one: (one.price, one.time_ns))


def test_a_large_sale_makes_the_price_fall_and_it_comes_back(crash: MarketResult) -> None:
    at, before, after = _parted(crash, 5)
    price = before[-1].price
    lowest = _lowest(after)
    assert lowest.price <= price * Decimal("0.97")
    assert lowest.time_ns - at <= MINUTE
    # From two minutes after the sale began to the end, no trade is as much as a percent away.
    calm = [one.price for one in after if one.time_ns - at >= 2 * MINUTE]
    assert len(calm) > 100
    assert price * Decimal("0.99") < min(calm) <= max(calm) < price * Decimal("1.01")
    # Nothing of that comes of what it is worth, which moves by a tenth of a percent at most.
    worth = crash.fundamentals["FUTUSD"]
    assert worth is not None
    values = [worth.at(at + seconds * SECOND) for seconds in range(120)]
    assert max(values) < 1.001 * min(values)
    # Nor was the market anything but calm before.
    assert min(one.price for one in before) > price * Decimal("0.99")


def test_the_seller_and_the_makers_pay_those_who_know_the_worth(crash: MarketResult) -> None:
    figures = crash.by_type()
    assert figures["seller"].inventory == {"FUTUSD": Decimal(-400)}
    assert figures["seller"].pnl < 0
    assert figures["market_maker"].pnl < 0 < figures["value"].pnl
    # There are no fees: what one wins another loses, but for a cent of each side that rounding
    # takes.
    cent = Decimal("0.01")
    assert -2 * len(crash.trades) * cent < sum(one.pnl for one in figures.values()) < cent


def test_the_market_is_thinner_while_it_falls(crash: MarketResult) -> None:
    at, _, after = _parted(crash, 5)
    low = _lowest(after).time_ns

    def widest(quotes: Sequence[Quote]) -> Decimal:
        return max(one.ask - one.bid for one in quotes)

    quotes = crash.quotes["FUTUSD"]
    calm = widest([one for one in quotes if at - 2 * MINUTE <= one.time_ns < at])
    falling = widest([one for one in quotes if at <= one.time_ns <= low])
    assert falling >= 5 * calm


def test_with_a_breaker_it_falls_less_far(crash: MarketResult) -> None:
    plain = crash.scenario
    with_band = [evolve(one, band="0.02", halt="5s") for one in plain.pairs]
    halted = evolve(plain, pairs=with_band, until="09:37").run()
    # It stands still at least once, five seconds each time.
    halts = halted.halts["FUTUSD"]
    assert halts
    assert all(end - start == 5 * SECOND for start, end in halts)
    assert not crash.halts["FUTUSD"]
    assert _lowest(halted.trades).price > _lowest(crash.trades).price


# -- liquidations that bring on liquidations ---------------------------------------------------


@pytest.fixture(scope="module")
def cascade() -> MarketResult:
    return Scenario.load("liquidation-cascade").run()


def test_liquidations_bring_on_liquidations(cascade: MarketResult) -> None:
    at, before, after = _parted(cascade, 10)
    assert before
    lowest = _lowest(after)
    # Until the lowest price; some of them have gone short, and are taken when it jumps.
    taken = [
        one
        for one in cascade.record.pairs["BTCUSD"].liquidations
        if at <= one.time_ns <= lowest.time_ns
    ]
    accounts = list(dict.fromkeys(one.account for one in taken))
    assert len(accounts) >= 5
    assert all(name.startswith("trend-") for name in accounts)
    # One after the other, and the price is lower and lower.
    first = [next(one for one in taken if one.account == name) for name in accounts]
    assert first[0].time_ns < first[-1].time_ns
    assert min(one.price for one in first) < first[0].price * Decimal("0.98")
    # The highest leverage goes first.
    leverages = [cascade.strategies[name].parameters["leverage"] for name in accounts]
    assert leverages[0] == 50
    # And the price goes further than the news.
    worth = cascade.fundamentals["BTCUSD"]
    assert worth is not None
    assert float(lowest.price) < 0.99 * worth.at(lowest.time_ns)


def test_insurance_pays_and_no_money_is_made_or_lost(cascade: MarketResult) -> None:
    balances = cascade.ledger.balances()
    assert balances["insurance"]["USD"][0] < 250_000
    came_in = 3 * 1_000_000 + 20 * 1_000_000 + 60 * 1_000_000 + 30 * 5_000 + 250_000
    held = sum(
        available + unavailable
        for name, assets in balances.items()
        if name != "world"
        for available, unavailable in assets.values()
    )
    assert held == came_in
    # Some have lost nearly all that they had, and nobody owes anything.
    left = [sum(balances[name]["USD"]) for name in cascade.agents_by_type["trend"]]
    assert min(left) >= 0
    assert sum(one < 5_000 // 2 for one in left) >= 5
    assert all(min(balances[name]["USD"]) >= 0 for name in balances if name not in HOUSE)


def test_with_little_leverage_there_is_no_cascade(cascade: MarketResult) -> None:
    plain = cascade.scenario
    calm = [
        evolve(one, parameters={**one.parameters, "leverage": 2}) if one.name == "trend" else one
        for one in plain.populations
    ]
    quiet = evolve(plain, populations=calm).run()
    assert not quiet.record.pairs["BTCUSD"].liquidations
    assert quiet.ledger.balances()["insurance"]["USD"][0] == 250_000
    # The same news, and the price does not fall as far.
    lowest = [_lowest(_parted(result, 10)[2]).price for result in (quiet, cascade)]
    assert lowest[0] > lowest[1]


# -- the same maker, fast and slow --------------------------------------------------------------


_SOAK = pytest.mark.soak


@pytest.mark.parametrize("seed", [7, pytest.param(1, marks=_SOAK), pytest.param(2, marks=_SOAK)])
def test_of_two_makers_the_fast_one_earns_more(seed: int) -> None:
    figures = Scenario.load("latency-race").run(seed=seed, until="09:32").by_type()
    fast, slow = figures["fast_maker"], figures["slow_maker"]
    assert fast.pnl > slow.pnl
    # By each share that it trades, too: it is not that it trades more.
    assert fast.pnl / fast.volume > slow.pnl / slow.volume


def test_it_is_the_latency_and_nothing_else() -> None:
    race = Scenario.load("latency-race")
    latency = {one.name: one.latency for one in race.populations}
    other = {"fast_maker": "slow_maker", "slow_maker": "fast_maker"}
    swapped = evolve(
        race,
        populations=[
            evolve(one, latency=latency[other[one.name]]) if one.name in other else one
            for one in race.populations
        ],
    )
    as_it_is = race.run(until="09:31").by_type()
    changed = swapped.run(until="09:31").by_type()
    for name, partner in other.items():
        assert changed[name].pnl == as_it_is[partner].pnl
        assert changed[name].volume == as_it_is[partner].volume
    assert as_it_is["fast_maker"].pnl != as_it_is["slow_maker"].pnl


# -- all of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["crash", "cascade"])
def test_they_verify(name: str, request: pytest.FixtureRequest) -> None:
    checked = request.getfixturevalue(name).verify()
    assert checked.ok, checked.problems


@pytest.mark.parametrize(
    ("name", "until"),
    [("flash-crash", "09:32"), ("liquidation-cascade", "00:03"), ("latency-race", "09:30:15")],
)
def test_the_same_seed_gives_the_same_bytes(name: str, until: str) -> None:
    scenario = Scenario.load(name)
    one, other = (scenario.run(until=until) for _ in range(2))
    assert one.trades
    assert one.journal_sha256 == other.journal_sha256
