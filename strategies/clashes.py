"""Attributes of strategies that hide what we call so."""

from __future__ import annotations

from functools import lru_cache
from types import FunctionType
from typing import Any

import attrs

from backtest.source_code import is_ours

from .handlers import HANDLERS, OPTIONS, base_of

__all__ = ["clashes"]


def clashes(strategy: Any) -> list[str]:
    """Names of ours that a strategy uses for something of its own: what it has set, and what its
    class defines. A method that calls ours by ``super()`` hides nothing."""
    kind: Any = type(strategy)
    ours, found = _names(kind)
    if not is_ours(kind.__module__):
        found |= ours & (vars(strategy).keys() - _fields(_next_of_ours(kind)))
    return sorted(found)


@lru_cache(maxsize=1024)
def _names(kind: Any) -> tuple[frozenset[str], frozenset[str]]:
    """The names that are ours, and those of them that ``kind`` uses otherwise."""
    base = base_of(kind)
    ours = {name for name in dir(base) if not name.startswith("_")} - {*HANDLERS, *OPTIONS}
    found = set()
    for one in kind.__mro__:
        if not is_ours(one.__module__):
            found |= {name for name in ours & vars(one).keys() if not _goes_on(vars(one)[name])}
    if attrs.has(kind):
        found |= ours & (_fields(kind) - _fields(_next_of_ours(kind)))
    return frozenset(ours), frozenset(found)


def _fields(kind: Any) -> set[str]:
    return {one.name for one in attrs.fields(kind)} if attrs.has(kind) else set()


def _next_of_ours(kind: Any) -> Any:
    """The class of this package that ``kind`` is, or is written from: its parameters are called
    what we called them."""
    return next(one for one in kind.__mro__ if is_ours(one.__module__))


def _goes_on(method: Any) -> bool:
    """Whether a method that takes the place of ours calls it."""
    return isinstance(method, FunctionType) and "super" in method.__code__.co_names
