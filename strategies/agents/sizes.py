"""How large the orders of a careless agent are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import sqrt
from random import Random
from types import MappingProxyType

from backtest.errors import FieldError
from backtest.money import mul
from backtest.services.draws import exponential

__all__ = ["drawn_size"]

_LARGEST = 50.0


def _fixed(random: Random) -> float:
    return 1.0


def _pareto(random: Random) -> float:
    """Mean 1, tail exponent 2, cut at 50: large orders are rare and very large."""
    return min(0.5 / sqrt(1.0 - random.random()), _LARGEST)


_KINDS: Mapping[str, Callable[[Random], float]] = MappingProxyType(
    {"exponential": exponential, "fixed": _fixed, "pareto": _pareto}
)


def drawn_size(kind: str, mean: Decimal, least: Decimal, random: Random) -> Decimal:
    """A volume with this mean: ``"fixed"``, ``"exponential"`` or ``"pareto"``; not rounded, but at
    ``least`` so much."""
    draw = _KINDS.get(kind)
    if draw is None:
        raise FieldError("sizes", f"must be one of {', '.join(_KINDS)}, not {kind!r}")
    if mean <= 0:
        raise FieldError("size", f"must be above zero, not {mean}")
    return max(mul(mean, Decimal(repr(draw(random)))), least)
