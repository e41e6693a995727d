"""Which handlers a class of strategies has, and which of its methods only look like some."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from inspect import (
    getattr_static,
    isasyncgenfunction,
    iscoroutinefunction,
    isgeneratorfunction,
    signature,
)
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import attrs

from backtest.actors.protocol import Kind
from backtest.errors import ConfigError
from backtest.source_code import functions_of, is_ours
from backtest.spelling import suggestion

__all__ = ["HANDLERS", "OPTIONS", "WANTS", "base_of", "handlers_of", "mentions", "oddities"]

HANDLERS = (
    "on_start",
    "on_bar",
    "on_quote",
    "on_trade",
    "on_depth",
    "on_snapshot",
    "on_message",
    "on_order",
    "on_timer",
    "on_stop",
    "run",
)
OPTIONS = ("warmup_bars", "computation_delay", "logs_refusals", "history_bars")
"""What a class may set to be treated otherwise."""
WANTS: dict[str, Kind] = {
    "on_bar": "bars",
    "on_quote": "quotes",
    "on_trade": "trades",
    "on_depth": "depth",
}
"""What market data each handler is for."""
_ELSEWHERE = {
    "next": "on_bar",
    "nextopen": "on_bar",
    "handledata": "on_bar",
    "ondata": "on_bar",
    "oncandle": "on_bar",
    "onkline": "on_bar",
    "onohlc": "on_bar",
    "ontick": "on_quote",
    "onquotetick": "on_quote",
    "ontradetick": "on_trade",
    "onorderbook": "on_depth",
    "onbook": "on_depth",
    "onfill": "on_order",
    "onfilled": "on_order",
    "onorderfilled": "on_order",
    "onorderevent": "on_order",
    "onevent": "on_order",
    "notifyorder": "on_order",
    "notifytrade": "on_order",
    "notifytimer": "on_timer",
    "initialize": "on_start",
    "init": "on_start",
    "oninit": "on_start",
    "start": "on_start",
    "onbegin": "on_start",
    "stop": "on_stop",
    "onend": "on_stop",
    "onfinish": "on_stop",
    "onclose": "on_stop",
    "main": "run",
}
"""How other engines, and habits, call our handlers."""


@lru_cache(maxsize=1024)
def handlers_of(kind: Any) -> tuple[str, ...]:
    """The handlers that ``kind`` has of its own. Refuses what are no handlers, with a word on how
    to write them."""
    base = base_of(kind)
    if kind.run is not base.run and not iscoroutinefunction(kind.run):
        raise ConfigError(
            f"{kind.__name__}.run must be an 'async def' without 'yield': it is one coroutine that "
            "runs beside the handlers; take bars with 'async for bar in self.bars(pair)'"
            f"{_place(kind.run)}"
        )
    parameters = {one.name for one in attrs.fields(kind)} if attrs.has(kind) else ()
    for name in HANDLERS:
        handler = getattr(kind, name)
        if name in parameters or not callable(handler):
            raise ConfigError(
                f"{kind.__name__}.{name} is no function, and {name} is the name of a handler: call "
                "it something else"
            )
        if isasyncgenfunction(handler) or isgeneratorfunction(handler):
            raise ConfigError(
                f"{kind.__name__}.{name} contains 'yield': a handler yields nothing"
                f"{_place(handler)}"
            )
        _check_arguments(kind, name, getattr(base, name))
    return tuple(name for name in HANDLERS if getattr(kind, name) is not getattr(base, name))


def _check_arguments(kind: Any, name: str, ours: FunctionType) -> None:
    """Refuse a handler that cannot be called with what it is called with."""
    handler = getattr(kind, name)
    given = list(signature(ours).parameters)
    try:
        # Of a static or a class method, nobody gives ``self``.
        is_plain = isinstance(getattr_static(kind, name), FunctionType)
        taken = signature(handler, follow_wrapped=False)
    except (TypeError, ValueError):  # written in another language: it says nothing of itself
        return
    try:
        taken.bind(*(given if is_plain else given[1:]))
    except TypeError:
        word = "async def" if iscoroutinefunction(handler) else "def"
        raise ConfigError(
            f"{kind.__name__}.{name} is called with {' and '.join(given[1:]) or 'nothing'}, and "
            f"takes {taken}: write '{word} {name}({', '.join(given)})'{_place(handler)}"
        ) from None


def _place(function: Any) -> str:
    """`` (my.py line 3)``: where a function is written, as far as it says so."""
    code = getattr(function, "__code__", None)
    return f" ({Path(code.co_filename).name} line {code.co_firstlineno})" if code else ""


def base_of(kind: Any) -> Any:
    """The class that has all handlers, and none that does anything."""
    return next(one for one in reversed(kind.__mro__) if vars(one).keys() >= set(HANDLERS))


@lru_cache(maxsize=1024)
def oddities(kind: Any) -> tuple[str, ...]:
    """What in ``kind`` looks like a handler, or an option, and is none: a sentence for each.

    A method that another one of the class mentions is no riddle: it is called. Raises `ConfigError`
    where there is such a method and no handler at all, for then the class would do nothing.
    """
    own = [base for base in kind.__mro__ if not is_ours(base.__module__) and base is not object]
    ours = {name for base in kind.__mro__ if base not in own for name in vars(base)}
    mentioned = {name for base in own for name in _mentioned(base)}
    told: list[str] = []
    for base in reversed(own):
        for name, value in vars(base).items():
            if name in ours or name in mentioned or name.startswith("__"):
                continue
            if callable(value):
                told += _strange(base, name)
            elif name not in vars(base).get("__annotations__", {}):
                told += _misspelt(base, name)
    handlers = handlers_of(kind)
    if told and not handlers:
        raise ConfigError(f"{kind.__name__} has no handler and would do nothing: {told[0]}")
    return tuple(told)


def _strange(kind: Any, name: str) -> Iterator[str]:
    meant = suggestion(name, HANDLERS, _ELSEWHERE)
    looks = name.startswith("on_") or (name[:2] == "on" and name[2:3].isupper())
    if meant is None and not looks:
        return
    told = f"did you mean {meant}?" if meant else f"those are: {', '.join(HANDLERS)}"
    yield f"{kind.__name__}.{name} is no handler and is never called; {told}"


def _misspelt(kind: Any, name: str) -> Iterator[str]:
    meant = suggestion(name, OPTIONS)
    if meant is not None:
        yield f"{kind.__name__}.{name} is nothing that we read; did you mean {meant}?"


@lru_cache(maxsize=1024)
def mentions(kind: Any, name: str) -> bool:
    """Whether a method of ``kind``, or of a class that it is written from, mentions ``name``; those
    of the base itself do not count."""
    base = base_of(kind)
    own = [one for one in kind.__mro__ if issubclass(one, base) and one is not base]
    return any(name in _mentioned(one) for one in own)


def _mentioned(kind: Any) -> Iterator[str]:
    """The names of attributes and variables in the code of the methods that ``kind`` was written
    with: those that attrs makes mention names of its own."""
    for _, function in functions_of(kind):
        yield from _names(function.__code__)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
        elif isinstance(constant, str):
            yield constant  # getattr(self, "on_signal")
