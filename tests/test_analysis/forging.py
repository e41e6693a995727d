"""Runs whose tables are forged cell by cell, with all hashes made right again."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from decimal import Decimal as D
from typing import Any

from backtest.analysis.tables.tables import (
    ALL_COLUMNS,
    BOOLEANS,
    INTEGERS,
    NUMBERS,
    TIMES,
    Row,
    Tables,
    names_of,
)

__all__ = ["Forged", "cells", "changed", "leaves"]

_HASHED = (
    "timestamp", "account", "asset_code", "transaction_type", "available_balance_change",
    "unavailable_balance_change",
)  # fmt: skip


class Forged:
    """The tables of a run, to be changed."""

    def __init__(self, tables: Tables) -> None:
        self.facts: dict[str, Any] = copy.deepcopy(tables.facts)
        self.table = {
            name: [list(row) for row in tables.rows(name)] for name in names_of(self.facts)
        }

    def rows(self, name: str) -> Iterator[Row]:
        return (tuple(row) for row in self.table[name])

    def cover(self) -> None:
        """Give the receipt the hash that the journal has now."""
        order, branch = (ALL_COLUMNS["orders"].index(one) for one in ("order_id", "branch_id"))
        parts: dict[str, list[str]] = {}
        for row in self.table["orders"]:
            parts.setdefault(row[branch], []).append(row[order])
        numbers = {
            one: f"{number}.{place}"
            for number, own in enumerate(parts.values(), 1)
            for place, one in enumerate(own, 1)
        }
        columns = ALL_COLUMNS["transactions"]
        kept, of = [columns.index(name) for name in _HASHED], columns.index("order_id")
        digest = hashlib.sha256()
        for row in self.table["transactions"]:
            number = numbers.get(row[of], "?") if row[of] else ""
            digest.update(("|".join([number, *(row[at] for at in kept)]) + "\n").encode())
        self.facts["receipt"]["journal_sha256"] = digest.hexdigest()


def cells(run: Forged, every: bool) -> Iterator[tuple[str, str, str, list[str], int, str]]:
    """Each cell of each table with what may be put there instead: table, column, what it held, the
    row, its place, the forgery. Without ``every``, the first, a middle and the last row of each."""
    for table, rows in run.table.items():
        chosen = rows if every or len(rows) < 4 else [rows[0], rows[len(rows) // 2], rows[-1]]
        for at, name in enumerate(ALL_COLUMNS[table]):
            others = list(dict.fromkeys(row[at] for row in rows))
            for row in chosen:
                text = row[at]
                told = [text]
                for new in _forgeries(name, text, others):
                    if new not in told:
                        told.append(new)
                        yield table, name, text, row, at, new
                        if not every and len(told) > 3:
                            break


def _forgeries(name: str, text: str, others: list[str]) -> Iterator[str]:
    if name in NUMBERS:
        if text:
            for step in ("0.01", "-0.01", "1"):
                yield format((D(text) + D(step)).normalize(), "f").replace("-0", "0")
        yield "" if text else "1"
    elif name in BOOLEANS:
        yield "false" if text == "true" else "true"
    elif name in INTEGERS or name == "time_ns":
        yield str(int(text or 0) + 1)
        yield str(int(text or 1) - 1)
    elif name in TIMES or name == "time":
        yield text.replace(":00+", ":01+") if text else "2024-01-01T02:00:00+00:00"
        yield ""
        yield text.replace("2024-", "2025-")
    else:
        yield f"{text}x"
        yield ""
    yield from others[:6]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Everything in ``run.json``, mappings and lists themselves, too, by its path."""
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, (*path, key))
    if path:
        yield path, value


def changed(facts: dict[str, Any], path: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """The facts with something else at ``path``, and without it."""
    for gone in (False, True):
        forged = copy.deepcopy(facts)
        place: Any = forged
        for key in path[:-1]:
            place = place[key]
        if gone:
            del place[path[-1]]
        else:
            place[path[-1]] = _other(place[path[-1]])
        yield forged


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, dict):
        return {**value, "forged": "1"}
    if isinstance(value, list):
        return [*value, "forged"]
    if value is None:
        return "1"
    try:
        return format((D(value) + 1).normalize(), "f")
    except ArithmeticError:
        return f"{value}x"
