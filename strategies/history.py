"""What a strategy has seen: the last bars of each pair, and the indicators that are fed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from backtest.errors import ConfigError, FieldError, FieldTypeError
from backtest.models import Bar

from .feeding import IndicatorFeed, column_of, number_of

if TYPE_CHECKING:
    from backtest.actors import StrategyHost

__all__ = ["USUAL", "History"]

USUAL = 10_000
"""How many bars of a pair are kept for a strategy that asks for its history."""


class History:
    """Keeps the last ``most`` bars of each of ``pairs``, as they come; 0: none."""

    def __init__(self, host: StrategyHost, most: int, pairs: Iterable[str]) -> None:
        self._host = host
        self._most = most
        self._kept: dict[str, deque[Bar]] = {pair: deque(maxlen=most) for pair in pairs}
        self._taps: list[Any] = []
        self.feeds: list[IndicatorFeed] = []
        self.join()

    def join(self) -> None:
        """Follow the bars that come from now on; a strategy that was restarted uses its indicators
        anew."""
        self.feeds, self._taps = [], []
        if self._most:
            tap = self._host.streams.tap
            self._taps = [tap(pair, None, self._kept[pair].append, False) for pair in self._kept]

    def bars(self, pair: str, n: int, length: int | None) -> list[Bar]:
        """The last ``n`` bars, oldest first, or as many as there were."""
        if type(n) is not int:
            raise FieldTypeError("n", f"must be an int, not {type(n).__name__}")
        if n < 0:
            raise FieldError("n", f"must be non-negative, not {n}")
        if not self._most:
            raise ConfigError(
                "no bars were kept: the class does not mention history by name; write "
                f"history_bars = {max(n, 1)} in it"
            )
        if n > self._most:
            raise FieldError(
                "n", f"is more than the {self._most} bars that are kept: history_bars = {n}"
            )
        kept: Iterable[Bar] = reversed(self._kept[pair])
        if length is not None:
            kept = (bar for bar in kept if bar.lasts(length))
        found = list(islice(kept, n))
        found.reverse()
        return found

    def column(self, pair: str, n: int, length: int | None, column: str, exact: bool) -> list[Any]:
        """One number of each of them."""
        name = column_of(column)
        return [number_of(bar, name, exact) for bar in self.bars(pair, n, length)]

    def use(self, feed: IndicatorFeed, length: int | None) -> IndicatorFeed:
        """Feed an indicator, with what is kept first."""
        for bar in self._kept[feed.pair]:
            if length is None or bar.lasts(length):
                feed.take(bar)
        self.feeds.append(feed)
        self._taps.append(self._host.streams.tap(feed.pair, length, feed.take))
        return feed
