"""The kinds of agents that a scenario may name in a word."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

from backtest.runs.target import strategy_class
from backtest.strategies import Strategy

__all__ = ["KINDS", "kind_called", "name_of"]

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "avellaneda_stoikov": "AvellanedaStoikov",
        "learnt_vwap": "LearntVwap",
        "leveraged_trend": "LeveragedTrend",
        "market_maker": "MarketMaker",
        "mean_reversion": "MeanReversion",
        "momentum": "Momentum",
        "noise": "ZeroIntelligence",
        "once": "Once",
        "participation": "Participation",
        "pov_market_maker": "PovMarketMaker",
        "private_value": "PrivateValue",
        "replay": "Replay",
        "scripted": "Scripted",
        "twap": "Twap",
        "value": "ValueAgent",
        "vwap": "Vwap",
    }
)
"""Short names, and the classes in `backtest.strategies.agents` that they stand for."""

_HOME = "backtest.strategies.agents"


def kind_called(name: str) -> type[Strategy]:
    """The class that a short name, ``"my.py:Class"`` or ``"package.module:Class"`` stands for.

    Raises `ConfigError` where there is none.
    """
    if name not in KINDS:
        return strategy_class(name)
    kind: type[Strategy] = getattr(import_module(_HOME), KINDS[name])
    return kind


def name_of(agent: str | type[Strategy]) -> str:
    """What a population of such agents is called, unless it is given a name."""
    if isinstance(agent, type):
        return agent.__name__.lower()
    if agent in KINDS:
        return agent
    return agent.rpartition(":")[2].rpartition("/")[2].removesuffix(".py").lower()
