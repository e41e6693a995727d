"""The engine's speed on the four workloads that its peers are measured with.

    python benchmarks/bench.py --workload {loop,sma,orders,ten} --data FILE.parquet --json

``loop`` takes every bar and does nothing; ``sma`` trades a moving-average cross at the market;
``orders`` cancels what is open and places two limit orders at each bar; ``ten`` is ``sma`` on ten
pairs. Fees are 0.1 % of notional. Prints one JSON line; ``engine_s`` is the run alone: no imports,
no loading, no assembling.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import resource
import time
from collections import deque
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from backtest.data import MemoryBars, read_parquet
from backtest.models import Asset, Bar, Fee, FeeKind, FeeStage, TradingPair, TradingRules
from backtest.runs.runner import BacktestRunner
from backtest.strategies import OrderHandle, Strategy

CASH = Decimal(10_000_000)
INVENTORY = Decimal(1_000)
QTY, TINY = Decimal("0.1"), Decimal("0.001")
CENT = Decimal("0.01")
LOWER, UPPER = Decimal("0.995"), Decimal("1.005")
FAST, SLOW = 10, 30
RULES = TradingRules(
    fees={FeeStage.FILL: (Fee(FeeKind.PERCENT_OF_NOTIONAL, Decimal("0.001")),)}, participation=None
)


class Loop(Strategy):
    """Does nothing with every bar."""

    async def on_bar(self, bar: Bar) -> None:
        pass


class Sma(Strategy):
    """In the market while the fast average is above the slow one; per pair."""

    def on_start(self) -> None:
        self.orders = 0
        self.state = {
            code: [deque(), deque(), Decimal(0), Decimal(0), False] for code in self.pairs
        }

    async def on_bar(self, bar: Bar) -> None:
        state: list[Any] = self.state[bar.pair]
        fast, slow = state[0], state[1]
        x = bar.close
        fast.append(x)
        state[2] += x
        if len(fast) > FAST:
            state[2] -= fast.popleft()
        slow.append(x)
        state[3] += x
        if len(slow) > SLOW:
            state[3] -= slow.popleft()
        if len(slow) < SLOW:
            return
        f, s = state[2] / FAST, state[3] / SLOW
        if f > s and not state[4]:
            state[4] = True
            self.orders += 1
            await self.buy(bar.pair, QTY)
        elif f < s and state[4]:
            state[4] = False
            self.orders += 1
            await self.sell(bar.pair, QTY)


class Orders(Strategy):
    """Cancels what is open and places a buy below and a sell above the close, at every bar."""

    def on_start(self) -> None:
        self.orders = self.cancels = 0
        self.live: tuple[OrderHandle, ...] = ()

    async def on_bar(self, bar: Bar) -> None:
        for order in self.live:
            if not order.is_done:
                await order.cancel()
                self.cancels += 1
        c = bar.close
        buy = await self.buy(bar.pair, TINY, limit_price=(c * LOWER).quantize(CENT))
        sell = await self.sell(bar.pair, TINY, limit_price=(c * UPPER).quantize(CENT))
        self.live = (buy, sell)
        self.orders += 2


def sources(path: str, workload: str) -> dict[TradingPair, MemoryBars]:
    codes = [f"S{k:02d}" for k in range(10)] if workload == "ten" else ["BTC"]
    found = {}
    for code in codes:
        pair = TradingPair(f"{code}USD", Asset(code), Asset("USD"), price_increment=CENT)
        found[pair] = read_parquet(path, pair, bar="1m", symbol=code if workload == "ten" else None)
    return found  # type: ignore[return-value]


def rss_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workload", required=True, choices=("loop", "sma", "orders", "ten"))
    parser.add_argument("--data", required=True)
    parser.add_argument("--variant", default="")
    parser.add_argument("--json", action="store_true", help="one JSON line (as it always is)")
    a = parser.parse_args()
    t0 = time.perf_counter()
    data = sources(a.data, a.workload)
    load = time.perf_counter() - t0
    t0 = time.perf_counter()
    kind = {"loop": Loop, "sma": Sma, "orders": Orders, "ten": Sma}[a.workload]
    strategy: Any = kind()
    cash = {"USD": CASH, **({"BTC": INVENTORY} if a.workload == "orders" else {})}
    runner = BacktestRunner(strategies=strategy, data=data, cash=cash, rules=RULES, seed=7)
    system = runner.prepare()
    setup = time.perf_counter() - t0
    gc.collect()
    before = rss_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    system.simulate()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    after = rss_mb()
    result = runner.result()
    equity = result.final_equity
    if a.workload == "orders":
        price = result.valuation.prices["BTCUSD"]
        equity -= INVENTORY * price
    orders = getattr(strategy, "orders", None)
    row = {
        "peer": "backtest",
        "version": version("backtest-actors"),
        "python": platform.python_version(),
        "workload": a.workload,
        "variant": a.variant,
        "data": a.data.rsplit("/", 1)[-1],
        "bars": result.bars,
        "engine_s": round(wall, 6),
        "engine_cpu_s": round(cpu, 6),
        "bars_per_s": round(result.bars / wall, 1),
        "load_s": round(load, 4),
        "setup_s": round(setup, 4),
        "orders": orders,
        "orders_per_s": round(orders / wall, 1) if orders else None,
        "cancels": getattr(strategy, "cancels", None),
        "fills": len(result.records.fills),
        "equity": round(float(equity), 2),
        "rss_mb": after,
        "rss_pre_mb": before,
        "transactions": result.ledger.transactions,
        "verified": bool(result.ledger.fold() == result.ledger.balances()),
    }
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
