"""Numbers as they lie in the page: small, and as the page's script unpacks them.

Times are milliseconds since 1970 UTC, prices whole steps of ten to some power; of both a column
holds the first one and then differences. What is looked at one by one lies in compressed chunks.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import floor, log10
from typing import Any

from backtest.money import plain

__all__ = ["differences", "json_text", "milliseconds", "packed", "places_of", "steps"]

_DIGITS = 7
"""Digits that a drawn price has at most: more than a screen tells apart."""
_MILLISECOND = 1_000_000


def milliseconds(time_ns: int) -> int:
    """A time in nanoseconds in whole milliseconds, as browsers count."""
    return time_ns // _MILLISECOND


def differences(values: Iterable[int]) -> list[int]:
    """The first value, then how much each is more than the one before."""
    found, before = [], 0
    for value in values:
        found.append(value - before)
        before = value
    return found


def places_of(increment: Decimal | None, highest: float) -> int:
    """With how many digits after the point prices up to ``highest`` are drawn."""
    most = max(_DIGITS - 1 - floor(log10(highest)), 0) if highest > 0 else _DIGITS
    return most if increment is None else min(len(plain(increment).partition(".")[2]), most)


def steps(values: Iterable[float], places: int) -> list[int]:
    """Values as whole steps of a number with so many ``places`` after the point."""
    scale = 10.0**places
    return [round(value * scale) for value in values]


def json_text(value: Any) -> str:
    """JSON without a space."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def packed(values: Sequence[Any]) -> str:
    """A list as JSON, deflated (RFC 1951), in letters: it needs no escaping anywhere.

    The same for the same values and zlib.
    """
    text = json_text(values).encode("utf-8", "surrogatepass")
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b64encode(squeezer.compress(text) + squeezer.flush()).decode("ascii")
