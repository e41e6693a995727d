"""Random whole systems, each from one seed, watched by the oracle after every message.

::

    python -m backtest.testing.simulate --seeds 0:200 --events 5000
    python -m backtest.testing.simulate --seeds 17 --events 812 --without agent:agent-1,fault:drop
    python -m backtest.testing.simulate --hours 8 --seeds 1000000:

One line a seed, in the order of the seeds: the same bytes for the same arguments, in every process.
A seed that fails is made small, and printed with the command line that fails the same way. Exit
code 1 when any did.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from typing import Any

import attrs

from backtest.testing.simulation.outcome import Outcome
from backtest.testing.simulation.run import run_seed
from backtest.testing.simulation.shrink import shrink

__all__ = ["Totals", "main"]

STUCK_S = 600
"""Real seconds after which a single seed counts as stuck: the process says where, and ends."""


@attrs.define
class Totals:
    """The figures of many seeds."""

    seeds: int = 0
    failed: list[int] = attrs.field(factory=list)
    crashed: int = 0
    """Seeds that were to end by an escalated crash, and did."""
    events: int = 0
    checks: int = 0
    orders: int = 0
    fills: int = 0
    entries: int = 0
    transfers: int = 0
    """Entries at the banks."""
    simulated_days: float = 0.0
    fired: dict[str, int] = attrs.field(factory=dict)
    crashes: dict[str, int] = attrs.field(factory=dict)
    kinds: dict[str, int] = attrs.field(factory=dict)
    reasons: dict[str, int] = attrs.field(factory=dict)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        if not outcome.is_good:
            self.failed.append(outcome.seed)
        self.crashed += outcome.ended == "crashed"
        for name in ("events", "checks", "orders", "fills", "entries", "transfers"):
            setattr(self, name, getattr(self, name) + getattr(outcome, name))
        self.simulated_days += outcome.simulated_ns / 86_400e9
        for name in ("fired", "crashes", "kinds", "reasons"):
            known = getattr(self, name)
            for kind, count in getattr(outcome, name).items():
                known[kind] = known.get(kind, 0) + count


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 when every seed is good."""
    asked = _parser().parse_args(arguments)
    without = frozenset(one for one in asked.without.split(",") if one)
    end = None if asked.hours is None else time.monotonic() + asked.hours * 3600
    begun = time.monotonic()
    totals = Totals()
    lines: list[dict[str, Any]] = []
    for outcome in _outcomes(asked, without, end):
        totals.add(outcome)
        line = _line(outcome)
        if not outcome.is_good:
            line["found"] = _found(asked, outcome, without)
        if asked.json:
            lines.append(line)
        else:
            _print(line)
        if end is not None and totals.seeds % 50 == 0:
            _progress(asked, totals, time.monotonic() - begun)
    took = time.monotonic() - begun
    if asked.json:
        print(json.dumps({"totals": attrs.asdict(totals), "seeds": lines}, indent=1))
    else:
        _summary(totals)
    if end is not None:
        _progress(asked, totals, took)
    speed = totals.events / took if took else 0.0
    print(f"{took:.1f} s, {speed:.0f} events/s", file=sys.stderr)
    return 1 if totals.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m backtest.testing.simulate", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seeds", default="0:200", help="5, 0:200, or with --hours 1000:")
    parser.add_argument("--events", type=int, default=5000, help="messages delivered, at least")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON document, at the end")
    parser.add_argument("--without", default="", help="what to leave out, as a failure prints it")
    parser.add_argument("--hours", type=float, help="go on with the next seeds for so long")
    parser.add_argument("--totals", help="with --hours: a file for the figures so far")
    parser.add_argument("--blind", action="store_true", help="without the oracle: for its price")
    parser.add_argument("--shrink", action=argparse.BooleanOptionalAction, default=True)
    return parser


def _seeds(text: str, endless: bool) -> Iterator[int]:
    for part in text.split(","):
        first, colon, last = part.partition(":")
        if not colon:
            yield int(first)
        elif last:
            yield from range(int(first), int(last))
        elif endless:
            number = int(first)
            while True:
                yield number
                number += 1
        else:
            raise SystemExit(f"seeds {part!r} has no end: give one, or --hours")


def _outcomes(
    asked: argparse.Namespace, without: frozenset[str], end: float | None
) -> Iterator[Outcome]:
    """The outcomes in the order of the seeds, from one process or several."""
    seeds = _seeds(asked.seeds, end is not None)
    settings = (asked.events, without, not asked.blind)
    if asked.jobs <= 1:
        for seed in seeds:
            if end is not None and time.monotonic() >= end:
                return
            yield _run(seed, *settings)
        return
    with ProcessPoolExecutor(asked.jobs) as pool:
        waiting: list[Future[Outcome]] = []
        for seed in seeds:
            if end is not None and time.monotonic() >= end:
                break
            waiting.append(pool.submit(_run, seed, *settings))
            # Few ahead: an endless row of seeds must not be queued whole.
            if len(waiting) > 4 * asked.jobs:
                yield waiting.pop(0).result()
        for one in waiting:
            yield one.result()


def _run(seed: int, events: int, without: frozenset[str], watched: bool) -> Outcome:
    with suppress(io.UnsupportedOperation):  # standard error may be no file, in a test
        faulthandler.dump_traceback_later(STUCK_S, exit=True)
    try:
        return run_seed(seed, events, without, watched)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _line(outcome: Outcome) -> dict[str, Any]:
    line = attrs.asdict(outcome)
    del line["kinds"], line["reasons"]
    return line


def _print(line: dict[str, Any]) -> None:
    fired = sum(line["fired"].values())
    print(
        f"seed {line['seed']}: {line['ended']}, {line['events']} events, {line['orders']} orders, "
        f"{line['fills']} fills, {fired} faults, sha256 {line['sha256']}",
        flush=True,
    )
    if "found" in line:
        for text in line["found"]:
            print(f"  {text}", flush=True)


def _found(asked: argparse.Namespace, outcome: Outcome, without: frozenset[str]) -> list[str]:
    """What is told about a seed that failed."""
    found = [f"{outcome.invariant}: {outcome.problem}"]
    if asked.shrink:

        def run(seed: int, events: int, less: frozenset[str]) -> Outcome:
            return _run(seed, events, less, not asked.blind)

        small = shrink(outcome, asked.events, without, run)
        found.append(f"smallest: {small.outcome.problem}")
        found.append(f"again: {small.command}")
    return found


def _summary(totals: Totals) -> None:
    print(
        f"{totals.seeds} seeds, {totals.events} events, {totals.simulated_days:.1f} simulated days,"
        f" {totals.orders} orders, {totals.fills} fills, {totals.entries} ledger entries, "
        f"{totals.transfers} at banks; "
        f"{totals.crashed} ended by a planned crash, {len(totals.failed)} failed"
    )
    for name in ("fired", "crashes", "kinds", "reasons"):
        counted = ", ".join(
            f"{key} {count}" for key, count in sorted(getattr(totals, name).items())
        )
        print(f"{name}: {counted}")
    if totals.failed:
        print(f"failed: {', '.join(str(seed) for seed in totals.failed)}")


def _progress(asked: argparse.Namespace, totals: Totals, took: float) -> None:
    if asked.totals:
        figures = {"real_seconds": round(took, 1), **attrs.asdict(totals)}
        with open(asked.totals, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)


if __name__ == "__main__":
    raise SystemExit(main())
