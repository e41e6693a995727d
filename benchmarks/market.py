"""The speed of a market of agents: the reference day, or any scenario.

    python benchmarks/market.py [--scenario reference-day] [--until 10:00] [--agents N] [--json]
    python benchmarks/market.py --abides PYTHON:PATH [--rounds 3]    beside ABIDES, in turn
    python benchmarks/market.py --scale 100,1000,10000               what an agent costs

The time is that of the run alone: no imports, no assembling, no checking afterwards. Messages are
those delivered: every message and answer between actors that its target took, each once.
``--abides`` runs ABIDES's own reference day (RMSC-4; a checkout and an interpreter that can import
it are yours to bring) in processes of its own, one after the other in turn with ours, and prints
the ratio of the medians. ``--scale`` runs one simulated hour with so many agents each.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

_HERE = Path(__file__).resolve().parent


def rss_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def measure(a: argparse.Namespace) -> dict[str, Any]:
    """Run it here, once."""
    from backtest.markets.runner import MarketRunner

    runner = MarketRunner(scenario=a.scenario, agents=a.agents, until=a.until, seed=a.seed)
    began = time.perf_counter()
    system = runner.prepare()
    setup = time.perf_counter() - began
    gc.collect()
    before = rss_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    system.simulate()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = rss_mb()
    result = runner.result()
    messages = system.statistics().handled
    kinds = Counter(event.kind.value for event in result.records.events)
    minutes = (result.run.end_ns - result.run.start_ns) / 60e9  # type: ignore[operator]
    ledger = result.ledger
    return {
        "engine": "backtest",
        "python": platform.python_version(),
        "scenario": a.scenario,
        "agents": len(result.strategies),
        "simulated_minutes": round(minutes, 2),
        "messages": messages,
        "wall_s": round(wall, 4),
        "cpu_s": round(cpu, 4),
        "messages_per_s": round(messages / wall),
        "us_per_message": round(cpu / messages * 1e6, 2),
        "orders": kinds["accepted"],
        "refused": kinds["rejected"],
        "cancels": kinds["cancelled"],
        "trades": len(result.trades),
        "entries": len(ledger.entries),
        "setup_s": round(setup, 3),
        "rss_mb": peak,
        "rss_pre_mb": before,
        "verified": _verified(result, a.verify),
    }


def _verified(result: Any, wholly: bool) -> bool:
    """Whether the journal folds to the balances; with ``wholly`` all that `verify` looks at."""
    if result.ledger.fold() != result.ledger.balances():
        return False
    return not wholly or bool(result.verify().ok)


def per_minute(row: dict[str, Any]) -> dict[str, Any]:
    """What happens in a simulated minute."""
    minutes = row["simulated_minutes"]
    names = ("messages", "orders", "cancels", "trades")
    return {name: round(row[name] / minutes, 1) for name in names if name in row}


def in_process(*arguments: str, python: str = sys.executable, script: str = "") -> dict[str, Any]:
    """Run a benchmark in a process of its own; the row it prints."""
    command = [python, script or str(Path(__file__).resolve()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return row


def own_arguments(a: argparse.Namespace, **changes: Any) -> list[str]:
    given = {"scenario": a.scenario, "until": a.until, "agents": a.agents, "seed": a.seed}
    given |= changes
    found = [f"--{name}={value}" for name, value in given.items() if value is not None]
    return [*found, "--json"]


def beside_abides(a: argparse.Namespace) -> None:
    """Both in turn, each in processes of its own; then the medians."""
    python, _, path = a.abides.partition(":")
    script = str(_HERE / "abides_day.py")
    until = a.until or "16:00"
    theirs = [path, f"--until={until}", "--seed=1"]
    counted = in_process(*theirs, "--count", python=python, script=script)
    rows: dict[str, list[dict[str, Any]]] = {"backtest": [], "abides": []}
    for number in range(a.rounds):
        ours = in_process(*own_arguments(a, until=until))
        other = in_process(*theirs, python=python, script=script)
        if other["own_counter"] != counted["own_counter"]:
            raise SystemExit("ABIDES did not do the same twice: its messages cannot be counted")
        other |= {name: counted[name] for name in ("messages", "orders", "cancels")}
        for name, row in (("backtest", ours), ("abides", other)):
            row["messages_per_s"] = round(row["messages"] / row["wall_s"])
            row["messages_per_cpu_s"] = round(row["messages"] / row["cpu_s"])
            rows[name].append(row)
            say(a, {"round": number + 1, **row})
    told: dict[str, Any] = {}
    for figure in ("messages_per_s", "messages_per_cpu_s", "wall_s", "cpu_s"):
        medians = {name: median(row[figure] for row in some) for name, some in rows.items()}
        ratio = medians["backtest"] / medians["abides"]
        told[figure] = {**medians, "ratio": round(ratio if "per" in figure else 1 / ratio, 2)}
    say(
        a,
        {
            **told,
            "per_simulated_minute": {name: per_minute(some[0]) for name, some in rows.items()},
            "rss_mb": {name: max(row["rss_mb"] for row in some) for name, some in rows.items()},
        },
    )


def scale(a: argparse.Namespace) -> None:
    """One simulated hour with so many agents each: what a message costs, and how much memory."""
    sizes = [int(one) for one in a.scale.split(",")]
    until = a.until or "10:30"
    rows: dict[int, list[dict[str, Any]]] = {size: [] for size in sizes}
    for _ in range(a.rounds):
        for size in sizes:
            rows[size].append(in_process(*own_arguments(a, agents=size, until=until)))
    first = median(row["us_per_message"] for row in rows[sizes[0]])
    for size in sizes:
        row = rows[size][0]
        cost = median(one["us_per_message"] for one in rows[size])
        row |= {"us_per_message": cost, "relative": round(cost / first, 2)}
        row["rss_mb"] = max(one["rss_mb"] for one in rows[size])
        say(a, row)


def say(a: argparse.Namespace, row: dict[str, Any]) -> None:
    if a.json:
        print(json.dumps(row), flush=True)
        return
    told = dict(row)
    if "simulated_minutes" in row:
        told["per_simulated_minute"] = per_minute(row)
    for name, value in told.items():
        print(f"{name:24} {value}")
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenario", default="reference-day", help="a shipped one, or a file")
    parser.add_argument("--until", help="a time of day; left out: as the scenario says")
    parser.add_argument("--agents", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--verify", action="store_true", help="check the whole run afterwards")
    parser.add_argument("--abides", metavar="PYTHON:PATH", help="run ABIDES beside it")
    parser.add_argument("--scale", metavar="N,N,N", help="run with so many agents each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="a JSON line for each row")
    a = parser.parse_args()
    if a.abides:
        beside_abides(a)
    elif a.scale:
        scale(a)
    else:
        say(a, measure(a))


if __name__ == "__main__":
    main()
