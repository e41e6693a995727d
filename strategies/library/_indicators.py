"""Incremental indicators come from talipp, an extra: imported when a strategy starts, not before.

They compute in floats. That is fine here, and only here: an indicator decides whether to trade;
what is traded, and at what price, stays a `Decimal`.
"""

from __future__ import annotations

from typing import Any

from backtest.errors import MissingExtra
from backtest.strategies.feeding import forget_old

__all__ = ["feed", "indicator"]


def indicator(name: str, **settings: Any) -> Any:
    """A new talipp indicator. Raises `MissingExtra` when talipp is not installed."""
    try:
        import talipp.indicators
    except ImportError:
        raise MissingExtra("talipp", "indicators", f"the indicator {name}") from None
    return getattr(talipp.indicators, name)(**settings)


def feed(series: Any, value: object) -> Any:
    """Give the indicator its next value; what it says then, None while it has seen too little."""
    series.add(value)
    forget_old(series)
    return series[-1]
