"""The trades of a run as a sequence: to be filtered, summed, and made a dataframe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any, overload

from backtest.analysis.statistics.trade_statistics import TradeStatistics, trade_statistics
from backtest.analysis.trades.trade import COLUMNS, Trade
from backtest.errors import ConfigError, MissingExtra
from backtest.money import ZERO, add, plain

__all__ = ["Trades"]

_SHOWN = 50
"""Rows that a notebook shows."""
_SHOWN_COLUMNS = (
    "trade_number", "pair", "side", "volume", "entry_timestamp", "entry_price", "exit_timestamp",
    "exit_price", "exit_reason", "pnl", "return_percent", "mae", "mfe",
)  # fmt: skip
_TIMES = ("entry_timestamp", "exit_timestamp")
_LISTS = ("entry_order_ids", "exit_order_ids")


class Trades(Sequence[Trade]):
    """The round trips of a run, closed ones in the order in which they were over, then what is
    open, marked to the last price.

    ``method`` is how sales were matched with purchases: ``fifo`` or ``average``. ``untraded`` is
    what was charged for orders that never filled, by account and asset: the PnL of all trades less
    this is what the accounts gained, to the last digit.
    """

    def __init__(
        self,
        trades: Sequence[Trade],
        method: str = "fifo",
        untraded: Mapping[tuple[str, str], Decimal] | None = None,
    ) -> None:
        self._trades = tuple(trades)
        self.method = method
        self.untraded: Mapping[tuple[str, str], Decimal] = dict(untraded or {})

    @overload
    def __getitem__(self, at: int) -> Trade: ...
    @overload
    def __getitem__(self, at: slice) -> Trades: ...
    def __getitem__(self, at: int | slice) -> Trade | Trades:
        if isinstance(at, slice):
            return Trades(self._trades[at], self.method)
        return self._trades[at]

    def __len__(self) -> int:
        return len(self._trades)

    def __iter__(self) -> Iterator[Trade]:
        return iter(self._trades)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trades) and self._trades == other._trades

    def __hash__(self) -> int:
        return hash(self._trades)

    def __repr__(self) -> str:
        pnl = ", ".join(f"{plain(both)} {asset}" for asset, both in self.pnl.items())
        return f"<Trades {len(self.closed)} closed, {len(self.open)} open, pnl {pnl or 0}>"

    # -- filters -----------------------------------------------------------------------------------

    def where(self, test: Callable[[Trade], bool] | None = None, **values: Any) -> Trades:
        """Those for which ``test`` holds and whose attributes have these ``values``.

        ``trades.where(pair="BTCUSD", side="LONG")``, ``trades.where(lambda one: one.pnl > 10)``.
        Raises `ConfigError` for a name that trades do not have.
        """
        for name in values:
            if not hasattr(Trade, name):
                names = ", ".join(COLUMNS)
                raise ConfigError(f"trades have no {name!r}; they have {names}")
        return Trades(
            [
                one
                for one in self._trades
                if all(getattr(one, name) == value for name, value in values.items())
                and (test is None or test(one))
            ],
            self.method,
        )

    @property
    def closed(self) -> Trades:
        """Those that are over."""
        return self.where(is_open=False)

    @property
    def open(self) -> Trades:
        """Those that are not, marked to the last price."""
        return self.where(is_open=True)

    @property
    def won(self) -> Trades:
        """The closed ones that brought something."""
        return self.where(lambda one: not one.is_open and one.pnl > ZERO)

    @property
    def lost(self) -> Trades:
        """The closed ones that cost something."""
        return self.where(lambda one: not one.is_open and one.pnl < ZERO)

    @property
    def pnl(self) -> dict[str, Decimal]:
        """What they brought in all, by asset; what is open counts at the last price."""
        total: dict[str, Decimal] = {}
        for one in self._trades:
            total[one.asset_code] = add(total.get(one.asset_code, ZERO), one.pnl)
        return total

    @property
    def statistics(self) -> TradeStatistics:
        """Average, expectancy, profit factor, streaks and the like of those that are over.

        ``trades.where(side="LONG").statistics``. Raises `ConfigError` where PnL is in several
        assets: choose one, ``where(asset_code=…)``. (``summary`` counts all in the cash asset.)
        """
        assets = sorted({one.asset_code for one in self.closed})
        if len(assets) > 1:
            raise ConfigError(
                f"the PnL of these trades is in {' and '.join(assets)}: choose one, "
                f"trades.where(asset_code={assets[0]!r}).statistics"
            )
        return trade_statistics(one.in_figures(one.pnl) for one in self.closed)

    # -- tables ------------------------------------------------------------------------------------

    def to_dicts(self, *, exact: bool = False) -> list[dict[str, Any]]:
        """A dictionary per trade, with the columns of ``trades.csv``.

        Times are aware UTC `datetime` values, lists of ids tuples. Numbers are floats; with
        ``exact`` they are `Decimal`.
        """
        return [
            {
                name: float(value) if isinstance(value, Decimal) and not exact else value
                for name, value in ((name, getattr(one, name)) for name in COLUMNS)
            }
            for one in self._trades
        ]

    def to_pandas(self, *, exact: bool = False) -> Any:
        """A pandas dataframe (extra ``pandas``), a row per trade, by ``trade_number``.

        Times are ``datetime64[ns, UTC]``, numbers ``float64`` (NaN for none), ids text. With
        ``exact`` numbers are `Decimal` in columns of objects, so that sums stay exact. Raises
        `MissingExtra` without pandas.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtra("pandas", "pandas", "trades.to_pandas()") from None
        data: dict[str, Any] = {}
        column: Any
        for name, column in self._columns(exact).items():
            if name in _TIMES:
                nanoseconds = [getattr(one, f"{name[:-10]}_ns") for one in self._trades]
                column = pd.to_datetime(nanoseconds, utc=True, unit="ns")
            elif name in _LISTS:
                column = ["; ".join(ids) for ids in column]
            kind: Any = "float64" if name in _NUMBERS and not exact else None
            if name in _TEXTS or (name in _NUMBERS and exact):
                kind = "object"
            elif name == "is_open":
                kind = "bool"
            data[name] = pd.Series(column, dtype=kind)
        return pd.DataFrame(data, columns=list(COLUMNS)).set_index("trade_number")

    def to_polars(self, *, exact: bool = False) -> Any:
        """A polars dataframe (extra ``polars``), a row per trade.

        Times are ``Datetime("ns", "UTC")``, numbers ``Float64``; with ``exact`` they are `Decimal`
        objects (``Object``: polars' own decimals end at 38 digits). Raises `MissingExtra` without
        polars.
        """
        try:
            import polars as pl
        except ImportError:
            raise MissingExtra("polars", "polars", "trades.to_polars()") from None
        columns = []
        for name, column in self._columns(exact).items():
            kind: Any = pl.String
            if name in _TIMES:
                nanoseconds = [getattr(one, f"{name[:-10]}_ns") for one in self._trades]
                made = pl.Series(name, nanoseconds, dtype=pl.Int64)
                columns.append(made.cast(pl.Datetime("ns", "UTC")))
                continue
            if name in _LISTS:
                column = ["; ".join(ids) for ids in column]
            elif name in _NUMBERS:
                kind = pl.Object if exact else pl.Float64
            elif name == "trade_number":
                kind = pl.Int64
            elif name == "is_open":
                kind = pl.Boolean
            columns.append(pl.Series(name, column, dtype=kind))
        return pl.DataFrame(columns)

    def _columns(self, exact: bool) -> dict[str, list[Any]]:
        rows = self.to_dicts(exact=exact)
        return {name: [row[name] for row in rows] for name in COLUMNS}

    def _repr_html_(self) -> str:
        """The first rows as a table, for notebooks; every text is escaped."""
        head = "".join(f"<th>{escape(name)}</th>" for name in _SHOWN_COLUMNS)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(_shown(one, name))}</td>" for name in _SHOWN_COLUMNS)
            + "</tr>"
            for one in self._trades[:_SHOWN]
        )  # fmt: skip
        more = len(self) - _SHOWN
        rest = f"<p>… and {more:,} more</p>" if more > 0 else ""
        return (
            f"<p>{escape(repr(self)[1:-1])}</p><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>{rest}"
        )


_TEXTS = (
    "account", "strategy", "pair", "order_kind", "side", "entry_reason", "entry_order_ids",
    "exit_reason", "exit_order_ids", "asset_code", "excursions_from", "root_id",
)  # fmt: skip
_NUMBERS = (
    "volume", "entry_price", "exit_price", "duration_seconds", "entry_value", "gross_pnl", "fees",
    "financing", "insured", "pnl", "return_percent", "worst_price", "best_price", "mae", "mfe",
)  # fmt: skip


def _shown(one: Trade, name: str) -> str:
    value = getattr(one, name)
    if isinstance(value, Decimal):
        return plain(value)
    if name in _TIMES:
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return "" if value is None else str(value)
