"""Auctions by hand: the price of each principle, who trades, and the book around them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from backtest.errors import BookError, FieldError, FieldTypeError, WouldCross
from backtest.services.book.auction import Equilibrium, book_equilibrium, equilibrium, uncross
from backtest.services.book.book import MARKET_BUY, MARKET_SELL, OrderBook, Resting
from backtest.services.book.problems import book_problems


def buy(key: str, price: int | None, volume: int, owner: Any = None) -> Resting:
    if price is None:
        return Resting.market(key, owner, True, volume)
    return Resting(key, owner, True, price, volume)


def sell(key: str, price: int | None, volume: int, owner: Any = None) -> Resting:
    if price is None:
        return Resting.market(key, owner, False, volume)
    return Resting(key, owner, False, price, volume)


def auction_of(*orders: Resting) -> OrderBook:
    book = OrderBook()
    book.begin_auction()
    for order in orders:
        book.add(order)
    return book


def outcome(book: OrderBook, reference: int) -> tuple[int | None, int, list[tuple[str, str, int]]]:
    price, volume, fills = uncross(book.orders(True), book.orders(False), reference)
    return price, volume, [(b.key, s.key, size) for b, s, size in fills]


def settle(book: OrderBook, reference: int) -> None:
    """What an exchange does at the end of an auction."""
    for buyer, seller, volume in uncross(book.orders(True), book.orders(False), reference).fills:
        book.take(buyer, volume)
        book.take(seller, volume)
    for side in (True, False):
        for order in list(book.orders(side)):
            if order.is_market:
                book.remove(order)
    book.resume()


class TestPrinciples:
    def test_greatest_volume(self) -> None:
        # price  bid  sum  ask  sum  tradeable
        #  103    10   10       60     10
        #  102    20   30   25  60     30
        #  101    15   45   20  35     35   <- most
        #  100    30   75   15  15     15
        bids = [(103, 10), (102, 20), (101, 15), (100, 30)]
        asks = [(100, 15), (101, 20), (102, 25)]
        assert equilibrium(bids, asks, 90) == Equilibrium(101, 35, 10)

    def test_a_book_of_ten_levels(self) -> None:
        # The book with which MarketGrid's documentation shows its single-price auction. Ask sums
        # from below: 10 at 122, 135, 290 at 124, 380 at 125 ...; bid sums from above: ... 280 at
        # 125, 480 at 124. At 124 min(480, 290) = 290 trade, at 125 min(280, 380) = 280.
        bids = [(130, 45), (129, 95), (128, 25), (127, 35), (126, 25), (125, 55), (124, 200),
                (123, 80), (122, 60)]  # fmt: skip
        asks = [(122, 10), (123, 125), (124, 155), (125, 90), (126, 20), (127, 10), (128, 15),
                (129, 10), (130, 50), (131, 35)]  # fmt: skip
        assert equilibrium(bids, asks, 126) == Equilibrium(124, 290, 190)

    def test_least_surplus(self) -> None:
        # 10 trade at every price from 100 to 104: at 100 to 102 with 15 - 10 = 5 buyers left over,
        # at 103 and 104 with none. Of those the nearest to the reference.
        bids, asks = [(104, 10), (102, 5)], [(100, 10)]
        assert equilibrium(bids, asks, 90) == Equilibrium(103, 10, 0)
        assert equilibrium(bids, asks, 103) == Equilibrium(103, 10, 0)
        assert equilibrium(bids, asks, 200) == Equilibrium(104, 10, 0)

    def test_pressure_of_buyers_takes_the_highest(self) -> None:
        # The example with which the Australian exchange's rule is taught: 1 000 trade from 610 to
        # 639. Up to 634 at least 1 500 buyers are left over, from 635 to 639 it is 500.
        bids = [(640, 500), (639, 500), (639, 500), (634, 1_000), (633, 500)]
        asks = [(610, 1_000), (640, 500), (641, 520), (642, 550), (643, 519)]
        for reference in (600, 636, 700):
            assert equilibrium(bids, asks, reference) == Equilibrium(639, 1_000, 500)

    def test_pressure_of_sellers_takes_the_lowest(self) -> None:
        # 10 trade from 100 to 104, 5 sellers are left over at each.
        for reference in (90, 102, 110):
            assert equilibrium([(104, 10)], [(100, 15)], reference) == Equilibrium(100, 10, -5)

    @pytest.mark.parametrize(
        ("reference", "price"),
        [(1, 100), (99, 100), (100, 100), (102, 102), (104, 104), (999, 104)],
    )
    def test_no_surplus_takes_the_nearest_to_the_reference(
        self, reference: int, price: int
    ) -> None:
        # 10 want to buy up to 104, 10 to sell from 100.
        found = equilibrium([(104, 10)], [(100, 10)], reference)
        assert found == Equilibrium(price, 10, 0)

    @pytest.mark.parametrize(
        ("reference", "price", "surplus"),
        [(99, 100, 5), (100, 100, 5), (101, 101, -5), (120, 101, -5)],
    )
    def test_pressure_of_both_takes_the_nearer_of_the_two(
        self, reference: int, price: int, surplus: int
    ) -> None:
        # price  bid sum  ask sum  tradeable  surplus
        #  101      10       15       10        -5
        #  100      15       10       10        +5
        bids, asks = [(101, 10), (100, 5)], [(100, 10), (101, 5)]
        assert equilibrium(bids, asks, reference) == Equilibrium(price, 10, surplus)

    @pytest.mark.parametrize(("reference", "price"), [(90, 100), (100, 100), (101, 101)])
    def test_the_two_are_where_the_pressure_turns(self, reference: int, price: int) -> None:
        # price    bid sum  ask sum  tradeable  surplus
        #  101        2        3         2        -1
        #  98 - 100   3        2         2        +1
        found = equilibrium([(101, 2), (100, 1)], [(98, 2), (101, 1)], reference)
        assert found == Equilibrium(price, 2, 1 if price == 100 else -1)

    def test_between_limits_there_may_be_less_surplus_than_at_them(self) -> None:
        # At 98 five buyers are left over, at 102 five sellers, between them nobody: exchanges that
        # look at limits only would go by the reference at once, here 99 to 101 come first.
        bids, asks = [(102, 10), (98, 5)], [(98, 10), (102, 5)]
        assert equilibrium(bids, asks, 100) == Equilibrium(100, 10, 0)
        assert equilibrium(bids, asks, 120) == Equilibrium(101, 10, 0)
        assert equilibrium(bids, asks, 90) == Equilibrium(99, 10, 0)

    def test_the_order_of_the_levels_does_not_matter(self) -> None:
        assert equilibrium([(98, 5), (102, 10)], [(102, 5), (98, 10)], 100).price == 100


class TestMarketOrders:
    def test_they_meet_at_the_reference_where_nobody_has_a_limit(self) -> None:
        assert equilibrium([], [], 77, market_bids=9, market_asks=4) == Equilibrium(77, 4, 5)

    def test_one_side_of_them_takes_the_price_of_the_limits(self) -> None:
        # 8 trade at any price from 50 on, all with 2 buyers over: the highest limit there is.
        found = equilibrium([], [(50, 8)], 40, market_bids=10)
        assert found == Equilibrium(50, 8, 2)
        # With 12 to buy the dearer 4 are needed, too.
        found = equilibrium([], [(50, 8), (60, 4)], 40, market_bids=12)
        assert found == Equilibrium(60, 12, 0)

    def test_they_count_at_every_price(self) -> None:
        # 5 at the market and 10 at up to 101 against 12 from 100: 12 trade at 100 and 101, with 3
        # buyers left over.
        found = equilibrium([(101, 10)], [(100, 12)], 90, market_bids=5)
        assert found == Equilibrium(101, 12, 3)

    def test_they_come_first(self) -> None:
        book = auction_of(
            buy("limit", 105, 6), buy("market", None, 5),
            sell("late", None, 1), sell("cheap", 100, 9),
        )  # fmt: skip
        # 10 of 11 buyers: the market order is first though it came later, the limit gets 5 of 6.
        assert outcome(book, 100) == (
            105, 10,
            [("market", "late", 1), ("market", "cheap", 4), ("limit", "cheap", 5)],
        )  # fmt: skip


class TestNothingToTrade:
    @pytest.mark.parametrize(
        "orders",
        [
            [],
            [buy("a", 100, 5)],
            [sell("a", 100, 5)],
            [buy("a", None, 5)],
            [sell("a", None, 5), sell("b", 90, 1)],
            [buy("a", 100, 5), sell("b", 101, 5)],
        ],
        ids=["empty", "bid", "ask", "market", "sellers", "apart"],
    )
    def test_one_side_or_none_or_apart(self, orders: list[Resting]) -> None:
        book = auction_of(*orders)
        assert outcome(book, 100) == (None, 0, [])
        assert book_equilibrium(book, 100) == Equilibrium(None, 0, 0)
        settle(book, 100)
        assert not book.in_auction
        assert len(book) == sum(not order.is_market for order in orders)


class TestWhoTrades:
    def test_the_latest_at_the_worst_price_get_less(self) -> None:
        # 20 are offered. Buyers in turn: c (102), a and b at 101 by time; b gets 3 of 8, d nothing.
        book = auction_of(
            buy("a", 101, 10), buy("b", 101, 8), buy("c", 102, 7), buy("d", 101, 4),
            sell("x", 101, 12), sell("y", 99, 8),
        )  # fmt: skip
        # At 101: 29 are bid, 20 offered. At 102 only 7 are bid.
        price, volume, fills = outcome(book, 100)
        assert (price, volume) == (101, 20)
        # Sellers in turn: y (99), then x.
        assert fills == [("c", "y", 7), ("a", "y", 1), ("a", "x", 9), ("b", "x", 3)]
        settle(book, 100)
        assert book.depth() == (((101, 9, 2),), ())
        assert [(o.key, o.volume) for o in book.orders(True)] == [("b", 5), ("d", 4)]

    def test_who_bids_less_than_the_price_gets_nothing(self) -> None:
        book = auction_of(buy("a", 105, 10), buy("b", 103, 10), sell("x", 104, 10))
        # 104 and 105 leave nobody over; the reference is below.
        assert outcome(book, 100) == (104, 10, [("a", "x", 10)])

    def test_time_is_when_it_took_its_place(self) -> None:
        first, second = buy("first", 100, 5), buy("second", 100, 5)
        book = auction_of(first, second, sell("x", 100, 5))
        book.remove(first)
        book.add(first)  # an amendment that lost its place
        assert outcome(book, 100)[2] == [("second", "x", 5)]

    def test_orders_need_not_be_in_a_book(self) -> None:
        fills = uncross([buy("a", 10, 1), buy("b", 11, 1)], iter([sell("x", 9, 1)]), 10).fills
        assert [(b.key, s.key, size) for b, s, size in fills] == [("b", "x", 1)]

    def test_nothing_is_changed(self) -> None:
        book = auction_of(buy("a", 105, 10), sell("x", 100, 4))
        before = book.snapshot()
        assert uncross(book.orders(True), book.orders(False), 100).volume == 4
        assert book.snapshot() == before

    def test_orders_of_one_owner_meet(self) -> None:
        book = auction_of(buy("a", 100, 5, "ann"), sell("x", 100, 5, "ann"))
        assert outcome(book, 100) == (100, 5, [("a", "x", 5)])


class TestTheBookAround:
    def test_orders_may_cross_and_are_not_matched(self) -> None:
        book = auction_of(buy("a", 105, 10), sell("x", 100, 4), buy("m", None, 3))
        assert (book.best_bid, book.best_ask) == (105, 100)
        assert book.depth() == (((105, 10, 1),), ((100, 4, 1),))
        assert (book.market_volume(True), book.market_volume(False)) == (3, 0)
        assert len(book) == 3
        assert [order.key for order in book.orders(True)] == ["m", "a"]
        assert book_problems(book) == []
        with pytest.raises(BookError, match="uncross, then resume"):
            book.match(buy("y", 100, 1))

    def test_the_indicative_price_is_what_the_uncrossing_gives(self) -> None:
        book = auction_of(buy("a", 105, 10), sell("x", 100, 4), buy("m", None, 3))
        assert book_equilibrium(book, 100) == Equilibrium(105, 4, 9)
        assert outcome(book, 100)[:2] == (105, 4)

    def test_trading_goes_on_with_what_is_left(self) -> None:
        book = auction_of(
            buy("a", 105, 10), sell("x", 100, 4), sell("y", 106, 9), sell("m", None, 1)
        )
        settle(book, 100)
        assert book.depth() == (((105, 5, 1),), ((106, 9, 1),))
        assert book_problems(book) == []
        fills, _ = book.match(sell("z", 105, 2))
        assert [(order.key, size) for order, size in fills] == [("a", 2)]

    def test_an_auction_during_the_day_begins_with_the_book_as_it_is(self) -> None:
        book = OrderBook()
        book.add(buy("a", 99, 5))
        book.add(sell("x", 101, 5))
        book.begin_auction()
        book.add(sell("y", 98, 2))
        assert outcome(book, 100) == (99, 2, [("a", "y", 2)])

    def test_trading_does_not_resume_crossed(self) -> None:
        book = auction_of(buy("a", 100, 1), sell("x", 100, 1))
        with pytest.raises(WouldCross, match="take the fills of uncross"):
            book.resume()
        assert book.in_auction

    def test_trading_does_not_resume_with_market_orders(self) -> None:
        for order in (buy("m", None, 5), sell("m", None, 5)):
            book = auction_of(order)
            with pytest.raises(BookError, match="1 market orders still wait"):
                book.resume()
            book.remove(order)
            book.resume()
            assert not book.in_auction

    def test_market_orders_of_a_side_stand_in_one_level(self) -> None:
        for side, price in ((True, MARKET_BUY), (False, MARKET_SELL)):
            first, second = (Resting.market(key, None, side, 5) for key in "mn")
            book = auction_of(first, second)
            assert first.level is not None
            assert first.level is second.level
            assert first.level.price == price
            assert first.level.orders == (first, second)
            assert book.best(side) is None

    def test_market_orders_are_in_no_depth_and_no_update(self) -> None:
        book = auction_of(buy("m", None, 5), buy("n", None, 6))
        assert book.changes() is None
        first = next(book.orders(True))
        book.reduce(first, 2)
        book.take(first, 1)
        assert book.market_volume(True) == 7
        for order in list(book.orders(True)):
            book.remove(order)
        assert book.market_volume(True) == 0
        assert book.changes() is None
        assert len(book) == 0


class TestRefusals:
    @pytest.mark.parametrize("reference", [1.5, True, Decimal(100), None])
    def test_a_reference_is_a_whole_number(self, reference: Any) -> None:
        with pytest.raises(FieldTypeError, match=r"^reference must be an int"):
            equilibrium([(1, 1)], [(1, 1)], reference)

    def test_a_reference_is_above_zero(self) -> None:
        with pytest.raises(FieldError, match=r"^reference must be above zero"):
            equilibrium([], [], 0)

    def test_an_order_on_the_wrong_side(self) -> None:
        with pytest.raises(FieldError, match=r"^buy must be True on this side"):
            uncross([sell("x", 1, 1)], [], 1)
        with pytest.raises(FieldError, match=r"^buy must be False on this side"):
            uncross([], [buy("x", 1, 1)], 1)

    def test_an_order_that_is_none(self) -> None:
        with pytest.raises(FieldError, match=r"^volume"):
            uncross([buy("x", 5, 0)], [], 1)
