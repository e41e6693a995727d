"""What the venue refused in a run: how often for which reason, and the first example of each."""

from __future__ import annotations

from attrs import frozen

from backtest.actors import EventKind
from backtest.analysis.record import RunRecord
from backtest.analysis.text import columns, moment
from backtest.errors import RejectReason
from backtest.times import format_ns

__all__ = ["Refusals", "refusals_of", "refused_lines"]


@frozen(kw_only=True)
class Refusals:
    """All refusals of one reason."""

    reason: RejectReason
    count: int
    time: int
    """When the first was, in nanoseconds."""
    strategy: str
    """Whose command the first was."""
    detail: str
    """What the first said."""


def refusals_of(record: RunRecord) -> list[Refusals]:
    """The refusals of a run by reason, the most frequent first, then by the first of each."""
    firsts: dict[RejectReason, int] = {}
    counts: dict[RejectReason, int] = {}
    events = record.records.events
    for index, event in enumerate(events):
        if event.kind is EventKind.REJECTED and event.reason is not None:
            firsts.setdefault(event.reason, index)
            counts[event.reason] = counts.get(event.reason, 0) + 1
    found = [
        Refusals(
            reason=reason,
            count=counts[reason],
            time=events[index].time,
            strategy=events[index].sender.removeprefix("strategy/"),
            detail=events[index].detail,
        )
        for reason, index in firsts.items()
    ]
    return sorted(found, key=lambda one: -one.count)


def refused_lines(record: RunRecord) -> list[str]:
    """The same for a report, a line each."""
    several = len(record.strategies) > 1
    return columns(
        [
            (
                f"{one.count:,}",
                one.reason.value,
                moment(format_ns(one.time)),
                f"{one.strategy}: {one.detail}" if several else one.detail,
            )
            for one in refusals_of(record)
        ]
    )
