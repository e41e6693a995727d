"""What it takes to run the same again: strategies as they were given, rules with another path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy, deepcopy
from typing import Any

from attrs import evolve

from backtest.errors import NotRepeatable
from backtest.models import TradingRules
from backtest.runs.config import RuleBook
from backtest.strategies import Strategy

__all__ = ["book_on_path", "on_path", "refuse_spent", "restored", "snapshot"]

Snapshot = tuple[type[Strategy], dict[str, Any]]


def snapshot(strategy: Strategy) -> Snapshot:
    """A strategy as it is before it has run: its class, and a copy of all its attributes.

    What cannot be copied (a lock, an open file) is shared between the runs.
    """
    return type(strategy), {name: _copy(value) for name, value in vars(strategy).items()}


def restored(kept: Snapshot) -> Strategy:
    """A fresh strategy as it was when ``kept`` was taken."""
    cls, attributes = kept
    strategy: Strategy = object.__new__(cls)
    vars(strategy).update({name: _copy(value) for name, value in attributes.items()})
    return strategy


def _copy(value: Any) -> Any:
    try:
        return deepcopy(value)
    except Exception:  # whatever the value's own __deepcopy__ or __reduce__ raises
        return value


def book_on_path(book: RuleBook, rules: Mapping[str, TradingRules], path: str) -> RuleBook:
    """A rule book in which the pairs of ``rules`` are walked by the path policy of that name."""
    again = copy(book)
    again.by_pair = {code: on_path(one, path) for code, one in rules.items()}
    return again


def on_path(rules: TradingRules, path: str) -> TradingRules:
    """``rules`` with the path policy of that name, instead of whatever they have."""
    fills = rules.fills
    if fills is not None and fills.path is not None:
        fills = evolve(fills, path=None)
    return evolve(rules, path=path, fills=fills)


def refuse_spent(sources: Mapping[str, Any]) -> None:
    """Refuse to read a second time what can be read only once."""
    for code, source in sources.items():
        if isinstance(source, Iterator):
            raise NotRepeatable(
                "can be read only once, and the run is to be repeated: give a file, a "
                "dataframe or a list",
                source=f"the source of {code}",
            )
