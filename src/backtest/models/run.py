"""The run: one backtest, from a seed and a span of time."""

from __future__ import annotations

from uuid import UUID

from attrs import frozen

from backtest.errors import FieldError
from backtest.models._show import instant, shown
from backtest.models._validate import check_count

__all__ = ["BacktestRun"]


@frozen(slots=False)
class BacktestRun:
    """A run's identity: its id, seed, and span in nanoseconds since 1970 UTC where known."""

    run_id: UUID
    seed: int
    start_ns: int | None = None
    end_ns: int | None = None

    def __attrs_post_init__(self) -> None:
        check_count(self.seed, "seed")
        for name in ("start_ns", "end_ns"):
            if getattr(self, name) is not None:
                check_count(getattr(self, name), name)
        if self.start_ns is not None and self.end_ns is not None and self.end_ns < self.start_ns:
            raise FieldError("end_ns", "must not lie before start_ns")

    def __repr__(self) -> str:
        span = [None if ns is None else instant(ns) for ns in (self.start_ns, self.end_ns)]
        return shown(self, ("seed", self.seed), ("from", span[0]), ("to", span[1]), self.run_id)
