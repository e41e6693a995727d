"""The parts that a run is assembled of, and how the ledger and the market data are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from attrs import frozen

from backtest.actors import AccountActor, BrokerActor, MarketData
from backtest.data import merge, parts_of
from backtest.errors import DataError
from backtest.models import Account, BacktestRun, TradingPair, TradingRules
from backtest.runs.config import RuleBook, cash_of
from backtest.runs.manifest import Manifest
from backtest.runs.sources import Source, counting
from backtest.services.valuation import Valuation
from backtest.strategies import Strategy

__all__ = ["Assembly", "ledger_of", "market_of"]


@frozen(kw_only=True)
class Assembly:
    """What `BacktestRunner.prepare` has made; what the result and its manifest are drawn from."""

    run: BacktestRun
    manifest: Manifest
    ledger: AccountActor
    broker: BrokerActor
    accounts: Mapping[str, Account]
    """All accounts by name, those of the house too."""
    owners: Mapping[str, tuple[str, ...]]
    """The names of the accounts that each strategy trades on."""
    agents: Mapping[UUID, str]
    """The names of the strategies by agent id."""
    strategies: Mapping[str, Strategy]
    pairs: Mapping[str, TradingPair]
    book: RuleBook
    rules: Mapping[str, TradingRules]
    """The rules of each pair."""
    cash: Mapping[str, Mapping[str, Decimal]]
    """Opening balances by account and asset."""
    sources: Mapping[str, Source]
    valuation: Valuation


def market_of(
    sources: Mapping[str, Any],
    rules: Mapping[str, TradingRules],
    progress: Callable[[int], None] | None,
) -> tuple[MarketData, int]:
    """Who tells what happens on the market, and when that begins."""
    events = merge([part for source in sources.values() for part in parts_of(source)])
    market = MarketData(events if progress is None else counting(events, progress))
    if market.first is None:
        raise DataError("there are no bars in the data")
    begin_ns = market.first.open_ns
    for code, one in rules.items():
        if one.funding is not None:
            one.funding.check_units(begin_ns, code)
    return market, begin_ns


def ledger_of(
    cash: Mapping[str, Mapping[str, Decimal]], insurance_fund: Mapping[str, Any]
) -> AccountActor:
    """Who keeps the money, with what there is to begin with."""
    opening = [(name, asset, sum_) for name, owned in cash.items() for asset, sum_ in owned.items()]
    fund = [
        (asset, cash_of({asset: sum_})["main"][asset]) for asset, sum_ in insurance_fund.items()
    ]
    return AccountActor(list(cash), opening, fund)
