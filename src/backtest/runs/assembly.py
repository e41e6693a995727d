"""The parts that a run is assembled of."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

from attrs import frozen

from backtest.actors import AccountActor, BrokerActor
from backtest.models import Account, BacktestRun, TradingPair, TradingRules
from backtest.runs.config import RuleBook
from backtest.runs.manifest import Manifest
from backtest.runs.sources import Source
from backtest.services.valuation import Valuation
from backtest.strategies import Strategy

__all__ = ["Assembly"]


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
