"""Catches every simulated run of this process, under the name of whoever makes it at the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import ROUND_HALF_EVEN, Context, localcontext
from typing import Any

from backtest.actors import System

from .lines import digest_of, lines_of

__all__ = ["MOST", "Watch", "watching"]

MOST = 20
"""So many runs under one name are kept one by one; those beyond stand on one line."""

_Books = tuple[Any, Any]
"""The ledger and the records of a run."""


class Watch:
    """What was caught: by name a hash for each run, in the order in which they began."""

    def __init__(self, wanted: str | None = None) -> None:
        self.name: str | None = None
        """Whose the runs are that begin now; None: nobody's, and they are let go."""
        self.kept: list[str] = []
        """The lines of the run that was ``wanted``."""
        self._wanted = wanted
        self._runs: dict[str, list[str | None]] = {}
        self._standing: list[tuple[str, int, _Books | None]] = []
        """Runs that go piece by piece: what they come to is known when nobody goes on."""

    def begin(self, name: str | None) -> str | None:
        """``name`` makes the runs from now on; who made them before."""
        before, self.name = self.name, name
        if name is not None:
            self._runs[name] = []
        return before

    def end(self, before: str | None) -> None:
        """Whoever began last has done, and ``before`` goes on."""
        for name, place, books in self._standing:
            if name == self.name:
                self._note(name, place, books)
        self._standing = [one for one in self._standing if one[0] != self.name]
        self.name = before

    def place(self) -> tuple[str, int] | None:
        """Where the run stands that begins now."""
        if self.name is None:
            return None
        runs = self._runs.setdefault(self.name, [])
        runs.append(None)
        return self.name, len(runs) - 1

    def ended(self, place: tuple[str, int] | None, system: System) -> None:
        """A run is over, or has failed."""
        if place is not None:
            self._note(*place, _books(system))

    def stands(self, system: System) -> None:
        """A run begins that goes piece by piece."""
        place = self.place()
        if place is not None:
            self._standing.append((*place, _books(system)))

    def _note(self, name: str, place: int, books: _Books | None) -> None:
        if books is None:
            return
        ledger, records = books
        with localcontext(Context(prec=60, rounding=ROUND_HALF_EVEN)):  # whatever the caller's is
            lines = list(lines_of(ledger.rows(), records.orders, records.fills))
        told = f"{name}#{place}" if place < MOST else f"{name}#{MOST}.."
        if told == self._wanted:
            self.kept += [f"run {place}", *lines]
        self._runs[name][place] = digest_of(lines)

    def runs(self) -> dict[str, str]:
        """The hash of each run that had a ledger, by name: ``calm/3#0``."""
        found = {}
        for name, digests in self._runs.items():
            for place, digest in enumerate(digests[:MOST]):
                if digest is not None:
                    found[f"{name}#{place}"] = digest
            if any(digests[MOST:]):
                found[f"{name}#{MOST}.."] = digest_of(one or "" for one in digests[MOST:])
        return found


def _books(system: System) -> _Books | None:
    """The ledger and the records of a system; None where it has none."""
    ledger = getattr(system.actors.get("account"), "ledger", None)
    venues = (getattr(actor, "venue", None) for actor in system.actors.values())
    venue = next((one for one in venues if hasattr(one, "records")), None)
    return None if ledger is None or venue is None else (ledger, venue.records)


@contextmanager
def watching(watch: Watch) -> Iterator[Watch]:
    """Catch what runs while this lasts."""
    simulate, stepwise = System.simulate, System.stepwise

    def watched(self: System) -> None:
        place = watch.place()
        try:
            simulate(self)
        finally:
            watch.ended(place, self)

    def standing(self: System) -> Any:
        watch.stands(self)
        return stepwise(self)

    System.simulate, System.stepwise = watched, standing  # type: ignore[method-assign]
    try:
        yield watch
    finally:
        System.simulate, System.stepwise = simulate, stepwise  # type: ignore[method-assign]
