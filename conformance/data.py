"""Bars that every engine reads: deterministic, in whole cents, with gaps and wide bars.

Standard library only: peers run it in environments of their own.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

FORMAT = "%Y-%m-%d %H:%M:%S"
START = datetime(2020, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Row(NamedTuple):
    """One bar; prices in cents."""

    time: str
    """When it opens, UTC."""
    open: int
    high: int
    low: int
    close: int


def make(count: int, seed: int, gap: int = 60) -> list[Row]:
    """A random walk around 100.00 with a gap of up to ``gap`` cents at every fourth bar."""
    random = Random(seed)
    rows, price = [], 10_000
    for number in range(count):
        begin = price
        if random.random() < 0.25:
            begin += random.randint(-gap, gap)
        spread = random.choice((10, 20, 40, 40, 80, 250))
        pull = (10_000 - begin) // 200
        close = max(2_000, begin + pull + random.randint(-spread, spread))
        high = max(begin, close) + random.randint(0, spread)
        low = min(begin, close) - random.randint(0, spread)
        rows.append(Row((START + number * MINUTE).strftime(FORMAT), begin, high, low, close))
        price = close
    return rows


def write(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("timestamp", "open", "high", "low", "close", "volume"))
        for row in rows:
            prices = (f"{one // 100}.{one % 100:02}" for one in row[1:])
            writer.writerow((row.time, *prices, 1_000_000))


def read(path: str | Path) -> list[Row]:
    """The bars of a file: ours, or a real one; prices are rounded to cents."""
    rows = []
    with Path(path).open(newline="") as file:
        for line in csv.DictReader(file):
            low = {name.lower(): value for name, value in line.items()}
            time = low.get("timestamp") or low.get("datetime") or low.get("time") or low["date"]
            prices = (round(float(low[name]) * 100) for name in ("open", "high", "low", "close"))
            rows.append(Row(time[:19].replace("T", " "), *prices))
    return rows
