"""The order book's speed alone: adding, cancelling and matching, mixed, beside a bare book.

    python benchmarks/order_book.py [--operations 1000000] [--rounds 5] [--seed 1] [--json]
    python benchmarks/order_book.py --verify [--operations 1000000]

The operations are drawn and prepared before the clock starts, and each book does the same ones:
half are orders that rest, most others cancel one of those, one in nine is an order that matches (a
third of these at the market). Prices wander, and orders lie thicker near the best. The clock counts
processor time, because others use the machine, too; ``book`` makes its orders within it, and for
``made_before`` they are there already.

The yardstick is the least that can be called a book: heaps of prices, dicts of volumes, nothing
checked, nothing counted, no owners, no depth. Rounds of all three alternate; ratios are of medians.

``--verify`` times nothing: it compares the fills of both on those operations, and the book with the
plain reference book of the tests, step by step, on as many others.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import json
import platform
import statistics
import sys
import time
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from backtest.services.book.book import MARKET_BUY, MARKET_SELL, OrderBook, Resting
from backtest.services.book.problems import book_problems

ADD, CANCEL, MATCH = range(3)
START = 100_000
OWNERS = 200


class Operation(NamedTuple):
    """``number`` is the order's, counted from 0; what is left of a match does not rest."""

    kind: int
    number: int
    owner: int
    buy: bool
    price: int
    volume: int


def prepare(count: int, seed: int) -> list[Operation]:
    """``count`` operations, with about 2 000 orders in the book from the first few thousand on."""
    random = Random(seed)
    draw, whole = random.random, random.randrange
    book = OrderBook()
    live: list[Resting] = []
    place: dict[int, int] = {}
    operations: list[Operation] = []

    def forget(number: int) -> None:
        at = place.pop(number)
        last = live.pop()
        if last.key != number:
            live[at] = last
            place[last.key] = at

    number = 0
    while len(operations) < count:
        part = draw() * (0.61 if len(live) < 1_000 else 1.0 if len(live) < 2_000 else 1.1)
        buy = draw() < 0.5
        volume = whole(1, 100)
        owner = whole(OWNERS)
        if part < 0.5:
            price = _resting_price(book, buy, 1 + int(random.expovariate(1 / 14)))
            order = Resting(number, owner, buy, price, volume)
            book.add(order)
            place[number] = len(live)
            live.append(order)
            operations.append(Operation(ADD, number, owner, buy, price, volume))
            number += 1
        elif part < 0.61:
            if draw() < 1 / 3:
                price = MARKET_BUY if buy else MARKET_SELL
            else:
                best = book.best(not buy)
                price = START if best is None else best.price + (2 if buy else -2)
            owner += OWNERS  # never its own: the bare book knows no owners, and both must agree
            order = Resting(number, owner, buy, price, volume)
            fills, _ = book.match(order)
            for maker, _size in fills:
                if not maker.volume:
                    forget(maker.key)
            operations.append(Operation(MATCH, number, owner, buy, price, volume))
            number += 1
        elif live:
            order = live[whole(len(live))]
            book.remove(order)
            forget(order.key)
            operations.append(Operation(CANCEL, order.key, order.owner, order.buy, order.price, 0))
    return operations


def _resting_price(book: OrderBook, buy: bool, far: int) -> int:
    """The price that is so ``far`` from the best of the other side."""
    bid, ask = book.best_bid, book.best_ask
    if buy:
        return max((ask if ask is not None else (bid or START) + 2) - far, 1)
    return max((bid if bid is not None else (ask or START) - 2) + far, 1)


class BareBook:
    """Heaps and dicts and nothing else: the yardstick."""

    def __init__(self) -> None:
        self.bids: dict[int, dict[int, int]] = {}
        self.asks: dict[int, dict[int, int]] = {}
        self.bid_heap: list[int] = []
        self.ask_heap: list[int] = []

    def add(self, number: int, buy: bool, price: int, volume: int) -> None:
        levels = self.bids if buy else self.asks
        level = levels.get(price)
        if level is None:
            levels[price] = {number: volume}
            heapq.heappush(*((self.bid_heap, -price) if buy else (self.ask_heap, price)))
        else:
            level[number] = volume

    def cancel(self, number: int, buy: bool, price: int) -> None:
        levels = self.bids if buy else self.asks
        level = levels[price]
        del level[number]
        if not level:
            del levels[price]

    def match(self, buy: bool, limit: int, volume: int) -> list[tuple[int, int]]:
        levels, heap, sign = (
            (self.asks, self.ask_heap, 1) if buy else (self.bids, self.bid_heap, -1)
        )
        fills = []
        limit *= sign
        while volume and heap:
            price = heap[0]
            level = levels.get(price * sign)
            if level is None:
                heapq.heappop(heap)
                continue
            if price > limit:
                break
            number = next(iter(level))
            there = level[number]
            if there > volume:
                level[number] = there - volume
                fills.append((number, volume))
                break
            fills.append((number, there))
            volume -= there
            del level[number]
            if not level:
                del levels[price * sign]
                heapq.heappop(heap)
        return fills


def time_bare(operations: list[Operation]) -> float:
    """Seconds that the bare book takes."""
    book = BareBook()
    add, cancel, match = book.add, book.cancel, book.match
    prepared = [(o.kind, o.number, o.buy, o.price, o.volume) for o in operations]
    begin = time.process_time()
    for kind, number, buy, price, volume in prepared:
        if kind == ADD:
            add(number, buy, price, volume)
        elif kind == CANCEL:
            cancel(number, buy, price)
        else:
            match(buy, price, volume)
    return time.process_time() - begin


def time_book(operations: list[Operation]) -> float:
    """Seconds that the order book takes, with the making of its orders."""
    book = OrderBook()
    add, remove, match = book.add, book.remove, book.match
    orders: dict[int, Resting] = {}
    pop = orders.pop
    prepared = [(o.kind, o.number, o.owner, o.buy, o.price, o.volume) for o in operations]
    begin = time.process_time()
    for kind, number, owner, buy, price, volume in prepared:
        if kind == ADD:
            orders[number] = order = Resting(number, owner, buy, price, volume)
            add(order)
        elif kind == CANCEL:
            remove(pop(number))
        else:
            for maker, _size in match(Resting(number, owner, buy, price, volume))[0]:
                if not maker.volume:
                    del orders[maker.key]
    return time.process_time() - begin


def time_made(operations: list[Operation]) -> float:
    """Seconds that the order book takes when each operation has its order already."""
    book = OrderBook()
    add, remove, match = book.add, book.remove, book.match
    orders: dict[int, Resting] = {}
    prepared = []
    for kind, number, owner, buy, price, volume in operations:
        if kind != CANCEL:
            orders[number] = Resting(number, owner, buy, price, volume)
        prepared.append((kind, orders[number]))
    begin = time.process_time()
    for kind, order in prepared:
        if kind == ADD:
            add(order)
        elif kind == CANCEL:
            remove(order)
        else:
            match(order)
    return time.process_time() - begin


def verify(operations: list[Operation], seed: int) -> dict[str, Any]:
    """Raise unless the books agree with each other, and the book with the reference."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.book_operations import compare_books

    bare, book = BareBook(), OrderBook()
    orders: dict[int, Resting] = {}
    fills = 0
    for kind, number, owner, buy, price, volume in operations:
        if kind == CANCEL:
            bare.cancel(number, buy, price)
            book.remove(orders[number])
            continue
        order = orders[number] = Resting(number, owner, buy, price, volume)
        if kind == ADD:
            bare.add(number, buy, price, volume)
            book.add(order)
            continue
        found = [(maker.key, size) for maker, size in book.match(order)[0]]
        if found != bare.match(buy, price, volume):
            raise AssertionError(f"the books differ at order {number}")
        fills += len(found)
    problems = book_problems(book)
    if problems:
        raise AssertionError(problems)
    steps = compare_books(seed, len(operations), 100)
    return {"verified": True, "operations": len(operations), "fills": fills, "reference": steps}


CONTENDERS = {"bare": time_bare, "book": time_book, "made_before": time_made}


def measure(operations: list[Operation], rounds: int) -> dict[str, Any]:
    """Operations a second of each contender, the median of ``rounds`` that alternate."""
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, contender in CONTENDERS.items():
            gc.collect()
            seconds[name].append(contender(operations))
    count = len(operations)
    speed = {name: round(count / statistics.median(took)) for name, took in seconds.items()}
    return {
        "operations": count,
        "mix": {
            name: sum(operation.kind == kind for operation in operations)
            for name, kind in (("add", ADD), ("cancel", CANCEL), ("match", MATCH))
        },
        "rounds": rounds,
        **{f"{name}_per_s": value for name, value in speed.items()},
        **{f"{name}_best_per_s": round(count / min(took)) for name, took in seconds.items()},
        "ratio_to_bare": round(speed["book"] / speed["bare"], 3),
        "ratio_to_bare_made_before": round(speed["made_before"] / speed["bare"], 3),
        "python": platform.python_version(),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--verify", action="store_true", help="compare instead of timing")
    options = parser.parse_args(arguments)
    operations = prepare(options.operations, options.seed)
    if options.verify:
        result = verify(operations, options.seed)
    else:
        result = measure(operations, options.rounds)
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:28} {value}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
