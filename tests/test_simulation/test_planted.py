"""The harness finds what it is there to find: every planted bug, within few seeds."""

from __future__ import annotations

import pytest

from backtest.testing.audit.value import ValueAudit
from backtest.testing.simulation.run import run_seed
from tests.plants.plants import PLANTS, planted
from tests.plants.table import look_for, main
from tests.plants.value_plants import VALUE_PLANTS


def test_there_are_enough_of_them() -> None:
    assert len(PLANTS) >= 25


OF_PLANTS = ("AttributeError", "NameError", "TypeError")
"""What a plant fails with that does not fit what it is planted in any more."""

OF_VALUE = [name for name, _, _ in VALUE_PLANTS]


@pytest.mark.parametrize("name", [name for name in PLANTS if name not in OF_VALUE])
def test_a_planted_bug_is_found(name: str) -> None:
    find = look_for(name)
    assert find.found_by, f"{name} ({PLANTS[name].what}) was not found in {find.seeds} seeds"
    assert find.found_by not in OF_PLANTS, f"{name} breaks by itself: {find}"


@pytest.mark.parametrize("name", OF_VALUE)
def test_what_all_records_agree_about_is_found_by_the_value_that_fills_move(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = look_for(name)
    assert find.found_by == "I26"
    # Nothing else finds it, in as many seeds and one more.
    monkeypatch.setattr(ValueAudit, "check", lambda self: self.entries.clear())
    assert not look_for(name, seeds=find.seeds + 1).found_by


def test_a_plant_is_gone_afterwards() -> None:
    before = run_seed(0, 200)
    for name in PLANTS:
        with planted(name):
            pass
    assert run_seed(0, 200) == before
    assert before.is_good


def test_the_table_says_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["overdraw", "--jobs", "1"]) == 0
    assert "| overdraw " in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["no-such-bug"])
