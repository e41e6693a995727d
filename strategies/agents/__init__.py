"""Agents that make a market: strategies that trade with each other, and on historical data."""

from __future__ import annotations

from backtest.strategies.agents.agent import Agent
from backtest.strategies.agents.market_maker import MarketMaker, PovMarketMaker
from backtest.strategies.agents.momentum import MeanReversion, Momentum
from backtest.strategies.agents.value import ValueAgent
from backtest.strategies.agents.view import View
from backtest.strategies.agents.zero_intelligence import PrivateValue, ZeroIntelligence

__all__ = [
    "Agent",
    "MarketMaker",
    "MeanReversion",
    "Momentum",
    "PovMarketMaker",
    "PrivateValue",
    "ValueAgent",
    "View",
    "ZeroIntelligence",
]
