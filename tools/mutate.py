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
import copy
import io
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import EnumType
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

__all__ = ["TARGETS", "Mutant", "main", "mutants"]

ROOT = Path(__file__).resolve().parent.parent
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

_COMPARE: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_NAMES = {
    "ONE": "ZERO",
    "ROUND_CEILING": "ROUND_FLOOR",
    "ROUND_FLOOR": "ROUND_CEILING",
    "ZERO": "ONE",
    "add": "sub",
    "div": "mul",
    "exact_add": "exact_sub",
    "max": "min",
    "min": "max",
    "mul": "div",
    "round_half_even": "round_up",
    "round_up": "round_down",
    "sub": "add",
}
"""What is arithmetic here, for Decimal is reckoned with by functions."""
_COMMUTATIVE = frozenset(("add", "exact_add", "mul"))


@dataclass(frozen=True)
class Mutant:
    """One change: where, what, and the whole module with it."""

    line: int
    function: str
    was: str
    now: str
    tree: ast.Module

    def __str__(self) -> str:
        return f"{self.line}: in {self.function}: {self.was}  ->  {self.now}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is, wherever in the file it stands."""
        return self.function, self.was, self.now


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module, from top to bottom."""
    tree = ast.parse(source)
    for place in _places(tree, ""):
        for was, now, changed in place.changes():
            target, field, index = place.parent, place.field, place.index
            old = getattr(target, field)
            new = changed if index is None else [*old[:index], changed, *old[index + 1 :]]
            setattr(target, field, new)
            mutated = copy.deepcopy(tree)
            setattr(target, field, old)
            yield Mutant(
                place.node.lineno, place.function, was, now, ast.fix_missing_locations(mutated)
            )


@dataclass(frozen=True)
class _Place:
    """A node, with where it hangs."""

    node: ast.expr | ast.stmt
    parent: ast.AST
    field: str
    index: int | None
    function: str

    def changes(self) -> Iterator[tuple[str, str, ast.AST]]:
        """What may stand in its place: the old text, the new, and the node."""
        for node in _changed(self.node):
            was, now = ast.unparse(self.node), ast.unparse(node)
            yield was.splitlines()[0], now.splitlines()[0], node


def _places(node: ast.AST, function: str) -> Iterator[_Place]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params", "bases"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _is_left_out(child, node, function):
                continue
            if isinstance(child, ast.expr | ast.stmt) and function:
                yield _Place(child, node, field, index, function)
            inner = function
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{function}.{child.name}".lstrip(".")
            elif not function and isinstance(child, ast.Assign):
                inner = ast.unparse(child.targets[0])
            yield from _places(child, inner)


def _is_left_out(node: ast.AST, parent: ast.AST, function: str) -> bool:
    """Docstrings, imports, what only type checkers read, and the words of errors."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Pass | ast.JoinedStr):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if ast.unparse(target) in ("__all__", "__slots__", "__match_args__", "Leg"):
            return True
        if isinstance(node, ast.AnnAssign) and node.value is None:
            return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    return isinstance(parent, ast.Raise) and isinstance(node, ast.expr)


def _changed(node: ast.expr | ast.stmt) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            for other in _COMPARE[type(operator)]:
                yield _with(node, ops=[*node.ops[:index], other(), *node.ops[index + 1 :]])
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        yield _with(node, op=_ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        yield from node.values
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.Constant):
        yield from _other_constant(node)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in _NAMES:
        yield _with(node, id=_NAMES[node.id])
    elif isinstance(node, ast.Call):
        yield from _other_call(node)
    elif isinstance(node, ast.stmt):
        yield from _other_statement(node)


def _other_constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
    elif isinstance(value, str):
        yield ast.Constant(f"{value}X")


def _other_call(node: ast.Call) -> Iterator[ast.AST]:
    if isinstance(node.func, ast.Attribute) and node.func.attr == "copy_negate":
        yield node.func.value
    if isinstance(node.func, ast.Name) and node.func.id in _COMMUTATIVE:
        return
    for index in range(len(node.args) - 1):
        one, other = node.args[index : index + 2]
        if ast.dump(one) != ast.dump(other):
            yield _with(node, args=[*node.args[:index], other, one, *node.args[index + 2 :]])


def _other_statement(node: ast.stmt) -> Iterator[ast.AST]:
    nothing = ast.Pass()
    if isinstance(node, ast.Return):
        if node.value is not None and not _is_none(node.value):
            yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.If | ast.While):
        yield _with(node, test=ast.Constant(False))
        if isinstance(node, ast.If):
            yield _with(node, test=ast.Constant(True))
    elif isinstance(node, ast.Expr | ast.Assign | ast.AugAssign | ast.AnnAssign):
        yield nothing
    elif isinstance(node, ast.Raise | ast.Continue):
        yield nothing


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _with(node: ast.AST, **fields: object) -> ast.AST:
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


# -- running ---------------------------------------------------------------------------------------


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
