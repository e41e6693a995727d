"""How late a strategy looked at what it was sent, and where it was held meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .deadlock import line_of

if TYPE_CHECKING:
    from .fiber import Fiber

__all__ = ["Lateness"]


class Lateness:
    """Counts the market events at which one line of a strategy looked when newer ones had come."""

    __slots__ = ("count", "line", "most")

    def __init__(self) -> None:
        self.count = 0
        self.most = 0
        """By how much at most, in nanoseconds."""
        self.line = ""
        """Where it waited when it first fell behind."""

    def holds(self, fiber: Fiber | None) -> None:
        """A second event has come, and ``fiber`` has not taken the first."""
        if not self.line and fiber is not None and fiber.alive:
            self.line = line_of(fiber.task)

    def saw(self, event: Any, newest: Any, now: int) -> None:
        """``event`` is looked at while ``newest`` waits."""
        if newest.close_ns > event.close_ns:
            self.count += 1
            self.most = max(self.most, now - event.close_ns)
