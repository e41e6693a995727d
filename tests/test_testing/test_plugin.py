"""The pytest plugin: off unless used, `simulation`, and seeds that are named when they fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backtest.testing import bar
from backtest.testing.plugin import Simulation

CONFTEST = 'pytest_plugins = ["backtest.testing.plugin"]\n'


def _pytest(
    folder: Path, *arguments: str, conftest: str = CONFTEST, installed: bool = False
) -> tuple[int, str]:
    """A suite of another project, in a process of its own: exit code and output. Without other
    plugins, which take seconds to load; or with all that is ``installed``."""
    (folder / "conftest.py").write_text(conftest)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTEST_ADDOPTS": "",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "" if installed else "1",
        },
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_off_unless_used(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(
        "import sys\n"
        "def test_nothing_of_ours_is_there(pytestconfig):\n"
        "    assert not [name for name in sys.modules if name.startswith('backtest')]\n"
        "    assert not any('seeds' in line for line in pytestconfig.getini('markers'))\n"
    )
    code, output = _pytest(tmp_path, conftest="", installed=True)
    assert (code, "1 passed" in output) == (0, True), output


def test_a_failing_seed_is_named_and_can_be_run_alone(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(
        "import pytest\n@pytest.mark.seeds(5)\ndef test_it(seed):\n    assert seed != 3\n"
    )
    code, output = _pytest(tmp_path, "--strict-markers")
    assert code == 1
    assert "1 failed, 4 passed" in output
    assert "test_it[seed=3]" in output
    again = "pytest 'test_theirs.py::test_it' --backtest-seed=3"
    assert f"seed 3 fails; again: {again}" in output
    code, output = _pytest(tmp_path, "test_theirs.py::test_it", "--backtest-seed=3")
    assert (code, "1 failed in" in output) == (1, True)
    code, output = _pytest(tmp_path, "--backtest-seeds=2")
    assert (code, "2 passed" in output) == (0, True)


WRONG = {
    "seeds()": ("seed", "write @pytest.mark.seeds(n) with a whole number n >= 1"),
    "seeds(0)": ("seed", "write @pytest.mark.seeds(n)"),
    "seeds(True)": ("seed", "write @pytest.mark.seeds(n)"),
    "seeds(n=3)": ("seed", "write @pytest.mark.seeds(n)"),
    "seeds(3)": ("", "takes an argument called seed"),
}
"""What the test takes, and what it is told, by the marker that is wrong."""


def test_a_marker_used_wrongly(tmp_path: Path) -> None:
    for number, (mark, (arguments, _)) in enumerate(WRONG.items()):
        (tmp_path / f"test_{number}.py").write_text(
            f"import pytest\n@pytest.mark.{mark}\ndef test_it({arguments}):\n    pass\n"
        )
    code, output = _pytest(tmp_path)
    assert code != 0
    assert f"{len(WRONG)} errors" in output
    for number, (_, problem) in enumerate(WRONG.values()):
        told = output.partition(f"ERROR collecting test_{number}.py")[2].partition("____")[2]
        assert problem in told.partition("ERROR collecting")[0]


def test_the_last_simulation_is_in_the_report_of_a_failure(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(
        "from backtest.testing import bar\n"
        "async def script(me):\n"
        "    await me.next()\n"
        "    await me.buy('BTCUSD', 2)\n"
        "    await me.next()\n"
        "def test_it(simulation):\n"
        "    world = simulation([bar(0, 100), bar(1, 101)], script)\n"
        "    assert world.balance()[0] == 0\n"
        "def test_nothing_ran(simulation):\n"
        "    assert False\n"
        "def test_nothing_of_ours():\n"
        "    assert False\n"
    )
    code, output = _pytest(tmp_path)
    assert code == 1
    assert output.count("backtest: the last simulation") == 1
    assert "entry LONG 2 @ 101 open" in output
    assert "main FILL_BUY USD 0 -202" in output


def test_the_fixture_plays(simulation: Simulation) -> None:
    world = simulation([bar(0, 100), bar(1, 101)])
    assert world.oracle.checks > 0

    async def script(me: object, market: object) -> None:
        await market.tick(100)  # type: ignore[attr-defined]

    assert simulation.tick_by_tick(script).system.now == 10**9
    assert len(simulation.worlds) == 2


@pytest.mark.seeds(3)
def test_seeds_here(seed: int) -> None:
    assert seed in range(3)


def test_without_pytest_the_extra_is_named(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules[sys.argv[1]] = None\n"
        "import backtest.testing\n"
        "try:\n"
        "    __import__(sys.argv[2])\n"
        "except ImportError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    for package, module in (("pytest", "plugin"), ("hypothesis", "generators")):
        name = f"backtest.testing.{module}"
        done = subprocess.run(
            [sys.executable, "-c", program, package, name], capture_output=True, text=True
        )
        assert done.stdout.startswith(f"MissingExtra {name} needs the package {package!r}")
        assert "backtest-actors[testing]" in done.stdout
