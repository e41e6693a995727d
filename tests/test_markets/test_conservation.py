"""A thousand agents on margin, with fees and liquidations: no cent is made or lost, ever."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors import Envelope, EventKind
from backtest.markets import Instrument, MarketRunner, Population, Scenario, uniform
from backtest.models import HOUSE, Asset, TradingPair, TradingRules
from backtest.testing.audit.oracle import Oracle

MARKET = Scenario(
    name="thousand",
    pairs=Instrument(
        pair=TradingPair(
            "ABMUSD",
            Asset("ABM", 0),
            Asset("USD", 2),
            price_increment=Decimal("0.01"),
            volume_increment=Decimal(1),
        ),
        reference_price=100,
        rules=TradingRules.from_mapping(
            {
                "max_leverage": 50,
                "maintenance_rate": "0.015",
                "fees": {
                    "create": {"flat_per_trade": "0.01"},
                    "fill": {"percent_of_notional": "0.0005", "maker": "-0.0001"},
                    "close": {"percent_of_notional": "0.0003"},
                    "cancel": {"flat_per_trade": "0.01"},
                },
            }
        ),
        fundamental={"volatility": 0.05, "reversion": 5},
    ),
    populations=[
        Population(
            "market_maker",
            4,
            name="maker",
            parameters={"reference": 100, "every": "5s", "size": 60},
        ),
        Population("value", 100, parameters={"every": "60s", "size": 10}),
        Population(
            "leveraged_trend",
            296,
            name="trend",
            cash="2000 USD",
            leverage=40,
            parameters={"every": "6s", "fast": 2, "slow": 5, "use": "0.5"},
        ),
        Population("noise", 600, parameters={"every": "60s", "size": uniform(1, 9)}),
    ],
    start="2024-01-02T10:00:00Z",
    duration="45s",
    seed=3,
    cash="100000 USD",
    insurance_fund="5000 USD",
    latency={"uniform": ["20us", "1ms"]},
)
"""A crowd of 296 that follows the trend at forty times its money runs into its own liquidations."""


def test_money_is_conserved_across_a_thousand_agents_at_every_event() -> None:
    """At every event, by sums of its own, not the ledger's: what all accounts have is what came in.

    Beside that the oracle looks after each message at all that the new entries touched; and
    at everything there is, all balances and orders, now and then and at the end.
    """
    runner = MarketRunner(scenario=MARKET)
    system = runner.prepare()
    came_in = {"USD": Decimal(704 * 100_000 + 296 * 2_000 + 5_000)}
    total = {"USD": Decimal(0)}
    seen = 0

    def count(message: Envelope) -> None:
        nonlocal seen
        entries = runner.parts.ledger.ledger.entries
        while seen < len(entries):
            for account, asset, _, available, unavailable in entries[seen].legs:
                if account != "world":
                    total[asset] += available + unavailable
            seen += 1
            if seen > len(runner.members) + len(HOUSE):  # all deposits are there
                assert total == came_in

    system.observer = count
    oracle = Oracle(system, whole_every=1000)
    system.simulate()
    oracle.finish()
    result = runner.result()

    kinds = [event.kind for event in result.records.events]
    assert len(result.strategies) == 1000
    assert kinds.count(EventKind.LIQUIDATED) > 50
    assert oracle.books is not None
    assert oracle.books.trades == len(result.trades) > 500
    assert oracle.checks == result.messages
    fees = result.ledger.balances()["fees"]["USD"][0]
    assert fees > 0
    assert result.verify().ok, str(result.verify())
