"""`tools/check_coverage.py` asks of each package what it must have."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.tree import ROOT, needs_the_sources

pytestmark = needs_the_sources


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cover", ROOT / "tools" / "check_coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _report(**files: tuple[int, int, int, int]) -> dict[str, Any]:
    """By file: covered lines, lines, covered branches, branches."""
    return {
        "meta": {"branch_coverage": True},
        "files": {
            name: {
                "summary": {
                    "covered_lines": lines,
                    "num_statements": all_lines,
                    "covered_branches": branches,
                    "num_branches": all_branches,
                },
                "missing_lines": [7] * (all_lines - lines),
                "missing_branches": [[7, 9]] * (all_branches - branches),
            }
            for name, (lines, all_lines, branches, all_branches) in files.items()
        },
    }


@pytest.mark.parametrize(
    ("file", "package"),
    [
        ("src/backtest/models/bar.py", "models"),
        ("src/backtest/errors.py", "(top)"),
        ("src/backtest/testing/simulation/run.py", "testing"),
        ("actors/kernel/system.py", "actors"),
        ("src/backtest/actors/account.py", "actors/account.py"),
        ("strategies/client.py", "strategies"),
    ],
)
def test_every_file_belongs_somewhere(file: str, package: str) -> None:
    assert _tool().package_of(file) == package


@pytest.mark.parametrize(
    ("files", "short"),
    [
        (
            {
                "src/backtest/models/bar.py": (9, 9, 4, 4),
                "actors/kernel/system.py": (95, 100, 0, 0),
            },
            [],
        ),
        (
            {"src/backtest/services/settlement/fees.py": (99, 99, 3, 4)},
            [
                "services has 99.03 %, not 100 %:",
                "  src/backtest/services/settlement/fees.py: 7->9",
            ],
        ),
        (
            {"actors/account.py": (8, 9, 0, 0), "actors/kernel/system.py": (9, 9, 0, 0)},
            ["actors/account.py has 88.89 %, not 100 %:", "  actors/account.py: 7"],
        ),
        (
            {"src/backtest/data/a.py": (94, 100, 0, 0)},
            [
                "data has 94.00 %, not 95 %:",
                "  src/backtest/data/a.py: 7, 7, 7, 7, 7, 7",
            ],
        ),
    ],
)
def test_too_little_is_told_with_its_lines(files: dict[str, Any], short: list[str]) -> None:
    told, found = _tool().check(_report(**files))
    assert found == short
    assert len(told) == len({_tool().package_of(name) for name in files})


def test_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool, path = _tool(), tmp_path / "coverage.json"
    path.write_text(json.dumps(_report(**{"src/backtest/data/a.py": (1, 1, 0, 0)})))
    assert tool.main([str(path)]) == 0
    path.write_text(json.dumps(_report(**{"src/backtest/data/a.py": (1, 2, 0, 0)})))
    assert tool.main([str(path)]) == 1
    assert tool.main([]) == 2
    path.write_text(json.dumps({"meta": {}, "files": {}}))
    assert tool.main([str(path)]) == 1
    assert "no branches" in capsys.readouterr().err
