"""How far prices went against a trade and with it, from the bars and ticks that lie within it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from attrs import evolve

from backtest.analysis.trades.trade import Trade
from backtest.models import Bar, Quote
from backtest.times import format_span

__all__ = ["Excursions"]


class Excursions:
    """Looks at the market of a run once, in order, and knows the extremes within each trade.

    A bar counts where all of it lies between entry and exit: of the bars in which those happened
    only the prices at which they did. Of quotes counts what the holder would have closed at, a
    long's the bid, a short's the ask. Only trades of pairs with bars or ticks have extremes.
    """

    def __init__(self, trades: Sequence[Trade]) -> None:
        self._trades = trades
        self._series: dict[tuple[str, str], list[_Series]] = {}
        self._lengths: dict[str, int] = {}
        self._kinds: dict[str, dict[str, None]] = {}
        self._queries: dict[tuple[str, bool], list[tuple[int, int, int]]] = {}
        for at, trade in enumerate(trades):
            start, end = trade.between
            found = self._queries.setdefault((trade.pair, trade.is_long), [])
            found.append((end, start, at))
        for queries in self._queries.values():
            queries.sort()
        self._found: list[list[tuple[Decimal, Decimal]]] = [[] for _ in trades]

    def over(self, market: Iterable[Any]) -> Iterator[Any]:
        """``market`` as it is, looked at on the way."""
        for event in market:
            self.saw(event)
            yield event

    def saw(self, event: Any) -> None:
        """The next bar, quote or trade."""
        kind = type(event)
        if kind is Bar:
            name, long, short = "bars", (event.low, event.high), (event.low, event.high)
            length = event.nominal_ns or event.close_ns - event.open_ns
            if length > self._lengths.get(event.pair, 0):
                self._lengths[event.pair] = length
        elif kind is Quote:
            name, long, short = "quotes", (event.bid, event.bid), (event.ask, event.ask)
        else:
            name, long = "trades", (event.price, event.price)
            short = long
        self._kinds.setdefault(event.pair, {})[name] = None
        key = event.pair, name
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = [
                _Series(self._queries.get((event.pair, is_long), []), self._found)
                for is_long in (True, False)
            ]
        series[0].saw(event.open_ns, event.close_ns, *long)
        series[1].saw(event.open_ns, event.close_ns, *short)

    def trades(self) -> list[Trade]:
        """The trades, with what was seen."""
        for sides in self._series.values():
            for series in sides:
                series.end()
        both = zip(self._trades, self._found, strict=True)
        return [self._with(trade, found) for trade, found in both]

    def _with(self, trade: Trade, found: Sequence[tuple[Decimal, Decimal]]) -> Trade:
        kinds = self._kinds.get(trade.pair)
        if not kinds:
            return trade
        prices = [trade.entry_price, trade.exit_price, *(one for both in found for one in both)]
        low, high = min(prices), max(prices)
        names = [
            f"{format_span(self._lengths[trade.pair])} bars" if one == "bars" else one
            for one in sorted(kinds)
        ]
        return evolve(
            trade,
            worst_price=low if trade.is_long else high,
            best_price=high if trade.is_long else low,
            excursions_from=" and ".join(names),
        )


class _Series:
    """Bars or ticks of one kind, of which it keeps what may still be the extreme of a trade."""

    def __init__(
        self,
        queries: Sequence[tuple[int, int, int]],
        found: Sequence[list[tuple[Decimal, Decimal]]],
    ) -> None:
        self._queries = queries
        """End, start and place of each trade, by end."""
        self._found = found
        self._next = 0
        self._last = 0
        self._from: list[int] = []
        """By trade: the earliest start of it and all that end later."""
        for _, start, _ in reversed(queries):
            self._from.append(min(start, self._from[-1]) if self._from else start)
        self._from.reverse()
        self._low_times: list[int] = []
        self._lows: list[Decimal] = []
        self._high_times: list[int] = []
        self._highs: list[Decimal] = []

    def saw(self, opened: int, closed: int, low: Decimal, high: Decimal) -> None:
        queries = self._queries
        while self._next < len(queries) and queries[self._next][0] < closed:
            self._answer()
        if self._next == len(queries) or self._from[self._next] > opened or opened < self._last:
            return  # nothing is open, or what is finer was there already
        self._last = closed
        lows, times = self._lows, self._low_times
        while lows and lows[-1] >= low:
            lows.pop()
            times.pop()
        lows.append(low)
        times.append(opened)
        highs, times = self._highs, self._high_times
        while highs and highs[-1] <= high:
            highs.pop()
            times.pop()
        highs.append(high)
        times.append(opened)

    def _answer(self) -> None:
        _, start, place = self._queries[self._next]
        self._next += 1
        at, too = bisect_left(self._low_times, start), bisect_left(self._high_times, start)
        if at < len(self._lows):
            self._found[place].append((self._lows[at], self._highs[too]))

    def end(self) -> None:
        """There is no more."""
        while self._next < len(self._queries):
            self._answer()
