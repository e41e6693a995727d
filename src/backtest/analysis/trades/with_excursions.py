"""The trades of a run with all there is to know of them: its market data is read again."""

from __future__ import annotations

from backtest.analysis.record import RunRecord
from backtest.analysis.rereading import market_events
from backtest.analysis.trades.excursions import Excursions
from backtest.analysis.trades.of_record import trades_of
from backtest.analysis.trades.trades import Trades

__all__ = ["with_excursions"]


def with_excursions(record: RunRecord, method: str = "fifo") -> Trades:
    """The trades of a run, matched by ``method``, with how far prices went while they were open.

    Where the market data is not at hand any more, excursions are None. Raises `ConfigError` for
    another method than ``fifo`` and ``average``.
    """
    trades, untraded = trades_of(record, method)
    if trades:
        market, _ = market_events(record.sources, record.inputs, record.config)
        if market is not None:
            seen = Excursions(trades)
            for event in market:
                seen.saw(event)
            trades = seen.trades()
    return Trades(trades, method, untraded)
