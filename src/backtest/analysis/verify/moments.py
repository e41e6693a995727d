"""When each fill happened, against where on its bar it did."""

from __future__ import annotations

from backtest.analysis.verify.lines import FillLine
from backtest.analysis.verify.verification import Finding

__all__ = ["execution_time"]


def execution_time(fill: FillLine, what: str, finding: Finding) -> None:
    """At an open it is the bar's open time, at a close the event's time, between them unknown; the
    point ``close`` is also the way to the close. A quote's side is met when that is told, as is a
    trade, of which it may be left out: there is but one time."""
    if fill.point == "open":
        possible = [fill.bar_open]
    elif fill.point in ("high", "low"):
        possible = [""]
    elif fill.point in ("close", "trade"):
        possible = ["", fill.time]
    else:
        possible = [fill.time]
    if fill.executed_at not in possible:
        finding.wrong(
            f"{what} happened at {fill.point!r}, so not at {fill.executed_at or 'an unknown time'}"
        )
