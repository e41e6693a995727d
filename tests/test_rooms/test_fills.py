"""Fills: (order or position, rules, price) -> what is decided, and what is there afterwards.

`FillSide` decides; `Room.bar` posts and applies it. The mark is 100, the leverage 10, and main has
1000 USD unless it says otherwise.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from backtest.actors.venue.fill_side import FillSide
from backtest.services.fills.walk import Working
from backtest.services.ledger.entries import MARKET
from tests.harness import bar, pair_of
from tests.room import Room, buy, long, sell, short

D = Decimal
NETS: dict[str, Any] = {"main": {"netting": True}}
PERMILLE = {"commission": {"percent_of_notional": "0.001"}}
MAKER = {"fees": {"fill": {"percent_of_notional": "0.002", "maker": "0.001"}}}
FLAT = {"commission": {"flat_per_trade": "2"}}
LEAST = {"commission": {"percent_of_notional": "0.001", "minimum": "0.3"}}
MOST = {"commission": {"percent_of_notional": "0.001", "maximum": "0.15"}}
BY_VOLUME = {"commission": {"flat_per_volume": "0.07"}}
BY_MARGIN = {"commission": {"percent_of_margin": "0.01"}}


def room(rules: dict[str, Any] | None = None, **more: Any) -> Room:
    made = Room(rules, **more)
    made.at(100)
    return made


def decided(
    made: Room,
    volume: Any,
    price: Any,
    *,
    taker: bool = True,
    whole: bool = False,
    of: Working | None = None,
) -> FillSide:
    """What a fill of the order that came last would come to, or ``of`` what closes a lot."""
    working = made.branch() if of is None else of
    return FillSide(
        made.venue, made.book, working, D(volume), D(price), taker, against=MARKET, whole=whole
    )


def net(**rules: Any) -> Room:
    """1 at 100 and 1 at 95 on a netting account: cost 195, margin 10 + 9.5."""
    made = room(rules, accounts=NETS)
    made.do(long(1, limit=100, leverage=10))
    made.bar(bar(1, 100))
    made.do(long(1, limit=95, leverage=10))
    made.bar(bar(2, 95))
    return made


def standing(made: Room) -> list[tuple[str, ...]]:
    """Side, volume, cost, margin and liquidation price of the open positions."""
    return [
        (
            "long" if one.long else "short",
            *(f"{value.normalize():f}" for value in (one.pool[:3])),
            "" if one.liquidation is None else f"{one.liquidation.normalize():f}",
        )
        for one in made.positions()
    ]


def both(first: Any, second: Any) -> tuple[Decimal, Decimal]:
    return D(first), D(second)


def posted(lines: list[str], *kinds: str) -> list[str]:
    return [line for line in lines if line.startswith(kinds)]


# -- what opens ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "cash", "volume", "price", "comes_to"),
    [
        # Reserved: 2 x 100 / 10 = 20. (volume, margin, what stays reserved)
        (long(2, limit=100, leverage=10), 1000, 2, 100, ("2", "20", "0")),
        (long(2, limit=100, leverage=10), 1000, 2, 95, ("2", "19", "0")),
        # 1.5 at 100 stay: (47.5 + 150) / 10 - 4.75
        (long(2, limit=100, leverage=10), 1000, "0.5", 95, ("0.5", "4.75", "15")),
        # One margin of all fills, rounded up once: 0.333 x 95 / 10 = 3.1635
        (long(1, limit=100, leverage=10), 1000, "0.333", 95, ("0.333", "3.17", "6.67")),
        # A short's better price is higher and costs more: 2 x 110 / 10, 2 more than is reserved ...
        (short(2, limit=100, leverage=10), 22, 2, 110, ("2", "22", "0")),
        # ... and where those are not there it takes the margin of the price it reserved for.
        (short(2, limit=100, leverage=10), "21.99", 2, 110, ("2", "20", "0")),
        # At the market: 2 x 105 / 10 = 21 are reserved. At 120 24 are needed: 21 / 12 = 1.75 fill.
        (long(2, leverage=10), 21, 2, 120, ("1.75", "21", "0")),
        (long(2, leverage=10), 24, 2, 120, ("2", "24", "0")),
        # It takes the reserve of its leaves: 1.8 cost 21.6, what stays is 24 - 21.6
        (long(2, leverage=10), 24, "1.8", 120, ("1.8", "21.6", "2.1")),
        (long(2, leverage=10), 23, "1.8", 120, ("1.8", "21.6", "1.4")),
    ],
)
def test_what_an_order_opens(
    order: Any, cash: Any, volume: Any, price: Any, comes_to: tuple[str, str, str]
) -> None:
    made = room(cash=cash)
    made.do(order)
    side = decided(made, volume, price)
    plan = side.plan
    assert plan is not None
    assert (plan.volume, plan.margin, plan.kept) == tuple(map(D, comes_to))  # type: ignore[union-attr]
    assert side.volume == side.opens == plan.volume
    assert side.closes == []
    assert side.own is made.branch()


def test_what_must_fill_whole_fills_not_at_all_where_it_cannot_be_paid_for() -> None:
    made = room(cash=21)
    made.do(long(2, leverage=10))
    assert decided(made, 2, 120).volume == D("1.75")
    assert decided(made, 2, 120, whole=True).volume == 0
    assert decided(made, 2, 105, whole=True).volume == 2


@pytest.mark.parametrize(
    ("rules", "fees"),
    [
        # 2 at 100 fill as 0.5, 0.5 and 1: each pays what is due so far less what was charged.
        (PERMILLE, ("0.05", "0.05", "0.1")),
        (FLAT, ("2", "0", "0")),  # with the first fill
        (LEAST, ("0.3", "0", "0")),  # 0.05, 0.1 and 0.2: the minimum pays for them
        (MOST, ("0.05", "0.05", "0.05")),  # no more than 0.15
        (BY_VOLUME, ("0.04", "0.03", "0.07")),  # 0.035 up, then 0.07
        (BY_MARGIN, ("0.05", "0.05", "0.1")),
        # who comes takes, who rests makes: 0.1, 0.05, 0.1
        (MAKER, ("0.1", "0.05", "0.1")),
    ],
)
def test_what_fills_of_one_order_are_charged(rules: dict[str, Any], fees: tuple[str, ...]) -> None:
    made = room(rules)
    made.do(long(2, limit=100, leverage=10))
    for number, (volume, fee) in enumerate(zip(("0.5", "0.5", "1"), fees, strict=True), 1):
        side = decided(made, volume, 100, taker=number == 1)
        assert side.plan is not None
        assert side.plan.fee == D(fee)
        lines = made.bar(bar(number, 100, volume=volume))
        assert posted(lines, "FEE") == ([] if fee == "0" else [f"FEE_FILL USD -{fee} 0"])
    assert made.money()[1] == 20  # what is left of the reserve is the margin


@pytest.mark.parametrize(
    ("order", "rules", "cash", "volume", "price", "comes_to"),
    [
        # (volume, amount, fee, what stays reserved)
        (buy(2, limit=100), PERMILLE, 1000, 2, 95, ("2", "190", "0.19", "0")),
        # 0.095 up; 100 and the rest of 0.195 (up) stay for the other
        (buy(2, limit=100), PERMILLE, 1000, 1, 95, ("1", "95", "0.1", "100.1")),
        # 210 are reserved; at 120 that buys 1.75
        (buy(2), None, 210, 2, 120, ("1.75", "210", "0", "0")),
        (sell(2, limit=100), PERMILLE, 0, 2, 100, ("2", "200", "0.2", "0")),
        # The fee of a sale is paid from what it brings; of the base 1.5 stay.
        (sell(2, limit=100), FLAT, 0, "0.5", 100, ("0.5", "50", "2", "1.5")),
    ],
)
def test_what_a_spot_order_exchanges(
    order: Any, rules: Any, cash: Any, volume: Any, price: Any, comes_to: tuple[str, ...]
) -> None:
    made = room(rules, cash={"main": {"USD": cash, "BTC": 2}})
    made.do(order)
    plan = decided(made, volume, price).plan
    assert plan is not None
    values = (plan.volume, plan.amount, plan.fee, plan.kept)  # type: ignore[union-attr]
    assert values == tuple(map(D, comes_to))


def test_a_sale_that_cannot_pay_its_fee_owes_it_until_its_last_fill() -> None:
    """A flat fee of 2, of which a fill of 0.01 at 100 brings 1: 1 is due from the next."""
    made = room(FLAT, cash={"main": {"USD": 0, "BTC": 1}})
    made.do(sell("0.02", limit=100))
    made.bar(bar(1, 100, volume="0.01"))
    assert made.money() == both(0, 0)
    lines = made.bar(bar(2, 50))  # nothing: the limit is 100
    assert lines == []
    lines = made.bar(bar(3, 100))
    assert posted(lines, "FEE", "ADJ") == ["FEE_FILL USD -1 0"]
    assert made.money() == both(0, 0)
    assert made.house("fees") == 2


# -- what closes -----------------------------------------------------------------------------------


def held(rules: dict[str, Any] | None = None, cash: Any = 1000, side: Any = long) -> Room:
    """2 at 100, margin 20; a close of all of it stands."""
    made = room(rules, cash=cash)
    made.do(side(2, limit=100, leverage=10))
    made.bar(bar(1, 100))
    made.close()
    return made


def closing(made: Room, role: str = "close") -> Any:
    return made.positions()[0].lots[0].closing(role)


@pytest.mark.parametrize(
    ("side", "volume", "price", "comes_to"),
    [
        # (margin, PnL, what the insurance bears, margin of the rest)
        (long, 2, 110, ("20", "20", "0", "0")),
        (long, "0.5", 110, ("5", "5", "0", "15")),
        (short, "0.5", 110, ("5", "-5", "0", "15")),
        (short, "0.5", 90, ("5", "5", "0", "15")),
        # Share 10, loss 15: 5 more of the margin of the rest
        (long, 1, 85, ("15", "-15", "0", "5")),
        (long, 1, 80, ("20", "-20", "0", "0")),
        # 5 more than there is
        (long, 1, 75, ("20", "-25", "5", "0")),
        (short, 2, 115, ("20", "-30", "10", "0")),
    ],
)
def test_what_a_close_takes_of_an_isolated_position(
    side: Any, volume: Any, price: Any, comes_to: tuple[str, ...]
) -> None:
    made = held(side=side)
    decision = decided(made, volume, price, of=closing(made))
    (terms,) = decision.closes
    found = (terms.margin, terms.pnl, terms.uncovered, terms.pool.margin)
    assert found == tuple(map(D, comes_to))
    assert (decision.volume, decision.opens) == both(volume, 0)
    assert decision.own is None


@pytest.mark.parametrize(
    ("fee", "cash", "price", "comes_to"),
    [
        # 1 of 2 closes: margin 10. (margin, fee, what the insurance pays of it, margin of the rest)
        ("4", 20, 100, ("10", "4", "0", "10")),  # from what comes back
        ("15", 25, 100, ("10", "15", "0", "10")),  # 10, and 5 of what is available
        ("18", 25, 100, ("13", "18", "0", "7")),  # 3 of the margin of the rest
        ("30", 25, 100, ("20", "30", "5", "0")),  # 20 + 5 are there
        # Lost 15, for which 5 come of the rest: its last 5 and 5 available pay 10 of 12
        ("12", 25, 85, ("20", "12", "2", "0")),
    ],
)
def test_what_pays_the_fee_of_a_close(
    fee: str, cash: Any, price: Any, comes_to: tuple[str, ...]
) -> None:
    made = held({"fees": {"close": {"flat_per_trade": fee}}}, cash)
    (terms,) = decided(made, 1, price, of=closing(made)).closes
    found = (terms.margin, terms.fee, terms.fee_uncovered, terms.pool.margin)
    assert found == tuple(map(D, comes_to))
    assert terms.uncovered == 0


def test_a_loss_beyond_the_margin_does_not_eat_what_pays_the_fee() -> None:
    """20 of 50 are lost by the margin, 30 by the insurance: the 10 that are free pay the fee."""
    made = held({"fees": {"close": {"flat_per_trade": "2"}}}, 30)
    (terms,) = decided(made, 2, 75, of=closing(made)).closes
    assert (terms.uncovered, terms.fee_uncovered) == both(30, 0)


def test_a_bankrupt_close_is_paid_by_the_insurance_in_the_same_entry() -> None:
    made = held(cash=20)
    assert made.bar(bar(2, 85)) == [  # the close comes first at an open beyond the liquidation
        "RETURN_MARGIN USD 20 -20",
        "CLOSE_PNL USD -30 0",
        "ADJUSTMENT USD 10 0",
        "CLOSED",
        "BANKRUPTCY",
    ]
    assert made.house("insurance") == -10
    assert made.money() == both(0, 0)


def test_fills_of_one_close_are_charged_as_one_order() -> None:
    made = held(FLAT)
    assert posted(made.bar(bar(2, 100, volume=1)), "FEE") == ["FEE_CLOSE USD -2 0"]
    assert posted(made.bar(bar(3, 100, volume=1)), "FEE") == []


def test_a_stop_loss_and_a_take_profit_are_one_order_that_closes() -> None:
    made = room(FLAT)
    made.do(long(2, limit=100, leverage=10, stop_loss=95, take_profit=110))
    made.bar(bar(1, 100))
    assert posted(made.bar(bar(2, 110, volume=1)), "FEE", "CLOSE") == [
        "CLOSE_PNL USD 10 0",
        "FEE_CLOSE USD -2 0",
        "CLOSED",
    ]
    assert posted(made.bar(bar(3, 95)), "FEE", "CLOSE") == ["CLOSE_PNL USD -5 0", "CLOSED"]
    assert made.positions() == []


# -- one position for all --------------------------------------------------------------------------


def test_what_is_added_shares_cost_margin_and_liquidation() -> None:
    """(195 - 19.5) / 2 = 87.75."""
    made = net()
    assert standing(made) == [("long", "2", "195", "19.5", "87.75")]


@pytest.mark.parametrize(
    ("volume", "price", "left", "lines"),
    [
        # 1 of it cost 97.5: PnL 90 - 97.5; the margin's half rounds down. 87.75 stays.
        (
            1,
            90,
            ("long", "1", "97.5", "9.75", "87.75"),
            ["RETURN_MARGIN USD 9.75 -9.75", "CLOSE_PNL USD -7.5 0", "NETTED", "CLOSED"],
        ),
        # 1.5: of the first all, of the second half. PnL 110 x 1.5 - 146.25 = 18.75; 1 by 1 12.5
        # and 6.25; margin 14.62 (14.625 down), of which 1 / 1.5 are 9.75 (9.7466 to the nearest)
        (
            "1.5",
            110,
            ("long", "0.5", "48.75", "4.88", "87.74"),
            [
                "RETURN_MARGIN USD 9.75 -9.75",
                "CLOSE_PNL USD 12.5 0",
                "RETURN_MARGIN USD 4.87 -4.87",
                "CLOSE_PNL USD 6.25 0",
                "NETTED",
                "CLOSED",
                "CLOSED",
            ],
        ),
    ],
)
def test_what_an_opposite_order_reduces(
    volume: Any, price: Any, left: tuple[str, ...], lines: list[str]
) -> None:
    made = net()
    assert made.do(short(volume, limit=price, leverage=10)) == ["ACCEPTED"]  # it reserves nothing
    assert made.bar(bar(3, price)) == lines
    assert standing(made) == [left]


def test_parts_reduce_to_the_last_step() -> None:
    """3 at 100 with 30.00 are closed in thirds of a step: what returns rounds down, the last takes
    what is left."""
    made = room(accounts=NETS, pairs=[pair_of(precision=0)])
    made.do(long(3, limit=100, leverage=29))  # 300 / 29 = 10.34: 11
    made.bar(bar(1, 100))
    found = []
    for number in (3, 5, 7):
        made.do(short(1, limit="100.4", leverage=29))
        found.append(posted(made.bar(bar(number, "100.4")), "RETURN", "CLOSE_"))
    # 11 / 3 = 3.67, 8 / 2; PnL 0.4, 0.8, 1.2 so far: 0, 0, 1
    assert found == [
        ["RETURN_MARGIN USD 3 -3", "CLOSE_PNL USD 0 0"],
        ["RETURN_MARGIN USD 4 -4", "CLOSE_PNL USD 0 0"],
        ["RETURN_MARGIN USD 4 -4", "CLOSE_PNL USD 1 0"],
    ]


def test_a_reversal_is_one_entry_of_three_parts() -> None:
    """3 sold at 98 close 2 for +1 and open 1 with 9.8, of the 10 that are reserved for it."""
    made = net()
    assert made.do(short(3, limit=98, leverage=10)) == ["RESERVE_MARGIN USD -9.8 9.8", "ACCEPTED"]
    side = decided(made, 3, 98)
    assert [(one.volume, one.margin, one.pnl) for one in side.closes] == [
        (D(1), D("9.75"), D("0.5")),
        (D(1), D("9.75"), D("0.5")),
    ]
    assert (side.volume, side.opens) == both(3, 1)
    legs, first, parts = side.legs()
    oldest, second = (lot.order.id for lot in made.positions()[0].lots)
    # The legs of the closes are of what they close; those of the rest of the order that opens.
    assert first == oldest
    assert [order_id for _, order_id in parts] == [second, side.opens_id]
    before = len(made.ledger.entries)
    assert made.bar(bar(3, 98)) == [
        "RETURN_MARGIN USD 9.75 -9.75",
        "CLOSE_PNL USD 0.5 0",
        "RETURN_MARGIN USD 9.75 -9.75",
        "CLOSE_PNL USD 0.5 0",
        "RETURN_MARGIN USD 0 0",
        "NETTED",
        "CLOSED",
        "CLOSED",
        "FILLED",
    ]
    assert len(made.ledger.entries) == before + 1
    assert len(legs) == len(made.ledger.entries[-1].legs)
    # (98 + 9.8) / 1
    assert standing(made) == [("short", "1", "98", "9.8", "107.8")]


@pytest.mark.parametrize(
    ("rules", "fees"),
    [
        # Fees of a sale of 3 at 100: 2 close (1 and 1), 1 opens. One order is charged once.
        (PERMILLE, ["FEE_CLOSE -0.1", "FEE_CLOSE -0.1", "FEE_FILL -0.1"]),
        (FLAT, ["FEE_CLOSE -2"]),
        (LEAST, ["FEE_CLOSE -0.3"]),
        (MOST, ["FEE_CLOSE -0.1", "FEE_CLOSE -0.05"]),
        (BY_VOLUME, ["FEE_CLOSE -0.07", "FEE_CLOSE -0.07", "FEE_FILL -0.07"]),
        # of the margins 9.75, 9.75 and 10: 0.0975, 0.195 and 0.295 so far
        (BY_MARGIN, ["FEE_CLOSE -0.1", "FEE_CLOSE -0.1", "FEE_FILL -0.1"]),
        # Two fees, one of each stage: both are due.
        (
            {"fees": {"fill": {"flat_per_trade": "2"}, "close": {"flat_per_trade": "3"}}},
            ["FEE_CLOSE -3", "FEE_FILL -2"],
        ),
    ],
)
def test_what_a_fill_is_charged_that_closes_and_opens(
    rules: dict[str, Any], fees: list[str]
) -> None:
    made = net(**rules)
    made.do(short(3, limit=100, leverage=10))
    lines = posted(made.bar(bar(3, 100)), "FEE")
    assert lines == [f"{one.split()[0]} USD {one.split()[1]} 0" for one in fees]


def test_what_the_closes_bring_pays_for_what_is_opened() -> None:
    """Of 30, 19.5 are margin and 10.5 left. 5 at 100 need 3 x 10: at the mark 105 there would be
    10.5 + 19.5 + 15, so it is accepted with 10.5; at the fill at 100 there are 35."""
    made = room(cash=30, accounts=NETS)
    for number, price in ((1, 100), (2, 95)):
        made.do(long(1, limit=price, leverage=10))
        made.bar(bar(number, price))
    made.at(100)
    assert made.do(short(5, limit=100, leverage=10)) == [
        "RESERVE_MARGIN USD -10.5 10.5",
        "ACCEPTED",
    ]
    side = decided(made, 5, 100)
    assert side.plan is not None
    assert (side.volume, side.plan.margin) == both(5, 30)  # type: ignore[union-attr]
    # At 97.5 the closes bring no more than their margin: 30 are there, 29.25 are needed.
    assert decided(made, 5, "97.5").volume == 5
    # At 90 they lose 15: 15 are there, 1.666 cost 14.994 (15 at the price that was reserved for).
    assert decided(made, 5, 90).opens == D("1.666")
    assert decided(made, 5, 90, whole=True).opens == 0


def test_what_cannot_be_opened_is_cancelled_and_what_it_closes_is_closed() -> None:
    made = room(cash=30, accounts=NETS)
    for number, price in ((1, 100), (2, 95)):
        made.do(long(1, limit=price, leverage=10))
        made.bar(bar(number, price))
    made.at(100)
    made.do(short(5, leverage=10))
    lines = made.bar(bar(3, 90))
    assert lines[-4:] == ["CLOSED", "CLOSED", "FILLED", "CANCELLED INSUFFICIENT_FUNDS"]
    # (149.94 + 15) / 1.666 = 99.003..: 14.994 of margin up is 15.00
    assert standing(made) == [("short", "1.666", "149.94", "15", "99.01")]


def test_fill_or_kill_closes_nothing_where_it_cannot_open_all_of_the_rest() -> None:
    made = room(cash=30, accounts=NETS)
    for number, price in ((1, 100), (2, 95)):
        made.do(long(1, limit=price, leverage=10))
        made.bar(bar(number, price))
    made.at(100)
    made.do(short(5, leverage=10, force="FOK"))
    lines = made.bar(bar(3, 90))
    assert [line for line in lines if "USD" not in line] == ["CANCELLED INSUFFICIENT_FUNDS"]
    assert standing(made) == [("long", "2", "195", "19.5", "87.75")]


def test_the_fee_of_a_close_may_take_what_the_rest_of_the_order_has_reserved() -> None:
    """1 at 100 has lost 9 of 10 at 91; the fee of 8 takes 7 of the 20 that are reserved for 2 at
    100. 13 are left, for 1.3."""
    made = room({"fees": {"close": {"flat_per_trade": "8"}}}, cash=30, accounts=NETS)
    made.do(long(1, limit=100, leverage=10))
    made.bar(bar(1, 100))
    made.do(short(3, limit=91, leverage=10))
    assert made.money() == both(0, 30)
    lines = made.bar(bar(2, 91, volume=1))
    assert lines[-3:] == ["NETTED", "CLOSED", "CANCELLED INSUFFICIENT_FUNDS"]
    branch = made.branch()
    assert branch.order is not None
    assert (branch.order.volume, branch.order.reserved) == both("1.3", 13)
    made.bar(bar(3, 91))
    # 1.3 x 91 / 10 = 11.83
    assert standing(made) == [("short", "1.3", "118.3", "11.83", "100.1")]


# -- what only reduces -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "told", "left"),
    [
        # There are 2.
        (short(1, leverage=10, reduce_only=True), ["NETTED", "CLOSED"], "1"),
        (short(2, leverage=10, reduce_only=True), ["NETTED", "CLOSED", "CLOSED"], ""),
        (
            short(3, leverage=10, reduce_only=True),
            ["NETTED", "CLOSED", "CLOSED", "CANCELLED REDUCE_ONLY"],
            "",
        ),
        (
            short(3, leverage=10, reduce_only=True, force="FOK"),
            ["CANCELLED FILL_OR_KILL"],
            "2",
        ),
        (
            short(2, leverage=10, reduce_only=True, force="FOK"),
            ["NETTED", "CLOSED", "CLOSED"],
            "",
        ),
    ],
)
def test_reduce_only_never_opens(order: Any, told: list[str], left: str) -> None:
    made = net()
    assert made.do(order) == ["ACCEPTED"]
    lines = made.bar(bar(3, 95))
    assert [line for line in lines if "USD" not in line] == told
    assert [one[:2] for one in standing(made)] == ([("long", left)] if left else [])


def test_reduce_only_closes_the_oldest_of_several_positions() -> None:
    made = room()
    made.do(long(1, limit=100, leverage=10))
    made.bar(bar(1, 100))
    made.do(long(1, limit=95, leverage=10))
    made.bar(bar(2, 95))
    made.do(short("1.5", leverage=10, reduce_only=True))
    lines = made.bar(bar(3, 98))
    # 98 - 100, and half of 98 - 95
    assert posted(lines, "CLOSE_") == ["CLOSE_PNL USD -2 0", "CLOSE_PNL USD 1.5 0"]
    assert standing(made) == [("long", "0.5", "47.5", "4.75", "85.5")]


def test_what_reduces_is_cancelled_with_its_partners_before_its_rest() -> None:
    made = net()
    made.do(long(1, limit=90, leverage=10, oco="x"))
    made.do(short(3, limit=98, leverage=10, reduce_only=True, oco="x"))
    lines = made.bar(bar(3, 98))
    assert [line for line in lines if "USD" not in line] == [
        "NETTED",
        "CLOSED",
        "CLOSED",
        "CANCELLED ONE_CANCELS_OTHER",
        "CANCELLED REDUCE_ONLY",
    ]
    assert made.branches() == []
    assert made.money() == both(1001, 0)
