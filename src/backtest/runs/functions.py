"""What there is to a function beside its source: its place, its defaults, the names it takes."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from backtest.source_code import functions_of, whose

__all__ = ["defaults_of", "names_in", "place_of", "stands_with"]


def stands_with(function: FunctionType, kind: type) -> bool:
    """Whether a function was written where its class was."""
    first = next((one for _, one in functions_of(kind) if whose(one) == kind.__module__), function)
    return first.__code__.co_filename == function.__code__.co_filename


def defaults_of(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The arguments that have defaults, and those."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    values = function.__defaults__ or ()
    yield from zip(names[len(names) - len(values) :], values, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def names_in(code: CodeType) -> set[str]:
    """The names that a piece of code, and those within it, may take from the globals."""
    found = set(code.co_names)
    for one in code.co_consts:
        if isinstance(one, CodeType):
            found |= names_in(one)
    return found


def place_of(code: CodeType) -> list[int] | None:
    """Where in its file a function stands, to tell two lambdas of one line apart; None: unknown."""
    if code.co_name != "<lambda>":
        return [code.co_firstlineno]
    spots = [
        ((line, column), (end_line, end_column))
        for line, end_line, column, end_column in code.co_positions()
        if line and end_line and column is not None and end_column
    ]
    if not spots:
        return None
    return [*min(begin for begin, _ in spots), *max(end for _, end in spots)]
