"""The orders to close positions of a branch that are pending."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors.protocol import PendingClose
from backtest.models import PLAIN, Instructions

from .branch import Branch
from .position import Closing

__all__ = ["closes_of", "left_of", "pending_closes"]


def pending_closes(branch: Branch, command: int = 0) -> list[Closing]:
    """What is pending of the closes of ``branch``, or of the one that ``command`` asked for."""
    if branch.lot is None:
        return []
    return [
        closing
        for closing in branch.lot.exits
        if closing.role == "close" and (not command or closing.command == command)
    ]


def closes_of(branch: Branch) -> tuple[PendingClose, ...]:
    """The same for whoever hears of it, in the order of acceptance."""
    if branch.lot is None:
        return ()
    return tuple(sorted(map(_told, pending_closes(branch)), key=lambda one: one.command))


def left_of(closing: Closing) -> Decimal:
    """What it is still to close: never more than its lot has."""
    return min(closing.volume, closing.lot.volume)


def _told(closing: Closing) -> PendingClose:
    terms = closing.terms
    limit = stop = None
    if closing.kind == "limit":
        limit = closing.price
    elif closing.kind != "market":
        stop = closing.price
        limit = None if terms is None else terms.limit
    own = PLAIN
    if closing.kind == "trailing_stop" and terms is not None:
        own = Instructions(trail=terms.trail, trail_percent=terms.trail_percent)
    return PendingClose(closing.command, closing.id, left_of(closing), limit, stop, own)
