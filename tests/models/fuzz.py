"""Random scenarios against the reference models: draw, run both, compare, shrink, show.

python -m tests.models.fuzz --model bars --seeds 0:1000
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import pprint
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import structlog

from tests.models.common import Case, Model, Outcome, Unclear, differences

__all__ = ["MODELS", "Disagreement", "Tally", "check", "fuzz", "model_named", "show", "shrink"]

MODELS: tuple[str, ...] = ("bars", "margin", "pairs", "ticks", "exchange", "netting", "cross")
"""The models by name; each is a module of this package."""
WAITING: tuple[str, ...] = ()
"""Those ahead of the product: compared by hand, by the tests when the product has caught up."""
MOST_TRIES = 3000
CHUNK = 100


class Disagreement(NamedTuple):
    """One seed on which the model and the product differ."""

    seed: int
    group: str
    """The place of the first difference without its numbers: like goes with like."""


class Tally(NamedTuple):
    """What a number of seeds came to."""

    agreed: int
    unclear: Counter[str]
    disagreements: list[Disagreement]

    def __add__(self, other: Tally) -> Tally:  # type: ignore[override]
        """Both together."""
        return Tally(
            self.agreed + other.agreed,
            self.unclear + other.unclear,
            self.disagreements + other.disagreements,
        )


def model_named(name: str) -> Model:
    """The model of that name."""
    return importlib.import_module(f"tests.models.{name}")


def played(model: Model, case: Case) -> Outcome:
    """What the product makes of ``case``; an exception is an outcome, too."""
    try:
        return model.play(case)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return {"error": f"{type(error).__name__}: {error} ({last.name})"}


def check(model: Model, case: Case) -> list[tuple[str, Any, Any]]:
    """Where model and product differ on ``case``; nothing where they agree. Raises `Unclear`."""
    return list(differences(model.expect(case), played(model, case)))


def group_of(found: list[tuple[str, Any, Any]]) -> str:
    """What kind of difference it is: the first place, without its numbers and labels."""
    place, expected, actual = found[0]
    words = f" {expected} {actual}" if isinstance(expected, str) else ""
    return re.sub(r"\d+|(?<=\.)[a-z](?=[.\[]|$)", "#", place) + words


def shrink(model: Model, case: Case, most: int = MOST_TRIES) -> Case:
    """A smallest case on which they still differ in the same way: none of its `smaller` cases."""
    tries, group = 0, group_of(check(model, case))
    progress = True
    while progress:
        progress = False
        for candidate in model.smaller(case):
            tries += 1
            if tries > most:
                return case
            if _differs(model, candidate, group):
                case, progress = candidate, True
                break
    return case


def _differs(model: Model, case: Case, group: str) -> bool:
    try:
        found = check(model, case)
    except Unclear:
        return False
    return bool(found) and group_of(found) == group


def fuzz(name: str, seeds: range, most: int = 20) -> Tally:
    """Check the model ``name`` on ``seeds``; stops after ``most`` disagreements."""
    model = model_named(name)
    agreed, unclear = 0, Counter[str]()
    found: list[Disagreement] = []
    for seed in seeds:
        try:
            differs = check(model, model.draw(seed))
        except Unclear as reason:
            unclear[str(reason)] += 1
            continue
        except Exception as error:
            error.add_note(f"the model {name} failed on seed {seed}")
            raise
        if differs:
            found.append(Disagreement(seed, group_of(differs)))
            if len(found) >= most:
                break
        else:
            agreed += 1
    return Tally(agreed, unclear, found)


def show(name: str, case: Case) -> str:
    """``case`` as code to run, and where the two differ on it."""
    lines = ["from tests.models import fuzz", ""]
    lines += [f"case = {pprint.pformat(case, width=100, sort_dicts=False)}"]
    lines += [f"print(fuzz.show({name!r}, case))", ""]
    try:
        found = check(model_named(name), case)
    except Unclear as reason:
        found, lines = [], [*lines, f"# unclear: {reason}"]
    for place, expected, actual in found:
        lines.append(f"# {place}\n#     model   {expected}\n#     product {actual}")
    return "\n".join(lines)


def keep_quiet() -> None:
    """No warnings of the runs: there are thousands of them."""
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)


def main(arguments: list[str] | None = None) -> int:
    """The command line; the exit code is 1 when there are disagreements."""
    parser = argparse.ArgumentParser(prog="python -m tests.models.fuzz", description=__doc__)
    parser.add_argument(
        "--model", action="append", choices=MODELS, help="left out: those that agree"
    )
    parser.add_argument("--seeds", default="0:1000", help="FROM:TO, or one")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--most", type=int, default=20, help="disagreements after which to stop")
    parser.add_argument("--whole", action="store_true", help="show cases as drawn, not shrunk")
    given = parser.parse_args(arguments)
    keep_quiet()
    first, _, last = given.seeds.partition(":")
    seeds = range(int(first), int(last) if last else int(first) + 1)
    failed = False
    for name in given.model or [one for one in MODELS if one not in WAITING]:
        began = time.perf_counter()
        tally = _tally(name, seeds, given.jobs, given.most)
        failed |= bool(tally.disagreements)
        _report(name, tally, time.perf_counter() - began, given.whole)
    return int(failed)


def _chunks(seeds: range) -> Iterator[range]:
    for at in range(0, len(seeds), CHUNK):
        yield seeds[at : at + CHUNK]


def _tally(name: str, seeds: range, jobs: int, most: int) -> Tally:
    total = Tally(0, Counter(), [])
    if jobs < 2:
        return fuzz(name, seeds, most)
    with ProcessPoolExecutor(jobs, initializer=keep_quiet) as pool:
        for part in pool.map(partial(fuzz, name, most=most), _chunks(seeds)):
            total = total + part
            if len(total.disagreements) >= most:
                pool.shutdown(cancel_futures=True)
                break
    return total


def _report(name: str, tally: Tally, took: float, whole: bool) -> None:
    model = model_named(name)
    done = tally.agreed + len(tally.disagreements)
    unclear = sum(tally.unclear.values())
    print(
        f"{name}: {done} scenarios, {tally.agreed} agree, {len(tally.disagreements)} do not, "
        f"{unclear} unclear; {(done + unclear) / max(took, 1e-9):.0f} a second"
    )
    for reason, count in tally.unclear.most_common():
        print(f"  unclear {count} times: {reason}")
    groups: dict[str, list[int]] = {}
    for one in tally.disagreements:
        groups.setdefault(one.group, []).append(one.seed)
    for group, seeds in groups.items():
        print(f"\n== {group}: seeds {', '.join(map(str, seeds[:12]))}")
        case = model.draw(seeds[0])
        print(show(name, case if whole else shrink(model, case)))


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())
