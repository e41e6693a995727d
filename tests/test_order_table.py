"""The table of orders: made of what tests have shown, with no cell that is empty without a word."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.recording import Recorder

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


def test_what_workers_saw_is_written_by_the_one_that_asked_them(tmp_path: Path) -> None:
    one, other = ("spot", "limit", "bars", "filled"), ("trading", "stop", "quotes", "waits")
    target = tmp_path / "seen.json"
    outputs: list[dict[str, Any]] = []
    for test, seen in (("test_b", one), ("test_a", other)):
        worker = Recorder(target, tmp_path)
        worker.seen[test] = {seen}
        outputs.append({})
        worker.pytest_sessionfinish(_session(workeroutput=outputs[-1]))
        assert not target.exists()
    writer = Recorder(target, tmp_path)
    for output in outputs:
        # As it comes from another process, where tuples are lists.
        writer.pytest_testnodedown(SimpleNamespace(workeroutput=json.loads(json.dumps(output))))
    writer.pytest_testnodedown(SimpleNamespace())  # of one that crashed there is nothing
    writer.pytest_sessionfinish(_session())
    assert json.loads(target.read_text(encoding="utf-8")) == {
        "test_a": [list(other)],
        "test_b": [list(one)],
    }


def _session(**more: Any) -> Any:
    return SimpleNamespace(config=SimpleNamespace(**more))


def test_the_table_is_made_of_a_record_that_is_there(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "seen.json"
    record.write_text(json.dumps({"a/test_spot.py::test_b": [["spot", "limit", "bars", "filled"]]}))
    assert tool.main(["--check", "--record", str(record)]) == 1
    said = capsys.readouterr().out
    assert "no test shows spot market bars filled, and there is no reason in NOTES" in said
    assert "no test shows spot limit bars filled," not in said
