"""What a book tells of its levels: all of them, or those that changed."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BookSnapshot", "BookUpdate", "DepthTuple"]

DepthTuple = tuple[tuple[int, int, int], ...]
"""``(price, volume, orders)`` of each level, best first."""


class BookSnapshot(NamedTuple):
    """The levels, best first, as they were when update ``sequence`` was the last."""

    sequence: int
    bids: DepthTuple
    asks: DepthTuple


class BookUpdate(NamedTuple):
    """``(buy, price, volume, orders)`` of each level that changed; volume 0: the level is gone.

    The values are those of now, not differences: an update that is applied to a snapshot taken
    after some of its changes gives the same as one applied before them.
    """

    sequence: int
    changes: tuple[tuple[bool, int, int, int], ...]
