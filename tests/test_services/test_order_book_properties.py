"""What always holds of an order book, its depth and its auctions, whatever is done to it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from backtest.services.book.auction import book_equilibrium, equilibrium, uncross
from backtest.services.book.book import BookUpdate, OrderBook, Resting, SelfTrade
from backtest.services.book.depth_view import DepthView
from backtest.services.book.problems import book_problems

PRICES = st.integers(95, 105)
VOLUMES = st.integers(1, 12)
OWNERS = st.sampled_from([None, "ann", "bob"])
SIDES = st.booleans()


def rank(order: Resting) -> tuple[int, int]:
    """What comes first is met first: the better price, then the earlier order."""
    return (-order.price if order.buy else order.price, order.sequence)


class Markets(RuleBasedStateMachine):
    """A book that everything is done to, and readers of its depth."""

    @initialize()
    def begin(self) -> None:
        self.book = OrderBook()
        self.live: list[Resting] = []
        self.number = 0
        self.whole: DepthView[int] = DepthView(*self.book.snapshot())

    def order(self, buy: bool, price: int | None, volume: int, owner: Any) -> Resting:
        self.number += 1
        if price is None:
            return Resting.market(self.number, owner, buy, volume)
        return Resting(self.number, owner, buy, price, volume)

    def tidy(self) -> None:
        self.live = [order for order in self.live if order in self.book]

    @rule(
        buy=SIDES,
        price=st.none() | PRICES,
        volume=VOLUMES,
        owner=OWNERS,
        mode=st.sampled_from(SelfTrade),
    )
    def incoming(
        self, buy: bool, price: int | None, volume: int, owner: Any, mode: SelfTrade
    ) -> None:
        order = self.order(buy, price, volume, owner)
        if not self.book.in_auction:
            self.match(order, mode)
            if price is None or not order.volume:
                return
        self.book.add(order)
        self.live.append(order)

    def match(self, taker: Resting, mode: SelfTrade) -> None:
        """Match, and look at who was met: no one else should have been."""
        there = list(self.book.orders(not taker.buy))
        had = {order.key: order.volume for order in there}
        wanted = taker.volume
        could = self.book.available(taker.buy, None if taker.is_market else taker.price, wanted)
        fills, prevented = self.book.match(taker, mode)
        met = [maker for maker, _ in fills]
        gone = dict.fromkeys(order.key for order, _ in prevented)

        # Priority: those met are in turn, only the last is filled in part, and whoever stood before
        # it and is still there is nobody.
        assert [rank(maker) for maker in met] == sorted(rank(maker) for maker in met)
        assert all(maker.volume == 0 for maker in met[:-1])
        if met:
            before = there[: there.index(met[-1])]
            assert all(order in met or order.key in gone for order in before)
        # Nobody at a worse price than the limit, nobody's own, nothing lost or made.
        for maker, size in fills:
            assert taker.is_market or (
                maker.price <= taker.price if taker.buy else maker.price >= taker.price
            )
            assert maker.owner is None or maker.owner != taker.owner
            assert maker.volume == had[maker.key] - size
        filled = sum(size for _, size in fills)
        cancelled = sum(size for order, size in prevented if order is taker)
        assert wanted == filled + cancelled + taker.volume
        # Fill-or-kill could have known, unless prevention stood in between.
        if not prevented:
            assert filled == could
        if taker.volume:
            best = self.book.front(not taker.buy)
            assert best is None or (
                not taker.is_market
                and (best.price > taker.price if taker.buy else best.price < taker.price)
            )
        self.tidy()

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order = self.live.pop(data.draw(st.integers(0, len(self.live) - 1)))
        self.book.remove(order)
        assert (order.level, order.next, order.previous) == (None, None, None)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def reduce(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.live))
        level = order.level
        assert level is not None
        place = level.orders.index(order)
        self.book.reduce(order, data.draw(st.integers(1, order.volume)))
        assert level.orders[place] is order

    @precondition(lambda self: self.live)
    @rule(data=st.data(), volumes=st.lists(VOLUMES, min_size=1, max_size=3))
    def split(self, data: st.DataObject, volumes: list[int]) -> None:
        """The parts stand where the whole stood."""
        whole = self.live.pop(data.draw(st.integers(0, len(self.live) - 1)))
        level = whole.level
        assert level is not None
        behind = level.orders[level.orders.index(whole) + 1 :]
        parts = []
        for volume in volumes:
            price = None if whole.is_market else whole.price
            parts.append(self.order(whole.buy, price, volume, whole.owner))
            self.book.add_before(parts[-1], whole)
        self.book.remove(whole)
        self.live += parts
        at = level.orders.index(parts[0])
        assert level.orders[at:] == (*parts, *behind)

    @rule(buy=SIDES, data=st.data())
    def take(self, buy: bool, data: st.DataObject) -> None:
        front = self.book.front(buy)
        if front is not None:
            self.book.take(front, data.draw(st.integers(1, front.volume)))
            self.tidy()

    @rule()
    def begin_auction(self) -> None:
        self.book.begin_auction()

    @precondition(lambda self: self.book.in_auction)
    @rule(reference=PRICES)
    def end_auction(self, reference: int) -> None:
        book = self.book
        price, volume, fills = uncross(book.orders(True), book.orders(False), reference)
        indicative = book_equilibrium(book, reference)
        assert (indicative.price, indicative.volume) == (price, volume)
        for buyer, seller, size in fills:
            book.take(buyer, size)
            book.take(seller, size)
        for side in (True, False):
            for order in [order for order in book.orders(side) if order.is_market]:
                book.remove(order)
        book.resume()
        self.tidy()

    @rule()
    def publish(self) -> None:
        """Updates rebuild the snapshot."""
        update = self.book.changes()
        if update is not None:
            assert self.whole.apply(*update)
        assert (self.whole.sequence, *self.whole.depth()) == self.book.snapshot()
        assert self.book.changes() is None

    @rule()
    def join(self) -> None:
        """A reader may come between updates: its snapshot is ahead of its number."""
        self.whole = DepthView(*self.book.snapshot())

    @invariant()
    def holds(self) -> None:
        assert book_problems(self.book) == []
        assert len(self.book) == len(self.live)
        # Nothing is kept that is not in use: a price is in no structure without an order there.
        for side in (self.book._bids, self.book._asks):
            prices = {o.price for o in self.live if o.buy is side.buy and not o.is_market}
            assert set(side.levels) == prices
            assert len(side.ranks) == len(prices)
            assert set(side.changed) >= {p for p, level in side.levels.items() if level.dirty}


TestMarkets = Markets.TestCase


LEVELS = st.lists(st.tuples(PRICES, VOLUMES), max_size=6)
MARKET = st.sampled_from([0, 0, 3, 8])


def brute_force(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], more: int, other: int, reference: int
) -> tuple[int | None, int, int]:
    """The four principles, one price after the other."""
    prices = [price for price, _ in bids + asks] or [reference]
    found = []
    for price in range(min(prices), max(prices) + 1):
        demand = more + sum(volume for at, volume in bids if at >= price)
        supply = other + sum(volume for at, volume in asks if at <= price)
        found.append((price, min(demand, supply), demand - supply))
    most = max(volume for _, volume, _ in found)
    if most == 0:
        return None, 0, 0
    found = [entry for entry in found if entry[1] == most]
    least = min(abs(surplus) for _, _, surplus in found)
    found = [entry for entry in found if abs(entry[2]) == least]
    if all(surplus > 0 for _, _, surplus in found):
        return found[-1]
    if all(surplus < 0 for _, _, surplus in found):
        return found[0]
    buying = [entry for entry in found if entry[2] > 0]
    selling = [entry for entry in found if entry[2] < 0]
    if buying and selling:
        found = [buying[-1], selling[0]]
    return min(found, key=lambda entry: abs(entry[0] - reference))


@given(LEVELS, LEVELS, MARKET, MARKET, st.integers(93, 107))
def test_an_auction_maximises_volume_by_every_principle(
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    more: int,
    other: int,
    reference: int,
) -> None:
    found = equilibrium(bids, asks, reference, market_bids=more, market_asks=other)
    assert found == brute_force(bids, asks, more, other, reference)


ORDERS = st.lists(st.tuples(SIDES, st.none() | PRICES, VOLUMES), max_size=14)


@given(ORDERS, st.integers(93, 107))
def test_who_trades_in_an_auction_is_who_comes_first(
    drawn: list[tuple[bool, int | None, int]], reference: int
) -> None:
    orders = [
        Resting.market(number, None, buy, volume)
        if price is None
        else Resting(number, None, buy, price, volume)
        for number, (buy, price, volume) in enumerate(drawn)
    ]
    for number, order in enumerate(orders):
        order.sequence = number
    bids, asks = [o for o in orders if o.buy], [o for o in orders if not o.buy]
    price, volume, fills = uncross(bids, asks, reference)
    assert sum(size for _, _, size in fills) == volume
    assert (price is None) == (volume == 0)
    for side, traded in (
        (bids, [(buyer.key, size) for buyer, _, size in fills]),
        (asks, [(seller.key, size) for _, seller, size in fills]),
    ):
        given_: dict[Any, int] = {}
        for key, size in traded:
            given_[key] = given_.get(key, 0) + size
        left = volume
        for order in sorted(side, key=rank):
            # In turn each gets all it wants while there is some: so the side's last gets the rest.
            assert given_.get(order.key, 0) == min(order.volume, left)
            left -= min(order.volume, left)
            if given_.get(order.key) and price is not None and not order.is_market:
                assert order.price >= price if order.buy else order.price <= price
        assert left == 0


@given(st.lists(st.tuples(st.booleans(), PRICES, VOLUMES), max_size=20))
def test_levels_leave_nothing_behind(drawn: list[tuple[bool, int, int]]) -> None:
    book = OrderBook()
    book.begin_auction()
    orders = [Resting(n, None, *order) for n, order in enumerate(drawn)]
    for order in orders:
        book.add(order)
    for order in orders:
        book.remove(order)
    book.changes()
    for side in (book._bids, book._asks):
        assert (side.best, side.market) == (None, None)
        assert (side.levels, side.ranks, side.changed) == ({}, [], {})


@given(st.lists(st.tuples(SIDES, PRICES, st.integers(0, 3)), max_size=8), st.integers(1, 3))
def test_an_update_that_is_applied_twice_changes_nothing(
    changes: list[tuple[bool, int, int]], late: int
) -> None:
    view: DepthView[int] = DepthView(7, [(99, 4, 1)], [(101, 4, 1)])
    update = BookUpdate(8, tuple((buy, price, volume, 1) for buy, price, volume in changes))
    assert view.apply(*update)
    before = view.depth()
    assert not view.apply(*update)
    assert not view.apply(8 - late, [(True, 1, 1, 1)])
    assert view.depth() == before
