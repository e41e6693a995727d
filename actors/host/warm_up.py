"""How much a strategy has seen before it may order."""

from __future__ import annotations

from collections.abc import Iterable

from backtest.models import Bar, MarketEvent

__all__ = ["WarmUp"]


class WarmUp:
    """Counts bars until there were ``needed`` of each pair.

    Bars of a pair that overlap count once: those of an hour are not added to those of its minutes.
    A pair of which only quotes or trades come is not waited for. Before ``until_ns`` no count is
    enough.
    """

    __slots__ = ("_counts", "_ticked", "_until", "needed", "until_ns")

    def __init__(self, needed: int, until_ns: int = 0) -> None:
        self.needed = needed
        self.until_ns = until_ns
        self._counts: dict[str, int] = {}
        self._until: dict[str, int] = {}
        """By pair the close of the bar that was counted last."""
        self._ticked: dict[str, None] = {}

    def see(self, event: MarketEvent) -> None:
        """The strategy was given ``event``."""
        pair = event.pair
        if type(event) is not Bar:
            self._ticked[pair] = None
        elif event.open_ns >= self._until.get(pair, event.open_ns):
            # Bars come by their close: whoever takes each that does not overlap takes the most.
            self._counts[pair] = self._counts.get(pair, 0) + 1
            self._until[pair] = event.close_ns

    def seen(self, pairs: Iterable[str] | None) -> int:
        """How many bars there were of each of ``pairs`` at least; None: of those that came."""
        return min(
            (
                self._counts.get(pair, 0)
                for pair in (self._counts if pairs is None else pairs)
                if pair in self._counts or pair not in self._ticked
            ),
            default=0,
        )
