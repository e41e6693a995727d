"""Returns that the tests of statistics share: the same everywhere, by integers alone."""

from __future__ import annotations

from decimal import Decimal as D

__all__ = ["BENCHMARK", "RETURNS", "drawn"]


def drawn(count: int, seed: int, scale: int) -> list[D]:
    """Returns from -980 to 1020 of ``scale``, by a linear congruential generator."""
    found, state = [], seed
    for _ in range(count):
        state = (1103515245 * state + 12345) % 2**31
        found.append(D(state % 2001 - 980) / D(scale))
    return found


RETURNS = drawn(250, 7, 50_000)
BENCHMARK = drawn(250, 11, 60_000)
