"""What a strategy host needs of the strategy that lives in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from backtest.actors.protocol import BalanceUpdate, Kind, OrderEvent, Welcome

if TYPE_CHECKING:
    from .host import StrategyHost

__all__ = ["Handler", "Handlers", "Hosted", "Timer", "Unseen"]

Handler = Callable[..., Any]


class Handlers(NamedTuple):
    """What a strategy overrides; None where it does not."""

    on_start: Handler | None
    on_bar: Handler | None
    on_quote: Handler | None
    on_trade: Handler | None
    on_depth: Handler | None
    on_snapshot: Handler | None
    on_message: Handler | None
    on_order: Handler | None
    on_timer: Handler | None
    on_stop: Handler | None
    run: Handler | None


class Hosted(Protocol):
    """What the host needs of a strategy."""

    def _host_computation(self) -> int:
        """How long every wake-up keeps it busy, unless the host is told."""

    def _host_wants(self) -> frozenset[Kind]:
        """The kinds of market data for which it has handlers."""

    def _host_joined(self, host: StrategyHost, welcome: Welcome) -> Handlers:
        """It has a host and knows pairs, accounts and balances now."""

    def _host_applies(self, event: OrderEvent | BalanceUpdate) -> None:
        """Bring balances, positions and handles up to date; never waits."""

    def _host_ended(self) -> None:
        """The run is over: whatever still waits for an order waits in vain."""


class Unseen(NamedTuple):
    """Market events that a strategy was sent and never looked at, or only when newer had come."""

    events: int
    """How many it never saw."""
    line: str
    """Where it waited meanwhile."""
    late: int = 0
    """How many it saw late."""
    behind: int = 0
    """By how many nanoseconds at most."""


class Timer(NamedTuple):
    """A timer that a strategy set."""

    name: str
    every: int
    """Its period in nanoseconds; 0 for a single shot."""
    number: int
