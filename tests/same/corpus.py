"""The runs outside the tests: seeds, the demo, markets, the benchmarks' workloads, conformance.

All data is made here, from the standard library's `Random` alone, so that they stay the same.
"""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from backtest.cli import main
from backtest.markets import run_market
from backtest.models import Asset, Bar, TradingPair
from backtest.runs.runner import BacktestRunner
from backtest.testing.simulation import draw_plan, world_of

from .watching import Watch, watching

__all__ = ["corpus", "run_of"]

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 200
EVENTS = 1_000
"""How many messages the faults of a seed have before it calms down."""
STEPS, TAIL = 40, 12
"""How many steps of the market a calm seed has, and then until everything is closed."""
MARKETS = {
    "reference-day": "09:33",
    "flash-crash": "09:37",
    "liquidation-cascade": "00:08",
    "latency-race": "09:30:15",
}
"""The shipped markets, and how long they are looked at."""
MINUTE = 60 * 10**9
D = Decimal


def corpus() -> Iterator[tuple[str, Callable[[], object]]]:
    """Every run by name, with what carries it out."""
    yield "demo", _demo
    for name, until in MARKETS.items():
        yield f"market/{name}", partial(run_market, name, until=until)
    for name in ("sma", "orders", "ten"):
        yield f"bench/{name}", partial(_bench, name)
    for profile, strategy, market in _conformance():
        run = partial(_conform, profile, strategy, market)
        yield f"conformance/{profile}/{strategy}/{market}", run
    for seed in range(SEEDS):
        yield f"calm/{seed:03}", partial(_calm, seed)
        yield f"seed/{seed:03}", partial(_seed, seed)


def run_of(name: str, wanted: str | None = None) -> Watch:
    """Carry out the run called ``name``: what was caught."""
    watch = Watch(wanted)
    carry_out = dict(corpus())[name]
    with watching(watch), redirect_stdout(io.StringIO()):
        before = watch.begin(name)
        carry_out()
        watch.end(before)
    return watch


def _demo() -> None:
    main(["demo"])


def _seed(seed: int) -> None:
    """As `make simulate` has it: with faults, which strike so many messages of a thousand."""
    world_of(draw_plan(seed), EVENTS, watched=False).run()


def _calm(seed: int) -> None:
    """Without faults and latencies, and as long as the market says: the same however many messages
    it takes."""
    world = world_of(draw_plan(seed, frozenset(("fault", "latency", "relays"))), 0, watched=False)
    market = world.market
    resolved = market._is_resolved
    market._is_enough = lambda: market.steps >= STEPS
    market._is_resolved = lambda: (resolved(), market.tail > TAIL)[1]
    world.run()


@cache
def _module(path: str) -> ModuleType:
    """A script of this repository, which is no package, as a module."""
    file = ROOT / path
    sys.path.insert(0, str(file.parent))
    try:
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(file.parent))


def _bars(code: str, count: int, seed: int) -> list[Bar]:
    rows = _module("conformance/data.py").make(count, seed)
    return [
        Bar(code, at * MINUTE, (at + 1) * MINUTE, *(D(one) / 100 for one in row[1:]))
        for at, row in enumerate(rows)
    ]


def _bench(name: str) -> None:
    bench: Any = _module("benchmarks/bench.py")
    bases = [f"S{number:02}" for number in range(10)] if name == "ten" else ["BTC"]
    data = {
        TradingPair(f"{base}USD", Asset(base), Asset("USD"), price_increment=D("0.01")): _bars(
            f"{base}USD", 400 if name == "ten" else 2_000, seed
        )
        for seed, base in enumerate(bases)
    }
    strategy = {"sma": bench.Sma, "orders": bench.Orders, "ten": bench.Sma}[name]()
    cash = {"USD": bench.CASH, **({"BTC": bench.INVENTORY} if name == "orders" else {})}
    BacktestRunner(strategies=strategy, data=data, cash=cash, rules=bench.RULES, seed=7).run()


def _conformance() -> Iterator[tuple[str, str, str]]:
    script: Any = _module("conformance/run.py")
    for profile, peer in script.PEERS.items():
        for strategy in script.decisions.STRATEGIES:
            if strategy not in peer.lacks:
                for market in script.SETS:
                    yield profile, strategy, market


def _conform(profile: str, strategy: str, market: str) -> None:
    script: Any = _module("conformance/run.py")
    seed, gap = script.SETS[market]
    rows = script.data.make(300, seed, gap)
    script.ours.run(rows, strategy, script.decisions.FEE, profile)
