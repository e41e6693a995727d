"""The parameters of strategies: what their annotations say, and what was given for them."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from functools import lru_cache, wraps
from typing import Any

import attrs

from backtest.errors import FieldError, FieldTypeError
from backtest.money import decimal_of
from backtest.spelling import suggestion

__all__ = ["checking", "hint_for", "hints_of", "kinds_of", "parameters_of", "take_defaults"]

_WORDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "True or False",
    type(None): "None",
}


def parameters_of(strategy: Any) -> dict[str, Any]:
    """The parameters of a strategy and their values, whatever it has called its own attributes."""
    cls = type(strategy)
    if not attrs.has(cls):
        return {}  # the base itself, which has none
    held = vars(strategy)
    return {
        one.name: held[one.name] if one.name in held else getattr(strategy, one.name)
        for one in attrs.fields(cls)
        if one.init
    }


def take_defaults(cls: type[Any]) -> None:
    """Let a plain ``fast = 7`` in a subclass be the new default of a parameter that its base has.

    Without its annotation attrs would go on with the old one, and nobody would notice.
    """
    given = vars(cls).get("__annotations__", {})
    inherited: dict[str, Any] = {}
    for base in cls.__mro__[:0:-1]:
        if attrs.has(base):
            inherited |= {one.name: one.type for one in attrs.fields(base) if one.init}
    missing = [
        name
        for name, value in vars(cls).items()
        if name in inherited and name not in given and not _is_code(value)
    ]
    if missing:
        cls.__annotations__ = {**given, **{name: inherited[name] for name in missing}}


def checking(cls: Any, made: Callable[..., None]) -> Callable[..., None]:
    """``made``, the constructor of ``cls``, which looks at names and types of what it is given."""

    @wraps(made)
    def __init__(self: Any, *args: Any, **given: Any) -> None:
        whole = type(self) is cls  # not from the constructor of a subclass of it
        if whole:
            for name in given:
                if name not in _fields(cls):
                    told = hint_for(cls, name) or f"it has: {', '.join(_fields(cls)) or 'none'}"
                    raise FieldTypeError(name, f"is no parameter of {cls.__name__}; {told}")
        made(self, *args, **given)
        if whole:
            held = vars(self)
            for name, (kinds, default) in _fields(cls).items():
                if kinds and name in held:
                    held[name] = _fitting(name, held[name], kinds, default)

    return __init__


def hint_for(cls: Any, name: str) -> str | None:
    """What to do where ``cls`` has no parameter called ``name``; None where nothing is near."""
    if name in _plain(cls):
        value = getattr(cls, name)
        return f"it has no annotation: write {name}: {type(value).__name__} = {value!r}"
    meant = suggestion(name, _fields(cls))
    return f"did you mean {meant!r}?" if meant else None


def _plain(cls: Any) -> set[str]:
    """Values in the body of ``cls`` (or of a base of the user's) that have no annotation."""
    names: set[str] = set()
    for base in cls.__mro__:
        if attrs.has(base):
            names |= {name for name, value in vars(base).items() if not _is_code(value)}
    return {name for name in names if not name.startswith("_")} - set(_fields(cls))


def _is_code(value: Any) -> bool:
    return callable(value) or hasattr(value, "__get__")


@lru_cache(maxsize=1024)
def _fields(cls: Any) -> Mapping[str, tuple[list[Any], Any]]:
    """Of each parameter the types that it may have (nothing: any), and its default."""
    hints = hints_of(cls)
    return {
        one.name: (
            [] if one.converter is not None else kinds_of(hints.get(one.name)),
            one.default,
        )
        for one in attrs.fields(cls)
        if one.init
    }


def hints_of(cls: type[Any]) -> dict[str, Any]:
    """The annotations of ``cls`` and its bases as types; one that cannot be read is left out."""
    try:
        return typing.get_type_hints(cls)
    except Exception:  # one of them exists for a type checker only: take the others one by one
        pass
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        module = sys.modules.get(base.__module__)
        for name, hint in vars(base).get("__annotations__", {}).items():
            try:
                read = typing.get_type_hints(
                    types.SimpleNamespace(__annotations__={name: hint}), vars(module)
                )
            except Exception:
                hints.pop(name, None)
            else:
                hints |= read
    return hints


def kinds_of(hint: Any) -> list[Any]:
    """The types that an annotation allows, unions taken apart; nothing where anything goes."""
    if hint is None or hint is Any:
        return []
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        kinds: list[Any] = []
        for part in typing.get_args(hint):
            own = [part] if part is type(None) else kinds_of(part)
            if not own:
                return []
            kinds += own
        return kinds
    if origin is typing.Annotated:
        return kinds_of(typing.get_args(hint)[0])
    kind = hint if origin is None else origin
    if not isinstance(kind, type) or getattr(kind, "_is_protocol", False):
        return []  # a Literal, a type variable, a name for a type checker: not for us to judge
    return [kind]


def _fitting(name: str, value: Any, kinds: list[Any], default: Any) -> Any:
    """``value``, as the parameter's type; raises where it is of another."""
    if value is None and default is None:
        return value  # ``limit: Decimal = None`` says that there may be none
    if any(_is_a(value, kind) for kind in kinds):
        if isinstance(value, Decimal) and not value.is_finite():
            raise FieldError(name, f"must be a finite number, not {value}")
        return value
    if Decimal in kinds and type(value) in (int, str):
        return decimal_of(value, name)
    if isinstance(value, float) and Decimal in kinds:
        raise FieldTypeError(
            name,
            f"must be exact, and {value!r} is a float: give Decimal({str(value)!r})",
        )
    raise FieldTypeError(
        name, f"must be {' or '.join(map(_said, kinds))}, not {value!r} ({type(value).__name__})"
    )


def _is_a(value: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _said(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(f'{kind.__name__}.{one.name}' for one in kind)}"
    return _WORDS.get(kind) or f"a {getattr(kind, '__name__', kind)}"
