"""Profiles under random order flow: the fills that the engines themselves made of it.

``conformance/rows`` holds, for each profile, what the engine's own run of ``conformance/flow.py``
on 150 bars gave: bar, side, price, volume and number of the order of every fill, and the final
equity (``python conformance/run.py --rows``). ``make conformance`` compares long runs, engine
beside engine.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.strategies import Strategy
from tests.harness import D, bar

HERE = Path(__file__).resolve().parents[2] / "conformance"
NAMES = ("run", "ours", "flow", "decisions", "data")


@pytest.fixture(scope="module")
def conformance() -> Iterator[Any]:
    """The script that compares; its modules have names too common to be left behind."""
    before = {name: sys.modules.pop(name, None) for name in NAMES}
    path = list(sys.path)
    try:
        sys.path.insert(0, str(HERE))
        yield importlib.import_module("run")
    finally:
        sys.path[:] = path
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


@pytest.mark.parametrize("profile", [file.stem for file in sorted((HERE / "rows").glob("*.json"))])
def test_random_flow_fills_as_the_engine_filled_it(conformance: Any, profile: str) -> None:
    theirs = json.loads((HERE / "rows" / f"{profile}.json").read_text())
    rows = conformance.data.make(*conformance.SHORT)
    ours = conformance.ours.run(rows, "random", conformance.decisions.FEE, profile)
    assert ours["refused"] == 0
    assert [list(fill) for fill in conformance.normal(ours["fills"])] == theirs["fills"]
    assert len(theirs["fills"]) > 150
    assert abs(ours["equity"] - theirs["equity"]) < 0.006


def test_every_profile_has_such_rows_unless_its_engine_was_not_compared(conformance: Any) -> None:
    for profile, peer in conformance.PEERS.items():
        compared = conformance.flow.NAME not in peer.lacks
        assert compared == (HERE / "rows" / f"{profile}.json").exists()
        assert compared == (profile in conformance.flow.CAN)


class Both(Strategy):
    """A limit entry with a stop-loss, and beside it a market entry with a take-profit."""

    async def on_bar(self, bar: Any) -> None:
        if bar.open_ns == 0:
            await self.long("BTCUSD", 1, limit_price=99, stop_loss=97)
            await self.long("BTCUSD", 1, take_profit=120)


def test_a_market_entry_with_protections_does_not_run_the_queue_again() -> None:
    """The quirk that is not imitated: bar 1 is 100 / 105 / 96 / 102. The limit fills at 99; its
    stop-loss acts from bar 2 on, whatever stands beside it. backtesting.py without the market entry
    says so too (no exit on bar 1); with it, the stop-loss fills at 97 on bar 1."""
    bars = [bar(0, 100), bar(1, 100, 105, 96, 102), bar(2, 102)]
    result = backtest.run(
        Both(), data=bars, pair="BTCUSD", cash="1000 USD", profile="backtesting.py"
    )
    assert [(one.kind, one.price) for one in result.fills] == [("entry", D(99)), ("entry", D(100))]
