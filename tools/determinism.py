"""What in a source makes two runs differ: clocks, unseeded chance, and orders that change."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Finding", "find"]


@dataclass(frozen=True, order=True)
class Finding:
    """``name`` at ``file:line`` makes runs differ; ``why`` says how and what to do instead."""

    file: str
    line: int
    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.name}: {self.why}"


_CLOCK = "reads the wall clock: ask the actor's clock"
_RANDOM = "is not seeded: use the actor's own random stream"
_ID = "is new in every run: draw the id from the run's seed"
_LISTING = "comes in the order of the file system: wrap it in sorted()"
_SET = "a set has no order that two runs share: wrap it in sorted(), or use a dict"

_BANNED = {
    **{
        f"time.{name}{suffix}": _CLOCK
        for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time")
        for suffix in ("", "_ns")
    },
    **{f"time.{name}": _CLOCK for name in ("ctime", "gmtime", "localtime", "strftime", "asctime")},
    "time.sleep": "waits by the wall clock: await anyio.sleep()",
    **{f"datetime.datetime.{name}": _CLOCK for name in ("now", "utcnow", "today")},
    "datetime.date.today": _CLOCK,
    **{f"uuid.uuid{version}": _ID for version in (1, 4, 6, 7)},
    "uuid.getnode": "is the machine's address",
    "os.urandom": _RANDOM,
    "os.getrandom": _RANDOM,
    "os.getpid": "differs from process to process",
    "os.listdir": _LISTING,
    "os.scandir": _LISTING,
    "glob.glob": _LISTING,
    "glob.iglob": _LISTING,
}
_BANNED_MODULES = {"secrets": _RANDOM, "random": _RANDOM, "numpy.random": _RANDOM}
# Good when they are given a seed; without an argument they take one from the machine.
_SEEDED = {
    "random.Random",
    *(
        f"numpy.random.{name}"
        for name in ("default_rng", "SeedSequence", "PCG64", "Philox", "MT19937", "RandomState")
    ),
}
_HARMLESS = {"numpy.random.Generator"}
_BUILTINS = {
    "id": "is an address in memory: number things by the order in which they come",
    "hash": "is salted per process: use hashlib, or the value itself",
}
# Take an iterable and let its order be seen (a sum of floats or of rounded decimals does, too) …
_ORDERED = {"list", "tuple", "iter", "enumerate", "zip", "map", "filter", "dict", "sum"}
# … and take it and do not.
_UNORDERED = {"sorted", "set", "frozenset", "any", "all", "len"}
_SET_TYPES = {"set", "frozenset", "AbstractSet", "MutableSet", "Set", "FrozenSet"}
_SET_METHODS = {"union", "intersection", "difference", "symmetric_difference", "copy"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class _Scope:
    """The names that a module, class or function binds, and which of them are known to be sets."""

    def __init__(self, node: ast.AST) -> None:
        self.is_class = isinstance(node, ast.ClassDef)
        self.name = getattr(node, "name", "")
        self.bound: set[str] = set()
        self.sets: set[str] = set()


class _Reader(ast.NodeVisitor):
    """Walks one module and collects the findings."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Finding] = []
        self.aliases: dict[str, str] = {}
        self.scopes: list[_Scope] = []
        self.excused: set[ast.AST] = set()

    def report(self, node: ast.AST, name: str, why: str) -> None:
        self.found.append(Finding(self.file, getattr(node, "lineno", 0), name, why))

    # -- names ----------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._imported(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module is not None and not node.level:
            for alias in node.names:
                self._imported(node, f"{node.module}.{alias.name}")

    def _imported(self, node: ast.AST, name: str) -> None:
        # `import random` is no sin; `from random import random` and `from time import time` are.
        if name not in _BANNED_MODULES and name not in _SEEDED:
            self._judge(node, name)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self._dotted(node)
        if name is not None:
            self._judge(node, name)
        else:
            self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            return
        if node.id in _BUILTINS and not self._is_bound(node.id):
            if not (node.id == "hash" and self._inside("__hash__")):
                self.report(node, node.id, _BUILTINS[node.id])
            return
        name = self._dotted(node)
        # A bare module (passed on, say) is judged where it is used; from-imports were judged there.
        if name is not None and name not in _BANNED_MODULES and name not in _SEEDED:
            self._judge(node, name)

    def _judge(self, node: ast.AST, name: str) -> None:
        why = _BANNED.get(name)
        if why is None and name not in _HARMLESS and name not in _SEEDED:
            module = name.rpartition(".")[0]
            why = _BANNED_MODULES.get(module) if name not in _BANNED_MODULES else None
        if why is not None and node not in self.excused:
            self.report(node, name, why)

    def _dotted(self, node: ast.AST) -> str | None:
        """The full name of an attribute chain that begins with an imported name."""
        tail: list[str] = []
        while isinstance(node, ast.Attribute):
            tail.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.aliases:
            return None
        return ".".join([self.aliases[node.id], *reversed(tail)])

    # -- scopes ---------------------------------------------------------------------------------

    def visit_Module(self, node: ast.Module) -> None:
        for child in ast.walk(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    first = alias.name.partition(".")[0]
                    self.aliases[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
                for alias in child.names:
                    self.aliases[alias.asname or alias.name] = f"{child.module}.{alias.name}"
        self._enter(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._enter(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._enter(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._enter(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._enter(node)

    def _enter(self, node: ast.AST) -> None:
        scope = _Scope(node)
        self.scopes.append(scope)
        if isinstance(node, _FUNCTIONS):
            arguments = node.args
            for argument in (
                *arguments.posonlyargs,
                *arguments.args,
                *arguments.kwonlyargs,
                *filter(None, (arguments.vararg, arguments.kwarg)),
            ):
                scope.bound.add(argument.arg)
                if _is_set_type(argument.annotation):
                    scope.sets.add(argument.arg)
        for child in _own(node):
            self._bind(scope, child)
        self.generic_visit(node)
        self.scopes.pop()

    def _bind(self, scope: _Scope, node: ast.AST) -> None:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            scope.bound.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            scope.bound.add(node.name)
        targets: list[ast.expr] = []
        if isinstance(node, ast.AnnAssign) and _is_set_type(node.annotation):
            targets = [node.target]
        elif isinstance(node, ast.Assign) and self._is_set(node.value):
            targets = node.targets
        for target in targets:
            if isinstance(target, ast.Name):
                scope.sets.add(target.id)
                if scope.is_class:
                    scope.sets.add(f"self.{target.id}")
            elif isinstance(target, ast.Attribute) and _is_self(target.value):
                for outer in self.scopes:
                    if outer.is_class:
                        outer.sets.add(f"self.{target.attr}")

    def _is_bound(self, name: str) -> bool:
        innermost = self.scopes[-1]
        return any(
            name in scope.bound for scope in self.scopes if scope is innermost or not scope.is_class
        )

    def _inside(self, function: str) -> bool:
        return any(scope.name == function for scope in self.scopes)

    # -- sets and listings ----------------------------------------------------------------------

    def _is_set(self, node: ast.AST | None) -> bool:
        """Whether ``node`` is a set as far as the source shows it."""
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id="set" | "frozenset" as name)):
                return not self._is_bound(name)
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _SET_METHODS:
                return self._is_set(value)
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
                return self._is_set(left)
            case ast.IfExp(body=body, orelse=orelse):
                return self._is_set(body) or self._is_set(orelse)
            case ast.Name(id=name):
                return self._known_set(name)
            case ast.Attribute(value=value, attr=attr) if _is_self(value):
                return self._known_set(f"self.{attr}")
        return False

    def _known_set(self, name: str) -> bool:
        for scope in reversed(self.scopes):
            if name in scope.sets:
                return True
            if name in scope.bound:
                return False
        return False

    def _iterated(self, node: ast.expr) -> None:
        if node not in self.excused and self._is_set(node):
            self.report(node, "set order", _SET)

    def visit_For(self, node: ast.For) -> None:
        self._iterated(node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._iterated(node.iter)
        self.generic_visit(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._excuse(node)
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        for element in node.elts:
            if isinstance(element, ast.Starred):
                self._excuse(element.value)
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        self._iterated(node.value)
        self.generic_visit(node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> None:
        self._iterated(node.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Name(id=name) if name in _UNORDERED and node.args:
                self._excuse(node.args[0])
            case ast.Name(id=name) if name in _ORDERED:
                for argument in node.args:
                    self._iterated(argument)
            case ast.Attribute(attr="join" | "extend" | "fromkeys") if node.args:
                self._iterated(node.args[0])
            case ast.Attribute(value=value, attr="pop") if not node.args and self._is_set(value):
                self.report(node, "set.pop", _SET)
            case ast.Attribute(attr="iterdir") if node not in self.excused:
                self.report(node, "iterdir", _LISTING)
        dotted = self._dotted(node.func)
        if dotted in _SEEDED and not node.args and not node.keywords:
            self.report(node, dotted, _RANDOM)
        self.generic_visit(node)

    def _excuse(self, node: ast.expr) -> None:
        """What stands directly in sorted() and its like may come in any order."""
        self.excused.add(node)
        if isinstance(node, ast.Call):
            self.excused.add(node.func)
        elif isinstance(node, (ast.GeneratorExp, ast.ListComp, ast.SetComp)):
            for generator in node.generators:
                self._excuse(generator.iter)


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below ``node`` that are in its own scope, in the order of the source."""
    for child in ast.iter_child_nodes(node):
        yield child
        # The methods of a class are read along: `self.x: set[str] = set()` belongs to the class.
        if isinstance(child, (*_FUNCTIONS, ast.ClassDef)) and not isinstance(node, ast.ClassDef):
            continue
        yield from _own_body(child) if isinstance(node, ast.ClassDef) else _own(child)


def _own_body(node: ast.AST) -> Iterator[ast.AST]:
    """Below a class: its own statements, and of its methods only what is assigned to ``self``."""
    if not isinstance(node, _FUNCTIONS):
        yield from _own(node)
        return
    for child in ast.walk(node):
        if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Attribute):
            yield child
        elif isinstance(child, ast.Assign) and isinstance(child.targets[0], ast.Attribute):
            yield child


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _is_set_type(annotation: ast.expr | None) -> bool:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    if isinstance(annotation, ast.Subscript):
        annotation = annotation.value
    if isinstance(annotation, ast.Attribute):
        return annotation.attr in _SET_TYPES
    return isinstance(annotation, ast.Name) and annotation.id in _SET_TYPES


def find(source: str, file: str = "<source>") -> list[Finding]:
    """All findings in the text of one module, in the order of its lines, allowed or not."""
    reader = _Reader(file)
    reader.visit(ast.parse(source, file))
    # An import and the uses of what it brought are one fault each, but one line is told once.
    return sorted({(f.line, f.name): f for f in reader.found}.values())
