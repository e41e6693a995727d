"""What all reference models share: the shape of a model, comparing outcomes, shrinking lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

__all__ = ["Case", "Model", "Outcome", "Unclear", "differences", "shorter", "with_field"]

Case: TypeAlias = dict[str, Any]
"""A scenario as plain data; its ``repr`` is code."""
Outcome: TypeAlias = dict[str, Any]
"""What came of a case, as plain data; numbers are `Decimal`, compared by value."""


class Unclear(Exception):
    """The rules do not settle this case: it is counted and left out. The text says which rule."""


class Model(Protocol):
    """What a module must have to be a model."""

    def draw(self, seed: int, /) -> Case: ...

    def expect(self, case: Case, /) -> Outcome: ...

    def play(self, case: Case, /) -> Outcome: ...

    def smaller(self, case: Case, /) -> Iterator[Case]: ...


def differences(expected: Any, actual: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The places at which two outcomes differ, as ``(place, expected, actual)``, in their order."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for key in dict.fromkeys((*expected, *actual)):
            if key not in expected or key not in actual:
                yield f"{where}.{key}", expected.get(key), actual.get(key)
            else:
                yield from differences(expected[key], actual[key], f"{where}.{key}")
    elif _is_list(expected) and _is_list(actual):
        for at, (one, other) in enumerate(zip(expected, actual, strict=False)):
            yield from differences(one, other, f"{where}[{at}]")
        if len(expected) != len(actual):
            at = min(len(expected), len(actual))
            yield f"{where}[{at}:]", expected[at:], actual[at:]
    elif expected != actual:
        yield where, expected, actual


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def shorter(items: Sequence[Any]) -> Iterator[list[Any]]:
    """``items`` with halves left out, then with each one left out, the last first."""
    half = len(items) // 2
    if half > 1:
        yield list(items[:half])
        yield list(items[half:])
    for at in reversed(range(len(items))):
        yield [*items[:at], *items[at + 1 :]]


def with_field(case: Case, name: str, value: Any) -> Case:
    """``case`` with one field set anew."""
    return {**case, name: value}
