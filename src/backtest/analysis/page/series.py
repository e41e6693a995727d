"""Prices of a pair as the page draws them: in buckets of minimum and maximum, made beforehand."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

from backtest.analysis.page.packing import differences, milliseconds, steps
from backtest.models import Bar, Quote

__all__ = ["LIMIT", "Prices", "Series"]

LIMIT = 1 << 20
"""So many bars or ticks of a pair are kept as they are; of more, neighbours are made one."""


class Series:
    """The bars or ticks of one kind of one pair, in floats: a picture, no figures.

    Memory stays below some forty megabytes: beyond `LIMIT` entries each two neighbours become one.
    """

    def __init__(self) -> None:
        self.times = array("q")
        """When each was over, in nanoseconds."""
        self.opens = array("d")
        self.highs = array("d")
        self.lows = array("d")
        self.closes = array("d")
        self.seen = 0
        self._together = 1
        """How many are one entry."""
        self._left = 0
        """How many more are to become part of the last entry."""

    def __len__(self) -> int:
        return len(self.times)

    @property
    def is_whole(self) -> bool:
        """Whether each bar or tick is an entry of its own."""
        return self._together == 1

    def add(self, time_ns: int, opened: float, high: float, low: float, close: float) -> None:
        """The next bar, or tick."""
        self.seen += 1
        if self._left:
            self._left -= 1
            self.times[-1], self.closes[-1] = time_ns, close
            if high > self.highs[-1]:
                self.highs[-1] = high
            if low < self.lows[-1]:
                self.lows[-1] = low
            return
        if len(self.times) >= LIMIT:
            self._halve()
        self.times.append(time_ns)
        self.opens.append(opened)
        self.highs.append(high)
        self.lows.append(low)
        self.closes.append(close)
        self._left = self._together - 1

    def _halve(self) -> None:
        self.times = self.times[1::2]
        self.opens = self.opens[::2]
        self.closes = self.closes[1::2]
        self.highs = array("d", map(max, self.highs[::2], self.highs[1::2]))
        self.lows = array("d", map(min, self.lows[::2], self.lows[1::2]))
        self._together *= 2

    def at(self, time_ns: int) -> int:
        """The place of the entry that was over at ``time_ns`` or next after it."""
        return bisect_left(self.times, time_ns)

    def buckets(self, most: int, begin: int = 0, end: int | None = None) -> Buckets:
        """The entries from ``begin`` to ``end`` (not counted) in at most ``most`` buckets."""
        stop = len(self) if end is None else min(end, len(self))
        step = max(1, -(-(stop - begin) // most))
        starts = range(begin, stop, step)
        lasts = [min(at + step, stop) - 1 for at in starts]
        return Buckets(
            step,
            [self.times[at] for at in lasts],
            [self.opens[at] for at in starts],
            [max(self.highs[at : at + step]) for at in starts]
            if step > 1
            else list(self.highs[begin:stop]),
            [min(self.lows[at : at + step]) for at in starts]
            if step > 1
            else list(self.lows[begin:stop]),
            [self.closes[at] for at in lasts],
        )


class Buckets:
    """Neighbours taken together: when the last was over, first, highest, lowest and last price."""

    def __init__(
        self,
        step: int,
        times: list[int],
        opens: list[float],
        highs: list[float],
        lows: list[float],
        closes: list[float],
    ) -> None:
        self.step = step
        self.times, self.opens, self.closes = times, opens, closes
        self.highs, self.lows = highs, lows

    def __len__(self) -> int:
        return len(self.times)

    def plain(self, places: int) -> dict[str, Any]:
        """As the page's script reads them: the close by what it is more than that before, open,
        high and low by how far they are from the close."""
        opens, closes = steps(self.opens, places), steps(self.closes, places)
        highs, lows = steps(self.highs, places), steps(self.lows, places)
        return {
            "step": self.step,
            "t": differences(map(milliseconds, self.times)),
            "c": differences(closes),
            "o": [one - close for one, close in zip(opens, closes, strict=True)],
            "h": [one - close for one, close in zip(highs, closes, strict=True)],
            "l": [close - one for one, close in zip(lows, closes, strict=True)],
        }


class Prices:
    """Listens to the market as it is read again, and has a `Series` for each pair."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], Series] = {}

    def over(self, market: Iterable[Any]) -> Iterator[Any]:
        """``market`` as it is, listened to on the way."""
        bars: dict[str, Series] = {}
        for event in market:
            kind = type(event)
            if kind is Bar:
                series = bars.get(event.pair)
                if series is None:
                    series = bars[event.pair] = self._of(event.pair, kind)
                series.add(
                    event.close_ns,
                    float(event.open),
                    float(event.high),
                    float(event.low),
                    float(event.close),
                )
                yield event
                continue
            series = self._of(event.pair, kind)
            if kind is Quote:
                bid, ask = float(event.bid), float(event.ask)
                middle = (bid + ask) / 2
                series.add(event.time_ns, middle, ask, bid, middle)
            else:
                price = float(event.price)
                series.add(event.time_ns, price, price, price, price)
            yield event

    def _of(self, pair: str, kind: type) -> Series:
        key = (pair, kind.__name__)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series()
        return series

    def of(self, pair: str) -> tuple[Series, str] | None:
        """What there is most of for ``pair``, and what it is; None where there is nothing."""
        kinds = {kind: one for (code, kind), one in self._series.items() if code == pair}
        if not kinds:
            return None
        kind = max(kinds, key=lambda name: kinds[name].seen)
        return kinds[kind], {"Bar": "bars", "Quote": "quotes"}.get(kind, "trades")
