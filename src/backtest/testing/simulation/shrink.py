"""A failing seed made small: fewer events, then fewer agents, pairs and kinds of fault."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from .faults import KINDS
from .outcome import Outcome
from .plans import draw_plan
from .run import run_seed

__all__ = ["Shrunk", "shrink"]

Run = Callable[[int, int, frozenset[str]], Outcome]


@attrs.frozen(kw_only=True)
class Shrunk:
    """The smallest failing variant that was found."""

    seed: int
    events: int
    without: frozenset[str]
    outcome: Outcome
    runs: int
    """How many runs it took to find it."""

    @property
    def command(self) -> str:
        """The command line that fails the same way again."""
        line = f"python -m backtest.testing.simulate --seeds {self.seed} --events {self.events}"
        if self.without:
            line += f" --without {','.join(sorted(self.without))}"
        return line


def shrink(failed: Outcome, events: int, without: frozenset[str], run: Run = run_seed) -> Shrunk:
    """The shortest run of ``failed.seed`` that breaks the same invariant, with the least in it."""
    best = Shrunk(seed=failed.seed, events=events, without=without, outcome=failed, runs=0)
    best = _fewer_events(best, failed.invariant, run)
    plan = draw_plan(failed.seed, without)
    pieces = [f"agent:{one.name}" for one in plan.agents[1:] or plan.agents]
    pieces += [f"agent:{one.name}" for one in plan.agents[:1]] if len(plan.agents) > 1 else []
    pieces += [f"pair:{code}" for code in list(plan.pairs)[1:]]
    pieces += ["fault", *(f"fault:{kind}" for kind in KINDS), "fault:fatal"]
    pieces += ["latency", "relays", "storage", "bank"]
    for piece in pieces:
        if piece in best.without or ("fault" in best.without and piece.startswith("fault")):
            continue
        smaller = _attempt(best, best.events, best.without | {piece}, failed.invariant, run)
        if smaller is not None:
            best = smaller
    return _fewer_events(best, failed.invariant, run)


def _attempt(
    best: Shrunk, events: int, without: frozenset[str], invariant: str, run: Run
) -> Shrunk | None:
    try:
        outcome = run(best.seed, events, without)
    except ValueError:
        return None  # nothing is left to run
    if outcome.invariant != invariant:
        return None
    return Shrunk(
        seed=best.seed, events=events, without=without, outcome=outcome, runs=best.runs + 1
    )


def _fewer_events(best: Shrunk, invariant: str, run: Run) -> Shrunk:
    """Halve the distance between what fails and what does not, as often as that helps."""
    low, high = 0, min(best.events, best.outcome.events)
    while high - low > 1:
        middle = (low + high) // 2
        smaller = _attempt(best, middle, best.without, invariant, run)
        if smaller is None:
            low = middle
        else:
            best, high = smaller, middle
    return best
