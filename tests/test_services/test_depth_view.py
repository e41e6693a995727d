"""Depth told as updates: numbers, gaps, late joiners, and the best few levels only."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backtest.errors import DepthGap
from backtest.services.book.book import BookSnapshot, BookUpdate, OrderBook, Resting
from backtest.services.book.depth_view import DepthView


def buy(price: int, volume: int) -> Resting:
    return Resting("b", None, True, price, volume)


def sell(price: int, volume: int) -> Resting:
    return Resting("s", None, False, price, volume)


class TestChangesOfABook:
    def test_each_level_is_told_once_as_it_is_now(self) -> None:
        book = OrderBook()
        orders = [buy(99, 5), buy(99, 6), buy(98, 1), sell(101, 7), sell(103, 8)]
        for order in orders:
            book.add(order)
        assert book.changes() == BookUpdate(
            1, ((True, 99, 11, 2), (True, 98, 1, 1), (False, 101, 7, 1), (False, 103, 8, 1))
        )
        assert book.changes() is None
        book.reduce(orders[1], 2)
        book.match(Resting.market("m", None, True, 9))  # all of 101, two of 103
        assert book.changes() == BookUpdate(
            2, ((True, 99, 7, 2), (False, 101, 0, 0), (False, 103, 6, 1))
        )
        book.remove(orders[2])
        book.take(orders[0], 1)
        assert book.changes() == BookUpdate(3, ((True, 99, 6, 2), (True, 98, 0, 0)))
        book.remove(orders[1])  # the other one at 99 stays
        assert book.changes() == BookUpdate(4, ((True, 99, 4, 1),))
        book.add(buy(99, 1))
        assert book.changes() == BookUpdate(5, ((True, 99, 5, 2),))
        assert book.sequence == 5

    def test_a_level_that_came_and_went_is_told_as_gone(self) -> None:
        book = OrderBook()
        order = buy(99, 5)
        book.add(order)
        book.remove(order)
        update = book.changes()
        assert update == BookUpdate(1, ((True, 99, 0, 0),))
        view: DepthView[int] = DepthView(0, [], [])
        assert view.apply(*update)
        assert view.depth() == ((), ())

    def test_a_level_that_went_and_came_is_told_as_it_is(self) -> None:
        book = OrderBook()
        order = buy(99, 5)
        book.add(order)
        book.changes()
        book.remove(order)
        book.add(buy(99, 3))
        book.add(buy(99, 4))
        assert book.changes() == BookUpdate(1 + 1, ((True, 99, 7, 2),))

    def test_a_snapshot_between_updates_may_have_seen_the_next_ones_changes(self) -> None:
        book = OrderBook()
        book.add(buy(99, 5))
        book.changes()
        book.add(buy(98, 2))
        snapshot = book.snapshot()
        assert snapshot == BookSnapshot(1, ((99, 5, 1), (98, 2, 1)), ())
        late: DepthView[int] = DepthView(*snapshot)
        book.add(sell(100, 4))
        update = book.changes()
        assert update is not None
        assert late.apply(*update)
        assert (late.sequence, *late.depth()) == book.snapshot()

    def test_a_snapshot_of_few_levels(self) -> None:
        book = OrderBook()
        for price in (97, 98, 99):
            book.add(buy(price, 1))
        assert book.snapshot(2) == BookSnapshot(0, ((99, 1, 1), (98, 1, 1)), ())


class TestView:
    def test_a_gap_is_an_error_and_changes_nothing(self) -> None:
        view: DepthView[int] = DepthView(4, [(99, 5, 1)], [])
        with pytest.raises(DepthGap, match="update 5 was expected and 6 came") as caught:
            view.apply(6, [(True, 99, 0, 0)])
        assert (caught.value.expected, caught.value.found) == (5, 6)
        assert view.depth() == (((99, 5, 1),), ())
        assert view.sequence == 4

    def test_updates_that_the_snapshot_has_are_passed_over(self) -> None:
        view: DepthView[int] = DepthView(4, [(99, 5, 1)], [])
        assert not view.apply(3, [(True, 99, 0, 0)])
        assert not view.apply(4, [(True, 99, 0, 0)])
        assert view.apply(5, [(True, 99, 6, 2)])
        assert view.depth() == (((99, 6, 2),), ())

    def test_best_prices_and_few_levels(self) -> None:
        view: DepthView[int] = DepthView(0, [(98, 1, 1), (99, 2, 1)], [(103, 3, 1), (102, 4, 2)])
        assert (view.best(True), view.best(False)) == (99, 102)
        assert view.depth(1) == (((99, 2, 1),), ((102, 4, 2),))
        empty: DepthView[int] = DepthView(0, [], [])
        assert (empty.best(True), empty.best(False)) == (None, None)

    def test_decimals_do_as_well(self) -> None:
        price, volume = Decimal("99.50"), Decimal("0.125")
        view: DepthView[Decimal] = DepthView(0, [(price, volume, 1)], [])
        assert view.apply(1, [(True, Decimal("99.5"), Decimal("0.250"), 2)])
        assert view.depth() == (((price, Decimal("0.250"), 2),), ())
