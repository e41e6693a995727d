"""How long an order lives, and what its instructions mean to the walk along a bar's path."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from backtest.errors import OrderRejected, RejectReason
from backtest.models.bar import Bar
from backtest.models.instructions import PLAIN, Instructions, TimeInForce
from backtest.services.fills.path import Terms
from backtest.times import DAY, to_ns

__all__ = ["IMMEDIATE", "ended_because", "expiry_of", "lives_through", "terms_of"]

IMMEDIATE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
"""What does not fill at its first opportunity is cancelled."""


def expiry_of(instructions: Instructions, now: int, day_end: Callable[[int], int]) -> int | None:
    """When an order accepted at ``now`` expires, in nanoseconds; None for never.

    Raises `OrderRejected`: ``EXPIRED`` when that is over, ``INVALID_ACTION`` for a moment without
    a time zone.
    """
    force = instructions.time_in_force
    if force is TimeInForce.DAY:
        return day_end(now)
    moment = instructions.expires_at
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise OrderRejected(
            RejectReason.INVALID_ACTION, f"expires_at must know its time zone: {moment!r} is naive"
        )
    due = to_ns(moment, "expires_at")
    if due <= now:
        raise OrderRejected(RejectReason.EXPIRED, f"it would have expired at {moment.isoformat()}")
    return due


def lives_through(force: TimeInForce, accepted_ns: int, bar: Bar) -> bool:
    """Whether an order that expires inside ``bar`` takes part in all of it, not at its open only.

    One for the day does, accepted by the open of a bar of a day (of 23 to 25 hours, where clocks
    change): the whole day's trading is in that bar, wherever in it the day ends.
    """
    return force is TimeInForce.DAY and accepted_ns <= bar.open_ns and bar.lasts(DAY)


def terms_of(limit: Decimal | None, instructions: Instructions) -> Terms | None:
    """What an order asks of the walk; None for nothing.

    ``limit`` is that of a stop-limit order whose stop was not reached; None for all others.
    """
    if limit is None and instructions is PLAIN:
        return None
    force = instructions.time_in_force
    if limit is None and not (
        force in IMMEDIATE or instructions.is_trailing or instructions.post_only
    ):
        return None
    return Terms(
        limit,
        instructions.trail,
        instructions.trail_percent,
        force in IMMEDIATE,
        force is TimeInForce.FOK,
        instructions.post_only,
    )


def ended_because(instructions: Instructions) -> RejectReason:
    """Why what is left of an ``IOC`` or ``FOK`` order after its first opportunity is cancelled."""
    if instructions.time_in_force is TimeInForce.FOK:
        return RejectReason.FILL_OR_KILL
    return RejectReason.IMMEDIATE_OR_CANCEL
