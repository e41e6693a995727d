"""How much a strategy has seen before it may order."""

from __future__ import annotations

from collections.abc import Iterable

from backtest.models import Bar, MarketEvent

__all__ = ["WarmUp"]


class WarmUp:
    """Counts bars until there were ``needed`` of each pair.

    Of a pair with bars of several lengths the most frequent ones count: bars of one length are not
    added to those of another. A pair of which only quotes or trades come is not waited for.
    """

    __slots__ = ("_counts", "_most", "_ticked", "needed")

    def __init__(self, needed: int) -> None:
        self.needed = needed
        self._counts: dict[tuple[str, int], int] = {}
        """By pair and length."""
        self._most: dict[str, int] = {}
        self._ticked: dict[str, None] = {}

    def see(self, event: MarketEvent) -> None:
        """The strategy was given ``event``."""
        pair = event.pair
        if type(event) is not Bar:
            self._ticked[pair] = None
            return
        key = pair, event.close_ns - event.open_ns
        count = self._counts[key] = self._counts.get(key, 0) + 1
        self._most[pair] = max(count, self._most.get(pair, 0))

    def seen(self, pairs: Iterable[str] | None) -> int:
        """How many bars there were of each of ``pairs`` at least; None: of those that came."""
        return min(
            (
                self._most.get(pair, 0)
                for pair in (self._most if pairs is None else pairs)
                if pair in self._most or pair not in self._ticked
            ),
            default=0,
        )
