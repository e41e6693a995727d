"""``--set NAME=VALUE``: parameters of a strategy from text, by what the strategy says they are."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

import attrs

from backtest.errors import ConfigError
from backtest.strategies import Strategy
from backtest.strategies.parameters import hint_for, hints_of

__all__ = ["make", "parameters_from"]

_TRUTH = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


def parameters_from(cls: type[Strategy], given: Iterable[str], pairs: list[str]) -> dict[str, Any]:
    """The parameters of ``cls`` that ``given`` (``"fast=10"``) set, as the types they have.

    The type is the annotation's, else that of the default. A parameter called ``pair`` that is not
    given gets the run's pair where there is only one and its default is another. Raises
    `ConfigError` for a name that is no parameter, a value that does not fit, and for parameters
    without a default that are not given.
    """
    fields = {field.name: field for field in attrs.fields(cls) if field.init}  # type: ignore[arg-type]
    hints = hints_of(cls)
    values: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ConfigError(f"--set takes NAME=VALUE, not {text!r}")
        if name not in fields:
            told = hint_for(cls, name) or _known(cls, fields)
            raise ConfigError(f"{cls.__name__} has no parameter {name!r}; {told}")
        if name in values:
            raise ConfigError(f"parameter {name!r} is set twice")
        values[name] = _parsed(name, value.strip(), hints.get(name), fields[name].default)
    pair = fields.get("pair")
    if pair is not None and "pair" not in values and len(pairs) == 1 and pair.default not in pairs:
        values["pair"] = pairs[0]
    missing = [
        name
        for name, field in fields.items()
        if field.default is attrs.NOTHING and name not in values
    ]
    if missing:
        raise ConfigError(
            f"{cls.__name__} needs a value for {missing[0]!r}: add --set {missing[0]}=VALUE"
        )
    return values


def make(cls: type[Strategy], values: Mapping[str, Any]) -> Strategy:
    """An instance; `ConfigError` when the strategy itself refuses its parameters."""
    try:
        return cls(**values)
    except Exception as error:
        told = ", ".join(f"{name}={value}" for name, value in values.items())
        raise ConfigError(
            f"cannot make {cls.__name__}({told}): {type(error).__name__}: {error}"
        ) from error


def _known(cls: type[Strategy], fields: Mapping[str, Any]) -> str:
    if not fields:
        return "it has none"
    told = [
        name if field.default is attrs.NOTHING else f"{name} (now {_default(field.default)})"
        for name, field in fields.items()
    ]
    return f"it has: {', '.join(told)}"


def _default(value: Any) -> str:
    return "made anew for each run" if isinstance(value, attrs.Factory) else str(value)  # type: ignore[arg-type]


def _parsed(name: str, text: str, hint: Any, default: Any) -> Any:
    """``text`` as the first type of the annotation that it can be."""
    kinds = _kinds(hint)
    if not kinds:
        kinds = [type(default)] if default is not attrs.NOTHING and default is not None else [str]
    problems = []
    for kind in kinds:
        try:
            return _as(name, text, kind)
        except ConfigError as problem:
            problems.append(problem)
    raise problems[0]


def _kinds(hint: Any) -> list[Any]:
    """The types of an annotation; None for ``None``; nothing where it says nothing."""
    if hint is None or hint is Any:
        return []
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        # A text can always be a str, so that comes last; None only by its own word.
        parts = [part for part in typing.get_args(hint) if part is not str]
        return [*parts, str] if str in typing.get_args(hint) else parts
    return [hint]


def _as(name: str, text: str, kind: Any) -> Any:
    if kind is type(None):
        if text.lower() in ("none", ""):
            return None
        raise ConfigError(f"{name} must be none, not {text!r}")
    if kind is bool:
        truth = _TRUTH.get(text.lower())
        if truth is None:
            raise ConfigError(f"{name} must be true or false, not {text!r}")
        return truth
    if kind is int:
        return _whole(name, text)
    if kind is Decimal:
        return _decimal(name, text)
    if kind is str:
        return text
    if kind is float:
        raise ConfigError(
            f"{name} is a float, which cannot hold most decimal numbers exactly: declare it in the "
            f"strategy as {name}: Decimal = Decimal({text!r})"
        )
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _member(name, text, kind)
    told = getattr(kind, "__name__", str(kind))
    raise ConfigError(
        f"{name} is of type {told}, which cannot be given on the command line: int, Decimal, str "
        "and bool can; set it in the strategy's code"
    )


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{name} must be a whole number, not {text!r}") from None


def _decimal(name: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ConfigError(f"{name} must be a number, not {text!r}") from None
    if not value.is_finite():
        raise ConfigError(f"{name} must be a finite number, not {text!r}")
    return value


def _member(name: str, text: str, kind: type[Enum]) -> Enum:
    for member in kind:
        if member.name.lower() == text.lower():
            return member
    raise ConfigError(f"{name} must be one of {', '.join(m.name for m in kind)}, not {text!r}")
