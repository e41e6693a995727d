"""A learner's interface: a market, historical or of agents, as an environment of Gymnasium.

::

    import backtest.gym
    env = backtest.gym.history_env(data="btc.csv", pair="BTCUSD", cash="10000 USD", volume="0.1")
    observation, info = env.reset(seed=7)
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())

Importing it registers ``backtest/Trading-v0`` and ``backtest/Market-v0``. Needs the extra ``gym``.
"""

from __future__ import annotations

from backtest.errors import MissingExtra

try:
    import gymnasium
except ImportError:
    raise MissingExtra("gymnasium", "gym", "backtest.gym") from None

from backtest.gym.actions import Actions, ActWith, LimitOrders, MarketOrders
from backtest.gym.env import TradingEnv
from backtest.gym.history import History, history_env
from backtest.gym.learner import Learner
from backtest.gym.market import Market, market_env
from backtest.gym.observations import Absolute, Observation, ObserveWith, Relative
from backtest.gym.rewards import Reward, equity_change
from backtest.gym.simulation import Simulation, Simulations

__all__ = [
    "Absolute",
    "ActWith",
    "Actions",
    "History",
    "Learner",
    "LimitOrders",
    "Market",
    "MarketOrders",
    "Observation",
    "ObserveWith",
    "Relative",
    "Reward",
    "Simulation",
    "Simulations",
    "TradingEnv",
    "equity_change",
    "history_env",
    "market_env",
]

gymnasium.register("backtest/Trading-v0", entry_point="backtest.gym.history:history_env")
gymnasium.register("backtest/Market-v0", entry_point="backtest.gym.market:market_env")
