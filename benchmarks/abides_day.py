"""ABIDES's reference day (RMSC-4), run by an interpreter that has ABIDES: one JSON line.

    PYTHON benchmarks/abides_day.py PATH --until 16:00 --seed 1 [--count]

``PATH`` is a checkout of abides-jpmc-public; it and what it needs are the user's. `market.py` calls
this. Without ``--count`` nothing of ABIDES is touched and the time is that of its kernel's loop
alone: no imports, no building of agents, no writing of logs. With it every wake-up and every
message received is counted, each once, where the agent gets it: its own counter counts a message
again each time it is put back because its agent is busy.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from typing import Any

_MINUTE = 60_000_000_000
_ORDERS = ("LimitOrderMsg", "MarketOrderMsg")


def counting(agents: list[Any], found: Counter[str]) -> None:
    """Count what each agent is given."""

    def attend(agent: Any) -> None:
        receive, wake = agent.receive_message, agent.wakeup

        def received(now: int, sender: int, message: Any) -> Any:
            found[type(message).__name__] += 1
            return receive(now, sender, message)

        def woken(now: int) -> Any:
            found["wakeup"] += 1
            return wake(now)

        agent.receive_message, agent.wakeup = received, woken

    for agent in agents:
        attend(agent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--until", default="16:00")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", action="store_true")
    a = parser.parse_args()
    sys.path[:0] = [os.path.join(a.path, "abides-core"), os.path.join(a.path, "abides-markets")]
    os.chdir(tempfile.mkdtemp())
    numpy: Any = import_module("numpy")
    kernel: Any = import_module("abides_core.kernel")
    rmsc04: Any = import_module("abides_markets.configs.rmsc04")
    config = rmsc04.build_config(seed=a.seed, end_time=f"{a.until}:00", stdout_log_level="ERROR")
    names = ("start_time", "stop_time", "agents", "agent_latency_model")
    taken = {name: config[name] for name in (*names, "default_computation_delay")}
    run = kernel.Kernel(
        random_state=numpy.random.RandomState(seed=1),
        skip_log=True,
        custom_properties=config["custom_properties"],
        **taken,
    )
    found: Counter[str] = Counter()
    run.initialize()
    if a.count:
        counting(run.agents, found)
    wall, cpu = time.perf_counter(), time.process_time()
    run.runner()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    book = next(iter(run.agents[0].order_books.values()))
    done = Counter(one["type"] for one in book.history)
    minutes = (run.stop_time - run.start_time) // _MINUTE - (9 * 60 + 30)
    row: dict[str, Any] = {
        "engine": "abides",
        "agents": len(run.agents),
        "simulated_minutes": int(minutes),
        "own_counter": run.ttl_messages,
        "wall_s": round(wall, 4),
        "cpu_s": round(cpu, 4),
        "trades": done["EXEC"],
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    if a.count:
        row["messages"] = sum(found.values())
        row["orders"] = sum(found[name] for name in _ORDERS)
        row["cancels"] = found["CancelOrderMsg"]
        row["kinds"] = dict(found.most_common())
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
