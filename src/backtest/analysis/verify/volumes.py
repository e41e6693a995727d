"""Volumes: what was ordered against what became of it, by chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from backtest.analysis.tables.exact import text_of
from backtest.analysis.verify.lines import FillLine, Material
from backtest.analysis.verify.verification import Finding

__all__ = ["OFFSET", "chains", "enters"]

OFFSET = "offset"
"""Why an order is closed that closed others as it filled, and opened nothing."""
_FILLED, _CLOSED, _REPLACED = "FILLED", "CLOSED", "REPLACED"


def chains(material: Material, finding: Finding) -> str:
    """Ordered + increased = pending + filled or closed + cancelled, per chain.

    What was ordered and what modifies asked for is told by the events, what became of it by the
    orders.
    """
    became: dict[str, int] = {}
    filled: dict[str, int] = {}
    closed: dict[str, int] = {}
    for order in material.orders:
        if order.status != _REPLACED:
            became[order.root] = became.get(order.root, 0) + order.volume
        if order.closing_reason == OFFSET:
            continue  # it closed others and opened nothing: `fills` looks at it
        if order.status in (_FILLED, _CLOSED):
            filled[order.root] = filled.get(order.root, 0) + order.volume
        if order.status == _CLOSED:
            closed[order.root] = closed.get(order.root, 0) + order.volume
    put_in = _put_in(material)
    for root in {**put_in, **became}:
        found, expected = became.get(root, 0), put_in.get(root, 0)
        if found != expected:
            finding.wrong(
                f"chain {root}: {text_of(expected)} was ordered, {text_of(found)} is accounted for"
            )
    for what, volumes, counted in (
        ("filled", filled, _volumes(material.fills, enters)),
        ("closed", closed, _volumes(material.fills, lambda fill: not enters(fill))),
    ):
        for root in {**volumes, **counted}:
            if volumes.get(root, 0) != counted.get(root, 0):
                finding.wrong(
                    f"chain {root}: {text_of(volumes.get(root, 0))} was {what} by its orders, "
                    f"{text_of(counted.get(root, 0))} by its fills"
                )
    return f"{len(put_in)} chains"


def _put_in(material: Material) -> dict[str, int]:
    """What was ordered, and what modifies asked for beyond it, by chain."""
    put_in: dict[str, int] = {}
    for event in material.events:
        if event.kind == "accepted":
            put_in[event.root] = put_in.get(event.root, 0) + event.volume
        elif event.kind == "modified":
            # An increase adds to what was put in. A decrease is volume that was cancelled without
            # an order to show for it: both are the difference of the child and its parent.
            child = material.order_by_id[event.order]
            parent = material.order_by_id[child.parent]
            put_in[event.root] = put_in.get(event.root, 0) + event.volume - parent.volume
    return put_in


def enters(fill: FillLine) -> bool:
    """Whether it filled an order, and did not close a position."""
    return fill.kind == "entry" or fill.order_kind == "spot"


def _volumes(fills: Iterable[FillLine], counts: Callable[[FillLine], bool]) -> dict[str, int]:
    volumes: dict[str, int] = {}
    for fill in fills:
        if counts(fill):
            volumes[fill.root] = volumes.get(fill.root, 0) + fill.volume
    return volumes
