"""Random operations on an order book, and both books side by side."""

from __future__ import annotations

from random import Random
from typing import Any

from backtest.services.book.book import OrderBook, Resting, SelfTrade
from backtest.services.book.depth_view import DepthView
from tests.reference_book import ReferenceBook

MODES = [mode.value for mode in SelfTrade]


class Pair:
    """The book and the reference book; each step is taken by both and must come to the same."""

    def __init__(self, seed: int, *, owners: int = 6, keep: int = 60, ticks: int = 12) -> None:
        self.random = Random(seed)
        self.book = OrderBook()
        self.reference = ReferenceBook()
        self.resting: dict[int, Resting] = {}
        self.owners, self.keep, self.ticks = owners, keep, ticks
        self.view: DepthView[int] = DepthView(*self.book.snapshot())
        self.number = 0
        self.seen = dict.fromkeys(("add", "match", "remove", "reduce", "take", "prevented"), 0)

    def step(self) -> None:
        """One operation, drawn so that the book keeps about ``keep`` orders."""
        random = self.random
        draw = random.random() * (1.0 + len(self.resting) / self.keep)
        if draw < 1.0 or not self.resting:
            self.incoming()
            return
        name = random.choice(list(self.resting))
        order = self.resting[name]
        kind = random.random()
        if kind < 0.7:
            self.seen["remove"] += 1
            self.book.remove(order)
            self.reference.remove(name)
            del self.resting[name]
        elif kind < 0.85:
            self.seen["reduce"] += 1
            volume = random.randint(1, order.volume)
            self.book.reduce(order, volume)
            self.reference.reduce(name, volume)
        else:
            self.take()

    def incoming(self) -> None:
        random = self.random
        self.number += 1
        buy = random.random() < 0.5
        owner = random.choice([None, *range(self.owners)])
        price = 1_000 + random.randint(-self.ticks, self.ticks) + (-2 if buy else 2)
        volume = random.randint(1, 20)
        at_market = random.random() < 0.05
        mode = random.choice(MODES)
        order = Resting(self.number, owner, buy, price, volume)
        if at_market:
            order = Resting.market(self.number, owner, buy, volume)
        plain = [self.number, owner, buy, None if at_market else price, volume]
        limit = plain[3]
        cap = random.randint(1, 60)
        assert self.book.available(buy, limit, cap) == self.reference.available(buy, limit, cap)
        fills, prevented = self.book.match(order, mode)
        told = [(maker.key, size) for maker, size in fills]
        gone = [(who.key, size) for who, size in prevented]
        assert (told, gone) == self.reference.match(plain, mode)
        assert order.volume == plain[4]
        self.seen["match"] += len(fills)
        self.seen["prevented"] += len(gone)
        for maker, _ in fills:
            if not maker.volume:
                del self.resting[maker.key]
        for who, _ in prevented:
            self.resting.pop(who.key, None)
        if order.volume and not at_market:
            self.seen["add"] += 1
            self.book.add(order)
            self.reference.add(plain)
            self.resting[self.number] = order

    def take(self) -> None:
        """What an exchange does that settles each fill before the next."""
        buy = self.random.random() < 0.5
        front = self.book.front(buy)
        side = self.reference.side(buy)
        assert (front.key if front else None) == (side[0][0] if side else None)
        if front is None:
            return
        self.seen["take"] += 1
        volume = self.random.randint(1, front.volume)
        left = front.volume - volume
        self.book.take(front, volume)
        if left:
            self.reference.reduce(front.key, left)
        else:
            self.reference.remove(front.key)
            del self.resting[front.key]

    def compare(self) -> None:
        """All that both show is the same, and so is what the updates rebuild."""
        update = self.book.changes()
        if update is not None:
            assert self.view.apply(*update)
        assert (self.view.sequence, *self.view.depth()) == self.book.snapshot()
        for buy, depth in zip((True, False), self.book.depth(), strict=True):
            assert list(depth) == self.reference.depth(buy)
            here = [(o.key, o.owner, o.buy, o.price, o.volume) for o in self.book.orders(buy)]
            assert here == [tuple(order) for order in self.reference.side(buy)]
        assert len(self.book) == len(self.reference.orders) == len(self.resting)


def compare_books(seed: int, operations: int, every: int, **options: Any) -> dict[str, int]:
    """Take ``operations`` steps, comparing all after ``every`` of them; how often what happened."""
    pair = Pair(seed, **options)
    for number in range(operations):
        pair.step()
        if number % every == 0:
            pair.compare()
    pair.compare()
    return pair.seen
