"""The books of a system: where its messages are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from .message import Envelope

if TYPE_CHECKING:
    from .channel import Channel
    from .event_queue import EventQueue
    from .fiber import Fiber

__all__ = ["ChannelStatistics", "SystemStatistics", "statistics_of"]


@attrs.frozen(kw_only=True)
class ChannelStatistics:
    """What went over a channel so far."""

    sender: str
    target: str
    sent: int
    """Messages sent on this channel."""
    waiting: int
    """Messages, from whomever, that the target has not taken yet."""
    bound: int
    """How many of those there may be."""


@attrs.frozen(kw_only=True)
class SystemStatistics:
    """Where the messages of a system are: sent = handled + waiting + dead."""

    sent: int
    """Messages and answers sent on all channels."""
    handled: int
    """Taken by their targets (an answer: by whoever asked)."""
    waiting: int
    """On their way, or in an inbox."""
    dead: int
    """Kept in `System.dead_letters`, each with a reason."""


def statistics_of(
    events: EventQueue, fibers: Iterable[Fiber], channels: Iterable[Channel], dead: int
) -> SystemStatistics:
    """A snapshot of the counters: ``dead`` letters among what went over ``channels``."""
    waiting = sum(len(fiber.inbox) for fiber in fibers)
    for queue in (*events.queues, events.heap):
        waiting += sum(type(item) is Envelope for item in queue)
    sent = sum(channel.sent for channel in channels)
    return SystemStatistics(sent=sent, handled=sent - waiting - dead, waiting=waiting, dead=dead)
