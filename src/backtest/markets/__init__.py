"""Markets made of agents: scenarios, and what came of them."""

from __future__ import annotations

from backtest.markets.distribution import (
    Distribution,
    choice,
    exponential,
    lognormal,
    normal,
    uniform,
)
from backtest.markets.hours import Hours
from backtest.markets.instrument import Instrument
from backtest.markets.kinds import KINDS
from backtest.markets.population import Population
from backtest.markets.result import MarketResult
from backtest.markets.runner import MarketRunner, run_market, run_market_async
from backtest.markets.scenario import Scenario
from backtest.markets.shipped import SHIPPED

__all__ = [
    "KINDS",
    "SHIPPED",
    "Distribution",
    "Hours",
    "Instrument",
    "MarketResult",
    "MarketRunner",
    "Population",
    "Scenario",
    "choice",
    "exponential",
    "lognormal",
    "normal",
    "run_market",
    "run_market_async",
    "uniform",
]
