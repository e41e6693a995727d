"""The time that a strategy takes to think, charged to simulated time."""

from __future__ import annotations

__all__ = ["Thinking"]


class Thinking:
    """Until when a strategy is busy: what it does leaves it then, and it wakes up no earlier.

    As ABIDES charges it (``agent_computation_delays`` of its kernel, and ``delay`` of its agents):
    ``fixed`` nanoseconds for every wake-up, and what the strategy adds by `add` for what it sends
    from then on.
    """

    __slots__ = ("fixed", "free")

    def __init__(self, fixed: int = 0) -> None:
        self.fixed = fixed
        self.free = 0
        """When it is free again, in nanoseconds."""

    def wake(self, now: int) -> None:
        """It wakes up: that alone takes its time."""
        self.free = max(now, self.free) + self.fixed

    def add(self, now: int, ns: int) -> None:
        """It thinks for so much longer."""
        self.free = max(now, self.free) + ns
