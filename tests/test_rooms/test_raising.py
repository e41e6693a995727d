"""Cross margin: (account, what it owes) -> what pays for it, in which order, and what stays.

BTC and ETH stand at 100, the leverage is 10.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.harness import bar, pair_of
from tests.room import Room, long, sell, short
from tests.test_rooms.test_fills import both, closing, decided, posted, standing

D = Decimal
CROSS: dict[str, Any] = {"main": {"margin_mode": "cross"}}
NETS: dict[str, Any] = {"main": {"margin_mode": "cross", "netting": True}}
ETH = {"pair": "ETHUSD"}


def room(rules: dict[str, Any] | None = None, accounts: Any = CROSS, **more: Any) -> Room:
    made = Room(rules, pairs=(pair_of("BTCUSD"), pair_of("ETHUSD")), accounts=accounts, **more)
    made.at(100)
    made.at(100, "ETHUSD")
    return made


def hold(made: Room, *orders: tuple[Any, int]) -> None:
    for number, (order, price) in enumerate(orders, 1):
        made.do(order)
        made.bar(bar(number, price, pair=order.pair))


def held(made: Room) -> list[tuple[str, str, str]]:
    """Pair, volume and margin of the open positions."""
    return [
        (one.book.code, f"{one.pool.volume:f}", f"{one.pool.margin.normalize():f}")
        for one in made.positions()
    ]


def test_what_a_loss_is_paid_from_and_in_which_order() -> None:
    """BTC 2 (20 of margin) has lost 80 at 60; ETH 5 (50) has won 150; 10 are reserved, 10 free."""
    made = room(cash=90)
    hold(
        made, (long(2, limit=100, leverage=10), 100), (long(5, limit=100, leverage=10, **ETH), 100)
    )
    made.do(long(1, limit=100, leverage=10, oco="x"))
    made.cancel()
    made.bar(bar(3, 130, pair="ETHUSD"))
    made.do(long(2, limit=50, leverage=10))
    assert made.money() == both(10, 80)
    made.close(made.branch(1))
    made.bar(bar(4, 130, pair="ETHUSD"))
    side = decided(made, 2, 60, of=closing(made))
    # 80 less its own 20 and the 10 that are free
    assert side.lacks == 50
    lines = made.bar(bar(5, 60))
    assert lines == [
        "RETURN_MARGIN USD 10 -10",  # what is pending
        "RETURN_MARGIN USD 40 -40",  # of the margin of ETH
        "RETURN_MARGIN USD 20 -20",  # the close itself
        "CLOSE_PNL USD -80 0",
        "CANCELLED MARGIN_CALL",
        "MARGIN_USED",
        "CLOSED",
    ]
    assert held(made) == [("ETHUSD", "5", "10")]
    assert made.money() == both(0, 10)
    assert made.house("insurance") == 0


def test_of_a_partial_close_the_rest_pays_before_anything_else_is_touched() -> None:
    """1 of 2 at 70 has lost 30: 10 of margin come back, 5 are free, 10 are the rest's margin. Of
    the 5 that are lacking 3 come from another order and 2 from the margin of ETH."""
    made = room(cash=30)
    hold(
        made,
        (long(2, limit=100, leverage=10), 100),
        (short(2, limit=100, leverage=100, **ETH), 100),
    )
    made.do(long("0.6", limit=50, leverage=10))
    made.bar(bar(2, 60, pair="ETHUSD"))
    assert made.money() == both(5, 25)
    made.close(made.branch(1), volume=1)
    side = decided(made, 1, 70, of=closing(made))
    (terms,) = side.closes
    assert (terms.margin, terms.pool.margin) == both(20, 0)
    assert side.lacks == 5
    assert [one for one in made.bar(bar(3, 70)) if "USD" not in one] == [
        "CANCELLED MARGIN_CALL",
        "MARGIN_USED",
        "CLOSED",
    ]
    assert made.house("insurance") == 0


def test_profits_are_realised_when_nothing_else_is_left_the_largest_first() -> None:
    """BTC 1 loses 80 at 20, all else is 30. ETH of 1 and 3 have won 40 each."""
    made = room(cash=60)
    hold(
        made,
        (long(1, limit=100, leverage=10), 100),
        (long(1, limit=100, leverage=10, **ETH), 100),
        (long(3, limit=100, leverage=10, **ETH), 100),
    )
    made.bar(bar(4, 120, pair="ETHUSD"))
    made.close(made.branch(1))
    lines = made.bar(bar(5, 20))
    assert [one for one in lines if "USD" not in one] == [
        "MARGIN_USED",
        "MARGIN_USED",
        "LIQUIDATED",
        "CLOSED",
    ]
    # 3 x 20 = 60 are more than the 20 that were lacking.
    assert posted(lines, "CLOSE_") == ["CLOSE_PNL USD 60 0", "CLOSE_PNL USD -80 0"]
    assert held(made) == [("ETHUSD", "1", "0")]
    assert made.money() == both(40, 0)


def test_what_is_closed_with_it_does_not_stand_in_the_way_of_other_profits() -> None:
    """A reduce-only order closes 40 that have lost 1000 and 34 that have won 510; of 490 the money
    pays 260. The profit of 300 of ETH pays the rest, though 510 is larger: that is in the sum."""
    made = room(cash=260)
    hold(
        made,
        (long(10, limit=100, leverage=100, **ETH), 100),
        (long(40, limit=100, leverage=100), 100),
    )
    made.bar(bar(3, 300, pair="ETHUSD"))
    made.do(long(34, limit=60, leverage=100))
    made.bar(bar(4, 60))
    made.bar(bar(5, 75))
    made.bar(bar(5, 130, pair="ETHUSD"))
    made.do(short(74, leverage=100, reduce_only=True))
    side = decided(made, 74, 75)
    assert [one.pnl for one in side.closes] == [-1000, 510]
    lines = made.bar(bar(7, 75))
    assert posted(lines, "CLOSE_") == [
        "CLOSE_PNL USD 300 0",
        "CLOSE_PNL USD -1000 0",
        "CLOSE_PNL USD 510 0",
    ]
    assert made.positions() == []
    assert made.money() == both(70, 0)
    assert made.house("insurance") == 0


def test_an_order_that_closes_is_not_cancelled_to_pay_for_what_it_closes() -> None:
    """2 sold at 60 close 1 that has lost 40: 10 of margin, 16 free and the 10 that the order has
    reserved for its second 1 pay 36; the margin of ETH the rest. Nothing is left to open the
    second."""
    made = room(accounts=NETS, cash=40)
    hold(
        made,
        (long(1, limit=100, leverage=10), 100),
        (short(4, limit=100, leverage=100, **ETH), 100),
    )
    made.bar(bar(2, 80, pair="ETHUSD"))
    made.do(long(1, limit=50, leverage=10, **ETH))  # it is to close what is short, and reserves 0
    made.do(short(2, leverage=10))
    assert made.money() == both(16, 24)
    side = decided(made, 2, 60)
    assert (side.lacks, side.opens) == both(4, 0)
    assert made.bar(bar(4, 60)) == [
        "RETURN_MARGIN USD 4 -4",
        "RETURN_MARGIN USD 10 -10",
        "CLOSE_PNL USD -40 0",
        "RETURN_MARGIN USD 10 -10",
        "CANCELLED MARGIN_CALL",
        "MARGIN_USED",
        "NETTED",
        "CLOSED",
        "CANCELLED INSUFFICIENT_FUNDS",
    ]


def test_nothing_is_moved_for_what_must_fill_whole_and_cannot() -> None:
    """2 sold at 40 close 1 that lost 60, for which ETH's margin could be taken; but nothing would
    be left to open the other."""
    made = room(accounts=NETS, cash=60)
    hold(
        made, (long(1, limit=100, leverage=10), 100), (long(5, limit=100, leverage=10, **ETH), 100)
    )
    made.bar(bar(3, 130, pair="ETHUSD"))
    made.do(short(2, leverage=10, force="FOK"))
    assert decided(made, 2, 40).lacks == 50
    assert made.bar(bar(4, 40)) == ["CANCELLED INSUFFICIENT_FUNDS"]
    assert held(made) == [("BTCUSD", "1", "10"), ("ETHUSD", "5", "50")]


def test_what_must_fill_whole_and_only_closes_finds_the_money() -> None:
    made = room(accounts=NETS, cash=60)
    hold(
        made, (long(1, limit=100, leverage=10), 100), (long(5, limit=100, leverage=10, **ETH), 100)
    )
    made.bar(bar(3, 130, pair="ETHUSD"))
    made.do(short(1, leverage=10, force="FOK"))
    assert [one for one in made.bar(bar(4, 40)) if "USD" not in one] == [
        "MARGIN_USED",
        "NETTED",
        "CLOSED",
    ]
    assert held(made) == [("ETHUSD", "5", "0")]


def test_what_others_have_lost_opens_nothing() -> None:
    """ETH has lost 30 of the 80 that are free: 50 may be spent, and what the order has reserved."""
    made = room(cash=100)
    hold(made, (long(1, limit=100, leverage=10, **ETH), 100))
    made.do(long(1, limit=100, leverage=10))
    assert made.money() == both(80, 20)
    made.at(70, "ETHUSD")
    # At 700 70 are needed: the 10 that are reserved, and 50 of the others.
    assert decided(made, 1, 700).volume == D("0.857")  # 60 / 70
    made.at(100, "ETHUSD")
    assert decided(made, 1, 700).volume == 1


def test_an_account_that_is_called_closes_the_worst_with_all_its_lots() -> None:
    """1 at 100 and 1 at 90 on BTC, 2 of ETH at 100; 60 in all. At 65 BTC has lost 60: 39 are free,
    19 are its margin and 2 that of ETH, which goes, too, since equity is nothing."""
    made = room(accounts=NETS, cash=60)
    hold(
        made,
        (long(2, limit=100, leverage=100, **ETH), 100),
        (long(1, limit=100, leverage=10), 100),
        (long(1, limit=90, leverage=10), 90),
    )
    assert made.bar(bar(4, 90, 90, 64, 64)) == [
        "RETURN_MARGIN USD 2 -2",
        "RETURN_MARGIN USD 19 -19",
        "CLOSE_PNL USD -30 0",  # 65 - 95 each
        "CLOSE_PNL USD -30 0",
        "CLOSE_PNL USD 0 0",
        "MARGIN_USED",
        "LIQUIDATED",
        "LIQUIDATED",
        "LIQUIDATED",
    ]
    assert held(made) == []
    assert made.money() == both(0, 0)
    assert made.house("insurance") == 0


def test_collateral_is_sold_on_another_pair_before_profits_are_realised() -> None:
    """BTC 2 has lost 80 at 60, 30 are there; ETH stands at 100, and 5 of it are collateral."""
    accounts = {"main": {"margin_mode": "cross", "collateral": {"ETH": "0.5"}}}
    made = room(accounts=accounts, cash={"main": {"USD": 30, "ETH": 5}})
    made.bar(bar(1, 100, pair="ETHUSD"))
    hold(made, (long(2, limit=100, leverage=10), 100))
    made.close()
    lines = made.bar(bar(2, 60))
    assert posted(lines, "FILL_SELL", "SPOT") == [
        "FILL_SELL ETH -0.5 0",
        "SPOT_EXCHANGE USD 50 0",
    ]
    assert made.money() == both(0, 0)
    assert made.money("ETH") == both(D("4.5"), 0)


def test_a_sale_of_the_base_is_no_business_of_cross_margin() -> None:
    made = room(cash={"main": {"USD": 0, "BTC": 1}})
    made.do(sell(1, limit=100))
    assert decided(made, 1, 100).lacks == 0
    assert standing(made) == []
