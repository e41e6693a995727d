"""Entries of several orders: what two agents trade with each other, checked from tables alone.

The run, worked out by hand: Bob offers 2 at 100 short, Ann takes them: one entry, her fee 1, his
0.5. Then Bob buys one back at 110, which Ann's offer to sell meets: both positions are closed by
half, Ann wins 10 through clearing, Bob loses 10 to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from backtest.analysis.explain.explain import explain
from backtest.analysis.verify import events as check_events
from backtest.analysis.verify import orders as check_orders
from backtest.analysis.verify import sums as check_sums
from backtest.analysis.verify import volumes as check_volumes
from backtest.analysis.verify.journal import Journal, journal_checks
from backtest.analysis.verify.lines import Material
from backtest.analysis.verify.verification import checked
from tests.test_analysis.by_hand import ANN, BOB, HandRun, order_id, time


def reserve(account: str, amount: str) -> tuple[str, str, str, str, str]:
    return (account, "USD", "RESERVE_MARGIN", f"-{amount}", amount)


def back(account: str, amount: str) -> tuple[str, str, str, str, str]:
    return (account, "USD", "RETURN_MARGIN", amount, f"-{amount}")


def pays(payer: str, to: str, kind: str, amount: str) -> list[tuple[str, str, str, str, str]]:
    return [(payer, "USD", kind, f"-{amount}", "0"), (to, "USD", kind, amount, "0")]


CLOSED: dict[str, Any] = {
    "status": "CLOSED", "fill_timestamp": time(2), "fill_price": "100", "fill_volume": "1",
    "close_timestamp": time(3), "close_price": "110", "closing_reason": "netting",
}  # fmt: skip
OPEN: dict[str, Any] = {
    "status": "FILLED", "fill_timestamp": time(2), "fill_price": "100", "fill_volume": "1",
    "margin_reserved": "100", "create_timestamp": time(1),
}  # fmt: skip
OFFSET: dict[str, Any] = {
    "status": "CLOSED", "fill_timestamp": time(3), "fill_price": "110", "fill_volume": "1",
    "close_timestamp": time(3), "close_price": "110", "closing_reason": "offset",
    "gross_pnl": "0", "net_pnl": "0", "create_timestamp": time(3),
}  # fmt: skip


def two_trades() -> HandRun:
    run = HandRun({ANN: {"USD": "1000"}, BOB: {"USD": "1000"}})  # entries 1 and 2
    run.order("bob1", BOB, "SHORT", "1", **CLOSED, gross_pnl="-10", net_pnl="-10.5", fee_fill="0.5")
    run.order("ann1", ANN, "LONG", "1", **CLOSED, gross_pnl="10", net_pnl="8.75", fee_fill="1",
              fee_close="0.25")  # fmt: skip
    tree = {"root_id": "bob1", "parent_id": "bob1", "branch_id": "bob1"}
    run.order("bob1rest", BOB, "SHORT", "1", **OPEN, **tree)
    tree = {"root_id": "ann1", "parent_id": "ann1", "branch_id": "ann1"}
    run.order("ann1rest", ANN, "LONG", "1", **OPEN, **tree)
    run.order("ann2", ANN, "SHORT", "1", **OFFSET)
    run.order("bob2", BOB, "LONG", "1", **OFFSET)
    run.event(1, "accepted", "bob1", "2", run.post(1, [("bob1", [reserve(BOB, "200")])]))
    run.event(1, "accepted", "ann1", "2", run.post(1, [("ann1", [reserve(ANN, "210")])]))
    first = run.post(
        2,
        [
            ("ann1", [back(ANN, "10"), *pays(ANN, "fees", "FEE_FILL", "1")]),
            ("bob1", pays(BOB, "fees", "FEE_FILL", "0.5")),
        ],
    )
    run.fill("ann1", "LONG", "2", "100", first, fee="1")
    run.event(2, "filled", "ann1", "2", first)
    run.fill("bob1", "SHORT", "2", "100", first, fee="0.5", maker="true")
    run.event(2, "filled", "bob1", "2", first)
    run.event(3, "accepted", "ann2", "1")
    run.event(3, "accepted", "bob2", "1")
    second = run.post(
        3,
        [
            ("bob1", [back(BOB, "100"), *pays(BOB, "clearing", "CLOSE_PNL", "10")]),
            (
                "ann1",
                [
                    back(ANN, "100"),
                    *reversed(pays("clearing", ANN, "CLOSE_PNL", "10")),
                    *pays(ANN, "fees", "FEE_CLOSE", "0.25"),
                ],
            ),
        ],
    )
    run.event(3, "netted", "bob2", "1")
    closing = {"kind": "netting", "closing_order_id": order_id("bob2")}
    run.fill("bob1", "LONG", "1", "110", second, realised_pnl="-10", **closing)
    run.event(3, "closed", "bob1", "1", second)
    run.event(3, "netted", "ann2", "1")
    closing = {"kind": "netting", "closing_order_id": order_id("ann2")}
    run.fill("ann1", "SHORT", "1", "110", second, realised_pnl="10", fee="0.25", **closing)
    run.event(3, "closed", "ann1", "1", second)
    return run


def spot_trade() -> HandRun:
    """Bob sells Ann 0.5 BTC at 100.01, which is worth 50.005: she pays 50.01, he gets 50.00, and
    fees the cent between."""
    run = HandRun({ANN: {"USD": "1000"}, BOB: {"BTC": "3"}})
    done: dict[str, Any] = {
        "order_kind": "spot", "status": "FILLED", "fill_timestamp": time(2),
        "fill_price": "100.01", "fill_volume": "0.5", "leverage": "",
    }  # fmt: skip
    run.order("bob1", BOB, "SHORT", "0.5", **done)
    run.order("ann1", ANN, "LONG", "0.5", **done, fee_fill="0.1")
    held = (BOB, "BTC", "RESERVE_MARGIN", "-0.5", "0.5")
    run.event(1, "accepted", "bob1", "0.5", run.post(1, [("bob1", [held])]))
    run.event(1, "accepted", "ann1", "0.5", run.post(1, [("ann1", [reserve(ANN, "60")])]))
    trade = run.post(
        2,
        [
            (
                "ann1",
                [
                    (ANN, "USD", "FILL_BUY", "0", "-50.01"),
                    (ANN, "BTC", "SPOT_EXCHANGE", "0.5", "0"),
                    (ANN, "USD", "FEE_FILL", "0", "-0.1"),
                    ("fees", "USD", "FEE_FILL", "0.1", "0"),
                    back(ANN, "9.89"),
                ],
            ),
            (
                "bob1",
                [
                    (BOB, "BTC", "FILL_SELL", "0", "-0.5"),
                    (BOB, "USD", "SPOT_EXCHANGE", "50", "0"),
                    ("fees", "USD", "ADJUSTMENT", "0.01", "0"),
                ],
            ),
        ],
    )
    run.fill("ann1", "LONG", "0.5", "100.01", trade, fee="0.1", notional="50.01")
    run.event(2, "filled", "ann1", "0.5", trade)
    run.fill("bob1", "SHORT", "0.5", "100.01", trade, maker="true", notional="50")
    run.event(2, "filled", "bob1", "0.5", trade)
    return run


def problems(run: HandRun) -> list[str]:
    """Everything that the checks of journal, orders, fills and events find."""
    material = Material(run)
    journal = Journal(material)
    journal.walk()
    checks = list(journal_checks(journal))
    for look in (check_sums.reserves, check_sums.trades, check_events.events):
        checks.append(checked(look.__name__, partial(look, material, journal)))
    for read in (check_orders.orders, check_volumes.chains, check_orders.fills):
        checks.append(checked(read.__name__, partial(read, material)))
    return [f"{check.name}: {one}" for check in checks for one in check.problems]


@pytest.mark.parametrize("make", [two_trades, spot_trade])
def test_a_run_in_which_agents_trade_with_each_other_verifies(make: Callable[[], HandRun]) -> None:
    assert problems(make()) == []


def test_its_journal_has_a_check_of_what_the_two_sides_have() -> None:
    journal = Journal(Material(two_trades()))
    journal.walk()
    names = {check.name: check.outcome for check in journal_checks(journal)}
    assert names["trades between agents are even"] == "2 trades"
    assert "clearing is the unrealised PnL of all positions" in names


def leg(run: HandRun, account: str, kind: str, amount: str) -> int:
    """The place of a leg among the transactions."""
    rows = list(run.rows("transactions"))
    return next(
        at for at, row in enumerate(rows) if (row[4], row[6]) == (account, kind) and amount in row
    )


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        # Who wins 10 gets them from the market, or pays a fee to clearing.
        (
            lambda run: run.change(
                "transactions", leg(run, "clearing", "CLOSE_PNL", "-10"), account="market"
            ),
            "trades between agents are even: the trade of entry 6 settles a PnL with market",
        ),
        (
            lambda run: run.change(
                "transactions", leg(run, "fees", "FEE_CLOSE", "0.25"), account="clearing"
            ),
            "trades between agents are even: the trade of entry 6 pays a fee to clearing",
        ),
        # Bob's side of the first trade, at another price or of another volume.
        (lambda run: run.change("fills", 1, price="101"), "the price of the trade of entry 5 is"),
        (
            lambda run: run.change("fills", 1, volume="3"),
            "the volume sold in the trade of entry 5 is 3, should be 2",
        ),
        (
            lambda run: run.change("fills", 1, notional="201"),
            "the trade of entry 5 is worth 200 to who bought and 201 to who sold",
        ),
        # A fee booked for the order of the other side.
        (
            lambda run: run.change(
                "transactions", leg(run, BOB, "FEE_FILL", "-0.5"), order_id=order_id("ann1")
            ),
            f"entry 5 moves money of bob for order {order_id('ann1')}, which is ann's",
        ),
        # An order that has nothing to do with the entry: no event says that it has.
        (
            lambda run: run.change(
                "transactions", leg(run, "fees", "FEE_CLOSE", "0.25"), order_id=order_id("ann2")
            ),
            f"entry 6 books for order {order_id('ann2')}, and no event says why",
        ),
        # Bob's fill is of another entry: nobody was on the other side of Ann's.
        (
            lambda run: run.change("fills", 1, direction="LONG"),
            "trades between agents are even: the fill of order",
        ),
        # Ann has bought one and sold it; of Bob's two one is open.
        (
            lambda run: run.change("fills", 0, volume="1"),
            "the open volume of BTCUSD is -1 net",
        ),
        # Ann's one that is open has cost 90, Bob has got 100 for his.
        (
            lambda run: run.change("fills", 0, price="90"),
            "clearing has 0 USD, the positions are 10 ahead",
        ),
        # A position is gone: Ann's long has no short.
        (
            lambda run: run.change("orders", 2, status="CANCELLED"),
            "1 was filled by its orders, 2 by its fills",
        ),
        (lambda run: run.change("orders", 3, fill_price="90"), " is 90, should be 100"),
    ],
)
def test_what_is_not_even_is_found(spoil: Callable[[HandRun], None], found: str) -> None:
    run = two_trades()
    spoil(run)
    told = problems(run)
    assert any(found in one for one in told), told


def test_spot_that_the_market_delivers_is_found() -> None:
    run = spot_trade()
    run.change("transactions", leg(run, BOB, "FILL_SELL", "-0.5"), account="market")
    told = problems(run)
    assert any("has market on a side" in one for one in told), told


@pytest.mark.parametrize(
    ("ann", "bob", "fees", "found"),
    [
        # Rounded half-even, both would have 50: Ann then has half a cent too much.
        ("-50", "50", "", "has made 0.005 USD of nothing"),
        # Both rounded up: Bob has it.
        ("-50.01", "50.01", "", "has made 0.005 USD of nothing"),
        # A cent of which nobody has anything to show.
        ("-50.02", "50.01", "0.01", "has made -0.015 USD of nothing"),
    ],
)
def test_a_fill_that_makes_money_is_found(ann: str, bob: str, fees: str, found: str) -> None:
    run = spot_trade()
    run.change("transactions", leg(run, ANN, "FILL_BUY", "-50.01"), unavailable_balance_change=ann)
    run.change("transactions", leg(run, BOB, "SPOT_EXCHANGE", "50"), available_balance_change=bob)
    at = leg(run, "fees", "ADJUSTMENT", "0.01")
    run.change("transactions", at, available_balance_change=fees or "0")
    run.change("fills", 0, notional=ann.removeprefix("-"))
    run.change("fills", 1, notional=bob)
    told = [one for one in problems(run) if one.startswith("fills move value and make none")]
    assert any(found in one for one in told), told


def test_a_rest_that_the_sides_do_not_leave_is_found() -> None:
    run = spot_trade()
    run.change("transactions", leg(run, "fees", "ADJUSTMENT", "0.01"), account="insurance")
    told = problems(run)
    assert any("leaves another rest to fees than its two sides do" in one for one in told), told


def test_legs_of_an_order_in_two_pieces_are_found() -> None:
    run = two_trades()
    at = leg(run, "fees", "FEE_FILL", "1")
    run.change("transactions", at, order_id=order_id("bob1"))
    run.change("transactions", at + 1, order_id=order_id("ann1"))
    told = problems(run)
    assert any("does not keep the legs of each of its orders together" in one for one in told)


def test_a_story_names_the_other_side_and_tells_of_its_own_money_alone() -> None:
    story = explain(two_trades(), order_id("ann1"), no_bars="there are none")
    assert f"bought from account 'bob', order #1 {order_id('bob1')}" in story
    assert f"sold to account 'bob', order #6 {order_id('bob2')}" in story
    assert "ann then has" in story
    assert "bob then has" not in story
    # She paid 1 and 0.25 of fees, and won 10.
    assert "in all, the account received +8.75 USD" in story


def test_the_story_of_an_order_that_is_a_later_part_of_an_entry_has_that_part() -> None:
    story = explain(two_trades(), order_id("bob1"), no_bars="there are none")
    assert "entry 5, posted:" in story
    assert "FEE_FILL" in story
    assert "in all, the account received -10.50 USD" in story
    assert f"sold to account 'ann', order #2 {order_id('ann1')}" in story


def test_an_order_that_closed_the_other_side_tells_which_position_and_whom_it_met() -> None:
    story = explain(two_trades(), order_id("ann2"), no_bars="there are none")
    assert "it was a long of order #2" in story
    assert f"sold to account 'bob', order #6 {order_id('bob2')}" in story
    assert "CLOSE_PNL" in story
