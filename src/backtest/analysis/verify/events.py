"""Events against the orders and fills that they tell of."""

from __future__ import annotations

from uuid import UUID

from backtest.analysis.tables.times import as_moment
from backtest.analysis.verify.journal import Journal
from backtest.analysis.verify.lines import EventLine, Material, OrderLine, derived_id
from backtest.analysis.verify.told import told
from backtest.analysis.verify.verification import Finding
from backtest.analysis.verify.volumes import OFFSET, enters

__all__ = ["events"]

_OF_FILLS = frozenset({"filled", "closed", "liquidated"})


def events(material: Material, journal: Journal, finding: Finding) -> str:
    """The story told by the events is the one that orders and fills tell."""
    run_id = material.run_id
    named: dict[str, set[str]] = {entry: set() for entry in journal.shared}
    counts: dict[str, int] = {}
    last, next_fill = "", 0
    for place, event in enumerate(material.events, 1):
        what = f"event {place} ({event.kind} {event.order})"
        finding.differ(f"the sequence of {what}", event.sequence, str(place))
        _keys(event, what, last, run_id, finding)
        last = event.time
        if event.entry in named:
            named[event.entry].add(event.order)
        counts[event.kind] = counts.get(event.kind, 0) + 1
        order = material.order_by_id.get(event.order)
        if event.kind == "rejected":
            if not event.reason:
                finding.wrong(f"{what} has no reason")
            continue
        if order is None or order.root != event.root:
            finding.wrong(f"{what} is of an unknown order or another chain")
            continue
        if event.kind == "accepted":
            finding.differ(f"the time of {what}", as_moment(event.time), order.created)
        if event.kind in ("cancelled", "split", "modified"):
            _end(material, event, order, what, finding)
        if event.kind in _OF_FILLS:
            fill = material.fills[next_fill] if next_fill < len(material.fills) else None
            next_fill += 1
            if fill is None or (fill.order, fill.time, fill.volume, fill.executed_at) != (
                event.order, event.time, event.volume, event.executed_at,
            ):  # fmt: skip
                finding.wrong(f"{what} is not told by fill {next_fill}")
    _parts(material, finding)
    _shared(named, journal, finding)
    _count(material, counts, finding)
    told(material, finding)
    return f"{len(material.events)} events"


def _keys(event: EventLine, what: str, last: str, run_id: UUID, finding: Finding) -> None:
    """Time, cause and entry of an event, the ``last`` before which was at that time."""
    if event.time < last:
        finding.wrong(f"{what} is earlier than the one before it")
    if int(event.cause) >= int(event.message):
        finding.wrong(f"{what} was caused by a later message")
    if event.entry and event.entry_id != derived_id(run_id, f"entry/{event.entry}"):
        finding.wrong(f"{what} names entry {event.entry} with the id of another")


def _shared(named: dict[str, set[str]], journal: Journal, finding: Finding) -> None:
    """An event tells of each order for which an entry of several books."""
    for entry, ids in named.items():
        for order_id in journal.shared[entry]:
            if order_id and order_id not in ids:
                finding.wrong(f"entry {entry} books for order {order_id}, and no event says why")


def _parts(material: Material, finding: Finding) -> None:
    """What became of a pending order that was split are branches of their own; what became of one
    by a modify, which is told, is not."""
    modified = {event.order for event in material.events if event.kind == "modified"}
    for order in material.orders:
        parent = material.order_by_id.get(order.parent)
        if parent is None or parent.status != "REPLACED" or parent.filled:
            continue
        if (order.branch == order.id) == (order.id in modified):
            finding.wrong(f"order {order.id} is of branch {order.branch}, as no event tells")


def _end(
    material: Material, event: EventLine, order: OrderLine, what: str, finding: Finding
) -> None:
    """Orders end at the time of the event that tells of it."""
    ends = order.cancelled if event.kind == "cancelled" else order.replaced
    if event.kind == "modified":
        parent = material.order_by_id.get(order.parent)
        ends = "" if parent is None else parent.replaced
    finding.differ(f"the time of {what}", as_moment(event.time), ends)


def _count(material: Material, counts: dict[str, int], finding: Finding) -> None:
    """As many events of each kind as orders and fills show."""
    statuses: dict[str, int] = {}
    for order in material.orders:
        statuses[order.status] = statuses.get(order.status, 0) + 1
    entries = sum(enters(fill) for fill in material.fills)
    for what, found, expected in (
        ("accepted orders", counts.get("accepted", 0), sum(not o.parent for o in material.orders)),
        ("fills", counts.get("filled", 0), entries),
        (
            "closes",
            counts.get("closed", 0) + counts.get("liquidated", 0),
            len(material.fills) - entries,
        ),
        (
            "fills that opened nothing",
            counts.get("netted", 0),
            sum(order.closing_reason == OFFSET for order in material.orders),
        ),
        ("cancels", counts.get("cancelled", 0), statuses.get("CANCELLED", 0)),
        (
            "modifies and splits",
            counts.get("modified", 0) + counts.get("split", 0),
            statuses.get("REPLACED", 0),
        ),
    ):
        finding.differ(f"the number of {what} among the events", found, expected)
