"""All that a page of a run holds, each part made once, from one look at the market's data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define

from backtest.analysis.curve import Curve, curve_from, curve_of, marks_of
from backtest.analysis.page.chains import Chains
from backtest.analysis.page.money import headroom_of
from backtest.analysis.page.over_time import POINTS, Held, equity_columns, rolling_sharpe
from backtest.analysis.page.packing import json_text, milliseconds, packed, places_of
from backtest.analysis.page.series import Prices, Series
from backtest.analysis.page.stories import CHUNK, stories_of
from backtest.analysis.page.trade_columns import fill_columns, trade_columns
from backtest.analysis.page.verdict import title_of
from backtest.analysis.record import RunRecord
from backtest.analysis.report.path_interval import PathInterval
from backtest.analysis.rereading import market_events
from backtest.analysis.tables.facts import RunTables
from backtest.analysis.verify.verification import Verification
from backtest.analysis.worth import confidence
from backtest.errors import NotRepeatable

__all__ = ["Content", "Material", "size_for"]

FINE = 8_000
"""Buckets of prices that the page has of the whole run, to zoom into."""
_DRAWN = 4
"""Accounts whose free money is drawn, the first of them."""
_LEAST_SIZE, _MOST_SIZE = 1_950_000, 5_900_000
"""Bytes of a page beside plotly's own script, up to 2,000 trades and from 20,000 on."""
_A_TRADE = 220
"""Bytes more for each trade beyond 2,000."""
_FRAME = 150_000
"""Bytes left for text, tables, style and script."""


@define(kw_only=True)
class Material:
    """What a page is made from: a run, and what was asked of it before."""

    record: RunRecord
    tables: RunTables
    verify: Callable[[], Verification]
    """Asked when the market has been read: trades have their excursions from that."""
    interval: PathInterval | None = None


def size_for(trades: int) -> int:
    """How large a page of so many trades may be, beside plotly's own script, in bytes."""
    return min(_LEAST_SIZE + _A_TRADE * max(0, trades - 2_000), _MOST_SIZE)


class Content:
    """The parts of one page."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self.record = record = material.record
        self.figures: Mapping[str, Any] = material.tables.summary
        self.pairs = list(record.pairs)
        self.curve: Curve
        self.held: Held | None = None
        self._series: dict[str, tuple[Series, int]] = {}
        self._kinds: dict[str, str] = {}
        self.no_prices = self._read_market()
        """Why there are no prices; empty where there are."""
        self.trades = material.tables.trades
        self.verification = material.verify()
        self.fine: list[str] = []
        """By number, packed prices to zoom into."""
        self.chance = confidence(record)
        self.headrooms = headroom_of(record)
        self.rolling = rolling_sharpe(record)
        self._plain = self._without_stories()
        self.stories = stories_of(
            self.trades,
            Chains(material.tables, record.rules),
            self._series,
            size_for(len(self.trades)) - self._used(),
        )

    def data(self) -> dict[str, Any]:
        """What the page's script draws."""
        trades = trade_columns(self.record, self.trades, self.pairs, self.stories.items)
        return {**self._plain, "trades": trades}

    # -- made once ---------------------------------------------------------------------------------

    def _read_market(self) -> str:
        record = self.record
        try:
            market, why = market_events(record.sources, record.inputs, record.config)
        except NotRepeatable as error:
            market, why = None, str(error)
        if market is None:
            self.curve = curve_of(record)
            return why
        prices, worth = Prices(), Held(record)
        marks = worth.over(marks_of(record, prices.over(self.material.tables.over(market))))
        self.curve = curve_from(record, marks)
        self.held = worth
        for code in self.pairs:
            found = prices.of(code)
            if found is not None:
                increment = record.pairs[code].price_increment
                self._series[code] = (found[0], places_of(increment, max(found[0].highs)))
                self._kinds[code] = found[1]
        return ""

    def _without_stories(self) -> dict[str, Any]:
        record = self.record
        return {
            "title": title_of(record),
            "cash": record.cash_asset,
            "start": milliseconds(record.valuation.first_ns),
            "end": milliseconds(record.valuation.last_ns),
            "chunk": CHUNK,
            "equity": equity_columns(self.curve, self.held),
            "rolling": self.rolling,
            "prices": [self._prices(code) for code in self.pairs],
            "fills": fill_columns(record, self.trades, self.pairs),
            "free": [one.plain() for one in self.headrooms[:_DRAWN]],
        }

    def _prices(self, code: str) -> dict[str, Any]:
        """A pair's prices: coarse ones here, finer ones packed."""
        if code not in self._series:
            return {"pair": code, "coarse": None, "fine": -1}
        series, places = self._series[code]
        fine = -1
        if len(series) > POINTS:
            fine = len(self.fine)
            self.fine.append(packed([series.buckets(FINE).plain(places)]))
        return {
            "pair": code,
            "places": places,
            "seen": series.seen,
            "of": self._kinds[code],
            "coarse": series.buckets(POINTS).plain(places),
            "fine": fine,
        }

    def _used(self) -> int:
        """Bytes that the page takes without stories."""
        trades = trade_columns(self.record, self.trades, self.pairs, {})
        texts = (json_text({**self._plain, "trades": trades}), *self.fine)
        return _FRAME + sum(len(text.encode()) for text in texts)
