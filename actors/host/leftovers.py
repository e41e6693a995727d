"""What a strategy was sent and has not looked at, and what it waited for in vain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from backtest.actors.kernel.deadlock import line_of
from backtest.actors.kernel.fiber import Fiber
from backtest.actors.kernel.lateness import Lateness
from backtest.actors.kernel.message import Envelope
from backtest.actors.protocol import Kind
from backtest.models import Bar, Depth, DepthUpdate, MarketEvent, Quote, Trade

from .chosen import Chosen, conflates
from .interface import Handlers, Unseen

if TYPE_CHECKING:
    from backtest.actors.kernel.system import System

__all__ = ["HANDLER_OF", "MARKET", "handled", "in_vain", "undelivered", "unseen"]

MARKET = (Bar, Quote, Trade)
HANDLER_OF = {
    Bar: "on_bar",
    Quote: "on_quote",
    Trade: "on_trade",
    Depth: "on_depth",
    DepthUpdate: "on_depth",
}
_CALLED: dict[Kind, str] = {"bars": "on_bar", "quotes": "on_quote", "trades": "on_trade"}
"""The handlers that kinds of market data call."""


def undelivered(fiber: Fiber, system: System, deferred: Envelope | None) -> list[MarketEvent]:
    """The market events that were sent to it and that it was not given: they are on their way,
    wait in its inbox, or (``deferred``) for it to have done thinking."""
    first = [] if deferred is None else [deferred]
    waiting = [*first, *fiber.inbox, *system.events.on_their_way(fiber)]
    return [one[4] for one in waiting if type(one[4]) in MARKET]


def handled(
    fiber: Fiber, deferred: Envelope | None, handlers: Handlers, chosen: Chosen | None
) -> int:
    """How many market events wait for its handlers."""
    waiting = [envelope[4] for envelope in fiber.inbox]
    if deferred is not None:
        waiting.append(deferred[4])
    count = 0
    for one in waiting:
        if type(one) in MARKET and getattr(handlers, HANDLER_OF[type(one)]):
            if chosen is None or conflates(chosen, one) is not None:
                count += 1
    return count


def unseen(count: int, fiber: Fiber | None, late: Lateness) -> list[Unseen]:
    """That ``count`` events wait for ``fiber`` to go on, and the line that holds it; and those that
    came late."""
    if count and fiber is not None and fiber.alive:
        return [Unseen(count, line_of(fiber.task), late.count, late.most)]
    return [Unseen(0, late.line, late.count, late.most)] if late.count else []


def in_vain(
    there: Mapping[str, Collection[Kind]],
    handlers: Handlers,
    chosen: Chosen | None,
    followed: Iterable[tuple[Kind, str]],
) -> list[str]:
    """What handlers and iterators waited for and could not get; ``there`` says which kinds of data
    there are, by pair."""
    told = []
    pairs = [pair for pair in there if chosen is None or pair in chosen]
    found = dict.fromkeys(kind for pair in pairs for kind in there[pair])
    mine = {kind: name for kind, name in _CALLED.items() if getattr(handlers, name)}
    if mine and found and not mine.keys() & found.keys():
        told.append(
            f"has {', '.join(mine.values())}, never called: of {', '.join(pairs)} there are "
            f"{', '.join(found)} ({', '.join(_CALLED[kind] for kind in found)})"
        )
    for kind, pair in followed:
        if kind in _CALLED and there.get(pair) and kind not in there[pair]:
            told.append(
                f"iterated over {kind} of {pair}, and none came: there are {', '.join(there[pair])}"
            )
    return told
