"""Long runs of one reason made one: what a story tells in a line."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from attrs import define, field

from backtest.analysis.explain.no_fill_reasons import Silence
from backtest.analysis.explain.waits import Wait
from backtest.money import ZERO, add
from backtest.services.fills.no_fill import Why

__all__ = ["Fold", "folded"]


@define(eq=False)
class Fold:
    """One reason on a run of market events."""

    wait: Wait
    why: Why
    only: str
    at_once: bool
    rest: bool
    cause: str
    first: Silence
    last: Silence
    events: int = 0
    nearest: Silence | None = None
    """Where the price came nearest, for reasons of price."""
    pool: Decimal = ZERO
    """The volume that there was on these bars."""
    takers: dict[str, Decimal] = field(factory=dict)
    """Who took how much of it, by the id of the order."""
    kinds: dict[str, None] = field(factory=dict)
    """The kinds of the events: ``bar``, ``quote``, ``trade``."""

    def take(self, one: Silence) -> None:
        """Add a silence with the same reason."""
        self.last = one
        self.events += 1
        self.kinds[type(one.bar).__name__.lower()] = None
        reason = one.reason
        if reason.seen is not None:
            best = None if self.nearest is None else self.nearest.reason.seen
            rises = self.wait.working.rises
            if best is None or (reason.seen > best if rises else reason.seen < best):
                self.nearest = one
        if reason.pool is not None:
            self.pool = add(self.pool, reason.pool)
        for fill in one.takers:
            old = self.takers.get(fill["order_id"], ZERO)
            self.takers[fill["order_id"]] = add(old, Decimal(fill["volume"]))


def folded(found: Iterable[Silence]) -> list[Fold]:
    """``found`` with the silences of one wait that follow each other for one reason made one."""
    folds: list[Fold] = []
    open_folds: dict[Wait, Fold] = {}
    for one in found:
        reason = one.reason
        key = (reason.why, reason.only, one.at_once, one.rest, one.cause)
        fold = open_folds.get(one.wait)
        if fold is None or key != (
            fold.why, fold.only, fold.at_once, fold.rest, fold.cause
        ):  # fmt: skip
            fold = Fold(one.wait, *key, one, one)
            open_folds[one.wait] = fold
            folds.append(fold)
        fold.take(one)
    return folds
