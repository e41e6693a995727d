"""Mutation testing: change the code that keeps money a little, and see whether a test notices.

    python tools/mutate.py [--only TEXT] [--list] [MODULE ...]

Each mutant differs from the module in one place: a comparison, an operator, a constant, a
condition, a returned value, a statement left out, two arguments swapped, a rounding the other way.
For each the module's own tests run in a process of their own, the quickest first, until one fails
(killed) or all pass (survived). Survivors are printed, and those that `tools/mutants.toml` calls
equivalent, with a reason, are not counted. Exit code 1 when the score is below the target.

Modules are named as in `TARGETS`; without any, all of them, in a few minutes. POSIX only, for it
forks.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from enum import EnumType
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.mutants import Mutant, mutants  # noqa: E402

__all__ = ["TARGETS", "Mutant", "main", "mutants"]

TARGET_SCORE = 0.90
_SCENARIOS = [
    f"tests/test_scenarios/test_{name}.py"
    for name in ("spot", "trading", "fees", "protection", "liquidation", "overnight", "amendments")
]
_UNITS = "tests/test_services/test_"
_BOOK = [
    f"{_UNITS}{name}.py"
    for name in (
        "order_book",
        "auction",
        "depth_view",
        "order_book_random",
        "order_book_properties",
    )
]
TARGETS: dict[str, tuple[str, list[str]]] = {
    "ledger": (
        "src/backtest/services/ledger/ledger.py",
        [
            f"{_UNITS}ledger.py",
            "tests/test_scenarios/test_ledger_refusals.py",
            "tests/test_testing/test_ledger_checks.py",
            *_SCENARIOS[:1],
        ],
    ),
    "transactions": (
        "src/backtest/services/ledger/entries.py",
        [f"{_UNITS}transaction_manager.py", *_SCENARIOS],
    ),
    "account": (
        "actors/account.py",
        ["tests/test_actors/test_account.py", "tests/test_scenarios/test_accounts.py"],
    ),
    "fees": ("src/backtest/services/settlement/fees.py", [f"{_UNITS}fees.py", *_SCENARIOS[2:3]]),
    "margin": (
        "src/backtest/services/margin/linear.py",
        [
            f"{_UNITS}margin.py",
            "tests/test_scenarios/test_liquidation_price.py",
            "tests/test_scenarios/test_tiers.py",
            *_SCENARIOS[1:5],
        ],
    ),
    "order_book": ("src/backtest/services/book/book.py", _BOOK),
    "book_side": ("src/backtest/services/book/side.py", _BOOK),
    "auction": ("src/backtest/services/book/auction.py", _BOOK),
}
"""By name: the file, and the tests that are to notice."""


class _Session:
    """A pytest plugin: collects once, then runs the tests in a fork for each mutant.

    A fork costs milliseconds, a pytest of its own for each mutant most of a second.
    """

    def __init__(self, name: str, path: Path, chosen: Sequence[Mutant]) -> None:
        self.name = name
        self.path = path
        self.chosen = chosen
        self.killed = self.counted = 0
        self.passes = False
        """Whether the tests pass without a mutant."""

    def pytest_runtestloop(self, session: Any) -> bool:
        """Instead of running the tests once: once for each mutant."""
        begin = time.monotonic()
        self.passes = self._survives(session, None, 3600)
        if not self.passes:
            return True
        patience = 20 + 10 * (time.monotonic() - begin)
        known = _equivalent(self.name)
        for one in self.chosen:
            if one.key in known:
                continue
            self.counted += 1
            if self._survives(session, one, patience):
                print(f"survived: {self.name}:{one}", file=sys.__stderr__, flush=True)
            else:
                self.killed += 1
        return True

    def _survives(self, session: Any, mutant: Mutant | None, seconds: float) -> bool:
        """Whether all tests pass; one that hangs does not."""
        child = os.fork()
        if child == 0:
            status = 1
            try:
                if mutant is not None:
                    _put_in_place(_module_of(self.path), mutant.tree)
                status = _run(session)
            finally:
                os._exit(status)
        until = time.monotonic() + seconds
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status) == 0
            if time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return False
            time.sleep(0.002)


def _run(session: Any) -> int:
    """Run the collected tests to the first failure: 0 when there is none."""
    items = session.items
    for number, item in enumerate(items):
        following = items[number + 1] if number + 1 < len(items) else None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


def _module_of(path: Path) -> ModuleType:
    """The module that was imported from a file."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and Path(file).name == path.name and Path(file).samefile(path):
            return module
    raise SystemExit(f"no test imports {path}")


def _put_in_place(module: ModuleType, tree: ast.Module) -> None:
    """Give the functions and constants of ``module`` those of ``tree``.

    In place, for other modules hold the functions themselves. A constant that they hold stays with
    them as it was: such a mutant is half a mutant, and found all the same.
    """
    prelude = ast.parse(_PRELUDE)
    body = [*tree.body]
    at = next(i for i, one in enumerate(body) if not _is_head(one))
    whole = ast.fix_missing_locations(ast.Module([*body[:at], *prelude.body, *body[at:]], []))
    made: dict[str, Any] = {"__name__": module.__name__, "__file__": module.__file__}
    exec(compile(whole, str(module.__file__), "exec"), made)
    old = vars(module)
    for name in [name for name in old if name not in made and not name.startswith("__")]:
        del old[name]
    for name, value in made.items():
        if name.startswith("__"):
            continue
        before = old.get(name)
        if isinstance(before, EnumType):
            continue  # its members cannot be set again, and they are what everybody holds
        if isinstance(before, type) and before.__module__ == module.__name__:
            _change_class(before, value)
        elif isinstance(before, FunctionType) and before.__module__ == module.__name__:
            _change_function(before, value)
        else:
            old[name] = value


def _change_class(old: type, new: type) -> None:
    for name, value in vars(new).items():
        before = vars(old).get(name)
        pairs = [(before, value)]
        if isinstance(value, property) and isinstance(before, property):
            pairs = [(before.fget, value.fget)]
        for one, other in pairs:
            if isinstance(one, FunctionType) and isinstance(other, FunctionType):
                _change_function(one, other)
            elif isinstance(other, bool | int | str) and not name.startswith("__"):
                setattr(old, name, other)
    for name in [one for one in vars(old) if one not in vars(new) and not one.startswith("_")]:
        delattr(old, name)


def _change_function(old: FunctionType, new: FunctionType) -> None:
    if old.__closure__ is None and new.__closure__ is None:
        old.__code__ = new.__code__
        old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__


_PRELUDE = """
from decimal import ROUND_CEILING, ROUND_FLOOR
from backtest.money import ONE, ZERO, add, div, exact_add, mul, round_down, round_up, sub
def exact_sub(a, b):
    return exact_add(a, b.copy_negate())
"""
"""What a mutant may name and its module perhaps does not import."""


def _is_head(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return True
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _equivalent(name: str) -> dict[tuple[str, str, str], str]:
    file = ROOT / "tools" / "mutants.toml"
    known = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return {(one["function"], one["was"], one["now"]): one["reason"] for one in known.get(name, [])}


def main(arguments: list[str]) -> int:
    """Mutate the modules named, or all; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TARGETS))
    parser.add_argument("--only", default="", help="mutants whose description holds this text")
    parser.add_argument("--list", action="store_true", help="print them and run nothing")
    given = parser.parse_args(arguments)
    os.chdir(ROOT)
    killed = counted = 0
    for name in given.modules or TARGETS:
        path = ROOT / TARGETS[name][0]
        chosen = [one for one in mutants(path.read_text("utf-8")) if given.only in str(one)]
        if given.list:
            print("\n".join(f"{name}:{one}" for one in chosen))
        elif chosen and len(given.modules) == 1:
            one, all_ = _module(name, path, chosen)
            killed, counted = killed + one, counted + all_
        elif chosen:
            # A process each, or the tests of one module would have imported the other.
            command = [sys.executable, __file__, f"--only={given.only}", name]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            print(done.stdout, end="", flush=True)
            found = re.search(r"score: (\d+) of (\d+)", done.stdout)
            if found is None:
                return 2
            killed, counted = killed + int(found[1]), counted + int(found[2])
    if given.list or not counted:
        return 0
    score = killed / counted
    print(f"score: {killed} of {counted} killed, {score:.1%} (target {TARGET_SCORE:.0%})")
    return 0 if score >= TARGET_SCORE else 1


def _module(name: str, path: Path, chosen: Sequence[Mutant]) -> tuple[int, int]:
    """Run the mutants of one module; how many were killed, of how many that count."""
    import pytest

    session = _Session(name, path, chosen)
    quiet = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--no-summary", "--tb=no"]
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main([*quiet, *TARGETS[name][1]], plugins=[session])
    if not session.passes:
        tests = " ".join(TARGETS[name][1])
        raise SystemExit(f"the tests of {name} do not pass without a mutant: pytest {tests}")
    equivalent = len(chosen) - session.counted
    print(f"{name}: {session.killed} of {session.counted} killed, {equivalent} equivalent")
    return session.killed, session.counted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
