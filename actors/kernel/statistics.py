"""The books of a system: where its messages are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .message import Envelope

if TYPE_CHECKING:
    from .system import System

__all__ = ["SystemStatistics", "statistics_of"]


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


def statistics_of(system: System) -> SystemStatistics:
    """A snapshot of the counters of ``system``."""
    waiting = sum(len(fiber.inbox) for fiber in system._fibers)
    for queue in (*system.queues, system._heap):
        waiting += sum(type(item) is Envelope for item in queue)
    sent = sum(channel.sent for channel in system._channels.values())
    dead = len(system.dead_letters)
    return SystemStatistics(sent=sent, handled=sent - waiting - dead, waiting=waiting, dead=dead)
