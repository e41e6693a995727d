"""Who meets whom in a book, and what becomes of the rest: (what rests, what comes) -> trades.

``main``, ``bob`` and ``ann`` are three agents. Without more the market is one of contracts, the
reference price is 100, and orders have a leverage of 10.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from backtest.actors.protocol import Create
from tests.room import ExchangeRoom, buy, long, sell, short

D = Decimal
CASH = {name: {"USD": 1000, "BTC": 10} for name in ("main", "bob", "ann")}


def room(*resting: Create, cash: Any = CASH, **more: Any) -> ExchangeRoom:
    made = ExchangeRoom(cash=cash, **more)
    for ask in resting:
        made.do(ask)
    made.news()
    return made


def bid(volume: Any, price: Any, account: str = "bob", **more: Any) -> Create:
    return long(volume, limit=price, leverage=10, account=account, **more)


def ask(volume: Any, price: Any, account: str = "bob", **more: Any) -> Create:
    return short(volume, limit=price, leverage=10, account=account, **more)


def told(lines: list[str]) -> list[str]:
    """What was told, without what was posted."""
    return [line for line in lines if "USD" not in line and "BTC" not in line]


def mine(volume: Any, price: Any = None, side: Any = long, **more: Any) -> Create:
    made: Create = side(volume, limit=price, leverage=10, **more)
    return made


@pytest.mark.parametrize(
    ("resting", "comes", "trades", "stands", "ends"),
    [
        # the best price first, whoever came first
        (
            [ask(1, 102), ask(1, 101, "ann")],
            mine(2, 102),
            ["1 at 101 main took", "1 at 102 main took"],
            [],
            None,
        ),
        (
            [bid(1, 98), bid(1, 99, "ann")],
            mine(2, 98, short),
            ["1 at 99 main took", "1 at 98 main took"],
            [],
            None,
        ),
        # at one price first come, first served
        (
            [ask(1, 101, "ann"), ask(1, 101)],
            mine(1, 101),
            ["1 at 101 main took"],
            ["sell 1 at 101 bob"],
            None,
        ),
        # the price is that of who rests
        ([ask(1, 95)], mine(1, 105), ["1 at 95 main took"], [], None),
        # a part of who rests stays where it is
        ([ask(3, 101)], mine(1, 101), ["1 at 101 main took"], ["sell 2 at 101 bob"], None),
        # the rest of a limit rests; what reaches nobody rests whole
        (
            [ask(1, 101)],
            mine(3, 101),
            ["1 at 101 main took"],
            ["buy 2 at 101 main"],
            None,
        ),
        ([ask(1, 101)], mine(1, 100), [], ["buy 1 at 100 main", "sell 1 at 101 bob"], None),
        ([bid(1, 99)], mine(1, 100, short), [], ["buy 1 at 99 bob", "sell 1 at 100 main"], None),
        # the rest of one at the market ends
        ([ask(1, 101)], mine(3), ["1 at 101 main took"], [], "NO_LIQUIDITY"),
        ([], mine(1), [], [], "NO_LIQUIDITY"),
        # immediate or cancel
        (
            [ask(1, 101)],
            mine(3, 101, force="IOC"),
            ["1 at 101 main took"],
            [],
            "IMMEDIATE_OR_CANCEL",
        ),
        (
            [ask(1, 101)],
            mine(1, 100, force="IOC"),
            [],
            ["sell 1 at 101 bob"],
            "IMMEDIATE_OR_CANCEL",
        ),
        ([ask(1, 101)], mine(1, 101, force="IOC"), ["1 at 101 main took"], [], None),
        # fill or kill: all of it within its limit, or nothing
        (
            [ask(1, 101), ask(1, 102, "ann")],
            mine(2, 102, force="FOK"),
            ["1 at 101 main took", "1 at 102 main took"],
            [],
            None,
        ),
        (
            [ask(1, 101), ask(1, 102, "ann")],
            mine(2, 101, force="FOK"),
            [],
            ["sell 1 at 101 bob", "sell 1 at 102 ann"],
            "FILL_OR_KILL",
        ),
        (
            [ask(1, 101)],
            mine("1.001", 101, force="FOK"),
            [],
            ["sell 1 at 101 bob"],
            "FILL_OR_KILL",
        ),
        # a fill at or beyond its own protection does not happen
        (
            [ask(1, 90)],
            mine(1, 100, stop_loss=90),
            [],
            ["sell 1 at 90 bob"],
            "PROTECTION_PASSED",
        ),
        (
            [ask(1, "90.01")],
            mine(1, 100, stop_loss=90),
            ["1 at 90.01 main took"],
            [],
            None,
        ),
        (
            [bid(1, 110)],
            mine(1, 100, short, stop_loss=110),
            [],
            ["buy 1 at 110 bob"],
            "PROTECTION_PASSED",
        ),
        # ... after what came before it did
        (
            [ask(1, 101), ask(1, 103, "ann")],
            mine(2, 101, take_profit=103),
            ["1 at 101 main took"],
            ["buy 1 at 101 main", "sell 1 at 103 ann"],
            None,
        ),
    ],
)
def test_what_comes_meets(
    resting: list[Create], comes: Create, trades: list[str], stands: list[str], ends: str | None
) -> None:
    made = room(*resting)
    lines = told(made.do(comes))
    assert made.tape() == trades
    assert made.stands() == stands
    ended = [line for line in lines if line.startswith("CANCELLED")]
    assert ended == ([] if ends is None else [f"CANCELLED {ends}"])


@pytest.mark.parametrize(
    ("mode", "trades", "stands", "ends"),
    [
        # main's own sell is the best; behind it stands bob's
        ("cancel_newest", [], ["sell 1 at 101 main", "sell 1 at 102 bob"], 1),
        ("cancel_oldest", ["1 at 102 main took"], ["buy 1 at 102 main"], 1),
        ("cancel_both", [], ["sell 1 at 102 bob"], 2),
    ],
)
def test_nobody_trades_with_himself(
    mode: str, trades: list[str], stands: list[str], ends: int
) -> None:
    made = room(ask(1, 102), mine(1, 101, short), self_trade=mode)
    lines = made.do(mine(2, 102))
    assert made.tape() == trades
    assert made.stands() == stands
    assert lines.count("CANCELLED SELF_TRADE") == ends


def test_what_met_others_before_has_traded_with_them() -> None:
    made = room(ask(1, 101), mine(1, 102, short))
    lines = made.do(mine(2, 102))
    assert made.tape() == ["1 at 101 main took"]
    assert lines[-1] == "CANCELLED SELF_TRADE"
    assert made.stands() == ["sell 1 at 102 main"]


def test_accounts_of_one_agent_do_not_trade_with_each_other() -> None:
    made = room(ask(1, 101), others={"s1": ["bob", "ann"]})
    assert made.do(bid(1, 101, "ann"))[-1] == "CANCELLED SELF_TRADE"
    assert made.tape() == []


@pytest.mark.parametrize(
    ("mode", "resting", "comes", "trades"),
    [
        # Its own order ends it before it has all, or is taken out of its way.
        (
            "cancel_newest",
            [ask(1, 101), mine(1, 102, short), ask(1, 103)],
            mine(2, 103, force="FOK"),
            [],
        ),
        ("cancel_newest", [mine(1, 101, short), ask(1, 102)], mine(1, 102, force="FOK"), []),
        (
            "cancel_oldest",
            [mine(1, 101, short), ask(1, 102)],
            mine(1, 102, force="FOK"),
            ["1 at 102 main took"],
        ),
        # What is taken out of its way is not met, though it stands beyond its own stop-loss.
        (
            "cancel_oldest",
            [mine(1, 89, short), ask(1, 101)],
            mine(1, 110, force="FOK", stop_loss=90),
            ["1 at 101 main took"],
        ),
        # Somebody else's there is met, and ends it.
        ("cancel_oldest", [ask(1, 89), ask(1, 101)], mine(1, 110, force="FOK", stop_loss=90), []),
        # One-cancels-other partners fill once: of 1 and 1 there is 1.
        (
            "cancel_newest",
            [ask(1, 101, oco="a"), ask(1, 102, oco="a")],
            mine(2, 102, force="FOK"),
            [],
        ),
        (
            "cancel_newest",
            [ask(1, 101, oco="a"), ask(1, 102, oco="a"), ask(1, 102, "ann")],
            mine(2, 102, force="FOK"),
            ["1 at 101 main took", "1 at 102 main took"],
        ),
    ],
)
def test_fill_or_kill_counts_what_it_would_meet(
    mode: str, resting: list[Create], comes: Create, trades: list[str]
) -> None:
    made = room(*resting, self_trade=mode)
    lines = made.do(comes)
    assert made.tape() == trades
    assert ("CANCELLED FILL_OR_KILL" in lines) is (not trades)


def test_fill_or_kill_counts_of_who_only_reduces_what_there_is_to_close() -> None:
    """bob is long 1, and two orders of his are to close it: together they are for 1."""
    made = room(bid(1, 100), mine(1, 100, short))
    made.do(short(1, limit=101, account="bob", reduce_only=True))
    made.do(short(1, limit=102, account="bob", reduce_only=True))
    assert made.do(mine(2, 102, force="FOK"))[-1] == "CANCELLED FILL_OR_KILL"
    assert made.heard()[-1].facts.quantity == 1
    made.do(mine(1, 102, force="FOK"))
    assert made.tape()[-1] == "1 at 101 main took"


# -- who cannot pay --------------------------------------------------------------------------------


def test_who_comes_fills_as_far_as_the_money_goes() -> None:
    """2 at the market reserve 2 x 105 = 210, all there is. 1 at 100 leaves 110, which pays 0.916 at
    120 (109.92); of the rest nothing more comes."""
    cash = {**CASH, "main": {"USD": 210}}
    made = room(
        sell(1, limit=100, account="bob"), sell(1, limit=120, account="bob"), cash=cash, spot=True
    )
    lines = made.do(buy(2))
    assert made.tape() == ["1 at 100 main took", "0.916 at 120 main took"]
    assert lines[-1] == "CANCELLED INSUFFICIENT_FUNDS"
    assert made.money() == (D("0.08"), D(0))


# -- the price limit -------------------------------------------------------------------------------


def test_a_match_beyond_the_band_halts_the_market() -> None:
    """5 % of 100: 95 to 105."""
    made = room(ask(1, 105), ask(1, "105.01"), band=D("0.05"))
    lines = made.do(mine(2, 110))
    assert made.tape() == ["1 at 105 main took"]
    assert made.book.phase == "auction"
    assert made.book.halts == 1
    # What would have met it is collected.
    assert made.stands() == ["buy 1 at 110 main", "sell 1 at 105.01 bob"]
    assert not [line for line in lines if line.startswith("CANCELLED")]
    # Five minutes later, unless a test says otherwise, the clock says that it is over.
    assert made.alarms() == [5 * 60 * 10**9]


def test_a_match_within_the_band_does_not() -> None:
    made = room(ask(1, 105), band=D("0.05"))
    made.do(mine(1, 105))
    assert (made.tape(), made.book.phase) == (["1 at 105 main took"], "continuous")


# -- auctions --------------------------------------------------------------------------------------


def test_in_an_auction_orders_are_collected_whatever_they_would_meet() -> None:
    made = room(phase="auction")
    assert told(made.do(ask(1, 99))) == ["ACCEPTED"]
    assert told(made.do(mine(1, 101))) == ["ACCEPTED"]
    assert told(made.do(bid(1, None, "ann"))) == ["ACCEPTED"]
    assert made.tape() == []
    assert made.stands() == ["buy 1 at the market ann", "buy 1 at 101 main", "sell 1 at 99 bob"]
    # What must fill at once cannot.
    assert told(made.do(mine(1, 101, force="IOC")))[-1] == "CANCELLED IMMEDIATE_OR_CANCEL"
    assert told(made.do(mine(1, 101, force="FOK")))[-1] == "CANCELLED FILL_OR_KILL"


@pytest.mark.parametrize(
    ("resting", "trades", "stands", "ended"),
    [
        # Any price from 99 to 101 deals 2: the reference, 100, is among them. Neither side took.
        (
            [ask(2, 99), bid(1, 101, "main"), bid(1, None, "ann")],
            ["1 at 100 met", "1 at 100 met"],
            [],
            [],
        ),
        # At the market first: of 1 that is sold the one at 101 has nothing.
        (
            [ask(1, 99), bid(1, 101, "main"), bid(1, None, "ann")],
            ["1 at 101 met"],
            ["buy 1 at 101 main"],
            [],
        ),
        # what crosses no more rests
        (
            [ask(1, 99), bid(2, 101, "main")],
            ["1 at 101 met"],
            ["buy 1 at 101 main"],
            [],
        ),
        # what is left at the market ends
        ([ask(1, 99), bid(2, None, "main")], ["1 at 99 met"], [], ["CANCELLED NO_LIQUIDITY"]),
        ([bid(2, None, "main")], [], [], ["CANCELLED NO_LIQUIDITY"]),
        # of two orders of one owner the newer ends
        (
            [ask(1, 99, "main"), bid(1, 101, "main")],
            [],
            ["sell 1 at 99 main"],
            ["CANCELLED SELF_TRADE"],
        ),
        (
            [bid(1, 101, "main"), ask(1, 99, "main")],
            [],
            ["buy 1 at 101 main"],
            ["CANCELLED SELF_TRADE"],
        ),
        # nobody is passed over when one drops out: the next of his side is dealt with
        (
            [ask(1, 99, "main"), bid(1, 102, "main"), bid(1, 102, "ann")],
            ["1 at 102 met"],
            [],
            ["CANCELLED SELF_TRADE"],
        ),
        # at 102 ann does not buy; what crosses still comes in anew
        (
            [ask(1, 99, "main"), bid(1, 102, "main"), bid(1, 101, "ann")],
            ["1 at 99 ann took"],
            [],
            ["CANCELLED SELF_TRADE"],
        ),
    ],
)
def test_an_auction_deals_at_one_price(
    resting: list[Create], trades: list[str], stands: list[str], ended: list[str]
) -> None:
    made = room(*resting, phase="auction")
    lines = made.phase("continuous")
    assert made.tape() == trades
    assert made.stands() == stands
    assert [line for line in lines if line.startswith("CANCELLED")] == ended


def test_in_an_auction_both_pay_what_makers_pay() -> None:
    """101 x 0.001 = 0.101, up to 0.11, each; a taker would pay 0.21. 2 are wanted at 101."""
    rules = {"commission": {"maker": "0.001", "taker": "0.002"}}
    made = room(ask(1, 99), bid(2, 101, "main"), rules=rules, phase="auction")
    lines = made.phase("continuous")
    assert [line for line in lines if "FEE_FILL" in line] == [
        "FEE_FILL USD -0.11 0",
        "bob FEE_FILL USD -0.11 0",
    ]


def test_a_closed_market_keeps_what_stands() -> None:
    made = room(ask(1, 101))
    made.phase("closed")
    assert made.stands() == ["sell 1 at 101 bob"]
