"""Drawing bars, and making cases on bars smaller."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from random import Random
from typing import Any

from tests.models.common import Case, shorter, with_field
from tests.models.play import BAR

__all__ = ["bars_from", "smaller"]


def bars_from(
    rng: Random,
    start: int,
    grid: tuple[Decimal, Decimal],
    far: Sequence[int],
    loose: bool,
    with_volume: bool,
) -> list[list[Any]]:
    """Some bars around 100, with jumps and holes; ``loose``: sometimes off the grid."""
    tick, lot = grid
    step = max(tick, Decimal("0.5"))
    wild = rng.choice(far)
    off = tick * Decimal("0.3") if loose and rng.random() < 0.1 else Decimal(0)
    close, rows, at = Decimal(100), [], start
    for _ in range(rng.randint(5, 12)):
        opened = close
        if rng.random() < 0.4:
            opened += step * rng.randint(-wild, wild)
        closed = opened + step * rng.randint(-wild, wild)
        high = max(opened, closed) + step * rng.randint(0, wild)
        low = min(opened, closed) - step * rng.randint(0, wild)
        low, opened, closed, high = (max(price, 10 * step) for price in (low, opened, closed, high))
        volume = str(lot * rng.choice((0, 1, 2, 5, 10, 40, 1000))) if with_volume else None
        prices = [str(price + off) for price in (opened, high, low, closed)]
        rows.append([at, *prices, volume])
        close = closed
        at += BAR * (1 if rng.random() < 0.93 else rng.randint(2, 4))
    return rows


def smaller(case: Case) -> Iterator[Case]:
    """Fewer commands, fewer bars, fewer rules and arguments, simpler numbers."""
    for commands in shorter(case["commands"]):
        if commands:
            yield with_field(case, "commands", commands)
    for bars in shorter(case["bars"]):
        first, last = (bars[0][0], bars[-1][0] + BAR) if bars else (0, 0)
        if bars and all(first <= command[0] <= last for command in case["commands"]):
            yield with_field(case, "bars", bars)
    for name in set(case["pair"]) & {"contract", "min_volume"}:
        rest = {key: value for key, value in case["pair"].items() if key != name}
        yield with_field(case, "pair", rest)
    for name in case["rules"]:
        if name != "path":
            rest = {key: value for key, value in case["rules"].items() if key != name}
            yield with_field(case, "rules", rest)
    fees = case["rules"].get("fees", {})
    for stage in fees:
        rest = {key: value for key, value in fees.items() if key != stage}
        yield with_field(case, "rules", {**case["rules"], "fees": rest})
    if len(case["cash"]) > 1 and not any("account" in one[3] for one in case["commands"]):
        yield with_field(case, "cash", {"main": case["cash"]["main"]})
    for at, command in enumerate(case["commands"]):
        for name in command[3]:
            if name not in ("volume", "volumes", "as"):
                rest = {key: value for key, value in command[3].items() if key != name}
                changed = [*command[:3], rest]
                yield with_field(case, "commands", _put(case["commands"], at, changed))
    for at, row in enumerate(case["bars"]):
        if row[5] is not None:
            yield with_field(case, "bars", _put(case["bars"], at, [*row[:5], None]))
        flat = [row[0], *[row[4]] * 4, row[5]]
        if flat != row:
            yield with_field(case, "bars", _put(case["bars"], at, flat))


def _put(items: list[Any], at: int, item: Any) -> list[Any]:
    return [*items[:at], item, *items[at + 1 :]]
