"""A small crowd for the tests: five minutes of forty-two agents."""

from __future__ import annotations

from decimal import Decimal

from backtest.markets import Instrument, Population, Scenario, uniform
from backtest.models import Asset, TradingPair, TradingRules
from backtest.strategies import Strategy

__all__ = ["CROWD", "PAIR", "Idler"]

PAIR = TradingPair(
    "ABMUSD",
    Asset("ABM", 0),
    Asset("USD", 2),
    price_increment=Decimal("0.01"),
    volume_increment=Decimal(1),
)


class Idler(Strategy):
    """Wakes every ten seconds, draws a number, and does nothing with it."""

    pair: str = "BTCUSD"

    def on_start(self) -> None:
        self.draws: list[float] = []
        self.set_timer("wake", every=10)

    def on_timer(self, name: str) -> None:
        self.draws.append(self.random.random())


CROWD = Scenario(
    name="crowd",
    pairs=Instrument(
        pair=PAIR,
        reference_price=100,
        rules=TradingRules.from_mapping(
            {
                "max_leverage": 10,
                "maintenance_rate": "0.02",
                "fees": {"fill": {"percent_of_notional": "0.0005", "maker": "0.0001"}},
            }
        ),
        fundamental={"volatility": 0.05, "reversion": 5},
    ),
    populations=[
        Population(
            "market_maker", 2, name="maker",
            parameters={"reference": 100, "every": "5s", "size": 20},
        ),
        Population("value", 10, parameters={"every": "20s", "size": 10}),
        Population(
            "leveraged_trend", 5, name="trend", cash="20000 USD", leverage=3,
            parameters={"every": "4s", "fast": 3, "slow": 8, "use": "0.3"},
        ),
        Population(
            "noise", 25, parameters={"every": "15s", "size": uniform(1, 9)}
        ),
    ],
    duration="5m",
    seed=7,
    cash={"USD": 100_000, "ABM": 1_000},
    insurance_fund="5000 USD",
)  # fmt: skip
