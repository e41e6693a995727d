"""Where what is pending stands in a market: (order, what has happened) -> book, or waiting.

``main`` and ``bob`` are two agents in a market of contracts; the reference price is 100.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from backtest.actors.exchange.triggers import Trigger
from backtest.actors.protocol import Create
from backtest.actors.venue.position import branch_of
from tests.room import ExchangeRoom, long, short

D = Decimal
CASH = {name: {"USD": 1000} for name in ("main", "bob", "ann")}


def room(**more: Any) -> ExchangeRoom:
    return ExchangeRoom(cash=CASH, **more)


def waiting(made: ExchangeRoom, account: str = "main") -> list[tuple[str, Decimal | None]]:
    """What of an account waits for a price: it has a place, and rests in no book."""
    return [
        (one.kind, one.place.price)
        for branch, own in made.matching._placement._placed.items()
        if branch.account == account
        for one in own
        if type(one.place) is Trigger
    ]


def trade_at(made: ExchangeRoom, price: Any, volume: Any = "0.001") -> list[str]:
    """bob and ann trade a little at ``price``: that is the mark then."""
    made.do(short(volume, limit=price, leverage=10, account="bob"))
    made.do(long(volume, limit=price, leverage=10, account="ann"))
    return made.news()


@pytest.mark.parametrize(
    ("ask", "stands", "waits"),
    [
        (long(1, limit=99), ["buy 1 at 99 main"], []),
        (short(1, limit=101), ["sell 1 at 101 main"], []),
        # a stop waits for its price, and is in no book
        (long(1, stop=105), [], [("stop", D(105))]),
        (short(1, stop=95, limit=94), [], [("stop_limit", D(95))]),
        # 5 from the mark
        (short(1, trail=5), [], [("trailing_stop", D(95))]),
        (long(1, trail=5), [], [("trailing_stop", D(105))]),
        # what its price has reached already waits no more: with a limit it rests
        (long(1, stop=100, limit=101), ["buy 1 at 101 main"], []),
        (short(1, stop=100, limit=99), ["sell 1 at 99 main"], []),
        # protection is not there before the position is
        (long(1, limit=99, stop_loss=90), ["buy 1 at 99 main"], []),
    ],
)
def test_where_an_order_stands(
    ask: Create, stands: list[str], waits: list[tuple[str, Decimal]]
) -> None:
    made = room()
    made.do(ask)
    assert made.stands() == stands
    assert waiting(made) == waits


@pytest.mark.parametrize(
    ("ask", "marks", "level"),
    [
        # it follows, and never goes back
        (short(1, trail=5), [103], "98"),
        (short(1, trail=5), [103, 100], "98"),
        (short(1, trail=5), [99], "95"),
        (long(1, trail=5), [97, 100], "102"),
        (long(1, trail=5), [101], "105"),
    ],
)
def test_a_trailing_stop_follows_trades(ask: Create, marks: list[int], level: str) -> None:
    made = room()
    made.do(ask)
    for mark in marks:
        trade_at(made, mark)
    assert waiting(made) == [("trailing_stop", D(level))]


@pytest.mark.parametrize(
    ("ask", "mark", "stands", "told"),
    [
        (short(1, stop=95, limit=94), 95, ["sell 1 at 94 main"], ["TRIGGERED"]),
        (short(1, stop=95, limit=94), "95.01", [], []),
        (long(1, stop=105, limit=106), 105, ["buy 1 at 106 main"], ["TRIGGERED"]),
        # at the market there is nobody to meet
        (long(1, stop=105), 106, [], ["TRIGGERED", "CANCELLED NO_LIQUIDITY"]),
    ],
)
def test_a_stop_comes_when_a_trade_reaches_it(
    ask: Create, mark: Any, stands: list[str], told: list[str]
) -> None:
    made = room()
    made.do(ask)
    made.do(long("0.001", limit=mark, leverage=10, account="bob"))
    made.news()
    lines = made.do(short("0.001", limit=mark, leverage=10, account="ann"))
    words = ("TRIGGERED", "CANCELLED")
    assert [line for line in lines if line.startswith(words)] == told
    assert made.stands() == stands
    assert waiting(made) == ([] if told else [("stop_limit", D(95))])


def test_the_nearest_stop_comes_first() -> None:
    """At 90 both are reached: the one at 95 before the one at 92, whoever came first."""
    made = room()
    made.do(short(1, stop=92, limit=85, leverage=10))
    made.do(short(2, stop=95, limit=85, leverage=10))
    trade_at(made, 90)
    assert made.stands() == ["sell 2 at 85 main", "sell 1 at 85 main"]


@pytest.mark.parametrize(
    ("change", "stands"),
    [
        # less keeps the place, more and another price lose it
        ({"volume": 1}, ["buy 1 at 99 main", "buy 5 at 99 bob"]),
        ({"volume": 3}, ["buy 5 at 99 bob", "buy 3 at 99 main"]),
        ({"limit_price": 98}, ["buy 5 at 99 bob", "buy 2 at 98 main"]),
        ({"stop_loss": 90}, ["buy 5 at 99 bob", "buy 2 at 99 main"]),
    ],
)
def test_what_a_change_does_to_the_place(change: dict[str, Any], stands: list[str]) -> None:
    made = room()
    made.do(long(2, limit=99, leverage=10))
    made.do(long(5, limit=99, leverage=10, account="bob"))
    made.modify(made.branch(1), **change)
    assert made.stands() == stands


@pytest.mark.parametrize(
    ("volume", "stands"),
    [(None, ["buy 5 at 99 bob"]), ("0.5", ["buy 1.5 at 99 main", "buy 5 at 99 bob"])],
)
def test_what_is_cancelled_stands_no_more(volume: Any, stands: list[str]) -> None:
    made = room()
    made.do(long(2, limit=99, leverage=10))
    made.do(long(5, limit=99, leverage=10, account="bob"))
    made.cancel(made.branch(1), volume=volume)
    assert made.stands() == stands


@pytest.mark.parametrize(
    ("prices", "stands"),
    [
        (None, ["buy 0.5 at 99 main", "buy 1.5 at 99 main", "buy 5 at 99 bob"]),
        ((99, 98), ["buy 0.5 at 99 main", "buy 5 at 99 bob", "buy 1.5 at 98 main"]),
    ],
)
def test_parts_stand_where_the_whole_stood(prices: Any, stands: list[str]) -> None:
    made = room()
    made.do(long(2, limit=99, leverage=10))
    made.do(long(5, limit=99, leverage=10, account="bob"))
    made.split("0.5", "1.5", branch=made.branch(1), limit_prices=prices)
    assert made.stands() == stands


def test_a_cancelled_stop_comes_no_more() -> None:
    made = room()
    made.do(short(1, stop=95, limit=94))
    made.cancel()
    trade_at(made, 90)
    assert made.stands() == []


def held(**more: Any) -> ExchangeRoom:
    """main is long 2 at 100 of bob, with a leverage of 10."""
    made = room(**more)
    made.do(short(2, limit=100, leverage=10, account="bob"))
    made.do(long(2, limit=100, leverage=10, stop_loss=95, take_profit=110))
    return made


def test_protection_waits_for_its_price() -> None:
    """main is liquidated at (200 - 20) / 2, bob at (200 + 20) / 2."""
    made = held()
    assert sorted(waiting(made)) == [
        ("liquidation", D(90)),
        ("stop_loss", D(95)),
        ("take_profit", D(110)),
    ]
    assert waiting(made, "bob") == [("liquidation", D(110))]


def test_a_take_profit_that_was_reached_rests_at_its_price() -> None:
    made = held()
    trade_at(made, 110)
    # bob is liquidated there, too, and takes what there is
    assert made.tape()[-1] == "2 at 110 bob took"
    made = held()
    made.modify(made.branch(2), take_profit=105)
    trade_at(made, 105)
    assert made.stands() == ["sell 2 at 105 main"]


def test_a_stop_loss_that_finds_nobody_waits_for_whoever_comes() -> None:
    made = held()
    trade_at(made, 95)
    assert made.stands() == []
    made.do(long(1, limit=94, leverage=10, account="ann"))
    assert made.tape()[-1] == "1 at 94 main took"
    unmet = [one.kind for one in made.book.unmet if branch_of(one).account == "main"]
    assert unmet == ["stop_loss"]


def test_a_close_is_for_no_more_than_is_open() -> None:
    """It stands for 2; the stop-loss takes 1 of them, and 1 is left to close."""
    made = held()
    made.close(made.branch(2), limit_price=120)
    assert made.stands() == ["sell 2 at 120 main"]
    made.do(long(1, limit=94, leverage=10, account="ann"))
    trade_at(made, 95)
    assert made.stands() == ["sell 1 at 120 main"]


def test_a_margin_that_grows_puts_the_liquidation_elsewhere() -> None:
    """2 more at 90 with a leverage of 10 on a netting account: (200 + 180 - 38) / 4 = 85.50."""
    made = ExchangeRoom(cash=CASH, accounts={name: {"netting": True} for name in CASH})
    made.do(short(2, limit=100, leverage=10, account="bob"))
    made.do(long(2, limit=100, leverage=10))
    assert ("liquidation", D(90)) in waiting(made)
    made.do(short(2, limit="90.01", leverage=10, account="ann"))
    made.do(long(2, limit="90.01", leverage=10))
    # (200 + 180.02 - 20 - 18.01) / 4 = 85.5025, down
    assert ("liquidation", D("85.50")) in waiting(made)
    assert ("liquidation", D(90)) not in waiting(made)
