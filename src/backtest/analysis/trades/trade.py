"""One trade, and the columns in which it is written."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from attrs import frozen

from backtest.analysis.statistics.arithmetic import STATISTICS
from backtest.analysis.statistics.trade_statistics import OneTrade
from backtest.money import ZERO, mul, sub
from backtest.times import from_ns

__all__ = ["COLUMNS", "METHODS", "Trade", "gain"]

_NANO = Decimal("1e-9")
METHODS = ("fifo", "average")
"""How what is sold is matched with what was bought: oldest first, or at average cost."""

COLUMNS = (
    "trade_number", "account", "strategy", "pair", "order_kind", "side", "is_open", "volume",
    "entry_timestamp", "entry_price", "entry_reason", "entry_order_ids",
    "exit_timestamp", "exit_price", "exit_reason", "exit_order_ids", "duration_seconds",
    "asset_code", "entry_value", "gross_pnl", "fees", "financing", "insured", "pnl",
    "return_percent", "worst_price", "best_price", "mae", "mfe", "excursions_from", "root_id",
)  # fmt: skip
"""The columns of ``trades.csv``, of dictionaries and of dataframes, in order."""


@frozen(kw_only=True)
class Trade:
    """One round trip, frozen: what one order opened, and one order or exit closed.

    What is still open is a trade as well, ``is_open``: it is marked to the last price of its pair.
    Money is in ``asset_code``, the quote asset; prices in quote per base.

    Attributes:
        trade_number: 1 for the first that was closed; open ones come last.
        account, strategy, pair: whose it was; the strategy is that of the entry, if there was one.
        order_kind: ``spot`` or ``trading``.
        side: ``LONG`` or ``SHORT``. A spot trade is ``SHORT`` where its pair sold base that came in
            through another pair: it is closed by buying through this one.
        is_open: not closed yet; then exit time and price are those of the last mark.
        volume: base, or contracts.
        entry_ns, exit_ns: the first fill of the entry and the last of the exit, ns since 1970 UTC:
            when they happened where that is known, else the event's time (a fill inside a bar is
            known when the bar closes).
        entry_price, exit_price: averages over the volume, to 24 places where there were several.
        entry_reason: ``order``, or ``opening_balance`` of what the account owned at the start: its
            price is the first mark of its pair.
        exit_reason: ``order`` (a spot order of the other side), ``close`` (by the handle),
            ``netting`` (a trading order of the other side), ``stop_loss``, ``take_profit``,
            ``liquidation``, or ``open``.
        entry_order_ids, exit_order_ids: ids of branches, or of the order to close.
        entry_value: what was paid (long) or brought (short) at the entry, without fees.
        gross_pnl: what the exit came to less the entry, or the other way round, without fees.
        fees: create, fill, close and cancel fees; a rebate is negative.
        financing: overnight charges and funding; income is negative.
        insured: what the insurance account bore of it.
        pnl: ``gross_pnl - fees - financing + insured``: what the trade brought the account.
        worst_price, best_price: for the holder, between entry and exit (see ``excursions_from``);
            None where the data could not be read again.
        excursions_from: what they come from: ``1h bars``, ``quotes``, ``trades``. Bars and ticks
            that lie wholly between entry and exit count, and the prices of both.
        root_id: the chain of the order that opened it (of an opening balance: that closed it).
    """

    trade_number: int
    account: str
    strategy: str
    pair: str
    order_kind: str
    side: str
    is_open: bool
    volume: Decimal
    entry_ns: int
    entry_price: Decimal
    entry_reason: str
    entry_order_ids: tuple[str, ...]
    exit_ns: int
    exit_price: Decimal
    exit_reason: str
    exit_order_ids: tuple[str, ...]
    asset_code: str
    entry_value: Decimal
    gross_pnl: Decimal
    fees: Decimal
    financing: Decimal
    insured: Decimal
    pnl: Decimal
    return_percent: Decimal | None
    """``pnl`` in percent of ``entry_value`` (not of the margin), to four digits."""
    contract_size: Decimal
    worst_price: Decimal | None = None
    best_price: Decimal | None = None
    excursions_from: str = ""
    root_id: str = ""
    between: tuple[int, int] = (0, 0)
    """From when to when bars and ticks certainly lie between entry and exit (ns)."""

    @property
    def entry_timestamp(self) -> datetime:
        """``entry_ns`` as an aware UTC `datetime`."""
        return from_ns(self.entry_ns)

    @property
    def exit_timestamp(self) -> datetime:
        """``exit_ns`` as an aware UTC `datetime`."""
        return from_ns(self.exit_ns)

    @property
    def duration_ns(self) -> int:
        """From entry to exit, in nanoseconds."""
        return self.exit_ns - self.entry_ns

    @property
    def duration(self) -> timedelta:
        """From entry to exit (below a microsecond is cut off)."""
        return timedelta(microseconds=self.duration_ns // 1_000)

    @property
    def duration_seconds(self) -> Decimal:
        """From entry to exit, in seconds, exact."""
        return mul(Decimal(self.duration_ns), _NANO)

    @property
    def is_long(self) -> bool:
        """Whether it wins when the price rises."""
        return self.side == "LONG"

    @property
    def mae(self) -> Decimal | None:
        """Maximum adverse excursion: what the whole volume came to at ``worst_price``, without
        fees; 0 or less. None where that is not known. Source: J. Sweeney, Maximum Adverse
        Excursion, Wiley 1997."""
        return self._excursion(self.worst_price)

    @property
    def mfe(self) -> Decimal | None:
        """Maximum favourable excursion: the same at ``best_price``; 0 or more."""
        return self._excursion(self.best_price)

    def in_figures(self, pnl: Decimal) -> OneTrade:
        """As statistics of trades take it, having brought ``pnl`` in the asset of all of them."""
        percent = self.return_percent
        share = None if percent is None else STATISTICS.scaleb(percent, Decimal(-2))
        return OneTrade(pnl, share, self.duration_ns)

    def _excursion(self, price: Decimal | None) -> Decimal | None:
        if price is None:
            return None
        return gain(self.is_long, self.entry_price, price, self.volume, self.contract_size)


def gain(
    is_long: bool, entry: Decimal, price: Decimal, volume: Decimal, contract_size: Decimal
) -> Decimal:
    """What ``volume`` bought (or sold) at ``entry`` has won at ``price``."""
    away = sub(price, entry) if is_long else sub(entry, price)
    return mul(mul(away, volume), contract_size) if away else ZERO
