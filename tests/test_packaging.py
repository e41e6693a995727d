"""What is shipped: one importable name, every module, three dependencies, no shadowing either way.

Most of it builds from a copy of the tree, so that no test leaves anything behind in it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.tree import ROOT, needs_the_sources

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SYMLINKS = {"actors": "../../actors", "strategies": "../../strategies"}
EXTRAS = ["gymnasium", "numpy", "pandas", "pyarrow", "rich", "talipp"]


def _run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """This interpreter with ``arguments``, without what the caller's environment adds."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**inherited, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def _ran(*arguments: str, cwd: Path) -> str:
    done = _run(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _modules() -> dict[str, Path]:
    """Where each module goes in the wheel, and its file in the tree."""
    found: dict[str, Path] = {}
    places = {"backtest": "src/backtest", **{f"backtest/{name}": name for name in SYMLINKS}}
    for inside, place in places.items():
        for folder, inner, names in os.walk(ROOT / place, followlinks=False):
            inner[:] = [name for name in inner if name != "__pycache__"]
            for name in names:
                path = Path(folder, name)
                if path.suffix == ".py":
                    found[f"{inside}/{path.relative_to(ROOT / place).as_posix()}"] = path
    return found


def _copy_of_the_tree(folder: Path, *, symlinks: bool) -> Path:
    """What a clone would build from; without symlinks as git leaves it where there are none."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("src", "actors", "strategies"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy2(ROOT / name, folder / name)
    if not symlinks:
        for name, target in SYMLINKS.items():
            link = folder / "src" / "backtest" / name
            link.unlink(missing_ok=True)
            link.write_text(target)
    return folder


def _wheel(tree: Path, out: Path) -> zipfile.ZipFile:
    program = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    _ran("-c", program, str(out), cwd=tree)
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    tree = _copy_of_the_tree(tmp_path_factory.mktemp("tree"), symlinks=True)
    return _wheel(tree, tmp_path_factory.mktemp("out"))


def _metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


# -- the tree and its description -------------------------------------------------------------


@needs_the_sources
def test_packages_are_the_folders_on_disk() -> None:
    folders = {name.rpartition("/")[0].replace("/", ".") for name in _modules()}
    assert PROJECT["tool"]["setuptools"]["packages"] == sorted(folders)


@needs_the_sources
def test_every_folder_of_modules_is_a_package() -> None:
    modules = _modules()
    folders = {name.rpartition("/")[0] for name in modules}
    assert [f for f in sorted(folders) if f"{f}/__init__.py" not in modules] == []


@needs_the_sources
@pytest.mark.skipif(
    os.name == "nt" or (ROOT / "PKG-INFO").exists(),
    reason="neither a source distribution nor every clone on Windows has symlinks",
)
@pytest.mark.parametrize(("name", "target"), SYMLINKS.items())
def test_the_symlinks_are_relative_and_lead_to_the_real_folders(name: str, target: str) -> None:
    link = ROOT / "src" / "backtest" / name
    assert os.readlink(link) == target
    assert link.resolve() == ROOT / name


@needs_the_sources
def test_no_module_imports_the_bare_names() -> None:
    # ruff's TID251 says so, too; this holds where a line has silenced ruff.
    bad = [
        f"{name}:{number}"
        for name, path in _modules().items()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if line.split()[:2] in (["import", x] for x in SYMLINKS)
        or (line.split()[:1] == ["from"] and line.split()[1].partition(".")[0] in SYMLINKS)
    ]
    assert bad == []


def test_there_are_three_dependencies() -> None:
    names = [requirement.partition(">=")[0] for requirement in PROJECT["project"]["dependencies"]]
    assert names == ["anyio", "attrs", "structlog"]


def test_the_extra_all_holds_every_extra_of_a_user() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    # testing is for suites, not for runs: whoever asks for all features wants no pytest with them.
    users = [name for name in extras if name not in ("all", "browser", "test", "dev", "testing")]
    assert extras["all"] == [f"backtest-actors[{','.join(users)}]"]


@needs_the_sources
def test_what_is_missing_is_brought_by_the_extra_that_is_named() -> None:
    """Each `MissingExtra` of the source names an extra that there is, and that has the package."""
    named = re.compile(r'MissingExtra\(\s*"(\w+)", "(\w+)"')
    found = {
        match
        for folder in ("src/backtest", "actors", "strategies")
        for file in (ROOT / folder).rglob("*.py")
        for match in named.findall(file.read_text())
    }
    assert ("plotly", "plot") in found
    for package, extra in found:
        assert package in {re.split("[>=[]", one)[0].replace("-", "_") for one in brought(extra)}


def test_an_old_name_of_an_extra_brings_what_it_brought() -> None:
    assert brought("plots") == brought("plot")
    assert {"plotly", "rich"} <= {one.partition(">")[0] for one in brought("report")}
    assert {"plotly", "pandas"} <= {one.partition(">")[0] for one in brought("notebook")}


def brought(extra: str) -> list[str]:
    """The packages that an extra brings, those of the extras in it included."""
    found = []
    for one in PROJECT["project"]["optional-dependencies"][extra]:
        ours = re.fullmatch(r"backtest-actors\[(.*)\]", one)
        found += (
            [one] if ours is None else [p for name in ours[1].split(",") for p in brought(name)]
        )
    return found


# -- the wheel --------------------------------------------------------------------------------


@needs_the_sources
def test_the_only_name_at_the_top_of_the_wheel_is_backtest(wheel: zipfile.ZipFile) -> None:
    version = PROJECT["project"]["version"]
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert tops == {"backtest", f"backtest_actors-{version}.dist-info"}


@needs_the_sources
def test_the_wheel_holds_every_module_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    shipped = {name for name in wheel.namelist() if name.startswith("backtest/")}
    modules = _modules()
    scenarios = {
        f"backtest/markets/scenarios/{path.name}"
        for path in (ROOT / "src/backtest/markets/scenarios").iterdir()
    }
    pages = {
        f"backtest/analysis/page/files/{path.name}"
        for path in (ROOT / "src/backtest/analysis/page/files").iterdir()
    }
    assert shipped == {*modules, "backtest/py.typed", *scenarios, *pages}
    assert [n for n, path in modules.items() if wheel.read(n) != path.read_bytes()] == []


@needs_the_sources
def test_a_clone_without_symlinks_builds_the_same_wheel(
    wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    tree = _copy_of_the_tree(tmp_path / "tree", symlinks=False)
    (tmp_path / "out").mkdir()
    other = _wheel(tree, tmp_path / "out")
    assert {i.filename: i.CRC for i in other.infolist()} == {
        i.filename: i.CRC for i in wheel.infolist()
    }


@needs_the_sources
def test_the_wheel_says_what_it_needs(wheel: zipfile.ZipFile) -> None:
    described = _metadata(wheel)
    assert described["Name"] == "backtest-actors"
    assert described["Requires-Python"] == ">=3.11"
    assert described["License-Expression"] == "MIT"
    needed = [line for line in described.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert needed == PROJECT["project"]["dependencies"]
    assert any(name.endswith("/licenses/LICENSE") for name in wheel.namelist())


# -- what is installed ------------------------------------------------------------------------


def test_the_installed_version_is_the_one_of_this_project() -> None:
    assert metadata.version("backtest-actors") == PROJECT["project"]["version"]


def test_the_console_script_leads_to_the_command_line() -> None:
    (script,) = metadata.entry_points(group="console_scripts", name="backtest")
    assert script.value == "backtest.cli:main"
    assert callable(script.load())


def test_every_module_imports_without_the_extras(tmp_path: Path) -> None:
    program = f"""
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ImportError(f"{{name}} is an extra: import it in the function that needs it")

sys.meta_path.insert(0, Blocked())
# An editable install without symlinks has the last two in folders of their own.
for package in ("backtest", "backtest.actors", "backtest.strategies"):
    print(package)
    path = importlib.import_module(package).__path__
    for found in pkgutil.walk_packages(path, package + "."):
        # Tests of users need pytest anyway, an environment is Gymnasium's; running __main__ is what
        # the tests of the cli do.
        if found.name != "backtest.__main__" and not found.name.startswith(
            ("backtest.testing", "backtest.gym")
        ):
            importlib.import_module(found.name)
            print(found.name)
"""
    imported = _ran("-W", "error", "-c", program, cwd=tmp_path).split()
    assert {"backtest.money", "backtest.actors.kernel.clock", "backtest.strategies"} <= set(
        imported
    )


@pytest.mark.parametrize("first", ["strategies", "backtest.strategies"])
def test_a_folder_of_the_user_and_the_package_do_not_shadow_each_other(
    tmp_path: Path, first: str
) -> None:
    for name in SYMLINKS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWNER = 'the user'\n")
    second = "strategies" if first != "strategies" else "backtest.strategies"
    program = f"""
import importlib
importlib.import_module({first!r}), importlib.import_module({second!r})
import actors, strategies, backtest.actors, backtest.strategies
print(actors.OWNER == strategies.OWNER == "the user")
print(hasattr(backtest.actors, "OWNER") or hasattr(backtest.strategies, "OWNER"))
"""
    assert _ran("-c", program, cwd=tmp_path).split() == ["True", "False"]


def test_a_strategy_file_runs_beside_a_folder_called_strategies(tmp_path: Path) -> None:
    # Ten minutes of bars, so that there is something to count.
    rows = [f"2024-01-01T00:{minute:02d}:00,100,101,99,100,5" for minute in range(10)]
    (tmp_path / "data.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]))
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "__init__.py").write_text("OWNER = 'the user'\n")
    (tmp_path / "my.py").write_text(
        "import strategies\n"
        "from backtest.strategies import Strategy\n\n\n"
        "class Mine(Strategy):\n"
        "    def on_start(self) -> None:\n"
        "        assert strategies.OWNER == 'the user'\n"
    )
    command = "-m backtest run my.py:Mine --data data.csv --pair BTCUSD --cash 1000USD --json"
    told = json.loads(_ran(*command.split(), cwd=tmp_path))
    assert told["bars"] == 10
    assert told["verified"] is True
