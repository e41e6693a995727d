"""What an environment needs of a run, whatever kind of market it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from backtest.actors import System
from backtest.gym.learner import Learner

__all__ = ["Simulation", "Simulations"]


class Simulation(Protocol):
    """One run with the learner in it: a `BacktestRunner`, say."""

    def prepare(self) -> System:
        """Assemble the actors; nothing runs yet."""

    def end_ns(self) -> int | None:
        """When it ends; None where that is known only when it does."""

    def result(self) -> Any:
        """What it has come to."""


class Simulations(Protocol):
    """Makes the run of each episode."""

    def __call__(
        self, learner: Learner, name: str, seed: int, options: Mapping[str, Any]
    ) -> Simulation:
        """A run with ``learner`` in it as ``name``; ``options`` are those of `Env.reset`."""
