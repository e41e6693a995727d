"""Chance from one seed: a stream of its own for everything that is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import TypeVar

__all__ = ["draw_weighted", "power", "stream"]

T = TypeVar("T")


def stream(seed: int, name: str) -> Random:
    """The stream called ``name``: what one part of a world draws never changes another part."""
    # A text as seed goes through SHA-512, the same in every process and for every hash seed.
    return Random(f"simulation/{seed}/{name}")


def power(chance: Random, low: int, high: int) -> Decimal:
    """A power of ten between 10**low and 10**high."""
    return Decimal(1).scaleb(chance.randint(low, high))


def draw_weighted(chance: Random, choices: Sequence[tuple[T, int]]) -> T:
    """One of ``choices`` by weight, in integers: no float decides."""
    point = chance.randrange(sum(weight for _, weight in choices))
    for value, weight in choices:
        point -= weight
        if point < 0:
            return value
    raise AssertionError("the weights sum to more than was drawn")
