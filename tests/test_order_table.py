"""The table of orders: made of what tests have shown, with no cell that is empty without a word."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "order-table.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("order_table", ROOT / "tools" / "order_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["order_table"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_test_in_the_committed_table_is_there() -> None:
    named = set(re.findall(r'\]\(\.\./(\S+) "(\w+)', PAGE))
    assert named
    for file, name in named:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}: {name}"


def test_the_committed_table_has_no_empty_cell(tool: ModuleType) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "|---" not in line]
    for row in rows:
        assert all(cell.strip() for cell in row.split("|")[2:-1]), row
    # Four kinds of data, thirteen kinds of orders and a line of headings for both.
    assert len(rows) == len(tool.DATA) * (len(tool.ENTRIES) + len(tool.EXITS) + 2)


def test_what_no_test_shows_is_missing_unless_there_is_a_reason(tool: ModuleType) -> None:
    every = {
        (flavour, kind, data, outcome): "tests/test_x.py::test_it"
        for data in tool.DATA
        for rows, columns in tool.cells(data)
        for kind in rows
        for outcome in columns
        for flavour in tool.FLAVOURS
        if not tool.why_not((flavour, kind, data, outcome))
    }
    assert tool.missing(every) == []
    assert "– (1)" in tool.page(every)
    gone = ("spot", "limit", "quotes", "filled")
    del every[gone]
    assert tool.missing(every) == [gone]


def test_a_test_by_chance_shows_nothing(tool: ModuleType, tmp_path: Path) -> None:
    seen = [["spot", "limit", "bars", "filled"]]
    record = tmp_path / "seen.json"
    tests = ["a/test_random_x.py::test_a", "a/test_spot.py::test_b", "a/test_spot.py::test_c"]
    record.write_text(json.dumps(dict.fromkeys(tests, seen)), encoding="utf-8")
    assert tool.shown_by(record) == {tuple(seen[0]): "a/test_spot.py::test_b"}
