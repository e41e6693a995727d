"""Keywords that nobody knows: the error that says which one was meant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import wraps
from inspect import Parameter, signature
from typing import Any, ParamSpec, TypeVar

from backtest.errors import FieldTypeError
from backtest.spelling import suggestion

__all__ = ["WORDS", "known_words", "unknown_keyword"]

P = ParamSpec("P")
R = TypeVar("R")

WORDS = {
    "price": "limit_price",
    "limit": "limit_price",
    "at": "limit_price",
    "stop": "stop_price",
    "trigger": "stop_price",
    "triggerprice": "stop_price",
    "sl": "stop_loss",
    "stoplossprice": "stop_loss",
    "tp": "take_profit",
    "target": "take_profit",
    "takeprofitprice": "take_profit",
    "tif": "time_in_force",
    "timeinforce": "time_in_force",
    "validuntil": "expires",
    "ttl": "expires",
    "size": "volume",
    "amount": "volume",
    "qty": "volume",
    "quantity": "volume",
    "symbol": "pair",
    "ticker": "pair",
    "instrument": "pair",
    "lever": "leverage",
    "maker": "post_only",
    "trailpct": "trail_percent",
    "trailingstop": "trail",
}
"""How else people call what an order takes, capitals and underscores left out."""


def known_words(function: Callable[P, R]) -> Callable[P, R]:
    """Have the method ``function`` say of a keyword that it does not know which one was meant, and
    what is missing: Python itself would name the latter alone, however nearly it was given."""
    parameters = signature(function).parameters
    known = frozenset(parameters)
    needed = [one.name for one in parameters.values() if one.default is Parameter.empty]

    @wraps(function)
    def called(*given: P.args, **named: P.kwargs) -> R:
        if named and not known.issuperset(named):
            strange = [name for name in named if name not in parameters]
            raise unknown_keyword(strange, function, WORDS)
        if len(given) < len(needed):
            for name in needed[len(given) :]:
                if name not in named:
                    raise _missing(name, function)
        return function(*given, **named)

    return called


def _missing(name: str, function: Callable[..., Any]) -> FieldTypeError:
    call = f"self.{function.__name__}({name})"
    if function.__annotations__.get("return", "").startswith("AsyncIterator"):
        call = f"async for one in {call}"
    return FieldTypeError(name, f"is missing in {function.__name__}(): {call}")


def unknown_keyword(
    given: Collection[str], function: Callable[..., Any], also: Mapping[str, str] | None = None
) -> FieldTypeError:
    """The error for the first of ``given``, which ``function`` does not take."""
    known = [
        one.name
        for one in signature(function).parameters.values()
        if one.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL) and one.name != "self"
    ]
    name = next(iter(given))
    meant = suggestion(name, known, also)
    told = f"did you mean {meant}?" if meant else f"it takes: {', '.join(known)}"
    return FieldTypeError(name, f"is no argument of {function.__name__}(); {told}")
