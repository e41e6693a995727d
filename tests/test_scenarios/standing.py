"""A quote that stands for an hour, and what scripts make of it: for tests of what stands.

100 is bid and 101 asked from second 0 on, and the next quote comes an hour later, at 120 and 121.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.harness import D, Me, World, play, quote

__all__ = ["LATER", "S", "stands", "times"]

S = 10**9
LATER = quote(3600, 120, 121)


def stands(
    script: Callable[[Any], Awaitable[None]],
    *more: Any,
    bid: Any = 100,
    ask: Any = 101,
    bid_size: Any = None,
    ask_size: Any = None,
    after: Any = 30,
    **settings: Any,
) -> World:
    """Play ``script`` from second 30 on, with a quote that stands since second 0."""

    async def later(me: Me) -> None:
        await me.sleep(after)
        await script(me)

    first = quote(0, bid, ask, bid_size, ask_size)
    return play([first, *(more or (LATER, quote(3601, 120, 121)))], later, **settings)


def times(world: World) -> list[Any]:
    """When each fill was, in seconds."""
    return [D(one.timestamp_ns) / S for one in world.records.fills]
