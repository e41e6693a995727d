"""The command line: what it prints, how it leaves, and how a failure is made small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backtest.testing.simulate import main
from backtest.testing.simulation import draw_plan, world_of
from backtest.testing.simulation.faults import KINDS
from tests.plants.plants import planted


def test_a_line_a_seed_and_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "0:3", "--events", "300", "--jobs", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["seed 0", "seed 1", "seed 2"]
    assert lines[3].startswith("3 seeds, ")


def test_the_same_from_several_processes(capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    for jobs in ("1", "2"):
        assert main(["--seeds", "0:4,9", "--events", "200", "--jobs", jobs]) == 0
        seen.append(capsys.readouterr().out)
    assert seen[0] == seen[1]
    assert "seed 9: " in seen[0]


def test_figures_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1", "--events", "200", "--json", "--jobs", "1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["totals"]["seeds"] == 1
    assert told["seeds"][0]["seed"] == 1
    assert told["totals"]["events"] == told["seeds"][0]["events"] >= 200


def test_a_failure_is_made_small_and_can_be_had_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with planted("fee-sign"):
        assert main(["--seeds", "3", "--events", "600", "--jobs", "1"]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert " broken at" in lines[1]
        again = lines[3].split("simulate ", 1)[1].split()
        events = int(again[again.index("--events") + 1])
        assert events < 600
        assert main([*again, "--no-shrink", "--jobs", "1"]) == 1
        assert " broken at" in capsys.readouterr().out
    assert main([*again, "--no-shrink", "--jobs", "1"]) == 0, "without the bug it holds"


def test_hours_go_on_until_they_are_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    totals = tmp_path / "totals.json"
    told = ["--seeds", "5:", "--events", "100", "--hours", "0.0001", "--jobs", "1"]
    assert main([*told, "--totals", str(totals)]) == 0
    assert json.loads(totals.read_text())["seeds"] >= 1
    with pytest.raises(SystemExit):
        main(["--seeds", "5:"])


def test_every_kind_of_fault_strikes() -> None:
    fired = dict.fromkeys(KINDS, 0)
    for seed in range(40):
        for kind, count in world_of(draw_plan(seed), 300, watched=False).run().fired.items():
            fired[kind] += count
    assert all(fired.values()), fired
