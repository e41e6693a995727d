"""The orders to close positions of a branch that are pending."""

from __future__ import annotations

from backtest.actors.protocol import PendingClose
from backtest.models import PLAIN, Instructions
from backtest.money import add

from .branch import Branch, Closing

__all__ = ["closes_of", "pending_closes"]


def pending_closes(branch: Branch, command: int = 0) -> list[Closing]:
    """What is pending of the closes of ``branch``, or of the one that ``command`` asked for; the
    oldest position first."""
    return [
        closing
        for holding in branch.holdings
        for closing in holding.closings
        if closing.kind == "close" and (not command or closing.command == command)
    ]


def closes_of(branch: Branch) -> tuple[PendingClose, ...]:
    """The pending closes of ``branch``, one for each command, in the order of acceptance."""
    found: dict[int, PendingClose] = {}
    for closing in pending_closes(branch):
        volume = min(closing.working.volume, closing.holding.part.volume)
        known = found.get(closing.command)
        if known is None:
            found[closing.command] = _told(closing)._replace(volume=volume)
        else:
            found[closing.command] = known._replace(volume=add(known.volume, volume))
    return tuple(found[command] for command in sorted(found))


def _told(closing: Closing) -> PendingClose:
    working, terms = closing.working, closing.working.terms
    limit = stop = None
    if working.kind == "limit":
        limit = working.price
    elif working.kind != "market":
        stop = working.price
        limit = None if terms is None else terms.limit
    own = PLAIN
    if working.kind == "trailing_stop" and terms is not None:
        own = Instructions(trail=terms.trail, trail_percent=terms.trail_percent)
    return PendingClose(closing.command, closing.id, working.volume, limit, stop, own)
