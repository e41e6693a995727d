"""What market data a strategy has asked a venue for that publishes to subscribers only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from backtest.actors.kernel.channel import Channel
from backtest.actors.protocol import Kind, Subscribe

__all__ = ["KINDS", "Subscriptions"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""All kinds of market data, in the order in which they are subscribed to."""


class Subscriptions:
    """Keeps account of what is on, so that each thing is asked for once and what nobody reads any
    more is asked for no longer.

    ``wants`` are the kinds that came with the `Hello`: for handlers, of all ``pairs``.
    """

    __slots__ = ("_chosen", "_depths", "_pairs", "_streamed", "_venue", "_wants")

    def __init__(self, venue: Channel, wants: frozenset[Kind], pairs: Iterable[str]) -> None:
        self._venue = venue
        self._wants = tuple(kind for kind in KINDS if kind in wants)
        self._pairs = tuple(pairs)
        self._chosen: dict[str, None] | None = None
        """The pairs that the strategy subscribed to by name; None: it gets all."""
        self._streamed: dict[tuple[str, Kind], None] = {}
        self._depths: dict[str, int] = {}
        """How many levels were asked for at most; 0: all."""

    def _handled(self, pair: str, kind: Kind) -> bool:
        """Whether it comes anyway, for a handler."""
        return kind in self._wants and (self._chosen is None or pair in self._chosen)

    def follow(self, pair: str, kind: Kind) -> None:
        """There is an iterator over it now."""
        if (pair, kind) not in self._streamed:
            self._streamed[pair, kind] = None
            if not self._handled(pair, kind):
                self._venue.post(Subscribe(pair, kind, True))

    def follow_depth(self, pair: str, levels: int) -> None:
        """There is one more iterator over the depth: it begins with a snapshot, so ask for one."""
        before = levels if (pair, "depth") not in self._streamed else self._depths[pair]
        if self._handled(pair, "depth"):
            before = 0
        most = 0 if not (levels and before) else max(levels, before)
        self._streamed[pair, "depth"] = None
        self._depths[pair] = most
        self._venue.post(Subscribe(pair, "depth", True, most))

    def leave(self, pair: str, kind: Kind) -> None:
        """Nobody iterates over it any more."""
        if (pair, kind) in self._streamed:
            del self._streamed[pair, kind]
            if not self._handled(pair, kind) and self._venue.target.open:
                self._venue.post(Subscribe(pair, kind, False))

    def choose(self, pair: str) -> None:
        """Handlers get ``pair``, and of the others only those that were chosen like this."""
        if self._chosen is None:
            self._chosen = {pair: None}
            for other in self._pairs:
                if other != pair:
                    self._switch(other, False)
        elif pair not in self._chosen:
            self._chosen[pair] = None
            self._switch(pair, True)

    def _switch(self, pair: str, on: bool) -> None:
        for kind in self._wants:
            if (pair, kind) not in self._streamed:
                self._venue.post(Subscribe(pair, kind, on))
