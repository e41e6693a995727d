"""Find what would make two runs of one simulation differ, by reading the source.

    python tools/check_determinism.py [FILE_OR_FOLDER ...]

Without arguments it reads the shipped packages. Found are: the wall clock, unseeded randomness,
`uuid4` and its like, the builtins `id` and `hash` (addresses and salted hashes make orders that
change from run to run), the order of a set, and the order of a folder's listing. Names are followed
through import aliases; a mention is enough, a call is not needed (``factory=uuid4`` counts).

What is right in its place stands in `ALLOWED`, with the reason. An allowance that nothing uses any
more is reported too, so that the list stays true. Exit code 1 when anything is reported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.determinism import Finding, find  # noqa: E402

__all__ = ["ALLOWED", "Allowance", "Finding", "check", "find", "main"]

SHIPPED = ("src/backtest", "actors", "strategies")


@dataclass(frozen=True)
class Allowance:
    """``name`` is right in ``file`` (from the root of the tree) for ``reason``.

    A name that ends in a dot stands for everything in that module: ``time.`` for `time.monotonic`.
    """

    file: str
    name: str
    reason: str

    def covers(self, file: str, name: str) -> bool:
        if file != self.file:
            return False
        return name.startswith(self.name) if self.name.endswith(".") else name == self.name


_BY_HAND = "a model made by hand gets a fresh id; the engine gives every id from the run's seed"

ALLOWED: tuple[Allowance, ...] = (
    Allowance(
        "actors/kernel/clock.py", "time.time_ns", "the real clock is what live systems run on"
    ),
    Allowance(
        "src/backtest/cli/market.py",
        "time.perf_counter",
        "progress on a terminal tells the speed of the run; nothing in the run can see it",
    ),
    Allowance(
        "src/backtest/markets/runner.py",
        "time.perf_counter",
        "how long a run took is told beside its result; nothing in the run can see it",
    ),
    Allowance("src/backtest/models/balance.py", "uuid.uuid4", _BY_HAND),
    Allowance("src/backtest/models/orders.py", "uuid.uuid4", _BY_HAND),
    Allowance("src/backtest/models/spot_order.py", "uuid.uuid4", _BY_HAND),
    Allowance(
        "src/backtest/models/trading_rules.py",
        "set order",
        "each member is checked and nothing else is done: the order shows nowhere",
    ),
    Allowance("src/backtest/models/transaction.py", "uuid.uuid4", _BY_HAND),
    Allowance(
        "src/backtest/repositories/balance_repository.py",
        "set.pop",
        "the set has one member when it is popped",
    ),
    Allowance(
        "src/backtest/testing/simulate.py",
        "time.monotonic",
        "says when the hours given on the command line are over; no simulation sees it",
    ),
)


def check(
    files: Iterable[tuple[str, str]], allowed: Iterable[Allowance] = ALLOWED
) -> tuple[list[Finding], list[Allowance]]:
    """What is found and not allowed in ``(file, source)`` pairs, and the allowances left unused."""
    unused = dict.fromkeys(allowed)
    everything = tuple(unused)
    bad: list[Finding] = []
    for file, source in files:
        for finding in find(source, file):
            excuse = next((a for a in everything if a.covers(file, finding.name)), None)
            if excuse is None:
                bad.append(finding)
            else:
                unused.pop(excuse, None)
    return bad, list(unused)


def sources(places: Iterable[str | Path]) -> Iterator[tuple[str, str]]:
    """``(file, source)`` of every module in ``places``, sorted; symlinked folders are left out."""
    for place in places:
        path = ROOT / place
        if path.is_file():
            yield _relative(path), path.read_text(encoding="utf-8")
            continue
        if not path.is_dir():
            raise FileNotFoundError(f"{place} is neither a file nor a folder")
        for folder, inner, names in os.walk(path, followlinks=False):
            inner.sort()
            for name in sorted(names):
                file = Path(folder, name)
                if file.suffix == ".py":
                    yield _relative(file), file.read_text(encoding="utf-8")


def _relative(path: Path) -> str:
    path = path.resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.as_posix()


def main(arguments: list[str] | None = None) -> int:
    """Check the places named, or everything that is shipped; the exit code."""
    places = sys.argv[1:] if arguments is None else arguments
    bad, unused = check(sources(places or SHIPPED))
    for finding in bad:
        print(finding)
    stale = [] if places else unused
    for allowance in stale:
        print(f"{allowance.file}: nothing uses {allowance.name} any more: delete the allowance")
    if bad or stale:
        print(f"{len(bad)} found, {len(stale)} allowances out of use")
        return 1
    print("nothing found that would make two runs differ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
