"""The orders of a ledger's entry, each with its legs: counted out again, not by the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["malformed", "segments"]


def segments(entry: Any) -> Iterator[tuple[Any, Sequence[Any]]]:
    """Each order of ``entry`` (its id, or None) with the legs that are booked for it."""
    bounds = [0, *(at for at, _ in entry.parts), len(entry.legs)]
    owners = [entry.order_id, *(order_id for _, order_id in entry.parts)]
    for place, order_id in enumerate(owners):
        legs = entry.legs[bounds[place] : bounds[place + 1]]
        if legs or not entry.parts:
            yield order_id, legs


def malformed(entry: Any) -> str:
    """What is wrong with the parts of ``entry``: nothing, or words."""
    last, seen = -1, {entry.order_id}
    for at, order_id in entry.parts:
        if not 0 <= at <= len(entry.legs) or at < last:
            return f"a part begins at leg {at} of {len(entry.legs)}, after one at {last}"
        if order_id in seen:
            return f"order {order_id} has two parts"
        seen.add(order_id)
        last = at
    return ""
