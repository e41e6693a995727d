"""What a market can say: a bar, a quote or a trade."""

from __future__ import annotations

from backtest.models.bar import Bar
from backtest.models.quote import Quote
from backtest.models.trade import Trade

__all__ = ["MarketEvent", "Tick"]

Tick = Quote | Trade
MarketEvent = Bar | Quote | Trade
"""All have ``pair``, ``open_ns`` and ``close_ns``; a tick begins and ends at one moment."""
