"""What came of a seed, in figures."""

from __future__ import annotations

import attrs

__all__ = ["Outcome"]


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of a seed."""

    seed: int
    events: int
    """Messages delivered."""
    sha256: str
    """Of the journal, the order events and the log, and of all that was heard at the bank."""
    ended: str
    """``resolved``, ``crashed`` (as planned), or ``failed``."""
    invariant: str
    """Which invariant did not hold; the name of the error where it was another; or nothing."""
    problem: str
    fired: dict[str, int]
    crashes: dict[str, int]
    simulated_ns: int
    orders: int
    fills: int
    entries: int
    checks: int
    kinds: dict[str, int]
    """Order events by kind."""
    reasons: dict[str, int]
    """Refusals and ends by reason."""
    transfers: int = 0
    """Entries at the bank."""
    writes: int = 0
    """Calls of the storage that its books were written to."""

    @property
    def is_good(self) -> bool:
        return not self.invariant
