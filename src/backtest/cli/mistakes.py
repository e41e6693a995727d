"""Mistakes in a strategy that let a run come to its end, and yet make it worthless."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from backtest.analysis.report.refusals import refusals_of
from backtest.analysis.result import RunResult
from backtest.analysis.verify.verification import Verification
from backtest.cli.terminal import say
from backtest.errors import RejectReason

__all__ = ["Forgotten", "awaiting", "mistakes", "outcome"]

_NEVER = re.compile(r"coroutine '(.+)' was never awaited")

Forgotten = Counter[tuple[str, str]]
"""How often which coroutine was not awaited where."""


@contextmanager
def awaiting() -> Iterator[Forgotten]:
    """Count the coroutines that are made and thrown away while inside, in place of Python's own
    warnings of them."""
    found = Forgotten()
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=_NEVER.pattern, category=RuntimeWarning)
        show = warnings.showwarning

        def take(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> Any:
            match = _NEVER.match(str(message))
            if match is None:
                show(message, category, filename, lineno, file, line)
            else:
                found[match[1], f"{Path(filename).name} line {lineno}"] += 1

        warnings.showwarning = take
        try:
            yield found
        except BaseException:
            for fault in _of_coroutines(found):
                say(f"warning: {fault}", error=True)
            raise


def mistakes(result: RunResult, forgotten: Forgotten) -> list[str]:
    """One sentence for each kind of mistake, with its first example."""
    told = _of_coroutines(forgotten)
    for one in refusals_of(result):
        if one.reason is RejectReason.UNKNOWN_PAIR:
            orders = "an order was" if one.count == 1 else f"{one.count:,} orders were"
            told.append(f"{orders} for a pair that is not in the run: {one.detail}")
    return told


def outcome(verification: Verification, faults: Sequence[str]) -> int:
    """The exit code of a run that came to its end; what is wrong with it goes to standard error."""
    problems = [*faults]
    if not verification.ok:
        problems.insert(0, f"the run does not verify: {verification.problems[0]}")
    for problem in problems:
        say(f"error: {problem}", error=True)
    return 1 if problems else 0


def _of_coroutines(forgotten: Forgotten) -> list[str]:
    return [
        f"{name}() was called without 'await', and did nothing"
        f"{f', {count:,} times' if count > 1 else ''} ({place})"
        for (name, place), count in forgotten.items()
    ]
