"""A finished run: everything that happened in it, and what it can prove about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from attrs import define, field

from backtest.actors import Records
from backtest.analysis.rereading import market_events
from backtest.analysis.tables.tables import Tables
from backtest.analysis.verify.verification import Verification
from backtest.models import (
    Account,
    BacktestRun,
    Balance,
    Fill,
    SpotOrder,
    TradingOrder,
    TradingPair,
    TradingRules,
    Transaction,
)
from backtest.receipt import config_sha256
from backtest.repositories.context import BacktestContext
from backtest.services.ledger.ledger import Ledger, Row, journal_sha256, transaction_of
from backtest.services.valuation import Valuation
from backtest.times import from_ns

if TYPE_CHECKING:
    from backtest.analysis.report.path_interval import PathInterval
    from backtest.analysis.report.refusals import Refusals

__all__ = ["RunResult"]


@define(kw_only=True, eq=False, repr=False)
class RunResult:
    """What `backtest.run` gives back.

    The raw material (``ledger``, ``records``, ``valuation``) is kept as the run left it; models,
    tables and figures are made from it when asked for.
    """

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
    again: Callable[[str], RunResult] | None = None
    """Repeats the run under the path policy of that name; None: nobody knows how."""
    interval: PathInterval | None = field(init=False, default=None)
    """What `path_interval` found, if it was asked."""

    def __repr__(self) -> str:
        return (
            f"<RunResult {self.bars} bars, {len(self.records.orders)} orders, "
            f"{len(self.records.fills)} fills, equity {self.final_equity} {self.cash_asset}>"
        )

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

    def path_interval(self) -> PathInterval:
        """Between what the final equity lies whichever extreme of each bar came first.

        A point where no bar's order of extremes matters; otherwise the run is repeated under each
        path policy (once: the answer is kept in ``interval``, and then stands in the report and in
        the files). Raises `NotRepeatable` for data that cannot be read again, `ConfigError` for a
        result that no runner made.
        """
        if self.interval is None:
            from backtest.analysis.report.path_interval import path_interval

            self.interval = path_interval(self)
        return self.interval

    @cached_property
    def context(self) -> BacktestContext:
        """The repositories of the run, filled: orders, transactions, balances after each entry."""
        context = BacktestContext(self.run)
        context.house = frozenset(
            account.account_id for account in self.accounts.values() if account.is_house
        )
        for order in self.records.orders:
            if isinstance(order, SpotOrder):
                context.spot_orders.save(order)
            else:
                context.orders.save(order)
        for transaction in self.transactions:
            context.transactions.save(transaction)
        for balance in self.balance_history():
            context.balances.save(balance)
        return context

    def balance_history(self) -> list[Balance]:
        """The agents' balances after each entry that changed them: the fold of the journal."""
        from backtest.analysis.tables.folding import balance_history

        return balance_history(self)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The figures of the run by name; money and shares are `Decimal`, None where undefined."""
        from backtest.analysis.metrics import summarise

        return summarise(self)

    @property
    def refusals(self) -> list[Refusals]:
        """What was refused, by reason: how often, and the first example of each."""
        from backtest.analysis.report.refusals import refusals_of

        return refusals_of(self)

    def report(self) -> str:
        """The run as text: summary, fees, where the money went, balances, receipt."""
        from backtest.analysis.report.report import report

        return report(self)

    def to_pandas(self) -> dict[str, Any]:
        """The tables as pandas dataframes by name (extra ``pandas``): amounts stay `Decimal`."""
        from backtest.analysis.tables.frames import frames

        return frames(self.tables)

    def write(
        self, directory: str | PathLike[str], format: str = "csv", *, force: bool = False
    ) -> Path:
        """Write all tables and ``run.json`` into ``directory``, whole or not at all; its path.

        ``format`` is ``"csv"`` or ``"parquet"`` (extra). A previous run there is replaced; a folder
        with other things in it is refused unless ``force``. Raises `ConfigError`.
        """
        from backtest.analysis.tables.files import write_run

        return write_run(self.tables, directory, format, force=force)

    @cached_property
    def tables(self) -> Tables:
        """The tables of the run as text: what `write` writes and `verify` reads."""
        from backtest.analysis.tables.facts import RunTables

        return RunTables(self)

    # -- what it can prove -------------------------------------------------------------------------

    def verify(self, *, data: bool = False) -> Verification:
        """Check everything that the run can prove about itself; with ``data``, which is read again,
        the prices and the equity between fills as well."""
        from backtest.analysis.verify.verify import NOT_GIVEN, verify_tables

        market, why = market_events(self.sources, self.inputs) if data else (None, NOT_GIVEN)
        return verify_tables(self.tables, market, why)

    def explain(self, order_id: UUID | str | int) -> str:
        """The story of an order: all that happened to its chain, why, and what was booked for it.

        ``order_id`` is any id of the chain (of an order, a part, a closing order) or an order's
        number. The data is read again, to say of every bar on which the order did not fill why it
        did not. Raises `LookupError` for one that is not of this run.
        """
        from backtest.analysis.explain.explain import explain

        bars, no_bars = market_events(self.sources, self.inputs)
        return explain(self.tables, str(order_id), bars, no_bars, self.rules)

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
