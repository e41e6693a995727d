"""A property that a strategy may hide behind an attribute of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["readable"]

if TYPE_CHECKING:
    readable = property
else:

    class readable:
        """Like `property`, but ``self.name = "x"`` in a handler sets an attribute of the strategy's
        own instead of failing."""

        def __init__(self, get: Callable[[Any], Any]) -> None:
            self._get = get
            self.__doc__ = get.__doc__

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            return self if instance is None else self._get(instance)
