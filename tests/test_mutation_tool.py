"""`tools/mutate.py` makes the mutants that it says it makes, and tells killed from survived."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from types import ModuleType

import pytest

from tests.tree import ROOT, needs_the_sources

pytestmark = needs_the_sources


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutate", ROOT / "tools" / "mutate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutate"] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def _changes(body: str) -> list[str]:
    source = (
        f'"""Doc."""\nfrom x import y\n__all__ = ["f"]\ndef f(a, b):\n    """Doc."""\n    {body}\n'
    )
    found = [f"{one.was} -> {one.now}" for one in _tool().mutants(source)]
    return [one for one in found if not one.startswith("def ")]


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        ("return a < b", ["return a < b -> return None", "a < b -> a <= b", "a < b -> a >= b"]),
        ("return a + 1", ["return a + 1 -> return None", "a + 1 -> a - 1", "1 -> 2"]),
        (
            "return a and not b",
            [
                "return a and (not b) -> return None",
                "a and (not b) -> a or not b",
                "a and (not b) -> a",
                "a and (not b) -> not b",
                "not b -> b",
            ],
        ),
        ("g(a, b)", ["g(a, b) -> pass", "g(a, b) -> g(b, a)"]),
        (
            "return add(a, ZERO)",
            ["return add(a, ZERO) -> return None", "add -> sub", "ZERO -> ONE"],
        ),
        ("raise E(a, 'no')", ["raise E(a, 'no') -> pass"]),
        (
            "return a.copy_negate() if b else 'x'",
            [
                "return a.copy_negate() if b else 'x' -> return None",
                "a.copy_negate() if b else 'x' -> a.copy_negate()",
                "a.copy_negate() if b else 'x' -> 'x'",
                "a.copy_negate() -> a",
                "'x' -> 'xX'",
            ],
        ),
        ("return None", []),
        ("x: int = True", ["x: int = True -> pass", "True -> False"]),
    ],
)
def test_changes_one_thing_at_a_time(body: str, changes: list[str]) -> None:
    assert sorted(_changes(body)) == sorted(changes)


def test_a_survivor_is_told_and_a_killed_one_is_not() -> None:
    listed = subprocess.run(
        [sys.executable, "tools/mutate.py", "--list", "fees"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "fees:" in listed.stdout
    ran = subprocess.run(
        [sys.executable, "tools/mutate.py", "--only", "fee_amount: add  ->  sub", "fees"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    killed = re.search(r"fees: (\d+) of (\d+) killed, 0 equivalent", ran.stdout)
    assert killed is not None, ran.stdout
    assert int(killed[1]) == int(killed[2]) > 0
