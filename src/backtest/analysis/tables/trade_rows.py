"""Trades as rows of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from backtest.analysis.trades.trade import Trade
from backtest.money import plain
from backtest.times import format_ns

__all__ = ["trade_rows"]


def trade_rows(trades: Iterable[Trade]) -> Iterator[tuple[str, ...]]:
    """A row per trade, with the columns of `backtest.analysis.trades.trade.COLUMNS`."""
    for one in trades:
        yield (
            str(one.trade_number),
            one.account,
            one.strategy,
            one.pair,
            one.order_kind,
            one.side,
            "true" if one.is_open else "false",
            plain(one.volume),
            format_ns(one.entry_ns),
            plain(one.entry_price),
            one.entry_reason,
            "; ".join(one.entry_order_ids),
            format_ns(one.exit_ns),
            plain(one.exit_price),
            one.exit_reason,
            "; ".join(one.exit_order_ids),
            plain(one.duration_seconds),
            one.asset_code,
            plain(one.entry_value),
            plain(one.gross_pnl),
            plain(one.fees),
            plain(one.financing),
            plain(one.insured),
            plain(one.pnl),
            _number(one.return_percent),
            _number(one.worst_price),
            _number(one.best_price),
            _number(one.mae),
            _number(one.mfe),
            one.excursions_from,
            one.root_id,
        )


def _number(value: Decimal | None) -> str:
    return "" if value is None else plain(value)
