"""Trades between two: (what each has, a match) -> one entry, and what each has then.

Everybody has 1000 USD and one position; the market begins at 100, the leverage is 10.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.harness import pair_of
from tests.room import ExchangeRoom, buy, long, sell, short
from tests.test_rooms.test_fills import both, standing

D = Decimal


def room(rules: dict[str, Any] | None = None, cash: Any = 1000, **more: Any) -> ExchangeRoom:
    names = ("main", "b", "c")
    options = more.pop("options", {})
    return ExchangeRoom(
        rules,
        cash={name: {"USD": cash if name == "main" else 1000} for name in names},
        accounts={name: {"netting": True, **options} for name in names},
        **more,
    )


def meet(made: ExchangeRoom, price: Any, volume: Any, seller: str, buyer: str) -> list[str]:
    """``seller`` waits at ``price``, ``buyer`` comes."""
    made.do(short(volume, limit=price, leverage=10, account=seller))
    return made.do(long(volume, limit=price, leverage=10, account=buyer))


def test_both_sides_are_one_entry() -> None:
    made = room({"commission": {"percent_of_notional": "0.001"}})
    made.do(short(2, limit=100, leverage=10, account="b"))
    before = len(made.ledger.entries)
    # 20 and a fee of 0.2 are reserved and needed by either.
    assert made.do(long(2, limit=100, leverage=10)) == [
        "RESERVE_MARGIN USD -20.2 20.2",
        "RETURN_MARGIN USD 0.2 -0.2",
        "FEE_FILL USD -0.2 0",
        "b RETURN_MARGIN USD 0.2 -0.2",
        "b FEE_FILL USD -0.2 0",
        "ACCEPTED",
        "FILLED",
        "FILLED",
    ]
    assert len(made.ledger.entries) == before + 2
    assert made.house("fees") == D("0.4")
    assert standing(made) == [("long", "2", "200", "20", "90"), ("short", "2", "200", "20", "110")]


def test_one_closes_what_the_other_opens_and_clearing_holds_what_is_not_realised() -> None:
    """main sells its long to c at 104: +8, which b, still short, has not paid yet."""
    made = room()
    meet(made, 100, 2, "b", "main")
    meet(made, 104, 2, "main", "c")
    assert made.money() == both(1008, 0)
    assert made.house("clearing") == -8
    assert standing(made) == [
        ("short", "2", "200", "20", "110"),
        ("long", "2", "208", "20.8", "93.6"),
    ]
    meet(made, 104, 2, "c", "b")
    assert made.house("clearing") == 0
    assert made.money(account="b") == both(992, 0)


def test_a_reversal_meets_a_reversal() -> None:
    """main is long 1, b short 1; at 102 main sells 3 to b: either closes 1 and opens 2."""
    made = room()
    meet(made, 100, 1, "b", "main")
    before = len(made.ledger.entries)
    lines = meet(made, 102, 3, "main", "b")
    assert [line for line in lines if "USD" not in line] == [
        "ACCEPTED",
        *("NETTED", "CLOSED", "FILLED"),
        *("NETTED", "CLOSED", "FILLED"),
    ]
    assert len(made.ledger.entries) == before + 3  # two orders, one trade
    # (204 + 20.4) / 2, (204 - 20.4) / 2
    assert standing(made) == [
        ("long", "2", "204", "20.4", "91.8"),
        ("short", "2", "204", "20.4", "112.2"),
    ]
    assert made.money() == both("981.6", "20.4")
    assert made.money(account="b") == both("977.6", "20.4")


def test_what_one_cannot_pay_for_the_other_does_not_get() -> None:
    """main is long 1 with 10 and has 15 more, and sells 3 to c at 91: 1 closes and leaves 1 of the
    10; 16 open 1.758 (15.9978), though c would have 2."""
    made = room(cash=25)
    meet(made, 100, 1, "b", "main")
    made.do(long(3, limit=91, leverage=10, account="c"))
    lines = made.do(short(3, limit=91, leverage=10))
    assert lines[-1] == "CANCELLED INSUFFICIENT_FUNDS"
    assert made.money() == both(0, 16)
    assert standing(made)[1:] == [
        ("short", "1.758", "159.978", "16", "100.11"),
        # (250.978 - 25.1) / 2.758
        ("long", "2.758", "250.978", "25.1", "81.89"),
    ]
    assert made.stands() == ["buy 0.242 at 91 c"]


def test_a_part_that_is_liquidated_gives_back_no_more_than_it_has_lost() -> None:
    """main is long 2 at 100 with 20: 90 liquidates it. c buys 1 at 89: 11 are
    lost and paid, 9 of margin stay for the other 1, which waits for somebody."""
    made = room()
    meet(made, 100, 2, "b", "main")
    made.do(long(1, limit=89, leverage=10, account="c"))
    # A trade at 89.5 is where it is called.
    made.do(long("0.001", limit="89.5", leverage=10, account="c"))
    made.do(short("0.001", limit="89.5", leverage=10, account="b"))
    assert made.money() == both(980, 9)
    assert standing(made)[0][:4] == ("long", "1", "100", "9")
    assert made.house("insurance") == 0


def test_spot_pays_and_gets_whole_steps_and_the_difference_is_the_fees() -> None:
    """0.333 at 0.10 are 0.0333: the buyer pays 0.04, the seller gets 0.03."""
    made = ExchangeRoom(
        spot=True,
        cash={"main": {"USD": 10}, "b": {"BTC": 1}},
        pairs=[pair_of()],
        reference_price=D("0.10"),
    )
    made.do(sell("0.333", limit="0.10", account="b"))
    made.do(buy("0.333", limit="0.10"))
    assert made.money() == both("9.96", 0)
    assert made.money(account="b") == both("0.03", 0)
    assert made.house("fees") == D("0.01")


def test_fill_or_kill_does_not_count_on_money_that_would_have_to_be_found() -> None:
    """main has lost 15 of 20 margin: nothing is free, so it could close its 2 only with what is
    reserved for another order."""
    made = room(cash=21, options={"margin_mode": "cross"})
    meet(made, 100, 2, "b", "main")
    made.do(long(2, limit=85, leverage=10, account="c"))
    assert made.money() == both(1, 20)
    lines = made.do(short(3, limit=85, leverage=10, force="FOK"))
    assert lines[-1] == "CANCELLED FILL_OR_KILL"
    assert standing(made)[0][:2] == ("long", "2")
