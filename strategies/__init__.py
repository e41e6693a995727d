"""What people write: the `Strategy` base, order handles, and a library of worked strategies."""

from __future__ import annotations

from backtest.strategies.balance import BalanceView
from backtest.strategies.close_handle import CloseHandle
from backtest.strategies.command import Command
from backtest.strategies.feeding import FloatBar, IndicatorFeed
from backtest.strategies.handle import OrderHandle
from backtest.strategies.position import PositionView
from backtest.strategies.strategy import Strategy
from backtest.strategies.target_orders import TargetOrders

from .library.breakout import Breakout
from .library.grid import Grid
from .library.rebalance import Rebalancer
from .library.rsi import RsiReversion
from .library.sma_cross import SmaCross

__all__ = [
    "BalanceView",
    "Breakout",
    "CloseHandle",
    "Command",
    "FloatBar",
    "Grid",
    "IndicatorFeed",
    "OrderHandle",
    "PositionView",
    "Rebalancer",
    "RsiReversion",
    "SmaCross",
    "Strategy",
    "TargetOrders",
]
