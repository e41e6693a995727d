"""The tape: every trade as a row, with both sides and what each of them was there as."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backtest.analysis.tables.tables import TAPE_COLUMNS
from backtest.errors import ConfigError
from backtest.models import MarketTrade
from backtest.money import plain
from backtest.storage import whole_file
from backtest.times import format_ns

__all__ = ["TAPE_COLUMNS", "tape_rows", "write_tape"]


def tape_rows(trades: Sequence[MarketTrade], types: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """The trades as text, in their order; ``types`` are those of the accounts."""
    for trade in trades:
        yield (
            format_ns(trade.time_ns),
            str(trade.time_ns),
            trade.pair,
            plain(trade.price),
            plain(trade.volume),
            trade.aggressor or "",
            trade.buyer,
            trade.seller,
            types.get(trade.buyer, ""),
            types.get(trade.seller, ""),
            str(trade.buyer_order),
            str(trade.seller_order),
            str(trade.entry),
        )


def write_tape(
    trades: Sequence[MarketTrade], types: Mapping[str, str], path: str | os.PathLike[str]
) -> int:
    """Write the tape as CSV; how many trades it has.

    The file appears whole or not at all. Raises `ConfigError` when it cannot be written.
    """
    number = 0
    try:
        with whole_file(Path(path)) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(TAPE_COLUMNS)
            for row in tape_rows(trades, types):
                writer.writerow(row)
                number += 1
    except OSError as error:
        raise ConfigError(f"cannot write to {path}: {error.strerror or error}") from error
    return number
