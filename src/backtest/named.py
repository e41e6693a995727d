"""Enumerations that compare with the words that people write for them."""

from __future__ import annotations

from enum import Enum

__all__ = ["Named"]


class Named(Enum):
    """Members equal their names as text, in upper or lower case, and nothing else.

    Without it ``order.status == "FILLED"`` would be False in silence. In sets and dictionaries the
    text that stands for a member is its name in upper case.

    >>> class Light(Named):
    ...     RED = "r"
    >>> Light.RED == "red", Light.RED == "RED", Light.RED == "r"
    (True, True, False)
    """

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return type(self).__members__.get(other.upper()) is self
        return self is other

    __hash__ = Enum.__hash__
