"""Several pairs, bar lengths and strategies: who sees what when, what fills where, and worth.

A case has bars of drawn lengths for some pairs, one script for each strategy (what it sends when
it gets its n-th bar or fill, when a timer is due, when it wakes up), and how long the links take.
Times are seconds. Volume, fees and rounding play no part: prices are exact and money is plenty.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import backtest
from backtest.models import Bar, TradingPair, TradingRules
from backtest.strategies import OrderHandle, Strategy
from tests.models.common import Case, Outcome, shorter, with_field
from tests.models.pair_market import KNOWN, Market

__all__ = ["draw", "expect", "play", "smaller"]

SECOND = 10**9
LENGTHS = (1, 2, 3, 5, 10)


# -- drawing ---------------------------------------------------------------------------------------


def draw(seed: int) -> Case:
    """A case: one to four pairs, one to three bar lengths each."""
    dice = Random(seed)
    codes = dice.sample(sorted(KNOWN), dice.choice((1, 2, 2, 3, 4)))
    data = {code: _draw_sources(dice, KNOWN[code][2]) for code in codes}
    assets = sorted({one for code in codes for one in KNOWN[code][:2]} | {"USD"})
    cash = {"USD": "1000000", **{one: "1000000" for one in assets if one != "USD"}}
    latency: dict[str, int] = {}
    if dice.random() < 0.4:
        for link in ("orders", "market_data", "order_events"):
            if dice.random() < 0.6:
                latency[link] = dice.choice((1, 1, 2, 3, 7))
    last = max(rows[-1][1] for sources in data.values() for rows in sources)
    names = ("ann", "bob")[: dice.choice((1, 1, 2))]
    return {
        "data": data,
        "cash": dict.fromkeys(names, cash),
        "latency": latency,
        "fill_on": dice.choice(("next_open", "next_open", "this_close", "next_close")),
        "scripts": {name: _draw_script(dice, codes, data, last) for name in names},
    }


def _draw_sources(dice: Random, base: Any) -> list[list[list[Any]]]:
    lengths = sorted(dice.sample(LENGTHS, dice.choice((1, 1, 1, 2, 2, 3))))
    return [_draw_bars(dice, length, Decimal(base)) for length in lengths]


def _draw_bars(dice: Random, length: int, base: Decimal) -> list[list[Any]]:
    """Rows of (open time, close time, open, high, low, close), with gaps now and then."""
    rows = []
    at = dice.choice((0, 0, 0, length, 1, 4))
    for _ in range(dice.randint(1, max(2, 12 // length))):
        prices = [base * dice.randint(90, 110) / 100 for _ in range(4)]
        first, last = prices[:2]
        rows.append(
            [at, at + length, *(f"{one:f}" for one in (first, max(prices), min(prices), last))]
        )
        at += length * dice.choice((1, 1, 1, 1, 2, 3))
    return rows


def _draw_script(dice: Random, codes: list[str], data: Any, last: int) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for _ in range(dice.randint(1, 5)):
        when = dice.choice(
            ("start", "bar", "bar", "bar", "timer", "timer", "sleep", "sleep", "fill")
        )
        at = {"start": 0, "bar": dice.randint(1, 12), "fill": dice.randint(1, 2)}.get(
            when, dice.randint(1, last)
        )
        code = dice.choice(codes)
        base = Decimal(KNOWN[code][2])
        side = dice.choice(("buy", "sell", "long", "short"))
        kind = dice.choice(("market", "market", "market", "limit_price", "stop_price"))
        prices = {} if kind == "market" else {kind: f"{base * dice.randint(91, 109) / 100:f}"}
        nap = dice.choice((0, 0, 0, 1, 2, 5))
        rows.append([when, at, side, code, dice.choice((1, 2, 3)), prices, nap])
    return rows


# -- both ------------------------------------------------------------------------------------------


def expect(case: Case) -> Outcome:
    """What must come of it."""
    market = Market(case)
    market.run()
    return {
        "logs": market.logs,
        "fills": market.fills,
        "balances": market.money,
        "equity": market.equity(),
    }


class Script(Strategy):
    """Sends what its script says for an occasion, and notes what it sees."""

    logs_refusals = False

    def __init__(self, rows: list[list[Any]]) -> None:
        super().__init__()
        self.rows = rows
        self.log_: list[list[Any]] = []
        self.handles: dict[int, OrderHandle] = {}
        self.seen = {"bar": 0, "fill": 0}

    def on_start(self) -> None:
        self.on("start", 0)
        for at in self.moments("timer"):
            self.set_timer(str(at), at=moment(at))

    async def run(self) -> None:
        for at in self.moments("sleep"):
            await self.sleep_until(moment(at))
            self.log_.append([self.now_ns // SECOND, "sleep"])
            self.on("sleep", at)

    async def on_timer(self, name: str) -> None:
        self.log_.append([self.now_ns // SECOND, "timer"])
        if nap := self.on("timer", int(name)):
            await self.sleep(nap)

    async def on_bar(self, bar: Bar) -> None:
        entry = [bar.pair, bar.open_ns // SECOND, bar.close_ns // SECOND, bar.close]
        await self.saw("bar", entry)

    async def on_order(self, event: Any) -> None:
        numbers = {handle.id: number for number, handle in self.handles.items()}
        if event.kind.name == "FILLED":
            await self.saw("fill", [numbers[event.branch_id], event.order.fill_price])
        elif event.kind.name == "REJECTED":
            self.log_.append([self.now_ns // SECOND, event.reason.name])

    def moments(self, when: str) -> list[int]:
        now = self.now_ns // SECOND
        return sorted({row[1] for row in self.rows if row[0] == when and row[1] > now})

    async def saw(self, what: str, entry: list[Any]) -> None:
        self.log_.append([self.now_ns // SECOND, what, *entry])
        self.seen[what] += 1
        if nap := self.on(what, self.seen[what]):
            await self.sleep(nap)

    def on(self, when: str, at: int) -> int:
        nap = 0
        for number, row in enumerate(self.rows):
            if row[:2] == [when, at]:
                send = getattr(self, row[2])
                self.handles[number] = send(row[3], row[4], **row[5])
                nap = row[6]
        return nap


def moment(seconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def play(case: Case) -> Outcome:
    """What the product makes of it."""
    data = {}
    for code, sources in case["data"].items():
        base, quote, _ = KNOWN[code]
        pair = TradingPair(code, base, quote, price_increment=Decimal("0.00001"))
        data[pair] = [[bar_of(code, row) for row in rows] for rows in sources]
    scripts = {name: Script(rows) for name, rows in case["scripts"].items()}
    latency = {link: f"{delay}s" for link, delay in case["latency"].items()}
    result = backtest.run(
        scripts,
        data=data,
        cash=case["cash"],
        latency=latency or None,
        rules=TradingRules(path="open_high_low_close", fill_on=case["fill_on"]),
    )
    fills: dict[str, list[list[Any]]] = {name: [] for name in scripts}
    for one in result.fills:
        side = one.direction.name == "LONG"
        when = None if one.executed_ns is None else one.executed_ns // SECOND
        row = [one.timestamp_ns // SECOND, when, one.pair, side, one.volume, one.price]
        fills[result.agents[one.agent_id]].append(row)
    return {
        "logs": {name: script.log_ for name, script in scripts.items()},
        "fills": fills,
        "balances": {
            name: {
                asset: [money["available"], money["unavailable"]]
                for asset, money in result.balances[name].items()
            }
            for name in scripts
        },
        "equity": result.final_equity,
    }


def bar_of(code: str, row: list[Any]) -> Bar:
    return Bar(code, row[0] * SECOND, row[1] * SECOND, *map(Decimal, row[2:]))


def smaller(case: Case) -> Iterator[Case]:
    """Fewer strategies, pairs, sources, commands and bars; then no latency."""
    for name in case["scripts"] if len(case["scripts"]) > 1 else ():
        scripts = {one: rows for one, rows in case["scripts"].items() if one != name}
        cash = {one: case["cash"][one] for one in scripts}
        yield {**case, "scripts": scripts, "cash": cash}
    used = {row[3] for rows in case["scripts"].values() for row in rows}
    for code in case["data"] if len(case["data"]) > 1 else ():
        if code not in used:
            data = {one: sources for one, sources in case["data"].items() if one != code}
            yield with_field(case, "data", data)
    for name, rows in case["scripts"].items():
        for fewer in shorter(rows):
            yield with_field(case, "scripts", {**case["scripts"], name: fewer})
    for code, sources in case["data"].items():
        for at, rows in enumerate(sources):
            for fewer in shorter(rows):
                left = [*sources[:at], *([fewer] if fewer else []), *sources[at + 1 :]]
                if left:
                    yield with_field(case, "data", {**case["data"], code: left})
    for link in case["latency"]:
        left_ = {one: delay for one, delay in case["latency"].items() if one != link}
        yield with_field(case, "latency", left_)
