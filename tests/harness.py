"""The stage of this suite: `backtest.testing` under the short names that its tests use.

::

    async def script(me):
        await me.next()                          # the first bar's close
        order = await me.buy("BTCUSD", 2)
        await me.next()
        assert order.is_filled

    world = play([bar(0, 100), bar(1, 101)], script)
    assert world.journal() == [...]
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs

from backtest.testing import DAY, HOUR, World, bar, pair_of, play, quote, refused, rules, trade
from backtest.testing import MINUTE as M
from backtest.testing import Scripted as Me
from backtest.testing import plain_text as text

__all__ = [
    "DAY",
    "HOUR",
    "D",
    "M",
    "Me",
    "World",
    "bar",
    "pair_of",
    "play",
    "quote",
    "refused",
    "rules",
    "text",
    "trade",
    "without_ids",
]

D = Decimal


def without_ids(rows: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Fills or trades as tuples of all but their ids, which two runs never share."""
    return [
        tuple(
            value
            for value in (row if isinstance(row, tuple) else attrs.astuple(row, recurse=False))
            if not isinstance(value, UUID)
        )
        for row in rows
    ]
