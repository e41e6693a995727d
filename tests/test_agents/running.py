"""A historical market for agents, and what their tests share."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import backtest
from backtest import RunResult
from backtest.data import SyntheticBars, synthetic_bars
from backtest.models import TradingPair

D = Decimal
PAIR = TradingPair("BTCUSD", "BTC", "USD", price_increment=D("0.01"), volume_increment=D("0.001"))
CASH = {"USD": "1000000", "BTC": "1000"}

__all__ = ["CASH", "PAIR", "D", "bars", "play", "sent_orders"]


def bars(count: int = 300, seed: int = 3, **settings: Any) -> SyntheticBars:
    """Minute bars around 100, which rise and fall by a tenth of a percent."""
    settings.setdefault("price", 100)
    return synthetic_bars(PAIR, count, seed=seed, **settings)


def play(strategies: Any, data: Any = None, cash: Any = None, **settings: Any) -> RunResult:
    """Run agents on bars, and see that the run can prove itself, whatever they did."""
    result = backtest.run(
        strategies,
        data={PAIR: bars() if data is None else data},
        cash=CASH if cash is None else cash,
        **settings,
    )
    result.verify().raise_for_problems()
    return result


def sent_orders(result: RunResult) -> list[Any]:
    """The orders as they were sent, without what became of the rest of those partly filled."""
    orders: list[Any] = list(result.orders)
    return [one for one in orders if one.id == one.branch_id]
