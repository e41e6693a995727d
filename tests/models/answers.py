"""What a venue answers where the rules say that it refuses, but not for which of the reasons."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["AnyOf", "refusal"]


class AnyOf(frozenset[str]):
    """A command that breaks several rules is refused for one of them."""

    def __eq__(self, other: object) -> bool:
        return other in self

    def __ne__(self, other: object) -> bool:
        return other not in self

    def __hash__(self) -> int:
        return super().__hash__()


def refusal(reasons: Iterable[str]) -> str | AnyOf:
    """The reason, or one of the reasons."""
    found = AnyOf(reasons)
    return found if len(found) > 1 else next(iter(found))
