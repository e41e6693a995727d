"""How models show themselves: on one line, with what a person wants to see."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import attrs

from backtest.money import plain
from backtest.times import format_ns, moment

__all__ = ["called", "instant", "shown", "sized"]


def shown(item: object, *words: object) -> str:
    """``<Kind word word>``: numbers plain, members by name, ids by their beginning; what is None or
    empty is left out. Words that are pairs are a name and a value, and go with the value."""
    told = [type(item).__name__]
    for word in words:
        if isinstance(word, tuple):
            name, value = word
            if value is not None:
                told.append(f"{name} {_text(value)}")
        elif word is not None and word != "":
            told.append(_text(word))
    return f"<{' '.join(told)}>"


def instant(ns: int) -> str:
    """A time in nanoseconds: ``1970-01-01 00:05``, UTC."""
    return moment(format_ns(ns))


def sized(price: Decimal, size: Decimal | None) -> str:
    """A price and the volume there is at it, where that is known: ``99.5 x 3``."""
    return plain(price) if size is None else f"{plain(price)} x {plain(size)}"


def called(item: Any) -> str:
    """``Kind(1, name=2)``: nothing is lost but what is as it is when left out."""
    told = []
    for one in attrs.fields(type(item)):
        value = getattr(item, one.name)
        if one.default is attrs.NOTHING:
            told.append(_argument(value))
        elif value != _default(one):
            told.append(f"{one.name}={_argument(value)}")
    return f"{type(item).__name__}({', '.join(told)})"


def _default(one: Any) -> Any:
    default = one.default
    value = default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]
    return value if one.converter is None else one.converter(value)


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, UUID):
        return str(value)[:8]
    if isinstance(value, datetime):
        return moment(value.isoformat())
    return value.name if isinstance(value, Enum) else str(value)


def _argument(value: object) -> str:
    if isinstance(value, Decimal | Enum):
        return _text(value)
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(_argument, value)))}}}"  # a set has no order of its own
    if isinstance(value, Mapping):
        told = ", ".join(f"{_argument(key)}: {_argument(one)}" for key, one in value.items())
        return f"{{{told}}}"
    if isinstance(value, tuple) and type(value) is tuple:
        return f"[{', '.join(map(_argument, value))}]"
    return repr(value)
