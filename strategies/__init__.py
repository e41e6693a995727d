"""What people write: the `Strategy` base, order handles, and a library of worked strategies."""

from __future__ import annotations

from backtest.strategies.balance import BalanceView
from backtest.strategies.breakout import Breakout
from backtest.strategies.close_handle import CloseHandle
from backtest.strategies.command import Command
from backtest.strategies.grid import Grid
from backtest.strategies.handle import OrderHandle
from backtest.strategies.position import PositionView
from backtest.strategies.rebalance import Rebalancer
from backtest.strategies.rsi import RsiReversion
from backtest.strategies.sma_cross import SmaCross
from backtest.strategies.strategy import Strategy

__all__ = [
    "BalanceView",
    "Breakout",
    "CloseHandle",
    "Command",
    "Grid",
    "OrderHandle",
    "PositionView",
    "Rebalancer",
    "RsiReversion",
    "SmaCross",
    "Strategy",
]
