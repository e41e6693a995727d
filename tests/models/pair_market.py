"""A market of several pairs, by the rules alone: the order of events, eligibility, and worth."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Any

from tests.models.common import Case, Unclear

__all__ = ["KNOWN", "STEP", "TICK", "Market"]

TICK = Fraction(1, 100000)
STEP = Fraction(1, 10**8)
NONE = Fraction(0)
KNOWN = {
    "BTCUSD": ("BTC", "USD", "100"),
    "ETHUSD": ("ETH", "USD", "10"),
    "ETHBTC": ("ETH", "BTC", "0.1"),
    "USDJPY": ("USD", "JPY", "5"),
    "BTCJPY": ("BTC", "JPY", "500"),
    "JPYEUR": ("JPY", "EUR", "0.25"),
    "EURETH": ("EUR", "ETH", "0.125"),
}
"""Pairs by code: base, quote, and about what they cost."""


class Market:
    """Delivers everything in the order of (time, priority, sequence)."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.heap: list[tuple[tuple[int, ...], Callable[[], Any]]] = []
        self.sequence = 0
        self.now, self.urgency = 0, 0
        self.orders: list[dict[str, Any]] = []
        self.prices: dict[str, Fraction] = {}
        self.logs: dict[str, list[list[Any]]] = {name: [] for name in case["scripts"]}
        self.fills: dict[str, list[list[Any]]] = {name: [] for name in case["scripts"]}
        self.seen = {name: {"bar": 0, "fill": 0} for name in case["scripts"]}
        self.asleep: set[str] = set()
        self.kept: dict[str, list[Callable[[], int]]] = {name: [] for name in case["scripts"]}
        self.closed: dict[str, tuple[int, Fraction]] = {}
        """The time and price of the last close of each pair that was walked."""
        self.money = {
            name: {asset: [Fraction(sum_), NONE] for asset, sum_ in owned.items()}
            for name, owned in case["cash"].items()
        }
        self.positions: list[tuple[str, bool, Fraction, Fraction]] = []

    def send(self, priority: int, delay: int, act: Callable[[], Any]) -> None:
        """What is sent arrives after ``delay``; at the same time it is no more urgent than now."""
        self.sequence += 1
        urgency = priority if delay else max(priority, self.urgency)
        heapq.heappush(self.heap, ((self.now + delay, urgency, 0, self.sequence), act))

    def run(self) -> None:
        bars = [
            (row[1], at, length, code, row)
            for at, (code, sources) in enumerate(self.case["data"].items())
            for length, rows in enumerate(sources)
            for row in rows
        ]
        bars.sort(key=lambda one: one[:3])
        self.now = bars[0][4][0]
        end = bars[-1][0]
        for number, (close, _, length, code, row) in enumerate(bars):
            # A command that arrives at the very time of a bar was sent before it.
            act = self.bar(code, length, row)
            heapq.heappush(self.heap, ((close, 0, 1, number), act))
        for name, script in self.case["scripts"].items():
            self.urgency = 0
            self.trigger(name, "start", 0)
            for at in self.moments(script, "timer"):
                self.send(3, at - self.now, self.timer(name, "timer", at))
            self.sleep(name, self.moments(script, "sleep"))
        while self.heap and self.heap[0][0][0] <= end:
            key, act = heapq.heappop(self.heap)
            self.now, self.urgency = key[:2]
            act()

    def moments(self, script: list[list[Any]], when: str) -> list[int]:
        return sorted({row[1] for row in script if row[0] == when and row[1] > self.now})

    def timer(self, name: str, when: str, at: int) -> Callable[[], Any]:
        def act() -> int:
            self.logs[name].append([self.now, when])
            return self.trigger(name, when, at)

        return act if when == "sleep" else lambda: self.receive(name, act)

    def sleep(self, name: str, moments: list[int]) -> None:
        """What runs beside the handlers, from one moment to the next; it does not wait for them."""
        if moments:
            act = self.timer(name, "sleep", moments[0])

            def wake() -> None:
                act()
                self.sleep(name, moments[1:])

            self.send(3, moments[0] - self.now, wake)

    def receive(self, name: str, handle: Callable[[], int]) -> None:
        """Let a handler run, once those before it are done; it says how long it sleeps."""
        self.kept[name].append(handle)
        while self.kept[name] and name not in self.asleep:
            nap = self.kept[name].pop(0)()
            if nap:
                self.asleep.add(name)
                self.send(3, nap, lambda: self.wake(name))

    def wake(self, name: str) -> None:
        self.asleep.remove(name)
        waiting, self.kept[name] = self.kept[name], []
        for handle in waiting:
            self.receive(name, handle)

    def trigger(self, name: str, when: str, at: int) -> int:
        """Send what the script says for this occasion; how long it sleeps then."""
        nap = 0
        for number, row in enumerate(self.case["scripts"][name]):
            if row[0] == when and row[1] == at:
                delay = self.case["latency"].get("orders", 0)
                self.send(0, delay, self.command(name, number, row))
                nap = row[6] if when in ("bar", "fill", "timer") else 0
        return nap

    def tell(self, name: str, what: str, entry: list[Any]) -> None:
        """A bar or a fill reaches a strategy."""
        priority, link = (2, "market_data") if what == "bar" else (1, "order_events")

        def act() -> int:
            if what == "refusal":
                self.logs[name].append([self.now, *entry])
                return 0
            self.logs[name].append([self.now, what, *entry])
            self.seen[name][what] += 1
            return self.trigger(name, what, self.seen[name][what])

        delay = self.case["latency"].get(link, 0)
        self.send(priority, delay, lambda: self.receive(name, act))

    # -- the venue ---------------------------------------------------------------------------------

    def bar(self, code: str, source: int, row: list[Any]) -> Callable[[], None]:
        finer = self.case["data"][code][:source]

        def act() -> None:
            # It is walked only if nothing finer lies in it.
            if not any(row[0] < other[1] <= row[1] for rows in finer for other in rows):
                self.match(code, row)
            for name in self.case["scripts"]:
                self.tell(name, "bar", [code, row[0], row[1], Fraction(row[5])])

        return act

    def match(self, code: str, row: list[Any]) -> None:
        """Fill on a bar that goes open, high, low, close: at one point of it market orders and
        stops first, then limits by better price, then by acceptance."""
        opened, (first, high, low, close) = row[0], map(Fraction, row[2:])
        self.prices[code] = close
        self.closed[code] = (self.now, close)
        found = []
        price: Fraction | None
        for place, order in enumerate(self.orders):
            if order["code"] != code:
                continue
            market = order["kind"] == "market"
            if market and self.case["fill_on"] == "next_close":
                point, price = 3, close
            elif order["at"] <= opened:
                point, price = reached(order, first, high, low)
            elif market:
                continue
            else:
                point, price = 3, reached(order, close, close, close)[1]
            limit = order["kind"] == "limit_price"
            better = order["price"] * (-1 if order["buy"] else 1) if limit else NONE
            if price is not None:
                found.append(((point, limit, better, place), order, price))
        when = {0: opened, 3: self.now}
        for key, order, price in sorted(found, key=lambda one: one[0]):
            self.fill(order, price, when.get(key[0]))

    def command(self, name: str, number: int, row: list[Any]) -> Callable[[], None]:
        def act() -> None:
            _, _, side, code, volume, prices, _ = row
            order = {"name": name, "number": number, "code": code, "volume": Fraction(volume)}
            order |= {"side": side, "buy": side in ("buy", "long"), "at": self.now}
            order["kind"] = next(iter(prices), "market")
            order["price"] = Fraction(next(iter(prices.values()), 0))
            last = self.prices.get(code)
            if order["kind"] == "market" and last is None:
                self.tell(name, "refusal", ["NO_PRICE_YET"])
                return
            self.reserve(order, last)
            self.orders.append(order)
            at, close = self.closed.get(code, (-1, NONE))
            this_close = self.case["fill_on"] == "this_close"
            if order["kind"] == "market" and this_close and at == self.now:
                # An event of its own, before time moves.
                self.send(0, 0, lambda: self.fill(order, close, self.now))

        return act

    def reserve(self, order: dict[str, Any], last: Fraction | None) -> None:
        base, quote, _ = KNOWN[order["code"]]
        asset, need = quote, order["price"]
        if order["side"] == "sell":
            asset, need = base, Fraction(1)
        elif order["kind"] == "market" and last is not None:
            need = last if order["side"] == "short" else buffered(last)
        elif order["kind"] == "stop_price":
            need = buffered(order["price"])
        if order["side"] == "short" and last is not None:
            need = max(need, last)
        order["asset"], order["held"] = asset, need * order["volume"]
        self.move(order, asset, -order["held"], order["held"])

    def move(self, order: dict[str, Any], asset: str, free: Fraction, held: Fraction) -> None:
        money = self.money[order["name"]][asset]
        money[0] += free
        money[1] += held
        if money[0] < 0:
            raise Unclear("the account has too little: that is not asked here")

    def fill(self, order: dict[str, Any], price: Fraction, when: int | None) -> None:
        """Book a fill that happened at ``when``; inside a bar nobody knows."""
        self.orders.remove(order)
        base, quote, _ = KNOWN[order["code"]]
        volume, worth = order["volume"], order["volume"] * price
        self.move(order, order["asset"], order["held"], -order["held"])
        if order["side"] == "buy":
            self.move(order, quote, -worth, NONE)
            self.move(order, base, volume, NONE)
        elif order["side"] == "sell":
            self.move(order, base, -volume, NONE)
            self.move(order, quote, worth, NONE)
        else:
            self.move(order, quote, -worth, worth)
        row = [self.now, when, order["code"], order["buy"], volume, price]
        self.fills[order["name"]].append(row)
        self.tell(order["name"], "fill", [order["number"], price])
        if order["side"] in ("long", "short"):
            self.positions.append((order["code"], order["buy"], volume, price))

    # -- what it is worth --------------------------------------------------------------------------

    def rate(self, asset: str) -> Fraction | None:
        """What one of ``asset`` is worth in dollars: by the path of fewest pairs; of those of equal
        length by the first in the order of codes, and between two assets by the direct pair."""
        edges: dict[tuple[str, str], Fraction] = {}
        for code, price in self.prices.items():
            base, quote, _ = KNOWN[code]
            edges[base, quote] = price
            edges.setdefault((quote, base), 1 / price)
        paths: list[tuple[str, ...]] = [(asset,)]
        while paths:
            done = sorted(path for path in paths if path[-1] == "USD")
            if done:
                rate = Fraction(1)
                for here, there in pairwise(done[0]):
                    rate *= edges[here, there]
                return rate
            paths = [
                (*path, there)
                for path in paths
                for here, there in edges
                if here == path[-1] and there not in path
            ]
        return None

    def equity(self) -> Fraction:
        """What all accounts have, in dollars; each asset rounded down once."""
        owned: dict[str, Fraction] = defaultdict(Fraction)
        for money in self.money.values():
            for asset, (free, held) in money.items():
                owned[asset] += free + held
        for code, buy, volume, price in self.positions:
            gain = (self.prices[code] - price) * volume
            owned[KNOWN[code][1]] += gain if buy else -gain
        rates = {asset: self.rate(asset) for asset in owned}
        return sum(
            (
                floor(sum_ * rate / STEP) * STEP
                for asset, sum_ in owned.items()
                if (rate := rates[asset]) is not None
            ),
            NONE,
        )


def reached(
    order: dict[str, Any], first: Fraction, high: Fraction, low: Fraction
) -> tuple[int, Fraction | None]:
    """Where an order fills on a bar of which these prices count: the point (0, 1 or 2) and the
    price; None if it does not."""
    if order["kind"] == "market":
        return 0, first
    price = order["price"]
    up = order["buy"] is (order["kind"] == "stop_price")
    if (first >= price) if up else (first <= price):
        return 0, first
    return (1 if up else 2), price if ((high >= price) if up else (low <= price)) else None


def buffered(price: Fraction) -> Fraction:
    return ceil(price * Fraction(21, 20) / TICK) * TICK
