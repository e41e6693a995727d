"""Who lives in a system: its actors, and the lines of execution that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .actor import Actor
    from .fiber import Fiber

__all__ = ["Population"]


class Population:
    """The actors by name, their fibers in the order of their making, and whose each one is."""

    __slots__ = ("actors", "fibers", "owners")

    def __init__(self) -> None:
        self.actors: dict[str, Actor] = {}
        self.fibers: dict[Fiber, None] = {}
        """All that have not ended for good."""
        self.owners: dict[Fiber, Actor] = {}

    def lines_of(self, actor: Actor) -> list[Fiber]:
        """The lines of execution of ``actor``, its own fiber first."""
        return [fiber for fiber, owner in self.owners.items() if owner is actor]

    def alive(self) -> list[Fiber]:
        """The fibers whose tasks have not ended."""
        return [fiber for fiber in self.fibers if fiber.alive]

    def forget(self, fiber: Fiber) -> None:
        """A line has ended for good: an actor may start any number of them."""
        del self.fibers[fiber], self.owners[fiber]
