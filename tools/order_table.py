"""Make the table of order kinds, kinds of data and outcomes from tests that ran.

    python tools/order_table.py             write docs/order-table.md
    python tools/order_table.py --check     say whether it is what it would be; exit code 1 if not
    … --record FILE                         of what `pytest -p tests.recording` wrote to FILE

The scenario tests run with `tests/recording.py`, which writes down what the orders of each test
that passed came to: here and now, or before, in a run of the suite. A cell says which test shows
it; one that no test shows must have a reason below, or nothing is written and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Cell", "cells", "main", "missing", "page", "shown_by"]

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "order-table.md"
TESTS = ROOT / "tests" / "test_scenarios"
BY_CHANCE = ("machine", "random", "determinism", "look_ahead", "oracle")
"""Tests that are not worked out by hand show nothing here."""

DATA = {
    "bars": "Bars",
    "quotes": "Quotes",
    "trades": "Trades",
    "several": "Several sources of one pair",
}
FLAVOURS = ("spot", "trading")
ENTRIES = {
    "market": "market",
    "limit": "limit",
    "stop": "stop",
    "stop_limit": "stop-limit",
    "trailing_stop": "trailing stop",
}
EXITS = {
    "stop_loss": "stop-loss",
    "take_profit": "take-profit",
    "liquidation": "liquidation",
    "close by market": "close, market",
    "close by limit": "close, limit",
    "close by stop": "close, stop",
    "close by stop_limit": "close, stop-limit",
    "close by trailing_stop": "close, trailing stop",
}
FILLS = {"filled": "filled whole", "in_parts": "filled in parts", "waits": "waits"}
ENDS = {"expired": "expired", "ioc": "IOC", "fok": "FOK"}
COMMANDS = {
    "cancelled": "cancelled",
    "modified": "modified",
    "split": "split",
    "group": "ended by its group",
    "post_only": "post-only",
    "refused": "refused",
}

Cell = tuple[str, str, str, str]
"""Spot or trading, kind, data, outcome."""

NOTES: dict[tuple[str, str, str], str] = {
    ("", "market", "post_only"): "does not rest: refused as `INVALID_ACTION`",
    ("", "stop", "post_only"): "does not rest: refused as `INVALID_ACTION`",
    ("", "trailing_stop", "post_only"): "does not rest: refused as `INVALID_ACTION`",
    ("", "liquidation", "in_parts"): "a liquidation is not limited by volume",
    ("spot", "liquidation", ""): "spot orders have no margin",
    **{
        ("spot", kind, ""): "spot orders leave no position: sell what they bought"
        for kind in EXITS
        if kind.startswith("close")
    },
}
"""Why there is no test, by flavour, kind and outcome; the empty text stands for all."""


def why_not(cell: Cell) -> str:
    """Why ``cell`` cannot be, or the empty text."""
    flavour, kind, _, outcome = cell
    for one in (flavour, ""):
        for end in (outcome, ""):
            if (one, kind, end) in NOTES:
                return NOTES[one, kind, end]
    return ""


def cells(data: str) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """The tables for one kind of data: rows and columns."""
    # What is done to an order does not depend on the data that it waits for.
    yield ENTRIES, {**FILLS, **ENDS, **(COMMANDS if data == "bars" else {})}
    yield EXITS, FILLS


def shown_by(record: Path) -> dict[Cell, str]:
    """The test that shows each outcome: of several, one of `test_order_kinds` if there is one."""
    found: dict[Cell, str] = {}
    for test, seen in json.loads(record.read_text(encoding="utf-8")).items():
        if any(word in test.partition("::")[0] for word in BY_CHANCE):
            continue
        for one in seen:
            flavour, kind, data, outcome = one
            old = found.get((flavour, kind, data, outcome))
            if old is None or _key(test, kind) < _key(old, kind):
                found[flavour, kind, data, outcome] = test
    return found


def _key(test: str, kind: str) -> tuple[bool, bool, bool, str]:
    """What is least is shown: a test of this very kind before one in which it happens to be."""
    word = kind.removeprefix("close by ")
    other = "test_order_kinds" not in test
    return other, f"[{kind}-" not in test, f"-{word}-" not in test, test


def missing(shown: dict[Cell, str]) -> list[Cell]:
    """The cells that no test shows and that have no reason to be empty."""
    return [
        cell
        for data in DATA
        for rows, columns in cells(data)
        for kind in rows
        for outcome in columns
        for flavour in FLAVOURS
        if (cell := (flavour, kind, data, outcome)) not in shown and not why_not(cell)
    ]


def page(shown: dict[Cell, str]) -> str:
    """The document."""
    notes: dict[str, int] = {}
    lines = [
        "# Which order does what on which data",
        "",
        "Made by `tools/order_table.py` from the tests that ran: do not edit. Each word leads to",
        "a test in which an order of that kind, spot or trading, came to that end; hold the",
        "pointer over it for the name of the test. What the kinds are is told in",
        "[orders](orders.md), at what prices they fill in [fills](fills.md). What is done to an",
        "order (from *cancelled* on) does not depend on the data that it waits for.",
    ]
    for data, title in DATA.items():
        lines += ["", f"## {title}"]
        for rows, columns in cells(data):
            lines += ["", "| | " + " | ".join(columns.values()) + " |"]
            lines.append("|---" * (len(columns) + 1) + "|")
            for kind, name in rows.items():
                row = [_cell(shown, kind, data, outcome, notes) for outcome in columns]
                lines.append(f"| {name} | " + " | ".join(row) + " |")
    lines += ["", "## Why some cells are empty", ""]
    lines += [f"{number}. {note}" for note, number in notes.items()]
    return "\n".join(lines) + "\n"


def _cell(shown: dict[Cell, str], kind: str, data: str, outcome: str, notes: dict[str, int]) -> str:
    words = []
    for flavour in FLAVOURS:
        cell = (flavour, kind, data, outcome)
        test = shown.get(cell)
        if test is None:
            number = notes.setdefault(why_not(cell), len(notes) + 1)
            words.append(f"– ({number})")
        else:
            file, _, name = test.partition("::")
            words.append(f'[{flavour}](../{file} "{name}")')
    return words[0] if words[0] == words[1] else " ".join(words)


def record() -> dict[Cell, str]:
    """Run the scenario tests; what they show."""
    with tempfile.TemporaryDirectory(prefix="order-table-") as folder:
        target = Path(folder) / "seen.json"
        files = [
            str(file.relative_to(ROOT))
            for file in sorted(TESTS.glob("test_*.py"))
            if not any(word in file.name for word in BY_CHANCE)
        ]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--numprocesses", "auto",
             "-p", "tests.recording", "--record-orders", str(target), *files],
            cwd=ROOT, capture_output=True, text=True, encoding="utf-8",
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(
                f"the scenario tests fail:\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
            )
        return shown_by(target)


def main(arguments: list[str]) -> int:
    """Write the page, or check it; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--record", metavar="FILE", type=Path, help="what the tests have shown")
    asked = parser.parse_args(arguments)
    shown = record() if asked.record is None else shown_by(asked.record)
    empty = missing(shown)
    for cell in empty:
        print(f"no test shows {' '.join(cell)}, and there is no reason in NOTES why it cannot be")
    if empty:
        return 1
    text = page(shown)
    name = PAGE.relative_to(ROOT).as_posix()
    if asked.check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print(f"{name} is not what the tests show: run python tools/order_table.py")
            return 1
        print(f"{name} is what the tests show")
        return 0
    PAGE.write_text(text, encoding="utf-8")
    print(f"{name}: {len(shown)} outcomes seen")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
