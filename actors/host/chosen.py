"""Which market data a strategy has chosen, and of what the latest alone."""

from __future__ import annotations

from typing import Any

from backtest.actors.kernel.fiber import Fiber
from backtest.models import Bar, MarketEvent

from .streams import MarketStreams

__all__ = ["Chosen", "conflates", "forget_older"]

Chosen = dict[str, dict[int | None, bool]]
"""Bar lengths by pair (None: all), and whether they conflate."""


def conflates(chosen: Chosen, event: MarketEvent) -> bool | None:
    """Whether only the latest of such events is wanted; None when none is."""
    lengths = chosen.get(event.pair)
    if lengths is None:
        return None
    if type(event) is not Bar:
        return all(lengths.values())
    conflate = lengths.get(event.nominal_length)
    if conflate is None and event.nominal_ns is None:
        for length, one in lengths.items():
            if length is not None and event.lasts(length):
                return one
    return lengths.get(None) if conflate is None else conflate


def forget_older(fiber: Fiber, streams: MarketStreams, newer: Any) -> None:
    """Forget a waiting event of the same pair and kind: a newer one is here.

    It is handlers that get the latest alone; iterators get each, and bars are made of each.
    """
    kind, pair = type(newer), newer.pair
    for place, waiting in enumerate(fiber.inbox):
        older = waiting[4]
        if type(older) is kind and older.pair == pair:
            if kind is Bar and not older.lasts(newer.nominal_length):
                continue
            del fiber.inbox[place]
            fiber.load -= 1
            if kind is Bar:
                streams.push_bar(older)
            else:
                streams.push_tick(kind, older)
            return
