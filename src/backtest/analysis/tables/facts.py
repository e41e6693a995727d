"""What stands in ``run.json`` beside the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from backtest.analysis.metrics import plain_summary, summarise
from backtest.analysis.record import RunRecord
from backtest.analysis.tables.tables import Row, rows_of
from backtest.analysis.tables.trade_rows import trade_rows
from backtest.analysis.trades.excursions import Excursions
from backtest.analysis.trades.of_record import trades_of
from backtest.analysis.trades.trades import Trades
from backtest.analysis.trades.with_excursions import with_excursions
from backtest.money import plain

__all__ = ["RunTables", "facts_of"]


def facts_of(record: RunRecord, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Configuration, receipt, summary, prices and final balances, as JSON takes them.

    The hash of the configuration, the figures and the balances are there to be compared with what
    the tables give; no check takes them for granted.
    """
    valuation = record.valuation
    return {
        "receipt": record.receipt,
        "config": dict(record.config),
        "files": {code: list(names) for code, names in record.files.items()},
        "cash_asset": record.cash_asset,
        "accounts": {
            name: {"id": str(account.account_id), "house": account.is_house}
            for name, account in record.accounts.items()
        },
        "prices": {
            "first": _texts(valuation.first_prices),
            "last": _texts(valuation.prices),
        },
        "balances": {
            account: {
                asset: {"available": plain(both[0]), "unavailable": plain(both[1])}
                for asset, both in assets.items()
            }
            for account, assets in record.ledger.balances().items()
        },
        "summary": plain_summary(summary),
    }


def _texts(prices: Mapping[str, Any]) -> dict[str, str]:
    return {code: plain(price) for code, price in prices.items()}


class RunTables:
    """A run in memory as `backtest.analysis.tables.tables.Tables`."""

    def __init__(self, record: RunRecord) -> None:
        self._record = record

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The figures of the run by name, exact."""
        return summarise(self._record)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What stands in ``run.json``."""
        return facts_of(self._record, self.summary)

    @cached_property
    def trades(self) -> Trades:
        """The round trips of the run, oldest first matched, with their excursions."""
        return with_excursions(self._record)

    def over(self, market: Iterable[Any]) -> Iterator[Any]:
        """``market``, the run's own, as it is: the trades take their excursions from it on the way,
        unless they have them. So who reads it anyway spares another reading."""
        if "trades" in self.__dict__:
            yield from market
            return
        trades, untraded = trades_of(self._record)
        seen = Excursions(trades)
        yield from seen.over(market)
        self.trades = Trades(seen.trades(), "fifo", untraded)

    def rows(self, name: str) -> Iterator[Row]:
        """The rows of a table."""
        if name == "trades":
            return trade_rows(self.trades)
        return rows_of(self._record, name)
