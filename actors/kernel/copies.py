"""What stands for the machinery of a run in a copy of what ran in it, or in another process."""

from __future__ import annotations

from typing import Any, NoReturn

from backtest.errors import SimulationEnded

__all__ = ["Ended", "ends_in_copies"]


class Ended:
    """Nothing can be asked of it. A strategy itself knows its state, orders and balances."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # asked by copy, pickle and the like, whether it is there
            raise AttributeError(name)
        raise SimulationEnded(
            "this is a copy of what ran in a simulation: it can be asked what it knows, and takes "
            "no part in any run until it is given to one"
        )


def ends_in_copies(self: Any, protocol: Any = None) -> tuple[Any, ...]:
    """``__reduce_ex__`` of what only lives in its event loop: `Ended` stands for it."""
    return Ended, ()
