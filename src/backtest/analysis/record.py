"""What a run left, as it is: the journal, the orders, what was run, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from attrs import define, field

from backtest.actors import Records
from backtest.models import (
    Account,
    BacktestRun,
    Fill,
    SpotOrder,
    TradingOrder,
    TradingPair,
    TradingRules,
    Transaction,
)
from backtest.receipt import config_sha256
from backtest.services.ledger.ledger import Ledger, Row, journal_sha256, transaction_of
from backtest.services.valuation import Valuation
from backtest.times import from_ns

__all__ = ["RunRecord"]


@define(kw_only=True, eq=False, repr=False)
class RunRecord:
    """What a run left: the raw material (``ledger``, ``records``, ``valuation``) as it was then,
    and what it is in itself. Tables, figures and reports are made from it, elsewhere."""

    run: BacktestRun
    config: Mapping[str, Any]
    """What was run, as plain data: strategies with parameters, pairs, rules, cash, inputs, seed."""
    cash_asset: str
    """In which equity is expressed: the first cash asset."""
    pairs: Mapping[str, TradingPair]
    rules: Mapping[str, TradingRules]
    accounts: Mapping[str, Account]
    """Agents' and house accounts by name."""
    strategies: Mapping[str, Any]
    """The strategies that ran, by name."""
    accounts_of: Mapping[str, tuple[str, ...]]
    """The accounts of each strategy, by the strategy's name."""
    ledger: Ledger
    records: Records
    valuation: Valuation
    bars: int
    """Bars that the venue was given."""
    inputs: Mapping[str, str]
    """SHA-256 of each pair's input."""
    versions: Mapping[str, str] = field(factory=dict)
    notices: Sequence[str] = ()
    """What the run's id cannot tell apart, what of the data was not taken as it stands, and what
    the rules left out: in words, as the report gives them."""
    agents: Mapping[UUID, str] = field(factory=dict)
    """Names of the strategies by the id of their agent."""
    sources: Mapping[str, Any] = field(factory=dict)
    """Where the market data came from, by pair: it is read again to explain."""
    ticks: int = 0
    """Quotes and trades that the venue was given."""
    files: Mapping[str, Sequence[str]] = field(factory=dict)
    """The names of the files among them, as they were given."""
    run_file: str = ""
    """What was asked for, as the text of a run file, where the command line asked."""

    # -- what happened -----------------------------------------------------------------------------

    @property
    def orders(self) -> list[SpotOrder | TradingOrder]:
        """Every order in its last state, in the order in which they came to be."""
        return list(self.records.orders)

    @property
    def fills(self) -> list[Fill]:
        """Every execution, in order."""
        return list(self.records.fills)

    def rows(self) -> list[Row]:
        """The journal, one row per transaction, house accounts included."""
        return list(self.ledger.rows())

    @cached_property
    def transactions(self) -> list[Transaction]:
        """The journal as `Transaction` values, house accounts included."""
        ids = {name: account.account_id for name, account in self.accounts.items()}
        run_id = self.run.run_id
        return [transaction_of(row, run_id, ids[row.account]) for row in self.ledger.rows()]

    @property
    def balances(self) -> dict[str, dict[str, dict[str, Decimal]]]:
        """Final balances: account, asset, ``available`` and ``unavailable``; agents' accounts."""
        house = {name for name, account in self.accounts.items() if account.is_house}
        return {
            account: {
                asset: {"available": both[0], "unavailable": both[1]}
                for asset, both in assets.items()
            }
            for account, assets in self.ledger.balances().items()
            if account not in house
        }

    @property
    def final_equity(self) -> Decimal:
        """All that the agents own at the last closes, plus unrealised PnL, in the cash asset."""
        return self.valuation.equity()

    # -- what it was -------------------------------------------------------------------------------

    @cached_property
    def journal_sha256(self) -> str:
        """The hash that stands for the whole journal: equal for equal runs."""
        return journal_sha256(self.ledger.rows(), self.records.orders)

    @cached_property
    def config_sha256(self) -> str:
        """The hash of what was run."""
        return config_sha256(self.config)

    @property
    def receipt(self) -> dict[str, Any]:
        """Seed, versions, and the hashes of configuration, inputs, sources and journal."""
        return {
            "run_id": str(self.run.run_id),
            "seed": self.run.seed,
            "versions": dict(self.versions),
            "config_sha256": self.config_sha256,
            "input_sha256": dict(self.inputs),
            "source_sha256": dict(self.config["sources"]),
            "notices": list(self.notices),
            "journal_sha256": self.journal_sha256,
            **({"run_file": self.run_file} if self.run_file else {}),
        }

    def account_name(self, account_id: UUID) -> str:
        """The name of an account."""
        for name, account in self.accounts.items():
            if account.account_id == account_id:
                return name
        return str(account_id)

    @property
    def period(self) -> tuple[Any, Any]:
        """First and last moment of the run, aware UTC datetimes."""
        return from_ns(self.run.start_ns or 0), from_ns(self.run.end_ns or 0)
