"""A finished run: everything that happened in it, and what it can prove about itself."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

from attrs import define, field

from backtest.analysis.record import RunRecord
from backtest.analysis.rereading import market_events
from backtest.models import Balance, SpotOrder
from backtest.money import decimal_of
from backtest.repositories.context import BacktestContext

if TYPE_CHECKING:
    from backtest.analysis.curve import Curve, Positions
    from backtest.analysis.page.content import Material
    from backtest.analysis.report.path_interval import PathInterval
    from backtest.analysis.report.refusals import Refusals
    from backtest.analysis.statistics.benchmark import Comparison
    from backtest.analysis.tables.facts import RunTables
    from backtest.analysis.trades.trades import Trades
    from backtest.analysis.verify.verification import Verification
    from backtest.analysis.worth import Confidence, Costs

__all__ = ["RunResult"]


@define(kw_only=True, eq=False, repr=False)
class RunResult(RunRecord):
    """What `backtest.run` gives back: what the run left, and all that is made of it when asked."""

    again: Callable[[str], RunResult] | None = None
    """Repeats the run under the path policy of that name; None: nobody knows how."""
    interval: PathInterval | None = field(init=False, default=None)
    """What `path_interval` found, if it was asked."""

    def __repr__(self) -> str:
        return (
            f"<RunResult {self.bars} bars, {len(self.records.orders)} orders, "
            f"{len(self.records.fills)} fills, equity {self.final_equity} {self.cash_asset}>"
        )

    # -- what comes of it --------------------------------------------------------------------------

    def path_interval(self) -> PathInterval:
        """Between what the final equity lies whichever extreme of each bar came first.

        A point where no bar's order of extremes matters; otherwise the run is repeated under each
        path policy (once: the answer is kept in ``interval``, and then stands in the report and in
        the files). Raises `NotRepeatable` for data that cannot be read again, `ConfigError` for a
        result that no runner made.
        """
        if self.interval is None:
            from backtest.analysis.report.path_interval import path_interval

            self.interval = path_interval(self, self.again)
            self.tables.facts["paths"] = self.interval.plain()
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

    @property
    def trades(self) -> Trades:
        """The round trips, and what is open at the last price; matched oldest first.

        Their PnL, less ``trades.untraded``, is what the accounts gained. The data is read again for
        the excursions, once.
        """
        return self.tables.trades

    def trades_by(self, method: str) -> Trades:
        """The same, matched by ``"fifo"`` (oldest first) or ``"average"`` (at average cost).

        Raises `ConfigError` for another method.
        """
        from backtest.analysis.trades.with_excursions import with_excursions

        return self.tables.trades if method == "fifo" else with_excursions(self, method)

    @property
    def summary(self) -> dict[str, Any]:
        """The figures of the run by name; money and shares are `Decimal`, None where undefined."""
        return self.tables.summary

    @property
    def refusals(self) -> list[Refusals]:
        """What was refused, by reason: how often, and the first example of each."""
        from backtest.analysis.report.refusals import refusals_of

        return refusals_of(self)

    def report(self) -> str:
        """The run as text: summary, fees, where the money went, balances, receipt."""
        from backtest.analysis.report.report import report

        return report(self, self.summary, self.interval)

    # -- over time, and what it is worth -----------------------------------------------------------

    @cached_property
    def equity(self) -> Curve:
        """Equity over time, exact: the opening one, then a row for each moment with news of the
        market (each close of bars), as the data is read again; see `Curve.basis`."""
        from backtest.analysis.curve import curve_of

        return curve_of(self)

    @property
    def positions(self) -> Positions:
        """What was held over time: a row where positions of a pair, or what is owned of an asset,
        become other than before. They are a tuple with `to_dicts`, `to_pandas` and `to_polars`."""
        from backtest.analysis.curve import positions_of

        return positions_of(self)

    def period_returns(self, period: str = "day") -> list[tuple[int, Decimal]]:
        """The return of each ``period`` as ``(end in nanoseconds, share)``, 34 digits.

        ``bar`` (from one row of `equity` to the next), ``hour``, ``day``, ``week`` or ``month``.
        Raises `ConfigError` for another, and where equity was not above zero throughout.
        """
        from backtest.analysis.period_returns import period_returns

        return period_returns(self, period)

    def returns(self, period: str = "day", *, exact: bool = False) -> Any:
        """The same as a Series of pandas called ``returns``, floats unless ``exact``, with an index
        in UTC of the periods' ends. Raises `MissingExtra` without pandas."""
        from backtest.analysis.series import pandas_series

        found = self.period_returns(period)
        return pandas_series(
            "returns", [time for time, _ in found], [one for _, one in found], exact=exact
        )

    def to_quantstats(self) -> Any:
        """Daily returns as quantstats and pyfolio take them: a Series of floats called ``returns``
        whose index are the days, without a time zone. Raises as `returns` does."""
        from backtest.analysis.period_returns import for_quantstats

        return for_quantstats(self)

    @property
    def statistics(self) -> dict[str, Any]:
        """The statistics of daily returns by name: those of the summary."""
        found: dict[str, Any] = self.summary["statistics"]
        return found

    @property
    def trade_statistics(self) -> dict[str, Any]:
        """The statistics of the trades that are over by name: those of the summary."""
        found: dict[str, Any] = self.summary["trade_statistics"]
        return found

    def confidence(self, *, trials: int = 1, seed: int = 0) -> Confidence:
        """How far Sharpe ratio and growth may be luck, this run being the best of ``trials``; see
        `backtest.analysis.worth.confidence`."""
        from backtest.analysis.worth import confidence

        return confidence(self, trials=trials, seed=seed)

    def beside_buy_and_hold(self) -> Comparison:
        """Beta, alpha and information ratio to buying and holding the same data, which is read
        again. Raises `ConfigError` where it cannot be, or nothing can be annualised."""
        from backtest.analysis.worth import beside_buy_and_hold

        return beside_buy_and_hold(self)

    @property
    def turnover(self) -> Decimal | None:
        """How often equity was turned over; see `backtest.analysis.worth.turnover`."""
        from backtest.analysis.worth import turnover

        return turnover(self)

    def costs(self, *factors: Decimal | int | str) -> list[Costs]:
        """The final equity with all fees times ``factors``, doubled and halved if none is given:
        the same fills, no repetition; see `backtest.analysis.worth.Costs`."""
        from backtest.analysis.worth import costs

        wanted = factors or ("2", "0.5")
        return costs(self, [decimal_of(one, "factors") for one in wanted])

    # -- to look at --------------------------------------------------------------------------------

    @overload
    def page(self, path: None = None, *, force: bool = False) -> str: ...
    @overload
    def page(self, path: str | PathLike[str], *, force: bool = False) -> Path: ...
    def page(self, path: str | PathLike[str] | None = None, *, force: bool = False) -> Path | str:
        """The run as one HTML page that stands alone (extra ``plot``): its path, or without
        ``path`` its text.

        The data is read again for prices and the benchmark, and the run is verified. The interval
        over the path policies stands there if it was asked before (`path_interval`). A page that
        was there is replaced, another file only with ``force``. Raises `MissingExtra` without
        plotly, `ConfigError` when it cannot be written.
        """
        from backtest.analysis.page.page import run_page, write_page

        material = self._page_material()
        return run_page(material) if path is None else write_page(material, path, force=force)

    def show(self) -> Path:
        """Write the page into a temporary folder and open it in the browser; its path. The file
        stays there, for the browser to read. Raises as `page` does."""
        import tempfile
        import webbrowser

        folder = Path(tempfile.mkdtemp(prefix="backtest-"))
        target = self.page(folder / "page.html")
        webbrowser.open(target.resolve().as_uri())
        return target

    def _page_material(self) -> Material:
        from backtest.analysis.page.content import Material

        return Material(record=self, tables=self.tables, verify=self.verify, interval=self.interval)

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
    def tables(self) -> RunTables:
        """The tables of the run as text: what `write` writes and `verify` reads."""
        from backtest.analysis.tables.facts import RunTables

        return RunTables(self)

    # -- what it can prove -------------------------------------------------------------------------

    def verify(self, *, data: bool = False) -> Verification:
        """Check everything that the run can prove about itself; with ``data``, which is read again,
        the prices and the equity between fills as well."""
        from backtest.analysis.verify.verify import NOT_GIVEN, verify_tables

        market, why = (
            market_events(self.sources, self.inputs, self.config) if data else (None, NOT_GIVEN)
        )
        return verify_tables(self.tables, market, why)

    def explain(self, order_id: UUID | str | int) -> str:
        """The story of an order: all that happened to its chain, why, and what was booked for it.

        ``order_id`` is any id of the chain (of an order, a part, a closing order) or an order's
        number. The data is read again, to say of every bar on which the order did not fill why it
        did not. Raises `LookupError` for one that is not of this run.
        """
        from backtest.analysis.explain.explain import explain

        bars, no_bars = market_events(self.sources, self.inputs, self.config)
        return explain(self.tables, str(order_id), bars, no_bars, self.rules)
