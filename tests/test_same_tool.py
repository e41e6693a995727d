"""The tool that says which runs a change made different."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

import backtest
from backtest.strategies import Strategy
from tests.harness import D, Me, bar, play
from tests.same.corpus import corpus, run_of
from tests.same.lines import digest_of, lines_of
from tests.same.watching import MOST, Watch, watching

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("same_tool", ROOT / "tools" / "same.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["same_tool"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Kind(Enum):
    PAID = "paid"


def row(order_id: Any, available: str, *, time: int = 5, entry: int = 1, why: str = "") -> Any:
    return SimpleNamespace(
        time=time,
        entry=entry,
        account="main",
        asset="USD",
        kind=Kind.PAID,
        available=D(available),
        unavailable=D(0),
        order_id=order_id,
        description=why,
    )


def order(order_id: UUID, branch_id: UUID) -> Any:
    return SimpleNamespace(id=order_id, branch_id=branch_id, volume=D(1))


class TestLines:
    def test_say_amounts_and_the_balance_after_them(self) -> None:
        told = list(lines_of([row(None, "10.50"), row(None, "-0.500")], [], []))
        assert told == [
            "row 5 entry 1 order - PAID main USD 10.5 0 10.5 0",
            "row 5 entry 1 order - PAID main USD -0.5 0 10 0",
        ]

    def test_number_orders_and_parts_in_place_of_ids(self) -> None:
        def told() -> list[str]:
            one, part, other = uuid4(), uuid4(), uuid4()
            orders = [order(one, one), order(part, one), order(other, other)]
            rows = [row(one, "1"), row(other, "2"), row(part, "3"), row(one, "4")]
            lines = list(lines_of(rows, orders, []))[:4]
            return [line.split(" order ")[1][:3] for line in lines]

        # The second order is named before the second part of the first.
        assert told() == ["1.1", "2.1", "1.2", "1.1"] == told()

    def test_have_no_sentences(self) -> None:
        assert list(lines_of([row(None, "1", why="so")], [], [])) == list(
            lines_of([row(None, "1", why="otherwise")], [], [])
        )

    @pytest.mark.parametrize(
        "other",
        [row(None, "2"), row(uuid4(), "1"), row(None, "1", time=6), row(None, "1", entry=2)],
        ids=["amount", "order", "time", "entry"],
    )
    def test_differ_by(self, other: Any) -> None:
        assert digest_of(lines_of([row(None, "1")], [], [])) != digest_of(lines_of([other], [], []))

    def test_tell_of_a_run_what_it_filled_and_ended_with(self) -> None:
        async def script(me: Me) -> None:
            await me.next()
            await me.buy("BTCUSD", 2)

        world = play([bar(0, 100), bar(1, 101)], script)
        told = list(lines_of(world.rows(), world.records.orders, world.records.fills))
        # Bar 1 opens at 101 and closes after two minutes: 2 for 202.
        fill = (
            "fill 120000000000 order 1.1 BTCUSD LONG spot entry 101 2 202 0 USD False False open -"
        )
        assert fill in told
        assert told[-1].startswith("order 1.1 BTCUSD LONG FILLED - 2 - - - - - 101 2 ")


class TestWatching:
    def test_names_runs_by_who_makes_them_and_lets_others_go(self) -> None:
        async def nothing(me: Me) -> None:
            pass

        watch = Watch("a#1")
        with watching(watch):
            play([bar(0, 100)], nothing)
            before = watch.begin("a")
            play([bar(0, 100)], nothing)
            inner = watch.begin("b")
            play([bar(0, 100)], nothing, cash={"USD": "7"})
            watch.end(inner)
            play([bar(0, 100)], nothing)
            watch.end(before)
        play([bar(0, 100)], nothing)
        runs = watch.runs()
        assert sorted(runs) == ["a#0", "a#1", "b#0"]
        assert runs["a#0"] == runs["a#1"] != runs["b#0"]
        assert watch.kept[0] == "run 1"
        assert digest_of(watch.kept[1:]) == runs["a#1"]

    def test_keeps_a_run_that_fails_as_far_as_it_came(self) -> None:
        class Fails(Strategy):
            async def run(self) -> None:
                raise RuntimeError("no")

        watch = Watch()
        watch.begin("a")
        with watching(watch), pytest.raises(RuntimeError):
            backtest.run(Fails(), data=[bar(0, 100)], pair="BTCUSD", cash="5 USD")
        assert list(watch.runs()) == ["a#0"]

    def test_many_runs_of_one_name_stand_on_one_line_beyond_a_number(self) -> None:
        async def nothing(me: Me) -> None:
            pass

        def runs(last: str) -> dict[str, str]:
            watch = Watch()
            with watching(watch):
                watch.begin("a")
                for place in range(MOST + 2):
                    cash = last if place == MOST + 1 else "1"
                    play([bar(0, 100)], nothing, cash={"USD": cash})
            return watch.runs()

        one, other = runs("1"), runs("2")
        assert len(one) == MOST + 1
        assert {name for name in one if one[name] != other[name]} == {f"a#{MOST}.."}


class TestPlugin:
    TESTS = """
import pytest
from functools import cache
from hypothesis import given, strategies
import backtest
from backtest.strategies import Strategy
from backtest.testing import bar

def run(cash):
    return backtest.run(Strategy(), data=[bar(0, 100)], pair="BTCUSD", cash=f"{cash} USD")

@cache
def kept():
    return run(1)

@pytest.fixture(scope="module")
def shared():
    return run(2)

def test_one(shared):
    kept()

def test_two(shared):
    kept()
    run(3)

def test_three():
    pass

@given(strategies.integers(1, 2))
def test_drawn(cash):
    run(cash)
"""

    def test_names_by_test_and_fixture(self, tmp_path: Path) -> None:
        (tmp_path / "test_it.py").write_text(self.TESTS, encoding="utf-8")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path])
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.same.plugin", "-p"]
        command += ["no:xdist", "-p", "no:cacheprovider", "--same-runs", "out", "test_it.py"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        runs = json.loads((tmp_path / "out" / "main.json").read_text(encoding="utf-8"))["runs"]
        # What is kept from test to test is made anew for each; what Hypothesis draws is left out.
        assert sorted(runs) == [
            "test_it.py::shared[0]#0",
            "test_it.py::test_one#0",
            "test_it.py::test_two#0",
            "test_it.py::test_two#1",
        ]
        assert runs["test_it.py::test_one#0"] == runs["test_it.py::test_two#0"]


class TestCorpus:
    def test_has_everything(self) -> None:
        names = [name for name, _ in corpus()]
        assert len(set(names)) == len(names)
        kinds = {name.partition("/")[0] for name in names}
        assert kinds == {"demo", "market", "bench", "conformance", "calm", "seed"}
        assert sum(name.startswith("seed/") for name in names) == 200

    def test_gives_the_same_each_time(self) -> None:
        runs = run_of("calm/000").runs()
        assert list(runs) == ["calm/000#0"]
        assert run_of("calm/000").runs() == runs


class TestTool:
    def test_tells_what_changed_is_missing_new_or_called_otherwise(self, tool: ModuleType) -> None:
        old = {"a": "1", "b": "2", "c": "3", "d": "4"}
        found = tool.compare(old, {"a": "1", "b": "9", "e": "4", "f": "5"})
        assert found == (["b"], ["c"], ["f"], [("d", "e")])
        assert found.is_failure
        assert not tool.compare({"a": "1"}, {"a": "1", "b": "2"}).is_failure
        assert not tool.compare({"a": "1"}, {"b": "1"}).is_failure
        assert tool.compare({"a": "1", "b": "1"}, {"c": "1"}).missing == ["b"]

    def test_baselines_are_sorted_lines(self, tool: ModuleType, tmp_path: Path) -> None:
        runs = {"b[x  y]#0": "22", "a#0": "11"}
        path = tmp_path / "baseline.txt"
        tool.write(path, runs)
        assert path.read_text(encoding="utf-8") == "a#0  11\nb[x  y]#0  22\n"
        assert tool.read(path) == runs
        assert tool.read(tmp_path / "none.txt") == {}

    def test_shows_the_first_row_that_differs(self, tool: ModuleType) -> None:
        assert tool.first_difference(["a", "b"], ["a", "b"]) == []
        assert tool.first_difference(["a", "b", "c"], ["a", "x", "c"]) == [
            "line 2 of 3 then, 3 now:",
            "    a",
            "  - b",
            "  - c",
            "  + x",
            "  + c",
        ]
        assert tool.first_difference(["a"], ["a", "b"])[2:] == ["  + b"]

    def test_compares_a_part_and_renews_it(
        self,
        tool: ModuleType,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        path = tmp_path / "baseline.txt"
        monkeypatch.setattr(tool, "BASELINE", path)
        tool.write(path, {"other#0": "1", "bench/sma#0": "wrong"})
        assert tool.main(["--only", "bench/sma"]) == 1
        assert "changed  bench/sma#0" in capsys.readouterr().out
        assert tool.main(["--only", "bench/sma", "--renew"]) == 0
        assert tool.read(path)["other#0"] == "1"
        capsys.readouterr()
        assert tool.main(["--only", "bench/sma"]) == 0
        assert capsys.readouterr().out == "1 runs: 0 changed, 0 missing, 0 new, 0 moved\n"

    def test_compares_a_run_with_rows_that_were_saved(
        self, tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        saved = tmp_path / "rows.txt"
        assert tool.main(["dump", "bench/sma#0", "--out", str(saved)]) == 0
        assert tool.main(["show", "bench/sma#0", "--against", str(saved)]) == 0
        lines = saved.read_text(encoding="utf-8").splitlines()
        saved.write_text("\n".join([*lines[:7], "else", *lines[8:]]), encoding="utf-8")
        assert tool.main(["show", "bench/sma#0", "--against", str(saved)]) == 1
        told = capsys.readouterr().out
        assert "line 8 of" in told
        assert f"  - else\n  - {lines[8]}" in told
        assert f"  + {lines[7]}" in told

    def test_names_what_is_no_run(self, tool: ModuleType) -> None:
        with pytest.raises(SystemExit, match="a name ends with its number"):
            tool.main(["dump", "demo"])


def test_the_baseline_names_what_there_is(tool: ModuleType) -> None:
    names = tool.read(ROOT / "tests" / "same" / "baseline.txt")
    assert {f"{name}#0" for name, _ in corpus()} <= names.keys()
