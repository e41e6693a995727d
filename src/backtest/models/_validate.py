"""Checks shared by the models; every message begins with the name of the field.

The models check in ``__attrs_post_init__`` and not in converters, so that a type checker sees the
declared types (`Decimal`) at the call and an exact ``int`` still works when the program runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeVar
from uuid import UUID

from backtest.errors import FieldError, FieldTypeError
from backtest.money import ONE, ZERO, strict_decimal

__all__ = [
    "AMOUNT",
    "AMOUNT_IF_SET",
    "AMOUNT_NONE_IS_ZERO",
    "NONE_IS_ONE",
    "NONE_IS_ZERO",
    "NON_NEGATIVE",
    "NON_NEGATIVE_IF_SET",
    "NOT_BELOW_ZERO",
    "POSITIVE",
    "POSITIVE_IF_SET",
    "UNSET",
    "Rule",
    "check_count",
    "check_id",
    "check_member",
    "check_numbers",
    "check_texts",
    "check_times",
    "market_number",
    "number",
]

MOST_PLACES = 50
"""How many digits after the point market data may have."""

UNSET: Final[Any] = None
"""Default of a field that the instance fills in itself: its declared type has no ``None``."""

E = TypeVar("E", bound=Enum)


class Rule:
    """What a number must be (of any sign, not below zero, above zero), or may be left out."""

    __slots__ = ("above_zero", "missing", "optional", "problem", "signed")

    def __init__(
        self,
        problem: str,
        *,
        above_zero: bool = False,
        signed: bool = False,
        optional: bool = False,
        missing: Decimal | None = None,
    ) -> None:
        """``missing`` is what None stands for, where it is no error and no value of its own."""
        self.problem = problem
        self.above_zero = above_zero
        self.signed = signed
        self.optional = optional or missing is not None
        self.missing = missing

    def check(self, value: Decimal, name: str) -> None:
        """Raise `FieldError` when ``value`` breaks the rule."""
        if self.signed:
            return
        if value < ZERO or (self.above_zero and not value):
            raise FieldError(name, self.problem)


POSITIVE: Final = Rule("must be positive", above_zero=True)
POSITIVE_IF_SET: Final = Rule("must be positive if set", above_zero=True, optional=True)
NON_NEGATIVE: Final = Rule("must be non-negative")
NON_NEGATIVE_IF_SET: Final = Rule("must be non-negative", optional=True)
NOT_BELOW_ZERO: Final = Rule("cannot be negative")
AMOUNT: Final = Rule("", signed=True)
AMOUNT_IF_SET: Final = Rule("", signed=True, optional=True)
NONE_IS_ZERO: Final = Rule("must be non-negative", missing=ZERO)
AMOUNT_NONE_IS_ZERO: Final = Rule("", signed=True, missing=ZERO)
NONE_IS_ONE: Final = Rule("must be positive", above_zero=True, missing=ONE)


def number(value: object, name: str, rule: Rule) -> Any:
    """``value`` as a finite `Decimal` that keeps ``rule``; ``None`` only where it may be."""
    if value is None and rule.optional:
        return rule.missing
    checked = strict_decimal(value, name)
    rule.check(checked, name)
    return checked


def _places(value: Decimal) -> int:
    """How many digits after the point are not zeros that end it, where these are too many."""
    raw = -value.as_tuple().exponent  # type: ignore[operator]
    return raw if raw <= MOST_PLACES else len(f"{value:f}".rstrip("0").partition(".")[2])


def market_number(value: object, name: str, rule: Rule) -> Any:
    """The same of market data, which has at most 50 digits after the point, as in files: sums and
    products need the rest."""
    checked = number(value, name, rule)
    if type(checked) is Decimal and _places(checked) > MOST_PLACES:
        raise FieldError(
            name, f"has more than {MOST_PLACES} digits after the point, {checked:.6e}: round it"
        )
    return checked


def check_numbers(values: dict[str, Any], rules: Iterable[tuple[str, Rule]]) -> None:
    """Check the numbers of an instance's ``__dict__``, in the order of ``rules``."""
    for name, rule in rules:
        values[name] = number(values[name], name, rule)


def check_texts(values: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse what is not text, and text with nothing in it."""
    for name in names:
        value = values[name]
        if not isinstance(value, str):
            raise FieldTypeError(name, f"must be text (str), not {type(value).__name__}")
        if not value.strip():
            raise FieldError(name, "cannot be empty")


def check_times(
    values: Mapping[str, Any], names: Iterable[str], *, optional: Iterable[str] = ()
) -> None:
    """Refuse what is not a `datetime`; naive and aware ones are both taken as they are given."""
    for name in names:
        if not isinstance(values[name], datetime):
            raise FieldTypeError(name, f"must be a datetime, not {type(values[name]).__name__}")
    for name in optional:
        value = values[name]
        if value is not None and not isinstance(value, datetime):
            raise FieldTypeError(name, f"must be a datetime if set, not {type(value).__name__}")


def check_member(value: object, name: str, kind: type[E]) -> None:
    """Refuse what is not a member of the enumeration ``kind``."""
    if not isinstance(value, kind):
        choices = ", ".join(f"{kind.__name__}.{member.name}" for member in kind)
        raise FieldTypeError(name, f"must be one of {choices}, not {value!r}")


def check_id(value: object, name: str, *, optional: bool = False) -> None:
    """Refuse what is not a `UUID` (None, too, unless it is ``optional``)."""
    if not isinstance(value, UUID) and not (optional and value is None):
        raise FieldTypeError(name, f"must be a UUID, not {value!r}")


def check_count(value: object, name: str, least: int = 0) -> None:
    """Refuse what is not an `int` of at least ``least`` (0 or 1)."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise FieldTypeError(name, f"must be an int, not {type(value).__name__}")
    if value < least:
        raise FieldError(name, "must be positive" if least else "must be non-negative")
