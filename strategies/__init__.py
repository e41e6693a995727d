"""What people write: the `Strategy` base, order handles, and a library of worked strategies."""

from __future__ import annotations

from backtest.strategies.command import Command
from backtest.strategies.desk import BalanceView
from backtest.strategies.handle import OrderHandle
from backtest.strategies.position import PositionView
from backtest.strategies.strategy import Strategy

__all__ = ["BalanceView", "Command", "OrderHandle", "PositionView", "Strategy"]
