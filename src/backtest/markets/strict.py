"""Tables in which every key must be known: a typing error is told, with what was meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from backtest.errors import ConfigError

__all__ = ["known_keys", "meant"]


def meant(word: Any, known: Iterable[str]) -> str:
    """``; did you mean 'count'?``, where something known is near to ``word``; else nothing."""
    near = get_close_matches(str(word), list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def known_keys(table: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise `ConfigError` for the first key of ``table`` that is not one of ``known``."""
    names = list(known)
    for key in table:
        if key not in names:
            told = meant(key, names) or f"; known: {', '.join(names)}"
            raise ConfigError(f"{where} has no key {key!r}{told}")
