"""The mutants of a module: each differs from it in one place."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Mutant", "mutants"]

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
