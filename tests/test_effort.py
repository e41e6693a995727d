"""How many examples properties are tried on follows the profile, everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.effort import every, examples


def test_many_more_in_the_soak_and_few_with_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYPOTHESIS_PROFILE", raising=False)
    assert examples(25) == 25
    assert examples(8, soak=500) == 8
    assert every(7) == 7
    monkeypatch.setenv("HYPOTHESIS_PROFILE", "soak")
    assert examples(25) == 500
    assert examples(8, soak=500) == 500
    assert every(7) == 1
    monkeypatch.setenv("HYPOTHESIS_PROFILE", "brief")
    # Rounded up: every property is tried once at least.
    assert [examples(one) for one in (1, 10, 25, 400)] == [1, 1, 3, 40]


def test_no_test_fixes_how_many_it_tries() -> None:
    tests = Path(__file__).parent
    fixed = [
        f"{path.relative_to(tests)}:{number}"
        for path in sorted(tests.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"max_examples=\d", line) and path.name != "conftest.py"
    ]
    assert fixed == []
