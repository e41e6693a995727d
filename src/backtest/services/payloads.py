"""What agents may say to each other: values that nobody can change after they were said."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import attrs

from backtest.errors import FieldTypeError
from backtest.models._frozen_map import FrozenMap

__all__ = ["check_payload"]

_PLAIN = frozenset(
    (
        type(None),
        bool,
        int,
        float,
        str,
        bytes,
        Decimal,
        datetime,
        date,
        time,
        timedelta,
        UUID,
    )
)
_frozen: dict[type, bool] = {}
"""Whether a class of attrs or dataclasses is frozen, as it was found out."""


def check_payload(value: Any, where: str = "payload") -> None:
    """Refuse what could be changed by one of those who hold it.

    Good are numbers, text, times, `UUID`, enumerations and ``None``; tuples, named tuples and
    frozen sets of what is good; and instances of frozen attrs classes (every model of this package)
    and frozen dataclasses whose fields are good. Raises `FieldTypeError`, which says where in
    ``value`` the other thing is.

    >>> check_payload(("bid", Decimal("99.5"), (1, 2)))
    >>> check_payload(("bid", [1, 2]))
    Traceback (most recent call last):
    ...
    backtest.errors.FieldTypeError: payload[1] is a list, which can be changed after it was sent: \
send tuples, text, numbers, or frozen attrs classes of them
    """
    kind = type(value)
    if kind in _PLAIN or isinstance(value, Enum):
        return
    if isinstance(value, tuple):
        names = getattr(kind, "_fields", None)
        for place, one in enumerate(value):
            check_payload(one, f"{where}.{names[place]}" if names else f"{where}[{place}]")
        return
    if kind is frozenset:
        for one in value:
            check_payload(one, f"{where}'s {one!r}")
        return
    if kind is FrozenMap:
        for key, one in value.items():
            check_payload(key, f"{where}'s key {key!r}")
            check_payload(one, f"{where}[{key!r}]")
        return
    frozen = _frozen.get(kind)
    if frozen is None:
        frozen = _frozen[kind] = _is_frozen(value)
    if not frozen:
        raise FieldTypeError(
            where,
            f"is a {kind.__name__}, which can be changed after it was sent: send tuples, text, "
            "numbers, or frozen attrs classes of them",
        )
    for name in _names(kind):
        check_payload(getattr(value, name), f"{where}.{name}")


def _names(kind: type) -> list[str]:
    if attrs.has(kind):
        return [one.name for one in attrs.fields(kind)]
    return [one.name for one in dataclasses.fields(kind)]


def _is_frozen(value: Any) -> bool:
    """Whether the class of ``value`` refuses to have its fields set; tried, for attrs does not
    tell in all of its versions."""
    kind = type(value)
    if not attrs.has(kind):
        parameters = getattr(kind, "__dataclass_params__", None)
        return parameters is not None and bool(parameters.frozen)
    try:
        # Its name is no field: where setting is possible this leaves no trace on any field.
        value.__backtest_probe__ = None
    except attrs.exceptions.FrozenInstanceError:
        return True
    except AttributeError:
        return False  # slotted, not frozen
    del value.__backtest_probe__
    return False
