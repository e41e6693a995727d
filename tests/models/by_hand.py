"""Short ways to say a case on bars, for tables of cases that are worked out by hand."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any, TypeAlias

from tests.models.bar_run import expect
from tests.models.common import Outcome
from tests.models.play import BAR

__all__ = [
    "FEE",
    "PNL",
    "PRICE",
    "VOLUME",
    "answers",
    "close",
    "column",
    "long",
    "money",
    "run",
    "short",
]

Command: TypeAlias = tuple[int, str, str, dict[str, Any]]

PRICE, VOLUME, FEE, PNL = 4, 5, 6, 9
"""Where they stand in a row of a fill."""


def run(
    prices: list[Any],
    *commands: Command,
    rules: dict[str, Any] | None = None,
    usd: str = "1000",
    netting: bool = True,
    cross: bool = False,
    **pair: Any,
) -> Outcome:
    """Bars by number, flat ones as one price. Commands are sent when the bar of their number opens,
    which is when the one before it closes: a market order fills at its open."""
    bars = []
    for number, given in enumerate(prices):
        row = [given] * 4 if isinstance(given, int | str) else [*given]
        volume = str(row[4]) if len(row) > 4 else None
        bars.append([number * BAR, *map(str, row[:4]), volume])
    case = {
        "pair": {"price": "0.01", "volume": "1", "quote": 2, **pair},
        "rules": {"path": "open_high_low_close", **(rules or {})},
        "cash": {"main": {"USD": usd, "BTC": "0"}},
        "bars": bars,
        "commands": [[number * BAR, *rest] for number, *rest in commands],
        "netting": netting,
        "cross": cross,
    }
    return expect(case)


def money(found: Outcome, bar: int) -> list[D]:
    """Available and unavailable after a bar."""
    both: list[D] = found["balances"][bar]["main USD"]
    return both


def column(found: Outcome, kind: str, at: int) -> list[D]:
    """A number of the fills of a kind."""
    return [row[at] for row in found["fills"] if row[2] == kind]


def answers(found: Outcome) -> list[str]:
    return [row[3] for row in found["answers"]]


def long(bar: int, label: str, volume: str, **more: Any) -> Command:
    return bar, "long", label, {"volume": volume, "leverage": "10", **more}


def short(bar: int, label: str, volume: str, **more: Any) -> Command:
    return bar, "short", label, {"volume": volume, "leverage": "10", **more}


def close(bar: int, label: str, **more: Any) -> Command:
    return bar, "close", label, {"as": f"close {label} {bar}", **more}
