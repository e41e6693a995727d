"""Nobody sees the future: change all bars that close after T, all up to T stays the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import Any

import attrs
import pytest

from backtest.actors import Envelope, System
from backtest.models import Bar
from tests.effort import examples
from tests.harness import D, World
from tests.random_trading import random_bars, run_wild

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def whole(value: Any) -> str:
    """``value`` with all its fields: what models show of themselves is less."""
    kind = type(value)
    if attrs.has(kind):
        told = [f"{one.name}={whole(getattr(value, one.name))}" for one in attrs.fields(kind)]
        return f"{kind.__name__}({', '.join(told)})"
    if isinstance(value, tuple | list):
        return f"{kind.__name__}({', '.join(map(whole, value))})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{whole(key)}: {whole(one)}' for key, one in value.items())}}}"
    return repr(value)


def traced(seed: int, bars: list[Bar]) -> tuple[list[str], World]:
    """Every message of a run in words: time, priority, id, sender, target, what it says."""
    lines: list[str] = []

    def trace(message: Envelope) -> None:
        channel = message.channel
        words = _ADDRESS.sub("", whole(message.payload))
        lines.append(
            f"{message.time:020d} {message.priority} {message.id} {message.cause} "
            f"{channel.sender} {channel.target.name} {words}"
        )

    def prepare(system: System) -> None:
        before = system.tracer

        def both(message: Envelope) -> None:
            if before is not None:
                before(message)
            trace(message)

        system.tracer = both

    world = run_wild(seed, bars, prepare=prepare)
    return lines, world


def perturbed(bars: list[Bar], after: int, chance: Random) -> list[Bar]:
    """The bars with everything changed that closes later than ``after``: prices, volumes, gaps."""
    changed = []
    for one in bars:
        if one.close_ns <= after:
            changed.append(one)
        elif chance.random() < 0.9:
            factor = D(chance.randrange(50, 200)) / 100
            open_, high, low, close = (
                round(price * factor, 2) for price in (one.open, one.high, one.low, one.close)
            )
            volume = None if chance.random() < 0.2 else D(chance.randrange(100))
            changed.append(
                Bar(one.pair, one.open_ns, one.close_ns, open_, high, low, close, volume)
            )
    return changed


@pytest.mark.parametrize("seed", range(examples(6, soak=60)))
def test_the_future_changes_nothing_before_it(seed: int) -> None:
    chance = Random(seed)
    bars = random_bars(1_000 + seed)
    after = chance.choice(bars[5:-10]).close_ns
    lines, world = traced(seed, bars)
    others, other = traced(seed, perturbed(bars, after, chance))
    until = f"{after:020d} 9"
    past = [line for line in lines if line < until]
    assert past == [line for line in others if line < until]
    # it was a past worth comparing, and the future did change
    assert len(past) > 30
    assert lines != others
    rows = [row for row in world.rows() if row.time <= after]
    assert rows == [row for row in other.rows() if row.time <= after]
    assert world.sha256 != other.sha256


def test_a_strategy_cannot_see_the_bar_that_is_still_open() -> None:
    """No message carries a bar before its close, and the first half alone says the same."""
    bars = random_bars(77)
    cut = bars[len(bars) // 2].close_ns
    seen, _ = traced(3, bars)
    for line in seen:
        if " Bar(pair=" in line:
            time = int(line[:20])
            closed = re.search(r"close_ns=(\d+)", line)
            assert closed is not None
            assert int(closed[1]) <= time
    # the run on the first half alone says the same, but for the end of its data
    half, _ = traced(3, [one for one in bars if one.close_ns <= cut])
    until = f"{cut:020d}"
    assert [line for line in half if line < until] == [line for line in seen if line < until]
