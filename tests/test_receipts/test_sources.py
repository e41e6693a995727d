"""The source of strategies is in the receipt: files, bases, notebooks, code without a source."""

from __future__ import annotations

import linecache
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

import backtest
from backtest.analysis.result import RunResult
from backtest.runs.target import module_of
from backtest.strategies import SmaCross, Strategy
from backtest.testing import bar

BARS = [bar(n, 100 + n) for n in range(3)]
MINE = """\
from backtest.strategies import Strategy

STEP = 1

class Mine(Strategy):
    size: int = 1

    async def on_bar(self, bar):
        await self.buy("BTCUSD", self.size * STEP)
"""


def run(strategy: Any) -> RunResult:
    return backtest.run(strategy, data=BARS, pair="BTCUSD", cash="1000 USD")


def receipt(strategy: Any) -> dict[str, Any]:
    return run(strategy).receipt


def loaded(path: Path, text: str | bytes) -> ModuleType:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return module_of(str(path))


def executed(text: str, name: str = "<string>") -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "typed_in"}
    exec(compile(dedent(text), name, "exec", dont_inherit=True), names)
    return names


# -- files -----------------------------------------------------------------------------------------


def test_a_change_of_the_file_is_another_run(tmp_path: Path) -> None:
    one = receipt(loaded(tmp_path / "mine.py", MINE).Mine())
    other = receipt(loaded(tmp_path / "mine.py", MINE.replace("STEP = 1", "STEP = 2")).Mine())
    assert one["source_sha256"].keys() == {"mine", "backtest"}
    assert one["source_sha256"]["mine"] != other["source_sha256"]["mine"]
    assert one["run_id"] != other["run_id"]
    assert one["notices"] == other["notices"] == []


def test_line_ends_do_not_count(tmp_path: Path) -> None:
    texts = [MINE, MINE.replace("\n", "\r\n"), MINE.replace("\n", "\r")]
    found = [receipt(loaded(tmp_path / "mine.py", one.encode()).Mine()) for one in texts]
    found.append(receipt(loaded(tmp_path / "mine.py", b"\xef\xbb\xbf" + MINE.encode()).Mine()))
    assert len({one["run_id"] for one in found}) == 1


def test_a_change_of_a_base_class_in_another_file_is_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    ids = []
    for step in (1, 2):
        base = MINE.replace("STEP = 1", f"STEP = {step}").replace("Mine", "Base")
        (tmp_path / "its_base.py").write_text(base)
        monkeypatch.delitem(sys.modules, "its_base", raising=False)
        text = "import its_base\nclass Mine(its_base.Base):\n    pass\n"
        told = receipt(loaded(tmp_path / "mine.py", text).Mine())
        assert told["source_sha256"].keys() == {"mine", "its_base", "backtest"}
        ids.append(told["run_id"])
        os.utime(tmp_path / "its_base.py", ns=(step, step))  # no cache of the first is used
    assert len(set(ids)) == 2


def test_our_own_package_goes_by_its_version() -> None:
    told = receipt(SmaCross(fast=1, slow=2))["source_sha256"]
    assert list(told) == ["backtest"]
    assert told["backtest"].startswith("version ")


def test_what_attrs_generates_is_nobodys_source(tmp_path: Path) -> None:
    told = receipt(loaded(tmp_path / "mine.py", MINE).Mine())
    assert not any("attr" in name for name in told["source_sha256"])
    assert told["notices"] == []


def test_a_file_that_has_changed_since_it_was_loaded_does_not_stand_for_it(tmp_path: Path) -> None:
    module = loaded(tmp_path / "mine.py", MINE)
    before = receipt(module.Mine())
    (tmp_path / "mine.py").write_text(MINE.replace("STEP = 1", "STEP = 22"))
    after = receipt(module.Mine())
    assert after["source_sha256"].keys() == {"mine.Mine", "backtest"}
    (notice,) = after["notices"]
    assert "mine.Mine goes by its bytecode, as its file is not what was loaded" in notice
    assert after["run_id"] != before["run_id"]


# -- without a file --------------------------------------------------------------------------------


def test_without_source_it_is_the_bytecode_with_a_notice() -> None:
    told = [receipt(executed(MINE)["Mine"]()) for _ in range(2)]
    other = receipt(executed(MINE.replace("self.size * STEP", "self.size + STEP"))["Mine"]())
    assert told[0] == told[1]
    assert told[0]["source_sha256"].keys() == {"typed_in.Mine", "backtest"}
    (notice,) = told[0]["notices"]
    assert notice.startswith("typed_in.Mine goes by its bytecode, as it has no source")
    assert other["run_id"] != told[0]["run_id"]


@pytest.mark.parametrize("name", ["<string>", "<stdin>"])
def test_what_tracebacks_know_by_a_name_that_all_share_is_not_its_source(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since Python 3.13 they have the lines of ``python -c`` there, whatever else was executed."""
    command = "import mine; mine.main()"
    monkeypatch.setitem(linecache.cache, name, (len(command), None, [command], name))
    told = [receipt(executed(one, name)["Mine"]()) for one in (MINE, MINE.replace("*", "+"))]
    assert told[0]["run_id"] != told[1]["run_id"]
    assert "as it has no source" in told[0]["notices"][0]


def test_a_global_that_is_no_part_of_the_source_counts() -> None:
    names = executed(MINE)
    ids = []
    for step in (1, 2):
        names["STEP"] = step
        ids.append(receipt(names["Mine"]())["run_id"])
    assert len(set(ids)) == 2


def test_a_cell_of_a_notebook_is_a_source() -> None:
    """Notebooks keep the text of their cells where tracebacks look for it."""

    def cell(number: int, text: str) -> type[Strategy]:
        name = f"/nowhere/ipykernel_7/{number}.py"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        made: type[Strategy] = executed(text, name)["Mine"]
        return made

    one, again = receipt(cell(1, MINE)()), receipt(cell(2, MINE)())
    other = receipt(cell(3, MINE.replace("self.size *", "self.size +"))())
    assert one == again
    assert one["notices"] == []
    assert other["run_id"] != one["run_id"]


def test_a_function_from_another_cell_counts() -> None:
    ids = []
    for body in ("return 1", "return 2"):
        names = executed("def step(): " + body)
        exec(compile(MINE.replace("* STEP", "* step()"), "<cell>", "exec"), names)
        ids.append(receipt(names["Mine"]())["run_id"])
    assert len(set(ids)) == 2


# -- the same source, made otherwise ---------------------------------------------------------------


def in_a_function(size: int) -> type[Strategy]:
    class Inner(Strategy):
        async def on_bar(self, bar: Any) -> None:
            await self.buy("BTCUSD", size)

    return Inner


def test_a_variable_around_a_class_counts() -> None:
    ids = [receipt(in_a_function(size)())["run_id"] for size in (1, 2, 1)]
    assert ids[0] == ids[2] != ids[1]


def test_an_attribute_of_the_class_counts() -> None:
    class Levels(Strategy):
        levels = 3

    ids = []
    for levels in (3, 4, 3):
        Levels.levels = levels
        ids.append(receipt(Levels())["run_id"])
    assert ids[0] == ids[2] != ids[1]


def test_what_is_set_on_a_strategy_before_the_run_counts() -> None:
    def made(size: int) -> Strategy:
        strategy = in_a_function(1)()
        strategy.size = size  # type: ignore[attr-defined]
        return strategy

    result = run(made(1))
    assert result.config["strategies"]["inner"]["attributes"] == {"size": 1}
    assert result.receipt["run_id"] != receipt(made(2))["run_id"]


def test_a_method_that_was_put_in_later_counts() -> None:
    def other(self: Any, bar: Any) -> None:
        pass

    plain, patched = in_a_function(1), in_a_function(1)
    patched.on_bar = other  # type: ignore[method-assign]
    assert receipt(plain())["run_id"] != receipt(patched())["run_id"]


# -- processes -------------------------------------------------------------------------------------

SCRIPT = """\
import sys
import backtest
from backtest.strategies import Strategy
from backtest.testing import bar

class Mine(Strategy):
    names: frozenset = frozenset({"a", "b", "c", "d"})
    choose: object = None

    async def on_bar(self, bar):
        if bar.pair in {"BTCUSD", "ETHUSD", "SOLUSD", "XRPUSD"}:
            await self.buy("BTCUSD", 1)

def ids():
    names = {}
    exec("f = lambda x: x in {'one', 'two', 'three', 'four'}", names)
    for choose in (None, names["f"], lambda x: x in {"q", "w", "e", "r"}):
        bars = [bar(n, 100) for n in range(3)]
        result = backtest.run(Mine(choose=choose), data=bars, pair="BTCUSD", cash="999 USD")
        print(result.receipt["run_id"], result.orders and result.orders[0].id)

if __name__ == "__main__":
    ids()
"""


def test_ids_are_the_same_in_every_process_however_it_was_started(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SCRIPT)
    root = Path(__file__).resolve().parents[2]
    starts = {
        "0": ["mine.py"],
        "1": ["-m", "mine"],
        "2": ["-c", "import mine; mine.ids()"],
        "3": ["-c", "from backtest.runs.target import module_of; module_of('mine.py').ids()"],
    }
    told = set()
    for seed, arguments in starts.items():
        paths = os.pathsep.join([str(tmp_path), str(root), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": paths}
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        told.add(done.stdout)
    (lines,) = told
    assert len(set(lines.splitlines())) == 3
