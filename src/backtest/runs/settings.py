"""What the settings of a run may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import Any

from backtest.actors import Latency, LinkLatencies, Network

__all__ = ["APART_FROM_DATA", "Latencies", "Lengths", "Zones"]

Lengths = int | str | timedelta | Sequence[Any] | Mapping[Any, Any] | None
"""Of bars: one for all data, by pair, or one for each of several sources of a pair."""
Zones = str | tzinfo | Sequence[Any] | Mapping[Any, Any] | None
"""Of time stamps, likewise."""
Latencies = (
    Latency
    | LinkLatencies
    | Network
    | Mapping[str, Latency | str | int | float | timedelta]
    | str
    | int
    | float
    | timedelta
    | None
)
"""How long messages between strategies and the venue take."""

APART_FROM_DATA = {
    "seed", "accounts", "netting", "latency", "insurance_fund", "inbox_bound", "start", "end",
    "warmup",
}  # fmt: skip
"""Settings that have nothing to do with how data is read."""
