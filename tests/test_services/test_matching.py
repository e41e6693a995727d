"""Who meets whom, who gives way, and what becomes of the rest: each decision as a table."""

from __future__ import annotations

import pytest

from backtest.services.book.book import OrderBook, SelfTrade
from backtest.services.book.matching import (
    Meeting,
    Rest,
    gives_way,
    later_of_crossed,
    meeting,
    prevention,
    rest,
)
from backtest.services.book.resting import Resting

OWNER, OTHER = 1, 2


@pytest.mark.parametrize(
    ("buy", "price", "limit", "owner", "what"),
    [
        # A buy meets what is sold at its limit or below, a sell what is bought at its or above.
        (True, 100, None, OTHER, Meeting.TRADE),
        (True, 100, 100, OTHER, Meeting.TRADE),
        (True, 101, 100, OTHER, Meeting.NOBODY),
        (False, 100, 100, OTHER, Meeting.TRADE),
        (False, 99, 100, OTHER, Meeting.NOBODY),
        # The band is from 90 to 110, wherever the limit is, and whosever order is there.
        (True, 110, None, OTHER, Meeting.TRADE),
        (True, 111, None, OTHER, Meeting.BAND),
        (True, 111, 110, OTHER, Meeting.NOBODY),
        (True, 111, None, OWNER, Meeting.BAND),
        (True, 100, None, OWNER, Meeting.OWN),
        # Its protection is passed at 95 and below; it does not fill against its owner's orders.
        (True, 95, None, OTHER, Meeting.PASSED),
        (True, 96, None, OTHER, Meeting.TRADE),
        (True, 95, None, OWNER, Meeting.OWN),
        (True, 89, None, OTHER, Meeting.BAND),
    ],
)
def test_what_is_in_front(
    buy: bool, price: int, limit: int | None, owner: int, what: Meeting
) -> None:
    front = Resting("front", owner, not buy, price, 1)
    found = meeting(
        front, buy, limit, OWNER, lambda at: 90 <= at <= 110, lambda at: buy and at <= 95
    )
    assert found is what


def test_nobody_may_be_there() -> None:
    assert meeting(None, True, None, OWNER, lambda _: True, lambda _: False) is Meeting.NOBODY


@pytest.mark.parametrize(
    ("immediate", "continuous", "is_dust", "is_limit", "must_end", "what"),
    [
        # immediate before all, then the phase, then dust
        (True, True, True, True, True, Rest.ENDS),
        (True, False, False, True, False, Rest.ENDS),
        (False, False, True, True, True, Rest.COLLECTED),
        (False, False, False, False, False, Rest.COLLECTED),
        (False, True, True, True, False, Rest.DUST),
        (False, True, False, True, False, Rest.RESTS),
        (False, True, False, True, True, Rest.RESTS),
        (False, True, False, False, True, Rest.WAITS),
        (False, True, False, False, False, Rest.UNMET),
    ],
)
def test_what_becomes_of_the_rest(
    immediate: bool,
    continuous: bool,
    is_dust: bool,
    is_limit: bool,
    must_end: bool,
    what: Rest,
) -> None:
    found = rest(
        immediate=immediate,
        continuous=continuous,
        is_dust=is_dust,
        is_limit=is_limit,
        must_end=must_end,
    )
    assert found is what


@pytest.mark.parametrize(
    ("mode", "must_end", "resting", "coming"),
    [
        (SelfTrade.CANCEL_NEWEST, False, False, True),
        (SelfTrade.CANCEL_OLDEST, False, True, False),
        (SelfTrade.CANCEL_BOTH, False, True, True),
        # a liquidation goes on
        (SelfTrade.CANCEL_NEWEST, True, True, False),
        (SelfTrade.CANCEL_OLDEST, True, True, False),
        (SelfTrade.CANCEL_BOTH, True, True, False),
    ],
)
def test_which_of_two_of_one_owner_is_cancelled(
    mode: SelfTrade, must_end: bool, resting: bool, coming: bool
) -> None:
    assert prevention(mode, must_end) == (resting, coming)


@pytest.mark.parametrize(
    ("buyer_came", "must_end", "out", "anew"),
    [
        (1, "", "seller", False),
        (3, "", "buyer", False),
        # what must be carried out does not give way to what need not
        (1, "seller", "buyer", False),
        (3, "buyer", "seller", False),
        (1, "buyer", "seller", False),
        # of two such the older comes in anew
        (1, "buyer seller", "buyer", True),
        (3, "buyer seller", "seller", True),
    ],
)
def test_which_of_two_of_one_owner_an_auction_leaves_out(
    buyer_came: int, must_end: str, out: str, anew: bool
) -> None:
    buyer, seller = Resting("buyer", 1, True, 101, 1), Resting("seller", 1, False, 99, 1)
    buyer.sequence, seller.sequence = buyer_came, 2
    found, comes_anew = gives_way(buyer, seller, lambda one: one.key in must_end.split())
    assert (found.key, comes_anew) == (out, anew)


@pytest.mark.parametrize(
    ("bid", "ask", "later"),
    [(101, 99, "ask"), (100, 100, "ask"), (99, 100, None), (101, None, None), (None, 99, None)],
)
def test_which_of_two_that_cross_came_later(
    bid: int | None, ask: int | None, later: str | None
) -> None:
    orders = OrderBook()
    orders.begin_auction()
    if bid is not None:
        orders.add(Resting("bid", 1, True, bid, 1))
    if ask is not None:
        orders.add(Resting("ask", 2, False, ask, 1))
    found = later_of_crossed(orders)
    assert (None if found is None else found.key) == later


def test_the_buyer_may_be_the_later() -> None:
    orders = OrderBook()
    orders.begin_auction()
    orders.add(Resting("ask", 2, False, 99, 1))
    orders.add(Resting("bid", 1, True, 101, 1))
    found = later_of_crossed(orders)
    assert found is not None
    assert found.key == "bid"
