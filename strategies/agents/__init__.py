"""Agents that make a market: strategies that trade with each other, and on historical data."""

from __future__ import annotations

from backtest.strategies.agents.agent import Agent
from backtest.strategies.agents.avellaneda_stoikov import AvellanedaStoikov
from backtest.strategies.agents.execution import (
    Execution,
    LearntVwap,
    Participation,
    Twap,
    Vwap,
)
from backtest.strategies.agents.leveraged_trend import LeveragedTrend
from backtest.strategies.agents.market_maker import MarketMaker, PovMarketMaker
from backtest.strategies.agents.momentum import MeanReversion, Momentum
from backtest.strategies.agents.population import Population, population
from backtest.strategies.agents.replay import Replay
from backtest.strategies.agents.scripted import Once, Scripted
from backtest.strategies.agents.value import ValueAgent
from backtest.strategies.agents.zero_intelligence import PrivateValue, ZeroIntelligence

__all__ = [
    "Agent",
    "AvellanedaStoikov",
    "Execution",
    "LearntVwap",
    "LeveragedTrend",
    "MarketMaker",
    "MeanReversion",
    "Momentum",
    "Once",
    "Participation",
    "Population",
    "PovMarketMaker",
    "PrivateValue",
    "Replay",
    "Scripted",
    "Twap",
    "ValueAgent",
    "Vwap",
    "ZeroIntelligence",
    "population",
]
