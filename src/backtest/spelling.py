"""What was meant by a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

__all__ = ["suggestion"]


def suggestion(
    word: str, known: Iterable[str], also: Mapping[str, str] | None = None
) -> str | None:
    """The one of ``known`` that is nearest to ``word``; None where none is near.

    ``also`` maps other words for the same things, capitals and underscores left out, to names; one
    that is known comes before what is merely spelt alike.
    """
    names = list(known)
    bare = _bare(word)
    meant = (also or {}).get(bare)
    if meant in names:
        return meant
    for name in names:
        if _bare(name) == bare:
            return name
    near = get_close_matches(word, names, 1, 0.7)
    return near[0] if near else None


def _bare(word: str) -> str:
    return word.replace("_", "").lower()
