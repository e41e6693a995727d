"""The order book's rules, by hand: how orders queue, meet, change and are refused."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from backtest.errors import BookError, FieldError, FieldTypeError, NotInBook, WouldCross
from backtest.services.book.book import MARKET_BUY, MARKET_SELL, OrderBook, Resting, SelfTrade
from backtest.services.book.problems import book_problems


def buy(key: str, price: int, volume: int, owner: Any = None) -> Resting:
    return Resting(key, owner, True, price, volume)


def sell(key: str, price: int, volume: int, owner: Any = None) -> Resting:
    return Resting(key, owner, False, price, volume)


def book_of(*orders: Resting) -> OrderBook:
    book = OrderBook()
    for order in orders:
        book.add(order)
    return book


def named(pairs: list[tuple[Resting, int]]) -> list[tuple[Any, int]]:
    return [(order.key, volume) for order, volume in pairs]


def line(book: OrderBook, side: bool, price: int) -> list[tuple[Any, int]]:
    """Who stands at a price, and with how much."""
    level = book.level(side, price)
    return [] if level is None else [(order.key, order.volume) for order in level]


@pytest.fixture
def asks() -> OrderBook:
    """Three levels of asks: 30 at 101 in two orders, 50 at 102, 20 at 105; a bid of 10 at 99."""
    return book_of(
        sell("a", 101, 10), sell("b", 101, 20), sell("c", 102, 50), sell("d", 105, 20),
        buy("e", 99, 10),
    )  # fmt: skip


class TestWhatItShows:
    def test_an_empty_book(self) -> None:
        book = OrderBook()
        assert book.best_bid is None
        assert book.best_ask is None
        assert book.best(True) is None
        assert book.front(False) is None
        assert book.depth(5) == ((), ())
        assert len(book) == 0
        assert book.match(buy("x", 100, 5)) == ([], [])
        assert book.available(True, None, 5) == 0

    def test_best_prices_and_the_first_in_line(self, asks: OrderBook) -> None:
        assert (asks.best_bid, asks.best_ask) == (99, 101)
        best = asks.best(False)
        assert best is not None
        assert (best.price, best.volume, len(best)) == (101, 30, 2)
        assert [order.key for order in best.orders] == ["a", "b"]
        front = asks.front(False)
        assert front is not None
        assert front.key == "a"
        assert len(asks) == 5

    def test_depth_is_best_first_and_cut(self, asks: OrderBook) -> None:
        asks.add(buy("f", 97, 1))
        everything = (((99, 10, 1), (97, 1, 1)), ((101, 30, 2), (102, 50, 1), (105, 20, 1)))
        assert asks.depth() == asks.depth(3) == asks.depth(99) == everything
        assert asks.depth(1) == (((99, 10, 1),), ((101, 30, 2),))
        assert [level.price for level in asks.levels(False)] == [101, 102, 105]
        assert [order.key for order in asks.orders(False)] == ["a", "b", "c", "d"]

    def test_an_order_knows_whether_it_is_in_this_book(self, asks: OrderBook) -> None:
        mine, other = sell("x", 110, 1), sell("y", 110, 1)
        asks.add(mine)
        book_of(other)
        assert mine in asks
        assert other not in asks
        assert buy("z", 1, 1) not in asks

    def test_orders_and_levels_print_what_they_are(self, asks: OrderBook) -> None:
        assert repr(asks.front(True)) == "<buy 10 at 99, 'e' of None>"
        assert repr(asks.best(False)) == "<ask 30 at 101 in 2>"
        assert repr(asks.best(True)) == "<bid 10 at 99 in 1>"
        assert repr(Resting.market("m", "me", False, 3)) == "<sell 3 at market, 'm' of 'me'>"


class TestMatching:
    def test_partial_fills_through_levels(self, asks: OrderBook) -> None:
        # 70 to buy at up to 102: all 30 at 101, first a then b, then 40 of the 50 at 102.
        taker = buy("x", 102, 70)
        fills, prevented = asks.match(taker)
        assert named(fills) == [("a", 10), ("b", 20), ("c", 40)]
        assert prevented == []
        assert taker.volume == 0
        assert asks.depth()[1] == ((102, 10, 1), (105, 20, 1))
        assert [order.volume for order, _ in fills] == [0, 0, 10]
        assert [order in asks for order, _ in fills] == [False, False, True]

    def test_what_is_left_of_a_limit_order_rests_at_its_limit(self, asks: OrderBook) -> None:
        # 100 at up to 103: 30 + 50 are there, 20 remain and become the best bid.
        taker = buy("x", 103, 100)
        fills, _ = asks.match(taker)
        assert named(fills) == [("a", 10), ("b", 20), ("c", 50)]
        asks.add(taker)
        assert (asks.best_bid, asks.best_ask) == (103, 105)
        assert asks.depth(1)[0] == ((103, 20, 1),)

    def test_a_market_order_takes_all_there_is(self, asks: OrderBook) -> None:
        taker = Resting.market("x", None, True, 150)
        fills, _ = asks.match(taker)
        assert named(fills) == [("a", 10), ("b", 20), ("c", 50), ("d", 20)]
        assert taker.volume == 50
        assert asks.best_ask is None
        seller = Resting.market("y", None, False, 4)
        assert named(asks.match(seller)[0]) == [("e", 4)]
        assert asks.depth()[0] == ((99, 6, 1),)

    def test_a_sell_meets_the_highest_bid_first(self) -> None:
        book = book_of(buy("low", 98, 5), buy("high", 100, 5), buy("middle", 99, 5))
        assert named(book.match(sell("x", 99, 12))[0]) == [("high", 5), ("middle", 5)]
        assert book.best_bid == 98

    def test_a_price_that_is_not_reached_is_not_met(self, asks: OrderBook) -> None:
        taker = buy("x", 100, 5)
        assert asks.match(taker) == ([], [])
        assert taker.volume == 5
        asks.add(taker)
        assert asks.best_bid == 100

    def test_an_exact_fill_leaves_neither_order_nor_level(self, asks: OrderBook) -> None:
        assert named(asks.match(buy("x", 101, 30))[0]) == [("a", 10), ("b", 20)]
        assert asks.best_ask == 102
        assert asks.level(False, 101) is None

    def test_who_is_filled_in_part_keeps_its_place(self, asks: OrderBook) -> None:
        asks.match(buy("x", 101, 4))
        asks.add(sell("late", 101, 7))
        assert line(asks, False, 101) == [("a", 6), ("b", 20), ("late", 7)]

    def test_taking_one_fill_at_a_time_is_the_same(self, asks: OrderBook) -> None:
        left = 70
        told = []
        while left and (front := asks.front(False)) is not None and front.price <= 102:
            volume = min(left, front.volume)
            asks.take(front, volume)
            told.append((front.key, volume))
            left -= volume
            assert front.volume == (10 if front.key == "c" else 0)
        assert told == [("a", 10), ("b", 20), ("c", 40)]
        assert asks.depth()[1] == ((102, 10, 1), (105, 20, 1))


class TestChanges:
    def test_cancel_in_the_middle_at_the_front_and_at_the_end(self) -> None:
        orders = [buy(key, 100, volume) for key, volume in zip("abcde", (1, 2, 4, 8, 16))]  # noqa: B905
        book = book_of(*orders)
        for gone, left, volume in ((2, "abde", 27), (0, "bde", 26), (4, "bd", 10), (1, "d", 8)):
            book.remove(orders[gone])
            assert [key for key, _ in line(book, True, 100)] == list(left)
            assert book.depth()[0] == ((100, volume, len(left)),)
        book.remove(orders[3])
        assert book.depth() == ((), ())
        assert orders[2].volume == 4  # what is cancelled is still known

    def test_a_decrease_keeps_the_place(self, asks: OrderBook) -> None:
        first = asks.front(False)
        assert first is not None
        asks.reduce(first, 3)
        assert line(asks, False, 101) == [("a", 3), ("b", 20)]
        assert asks.depth(1)[1] == ((101, 23, 2),)
        assert named(asks.match(buy("x", 101, 5))[0]) == [("a", 3), ("b", 2)]

    def test_an_increase_and_a_new_price_lose_it(self, asks: OrderBook) -> None:
        first = asks.front(False)
        assert first is not None
        asks.remove(first)
        first.volume = 12
        asks.add(first)
        assert line(asks, False, 101) == [("b", 20), ("a", 12)]
        asks.remove(first)
        first.price = 102
        asks.add(first)
        assert line(asks, False, 102) == [("c", 50), ("a", 12)]
        assert asks.depth(1)[1] == ((101, 20, 1),)

    def test_sequence_tells_who_came_first_in_the_whole_book(self) -> None:
        orders = [buy("a", 9, 1), sell("b", 12, 1), buy("c", 10, 1)]
        book = book_of(*orders)
        assert [order.sequence for order in orders] == [1, 2, 3]
        book.remove(orders[0])
        book.add(orders[0])
        assert orders[0].sequence == 4

    def test_a_level_that_was_emptied_can_come_back(self) -> None:
        book = OrderBook()
        for _ in range(3):
            for price in (100, 90, 95, 110):
                order = buy("x", price, 1)
                book.add(order)
                assert book.best_bid == price
                book.remove(order)
                assert book.best_bid is None
        assert book_problems(book) == []

    def test_a_level_that_is_gone_holds_nothing(self, asks: OrderBook) -> None:
        filled, cancelled = asks.best(False), asks.best(True)
        assert filled is not None
        assert cancelled is not None
        asks.match(buy("x", 101, 30))
        for order in cancelled.orders:
            asks.remove(order)
        for level in (filled, cancelled):
            assert (level.volume, len(level), level.orders) == (0, 0, ())
            assert (level.head, level.tail) == (None, None)

    def test_what_is_left_when_the_best_level_goes_is_the_next_best(self) -> None:
        bids = {price: buy("x", price, 1) for price in (7, 3, 9, 5, 1)}
        book = book_of(*bids.values())
        for price, best in ((5, 9), (9, 7), (1, 7), (7, 3), (3, None)):
            book.remove(bids[price])
            assert book.best_bid == best


class TestSplits:
    def test_parts_stand_where_the_whole_stood(self, asks: OrderBook) -> None:
        # b's 20 become 12 and 8; who comes later stands behind both.
        asks.add(sell("late", 101, 5))
        whole = asks.level(False, 101).orders[1]  # type: ignore[union-attr]
        for part in (sell("b1", 101, 12), sell("b2", 101, 8)):
            asks.add_before(part, whole)
        asks.changes()
        asks.remove(whole)
        assert line(asks, False, 101) == [("a", 10), ("b1", 12), ("b2", 8), ("late", 5)]
        assert asks.depth(1)[1] == ((101, 35, 4),)
        assert book_problems(asks) == []
        assert asks.changes() == (2, ((False, 101, 35, 4),))
        assert named(asks.match(buy("x", 101, 11))[0]) == [("a", 10), ("b1", 1)]

    def test_a_part_of_the_first_is_the_first(self, asks: OrderBook) -> None:
        front = asks.front(False)
        assert front is not None
        asks.changes()
        part = sell("part", 101, 4)
        asks.add_before(part, front)
        assert asks.front(False) is part
        assert part.sequence == front.sequence
        assert asks.changes() == (2, ((False, 101, 34, 3),))

    def test_only_at_the_same_price_and_before_what_is_there(self, asks: OrderBook) -> None:
        front = asks.front(False)
        assert front is not None
        for other in (sell("x", 102, 1), buy("x", 101, 1)):
            with pytest.raises(BookError, match="give the same price"):
                asks.add_before(other, front)
        with pytest.raises(FieldError, match=r"^volume"):
            asks.add_before(sell("x", 101, 0), front)
        with pytest.raises(BookError, match="in a book already"):
            asks.add_before(front, front)
        asks.remove(front)
        with pytest.raises(NotInBook):
            asks.add_before(sell("x", 101, 1), front)
        elsewhere = sell("y", 110, 1)
        book_of(elsewhere)
        with pytest.raises(NotInBook):
            asks.add_before(sell("x", 110, 1), elsewhere)
        assert line(asks, False, 101) == [("b", 20)]


class TestFillOrKill:
    @pytest.mark.parametrize(
        ("limit", "cap", "there"),
        [
            (100, 5, 0),  # nothing at 100
            (101, 30, 30),  # exactly the first level
            (101, 31, 30),  # one lot short: kill
            (102, 80, 80),  # 30 + 50
            (104, 90, 80),  # 105 is too dear
            (None, 100, 100),  # at the market: 30 + 50 + 20
            (None, 1_000, 100),
            (None, 7, 7),  # never more than asked
        ],
    )
    def test_of_a_buy(self, asks: OrderBook, limit: int | None, cap: int, there: int) -> None:
        before = asks.depth()
        assert asks.available(True, limit, cap) == there
        assert asks.depth() == before

    def test_of_a_sell(self) -> None:
        book = book_of(buy("a", 100, 5), buy("b", 99, 6))
        assert book.available(False, 100, 9) == 5
        assert book.available(False, 99, 9) == 9
        assert book.available(False, None, 99) == 11
        assert book.available(False, 101, 1) == 0

    def test_fill_or_kill_is_asking_first_and_immediate_or_cancel_is_not_resting(
        self, asks: OrderBook
    ) -> None:
        kill = buy("kill", 102, 81)
        assert asks.available(True, 102, 81) < kill.volume  # killed: the book is not touched
        immediate = buy("immediate", 102, 81)
        fills, _ = asks.match(immediate)
        assert sum(volume for _, volume in fills) == 80
        assert immediate.volume == 1  # cancelled: it is simply not added
        assert asks.best_bid == 99


class TestSelfTrade:
    """Asks: 10 of ann, 20 of bob, 30 of ann, all at 101; 40 of bob at 102."""

    @pytest.fixture
    def book(self) -> OrderBook:
        return book_of(
            sell("a1", 101, 10, "ann"), sell("b1", 101, 20, "bob"),
            sell("a2", 101, 30, "ann"), sell("b2", 102, 40, "bob"),
        )  # fmt: skip

    def test_cancel_newest(self, book: OrderBook) -> None:
        # bob's 25: 10 of ann's, then his own stands in front: the other 15 are cancelled.
        taker = buy("x", 102, 25, "bob")
        fills, prevented = book.match(taker, SelfTrade.CANCEL_NEWEST)
        assert named(fills) == [("a1", 10)]
        assert prevented == [(taker, 15)]
        assert taker.volume == 0
        assert book.depth()[1] == ((101, 50, 2), (102, 40, 1))

    def test_cancel_newest_is_what_happens_unasked(self, book: OrderBook) -> None:
        taker = buy("x", 101, 5, "ann")
        assert book.match(taker) == ([], [(taker, 5)])

    def test_cancel_oldest(self, book: OrderBook) -> None:
        # bob's 75: 10 of ann's, his own 20 go, 30 of ann's, his own 40 at 102 go; 35 are left.
        taker = buy("x", 102, 75, "bob")
        fills, prevented = book.match(taker, "cancel_oldest")
        assert named(fills) == [("a1", 10), ("a2", 30)]
        assert named(prevented) == [("b1", 20), ("b2", 40)]
        assert taker.volume == 35
        assert book.depth() == ((), ())
        assert all(order not in book for order, _ in prevented)
        assert all(order.volume == 0 for order, _ in prevented)

    def test_cancel_both(self, book: OrderBook) -> None:
        taker = buy("x", 102, 75, "bob")
        fills, prevented = book.match(taker, "cancel_both")
        assert named(fills) == [("a1", 10)]
        assert named(prevented) == [("b1", 20), ("x", 65)]
        assert taker.volume == 0
        assert book.depth()[1] == ((101, 30, 1), (102, 40, 1))

    def test_prevention_begins_only_where_they_would_meet(self, book: OrderBook) -> None:
        # The 10 in front of bob's own are all he wants.
        fills, prevented = book.match(buy("x", 102, 10, "bob"), "cancel_both")
        assert named(fills) == [("a1", 10)]
        assert prevented == []

    def test_orders_of_nobody_meet_each_other(self) -> None:
        book = book_of(sell("a", 101, 1))
        assert named(book.match(buy("x", 101, 1))[0]) == [("a", 1)]

    def test_owners_are_the_same_when_they_are_equal(self) -> None:
        book = book_of(sell("a", 101, 1, ("desk", 7)))
        taker = buy("x", 101, 1, ("desk", int("7")))
        assert book.match(taker) == ([], [(taker, 1)])

    def test_an_unknown_mode_is_refused(self, book: OrderBook) -> None:
        with pytest.raises(BookError, match="cancel_newest, cancel_oldest, cancel_both, not 'no'"):
            book.match(buy("x", 90, 1, "bob"), "no")


class TestRefusals:
    @pytest.mark.parametrize("order", [buy("x", 101, 1), buy("x", 200, 1), sell("x", 99, 1)])
    def test_what_would_cross_does_not_rest(self, asks: OrderBook, order: Resting) -> None:
        before = asks.depth()
        with pytest.raises(WouldCross, match="would meet"):
            asks.add(order)
        assert asks.depth() == before
        assert order.level is None
        assert order.sequence == 0
        assert asks.changes() is not None
        assert asks.changes() is None

    def test_what_is_not_there_cannot_be_removed_reduced_or_taken(self, asks: OrderBook) -> None:
        elsewhere = sell("y", 110, 5)
        book_of(elsewhere)
        gone = asks.front(False)
        assert gone is not None
        asks.remove(gone)
        filled = asks.front(False)
        assert filled is not None
        asks.take(filled, 20)
        before = asks.depth()
        for order in (elsewhere, gone, filled, buy("never", 1, 1)):
            with pytest.raises(NotInBook, match="is not in this book"):
                asks.remove(order)
            with pytest.raises(NotInBook, match="is not in this book"):
                asks.reduce(order, 1)
            with pytest.raises(NotInBook, match="is not in this book"):
                asks.take(order, 1)
        assert asks.depth() == before
        assert elsewhere.level is not None

    def test_nothing_is_added_twice(self, asks: OrderBook) -> None:
        front = asks.front(True)
        assert front is not None
        with pytest.raises(BookError, match="in a book already"):
            asks.add(front)
        with pytest.raises(BookError, match="in a book already"):
            asks.match(front)
        assert asks.depth()[0] == ((99, 10, 1),)

    @pytest.mark.parametrize("value", [True, 1.0, Decimal(1), Fraction(1), "1", None])
    @pytest.mark.parametrize("field", ["price", "volume"])
    def test_only_whole_numbers(self, asks: OrderBook, field: str, value: Any) -> None:
        for method in (asks.add, asks.match):
            order = buy("x", 90, 5)
            setattr(order, field, value)
            with pytest.raises(FieldTypeError, match=f"^{field} must be an int"):
                method(order)
        assert asks.depth()[0] == ((99, 10, 1),)

    @pytest.mark.parametrize("value", [True, 1.0, Decimal(1), "1"])
    def test_only_whole_volumes_to_reduce_to_and_to_take(self, asks: OrderBook, value: Any) -> None:
        front = asks.front(False)
        assert front is not None
        for method in (asks.reduce, asks.take):
            with pytest.raises(FieldTypeError, match=r"^volume must be an int \(lots\)"):
                method(front, value)
        assert front.volume == 10

    @pytest.mark.parametrize("volume", [0, -1])
    def test_volume_is_above_zero(self, asks: OrderBook, volume: int) -> None:
        for method in (asks.add, asks.match):
            with pytest.raises(FieldError, match=r"^volume must be above zero"):
                method(buy("x", 90, volume))
        front = asks.front(False)
        assert front is not None
        for change in (asks.reduce, asks.take):
            with pytest.raises(FieldError, match=r"^volume must be above zero and at most 10"):
                change(front, volume)

    def test_no_more_than_there_is(self, asks: OrderBook) -> None:
        front = asks.front(False)
        assert front is not None
        for change in (asks.reduce, asks.take):
            with pytest.raises(FieldError, match="at most 10, not 11"):
                change(front, 11)
        assert line(asks, False, 101) == [("a", 10), ("b", 20)]

    @pytest.mark.parametrize(
        "order",
        [buy("x", 0, 1), buy("x", -5, 1), sell("x", -5, 1), sell("x", MARKET_BUY, 1)],
    )
    def test_prices_are_above_zero(self, asks: OrderBook, order: Resting) -> None:
        with pytest.raises(FieldError, match=r"^price must be above zero"):
            asks.add(order)

    def test_a_side_is_true_or_false(self) -> None:
        with pytest.raises(FieldTypeError, match=r"^buy must be True or False"):
            Resting("x", None, "sell", 1, 1).check()  # type: ignore[arg-type]

    def test_market_orders_rest_in_auctions_only(self) -> None:
        for side in (True, False):
            book = OrderBook()
            with pytest.raises(BookError, match="market orders rest in auctions only"):
                book.add(Resting.market("x", None, side, 5))
            assert len(book) == 0

    def test_the_bounds_of_prices_are_the_prices_of_market_orders(self) -> None:
        assert Resting.market("x", None, True, 1).price == MARKET_BUY
        assert Resting.market("x", None, False, 1).price == MARKET_SELL
        assert not buy("x", MARKET_BUY - 1, 1).is_market
        assert not sell("x", 1, 1).is_market


class TestTheCheckItself:
    """`book_problems` finds what is broken by hand."""

    @pytest.mark.parametrize(
        ("break_it", "told"),
        [
            (lambda book: setattr(book.best(False), "volume", 31), "holds 30 in 2"),
            (lambda book: setattr(book.best(False), "count", 3), "holds 30 in 2"),
            (lambda book: setattr(book.front(False), "sequence", 9), "out of turn"),
            (lambda book: setattr(book.front(False), "price", 102), "stands in"),
            (lambda book: setattr(book.front(False), "buy", True), "stands in"),
            (lambda book: setattr(book.front(False), "level", None), "stands in"),
            (lambda book: setattr(book.front(False), "volume", 0), "has no volume"),
            (lambda book: setattr(book.best(False), "price", 99), "crossed"),
            (lambda book: setattr(book.best(False), "price", 103), "out of order"),
            (lambda book: setattr(book.best(False), "price", 100), "not what the book has"),
            (lambda book: setattr(book._asks, "best", book.level(False, 102)), "best is 102"),
            (lambda book: setattr(book.best(True), "head", None), "is empty"),
        ],
    )
    def test_finds(self, asks: OrderBook, break_it: Callable[[OrderBook], None], told: str) -> None:
        assert book_problems(asks) == []
        break_it(asks)
        assert any(told in problem for problem in book_problems(asks)), book_problems(asks)

    def test_finds_market_orders_left_over(self, asks: OrderBook) -> None:
        asks.begin_auction()
        asks.add(Resting.market("m", None, True, 1))
        assert book_problems(asks) == []
        asks._auction = False
        assert book_problems(asks) == ["market orders rest outside an auction"]
