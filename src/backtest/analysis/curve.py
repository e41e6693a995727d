"""Equity over time: a row for each bar, or for each moment with news of the market.

The run keeps what was held from when on, and equity at the ends of hours. What lies between is
valued again when it is asked for: the data is read once more, prices are marked as the venue marked
them, and nothing is simulated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from backtest.actors.venue.coverage import Coverage
from backtest.analysis.metrics import start_equity
from backtest.analysis.record import RunRecord
from backtest.analysis.rereading import market_events
from backtest.analysis.series import Columns, dicts, pandas_frame, polars_frame
from backtest.errors import NotRepeatable
from backtest.models import Bar, Quote
from backtest.money import ZERO
from backtest.services.fills.tick_prices import mark_of
from backtest.services.valuation import Valuation

__all__ = [
    "Curve",
    "CurveRow",
    "PositionRow",
    "Positions",
    "curve_from",
    "curve_of",
    "marks_of",
    "positions_of",
]


@frozen
class CurveRow:
    """Equity at one moment, in the cash asset, exact."""

    time_ns: int
    equity: Decimal
    net_exposure: Decimal | None
    """What is held that moves with the market at its prices: longs less shorts; None where the
    prices between hours are not at hand."""
    gross_exposure: Decimal | None
    """The same with shorts counted as longs; a pair's holdings and positions are one."""


@frozen
class PositionRow:
    """What was held of one pair or asset from a moment on."""

    time_ns: int
    name: str
    """The pair of trading orders, or the asset that is owned."""
    kind: str
    """``position`` or ``owned``."""
    size: Decimal
    """Signed size of open positions (contracts x contract size), or the amount that is owned."""


class Positions(tuple[PositionRow, ...]):
    """What was held over time, in order: a row where something is other than before."""

    __slots__ = ()

    def to_dicts(self, *, exact: bool = False) -> list[dict[str, Any]]:
        """A dict per row: ``timestamp`` (aware, UTC), ``name``, ``kind`` and ``size``, a float, or
        a decimal where ``exact``."""
        return dicts(self._columns(), exact=exact)

    def to_pandas(self, *, exact: bool = False) -> Any:
        """The same as a dataframe with an index ``timestamp`` in UTC (extra ``pandas``)."""
        return pandas_frame(self._columns(), exact=exact)

    def to_polars(self, *, exact: bool = False) -> Any:
        """The same as a dataframe of polars, with a column ``timestamp``; decimals as text."""
        return polars_frame(self._columns(), exact=exact)

    def _columns(self) -> Columns:
        return Columns(
            [row.time_ns for row in self],
            {"size": [row.size for row in self]},
            {"name": [row.name for row in self], "kind": [row.kind for row in self]},
        )


@frozen
class Curve:
    """The rows, the opening equity first, and how close together they are."""

    rows: tuple[CurveRow, ...]
    basis: str
    """``event``: a row for each moment with news of the market, bars' closes where there are bars.
    ``hour``: one for each hour in which equity may have changed."""
    why: str = ""
    """Why there are no rows between hours; empty where there are."""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[CurveRow]:
        return iter(self.rows)

    def to_dicts(self, *, exact: bool = False) -> list[dict[str, Any]]:
        """A dict per row: ``timestamp`` (aware, UTC), ``equity``, ``net_exposure`` and
        ``gross_exposure`` in the cash asset, as floats, or decimals where ``exact``."""
        return dicts(self._columns(), exact=exact)

    def to_pandas(self, *, exact: bool = False) -> Any:
        """The same as a dataframe with an index ``timestamp`` in UTC (extra ``pandas``)."""
        return pandas_frame(self._columns(), exact=exact)

    def to_polars(self, *, exact: bool = False) -> Any:
        """The same as a dataframe of polars, with a column ``timestamp``; decimals as text."""
        return polars_frame(self._columns(), exact=exact)

    def _columns(self) -> Columns:
        rows = self.rows
        return Columns(
            [row.time_ns for row in rows],
            {
                "equity": [row.equity for row in rows],
                "net_exposure": [row.net_exposure for row in rows],
                "gross_exposure": [row.gross_exposure for row in rows],
            },
        )

    @property
    def samples(self) -> list[tuple[int, Decimal]]:
        """The rows as ``(nanoseconds, equity)``."""
        return [(row.time_ns, row.equity) for row in self.rows]


def curve_of(record: RunRecord) -> Curve:
    """The equity of a run, the opening one first, the final one last.

    The data is read again. Where it is not at hand, has changed, or the venue got none, as agents
    trade with each other, there is a row for each hour, and `Curve.why` says why.
    """
    begin = CurveRow(record.valuation.first_ns, start_equity(record), None, None)
    try:
        events, why = market_events(record.sources, record.inputs, record.config)
    except NotRepeatable as error:
        events, why = None, str(error)
    if events is None:
        rows = [CurveRow(time, equity, None, None) for time, equity in record.valuation.samples]
        return Curve((begin, *rows), "hour", why)
    return curve_from(record, marks_of(record, events))


def curve_from(record: RunRecord, marks: Iterable[tuple[int, Mapping[str, Decimal]]]) -> Curve:
    """The same from `marks_of` the run's market, for who reads that for more than the curve."""
    begin = CurveRow(record.valuation.first_ns, start_equity(record), None, None)
    return Curve((begin, *_Walk(record).rows(marks)), "event")


def positions_of(record: RunRecord) -> Positions:
    """What was held over time: a row where the size of a pair's positions, or what is owned of an
    asset, is other than before. Data is not needed."""
    found: list[PositionRow] = []
    before: dict[tuple[str, str], Decimal] = {}
    for time, totals, sizes in record.valuation.holdings:
        now = {("owned", asset): owned for asset, owned in totals.items()}
        now |= {("position", code): size for code, (size, _) in sizes.items()}
        for key, size in now.items():
            if size != before.get(key, ZERO):
                found.append(PositionRow(time, key[1], key[0], size))
        before = now
    return Positions(found)


def marks_of(
    record: RunRecord, events: Iterable[Any]
) -> Iterator[tuple[int, Mapping[str, Decimal]]]:
    """Moment by moment, the prices at which the venue marked all pairs then.

    One mapping, changed from moment to moment: copy what is to be kept.
    """
    prices: dict[str, Decimal] = {}
    coverages: dict[str, Coverage] = {}
    alike: dict[str, Bar] = {}
    """The last bar of pairs of which there were only bars of one length."""
    quoted: set[str] = set()
    now: int | None = None

    def covering(code: str) -> Coverage:
        if code not in coverages:
            coverages[code] = Coverage()
            if code in alike:
                coverages[code].takes(alike[code])
        return coverages[code]

    for event in events:
        time = event.close_ns if isinstance(event, Bar) else event.time_ns
        if now is not None and time != now:
            yield now, prices
        now = time
        code = event.pair
        if isinstance(event, Bar):
            # Of a bar whose time finer data has told the venue takes no price. Bars of one length
            # tell nothing of each other: most runs need no account of that.
            known, last = coverages.get(code), alike.get(code)
            if known is None and (last is None or last.nominal_length == event.nominal_length):
                alike[code] = event
                prices[code] = event.close
                continue
            if not covering(code).takes(event):
                prices[code] = event.close
            continue
        covering(code).ticked(time)
        if isinstance(event, Quote):
            quoted.add(code)
        elif code in quoted:
            continue  # where there are quotes, a trade does not mark
        prices[code] = mark_of(event, record.pairs[code].price_increment)
    if now is not None:
        yield now, prices


class _Walk:
    """Goes through the moments with what was held in each."""

    def __init__(self, record: RunRecord) -> None:
        self._record = record
        self._worth = Valuation(record.cash_asset, list(record.pairs.values()))
        self._holdings = iter(record.valuation.holdings)
        self._next = next(self._holdings, None)

    def rows(self, marks: Iterable[tuple[int, Mapping[str, Decimal]]]) -> Iterator[CurveRow]:
        """A row for each moment with news, and for those after the last at which something was
        booked."""
        known = 0
        first, warm = self._record.valuation.first_ns, False
        self._hold(first - 1)
        for time, prices in marks:
            if time < first or (warm and time == first):
                # What strategies warm up on marks prices, and no more: the run has not begun.
                self._worth.prices.update(prices)
                known, warm = len(prices), True
                continue
            changed, following = False, self._next
            if following is None or following[0] > time:
                self._worth.prices.update(prices)
            else:
                yield from self._between(time)
                self._worth.prices.update(prices)
                changed = self._hold(time)
            if not changed and len(prices) != known and self._last is not None:
                self._worth.hold(self._last)  # a better way to value something, maybe
            known = len(prices)
            yield self._row(time)
        yield from self._between(None)

    _last: Any = None

    def _hold(self, time: int) -> bool:
        """Hold what was held at the end of ``time``; whether that is other than before."""
        changed = False
        while self._next is not None and self._next[0] <= time:
            self._last, changed = self._next, True
            self._next = next(self._holdings, None)
        if changed:
            self._worth.hold(self._last)
        return changed

    def _between(self, time: int | None) -> Iterator[CurveRow]:
        """Rows of moments before ``time`` at which something was booked without news of the
        market: what begins a run is none of them."""
        while self._next is not None and (time is None or self._next[0] < time):
            moment, first = self._next[0], self._last is None
            self._hold(moment)
            if not first:
                yield self._row(moment)

    def _row(self, time: int) -> CurveRow:
        equity, net, gross = self._worth.worth_now()
        return CurveRow(time, equity, net, gross)
