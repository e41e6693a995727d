"""Times as the tables write them, read again."""

from __future__ import annotations

from datetime import datetime

from backtest.times import format_ns, to_ns

__all__ = ["as_moment", "moment_ns"]


def moment_ns(text: str) -> int:
    """Nanoseconds of a time as `backtest.times.format_ns` writes it; `ValueError` for another."""
    whole, sign, zone = text.rpartition("+")
    if not sign or zone != "00:00":
        raise ValueError(f"{text!r} is not a time in UTC as these files write it")
    date, _, part = whole.partition(".")
    return to_ns(datetime.fromisoformat(f"{date}+00:00")) + int((part or "0").ljust(9, "0"))


def as_moment(text: str) -> str:
    """The same time as a `datetime` holds it, which orders carry: cut off below a microsecond."""
    if len(text) <= 32 or "." not in text:  # 32: the length with six digits after the point
        return text
    ns = moment_ns(text)
    return format_ns(ns - ns % 1_000)
